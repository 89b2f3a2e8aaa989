"""Change the code in small ways and see whether the tests of its folder notice.

python experiments/016-mutants/run.py --folder ops --tests-of COMMIT  # draw, run, write results-ops.csv
python experiments/016-mutants/run.py --folder ops --again            # run the survivors against the tests as they are now

Needs `pip install cosmic-ray==8.7.0 coverage`. The changes are made in a scratch copy of the work tree. A mutant is run against
the tests of its folder that execute the changed line, fastest first, until one fails. A call that is cut off goes on where it
stopped; `--limit` bounds the mutants of one call.
"""

from __future__ import annotations

import argparse
import csv
import difflib
import importlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from places import Mutant, draw
from trial import in_child, run_tests

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
COLUMNS = ("file", "line", "operator", "occurrence", "change", "outcome", "seconds", "test", "outcome_after", "test_after")
HEAVY = ("cv2", "hydra", "hypothesis", "jinja2", "jsonschema", "PIL.Image", "pytest", "safetensors.torch", "scipy.ndimage",
         "scipy.stats", "skimage.data", "skimage.feature", "skimage.metrics", "torch", "yaml")  # fmt: skip
MOST_SECONDS = 20.0
"""Tests beyond this sum of their ordinary seconds are not tried unless told otherwise; a mutant is stopped after twice as long
and 120 s."""

STAMPS = itertools.count(int(time.time()))


def baseline(folder: str, scratch: Path, *, revision: str | None) -> dict[str, Any]:
    """The seconds of a folder's tests that pass, and the tests that execute each line."""

    def work() -> dict[str, Any]:
        import coverage

        tracer = coverage.Coverage(data_file=None, source=[str(scratch / "gfpup")], config_file=False)
        tracer.start()
        result = run_tests([f"tests/{folder}"], scratch, coverage=tracer)
        tracer.stop()
        data = tracer.get_data()
        lines = {str(Path(name).relative_to(scratch)): data.contexts_by_lineno(name) for name in data.measured_files()}
        return {**result, "lines": lines}

    kept = scratch / f"baseline-{revision or 'now'}.json"
    newest = max(path.stat().st_mtime for path in (ROOT / "tests" / folder).rglob("*.py"))
    if not kept.exists() or (revision is None and kept.stat().st_mtime < newest):
        kept.write_text(json.dumps(in_child(work, scratch, 1800)))
    return dict(json.loads(kept.read_text()))


def tests_of(mutant: Mutant, measured: dict[str, Any], most_seconds: float) -> list[str]:
    """The passing tests that execute the changed lines, fastest first; for lines run at import, whole test files."""
    lines = measured["lines"].get(mutant.file, {})
    numbers = [str(n) for n in range(mutant.start[0], mutant.end[0] + 1)]
    found = {test for n in numbers for test in lines.get(n, ())}
    if "" in found or not found:
        files = {test.partition("::")[0] for tests in lines.values() for test in tests}
        found |= {test for test in measured["seconds"] if test.partition("::")[0] in files}
    unused = {*measured["failed"], *measured["skipped"]}
    fine = sorted((measured["seconds"][test], test) for test in found if test and test not in unused)
    chosen, total = [], 0.0
    for seconds, test in fine:
        total += seconds
        if total > most_seconds and chosen:
            break
        chosen.append(test)
    return chosen


def mirrored(mutant: Mutant) -> list[str]:
    """The test files of a module's folder that import it, its own first: without a measurement."""
    _, folder, *_, name = Path(mutant.file).with_suffix("").parts
    dotted = ".".join(Path(mutant.file).with_suffix("").parts).removesuffix(".__init__")
    words = (f"from {dotted} import", f"from {dotted.rpartition('.')[0]} import {name}")
    files = sorted((ROOT / "tests" / folder).rglob("test_*.py"), key=lambda path: (name not in path.stem, path.stat().st_size))
    return [str(path.relative_to(ROOT)) for path in files if any(word in path.read_text() for word in words)]


def put(path: Path, code: str) -> None:
    """Write a file with a time of its own: Python takes bytecode for current that has a file's size and whole second."""
    path.write_text(code)
    stamp = next(STAMPS)
    os.utime(path, (stamp, stamp))


def try_mutant(mutant: Mutant, measured: dict[str, Any], scratch: Path, most_seconds: float) -> dict[str, Any]:
    code = (ROOT / mutant.file).read_text()
    changed = mutant.apply(code)
    tests = tests_of(mutant, measured, most_seconds) if measured else mirrored(mutant)
    began = time.monotonic()
    outcome, noticed = "survived", ""
    if tests:
        put(scratch / mutant.file, changed)
        limit_s = 120 + 2 * sum(measured["seconds"][test] for test in tests) if measured else 150
        result = in_child(lambda: run_tests(tests, scratch, "-x"), scratch, limit_s)
        put(scratch / mutant.file, code)
        if result is None:
            outcome = "timed out"
        elif result["failed"]:
            outcome, noticed = "caught", result["failed"][0]
    lines = [line for line in difflib.ndiff(code.splitlines(), changed.splitlines()) if line[:2] in ("- ", "+ ")]
    change = " => ".join(" ".join(line[2:].strip() for line in lines if line[0] == sign) for sign in "-+")
    seconds = f"{time.monotonic() - began:.1f}"
    return dict(zip(COLUMNS, (*key(mutant), change, outcome, seconds, noticed or f"{len(tests)} tests", "", ""), strict=True))


def key(mutant: Mutant) -> tuple[str, str, str, str]:
    return mutant.file, str(mutant.start[0]), mutant.operator.removeprefix("core/"), str(mutant.occurrence)


def is_due(row: dict[str, str] | None, *, again: bool) -> bool:
    """Whether a mutant is still to be run: each once, and with `again` those that no test has caught."""
    if again:
        return row is not None and row["outcome"] == "survived" and row["outcome_after"] in ("", "survived")
    return row is None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=16)
    parser.add_argument("--limit", type=int, default=10**6)
    parser.add_argument("--again", action="store_true")
    parser.add_argument(
        "--mirrored", action="store_true", help="measure nothing first: run the test files that import the module"
    )
    parser.add_argument("--most-seconds", type=float, default=MOST_SECONDS, help="of the ordinary seconds of a mutant's tests")
    parser.add_argument("--tests-of", metavar="COMMIT", help="take the tests from this commit")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()) / "gfpup-mutants")
    asked = parser.parse_args()
    scratch = (asked.scratch / asked.folder).resolve()
    shutil.rmtree(scratch / "tests", ignore_errors=True)
    shutil.copytree(ROOT, scratch, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".venv", ".git", "__pycache__", "mlruns"))
    if asked.tests_of:
        shutil.rmtree(scratch / "tests")
        archive = subprocess.run(["git", "archive", asked.tests_of, "tests"], cwd=ROOT, check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x"], cwd=scratch, check=True, input=archive)
    os.environ |= {"PYTHONPATH": str(scratch), "OMP_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    os.environ.setdefault("GFPUP_SHARED", str(ROOT.parent / "shared"))
    for name in HEAVY:
        importlib.import_module(name)  # once, before the forks

    mutants, places, left_out = draw(ROOT, asked.folder, asked.count, asked.seed)
    print(f"{asked.folder}: {len(mutants)} of {places} places; left out: {dict(left_out)}", flush=True)
    table = HERE / f"results-{asked.folder}.csv"
    rows = list(csv.DictReader(table.open())) if table.exists() else []
    known = {tuple(row[name] for name in COLUMNS[:4]): row for row in rows}
    measured: dict[str, Any] = {}
    if not asked.mirrored:
        measured = baseline(asked.folder, scratch, revision=asked.tests_of)
        unused, total = measured["failed"] + measured["skipped"], sum(measured["seconds"].values())
        print(f"{len(measured['seconds'])} tests in {total:.0f} s; not used: {unused}", flush=True)
    wanted = [mutant for mutant in mutants if is_due(known.get(key(mutant)), again=asked.again)]
    for mutant in wanted[: asked.limit]:
        row = try_mutant(mutant, measured, scratch, asked.most_seconds)
        if asked.again:
            known[key(mutant)] |= {"outcome_after": row["outcome"], "test_after": row["test"]}
        else:
            rows.append(row)
        print(row["outcome"], row["seconds"], row["file"], row["line"], row["change"], row["test"], flush=True)
        with table.open("w", newline="") as handle:
            writer = csv.DictWriter(handle, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(sorted(rows, key=lambda row: (row["file"], int(row["line"]))))
    if len(wanted) <= asked.limit:
        print("nothing left")


if __name__ == "__main__":
    main()
