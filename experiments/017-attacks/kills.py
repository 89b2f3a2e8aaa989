"""Kill runs at random moments, resume them, and compare what is left with an undisturbed run.

python experiments/017-attacks/kills.py WORK [--kills 100] [--seed 0] [--only run ranks sweep joblib] [-- FLAG ...]

Each attack is a line in kills.csv, written when its run has been resumed to the end and checked. FLAGs after `--` go to every
command (a detector, for example; without them faces are found by the cascade).
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
from PIL import Image
from processes import processes_of

from gfpup.cli.main import main as gfpup
from gfpup.running import predict  # noqa: F401 (imported once, before the forks)
from gfpup.tracking.store import client, prepare_store, store_uri

COSTS = ("seconds", "peak_memory")
SIGNALS = (  # the signal, whom it reaches, and how often it is drawn
    (signal.SIGKILL, "parent", 4),
    (signal.SIGKILL, "group", 2),
    (signal.SIGTERM, "parent", 1),
    (signal.SIGTERM, "group", 1),
    (signal.SIGINT, "parent", 1),
    (signal.SIGINT, "group", 1),
)
COLUMNS = ("command", "signal", "reaches", "second", "of_seconds", "fresh", "resume", "status", "done_before", "found")
COMMON = ("--backend", "classical", "--upscale", "1", "--metrics", "psnr,ssim,seconds", "--quiet", "--threads", "1")
COMMANDS = {
    "run": ("run", *COMMON, "--tracking", "none", "hardware.workers=1"),
    "ranks": ("run", *COMMON, "--device", "cpu", "--devices", "2", "--tracking", "none", "hardware.workers=0"),
    "sweep": (
        "sweep",
        *COMMON[2:],
        "--backend",
        "identity,classical",
        "--strength",
        "0.5,1",
        "--no-report",
        "hardware.workers=0",
    ),
}
COMMANDS["joblib"] = (*COMMANDS["sweep"], "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
TRACKED = {"run": 0, "ranks": 0, "sweep": 4, "joblib": 4}
"""Runs in MLflow at the end: of the sweep its own and three jobs; `identity` at the second strength folds into the first."""
SETTLE_SECONDS = 30.0
AGAIN = 0.2
"""How often the command that resumes a run is attacked as well."""


FRESH = 0.2
"""How often the attacked command is a new Python, which begins with its imports, and not a fork that has done them."""
IMPORTS_SECONDS = 6.0
MADE = 0.5
"""How often MLflow's store is there before a sweep; it takes longer to make than all photos."""


@dataclass
class Ended:
    """How a process ended: its exit status (None: before the attack), and what it said on stderr."""

    status: int | None
    said: str
    seconds: float


def make_photos(folder: Path) -> None:
    """Four small JPEG photos, no two alike, most with a face."""
    folder.mkdir(parents=True)
    portrait = skimage.data.astronaut()[:256, 96:352]
    for i in range(4):
        turned = np.roll(portrait, -8 * i, axis=0)[:, :: -1 if i % 2 else 1]
        Image.fromarray(np.ascontiguousarray(turned)).save(folder / f"photo {i}.jpg", quality=85 + i)


def start(words: list[str], place: Path, screen: int, *, fresh: bool) -> int:
    """Start gfpup in a process group of its own; returns its id.

    Unless it is to be `fresh`, it is a fork of this process, which has imported everything: a third of the time.
    """
    env = {key: value for key, value in os.environ.items() if not key.startswith(("GFPUP_TRACKING", "MLFLOW_"))}
    env |= {"GFPUP_CACHE_DIR": str(place / "cache"), "OMP_NUM_THREADS": "1"}
    process = os.fork()
    if process != 0:
        return process
    status = 70
    try:
        os.setsid()
        os.chdir(place)
        os.dup2(screen, 1)
        os.dup2(screen, 2)
        if fresh:
            os.execve(sys.executable, [sys.executable, "-m", "gfpup", *words], env)
        os.environ.clear()
        os.environ.update(env)
        status = gfpup(words)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def execute(words: list[str], place: Path, *, attack: tuple[float, int, str] | None = None, fresh: bool = False) -> Ended:
    """Run gfpup in `place`; `attack` is the second at which a signal is sent, which one, and to whom."""
    place.mkdir(parents=True, exist_ok=True)
    with (place / "stderr.txt").open("w+b") as said:
        began = time.monotonic()
        process = start(words, place, said.fileno(), fresh=fresh)
        if attack is not None:
            second, number, reaches = attack
            time.sleep(max(0.0, began + second - time.monotonic()))
            if os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                os.waitpid(process, 0)
                return Ended(None, "", second)
            (os.killpg if reaches == "group" else os.kill)(process, number)
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        seconds = time.monotonic() - began
        until = time.monotonic() + SETTLE_SECONDS
        while processes_of(process) and time.monotonic() < until:
            time.sleep(0.1)
        said.seek(0)
        text = said.read().decode(errors="replace")
    if left := processes_of(process):
        text += f"\nTraceback: {len(left)} processes outlive the command"
        os.killpg(process, signal.SIGKILL)
    return Ended(status, text, seconds)


def results(out: Path) -> dict[str, Any]:
    """All that must not depend on an attack, by name: bytes of photos, records and scores without what they cost."""
    found: dict[str, Any] = {}
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        name, folder = str(path.relative_to(out)), path.parent
        if path.suffix in (".jpg", ".png") and path.name != "contact_sheet.jpg":
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.name == "scores.csv":
            found[name] = [row for row in csv.reader(path.open(newline="")) if row[2] not in COSTS]
        elif path.name == "scores.json":
            found[name] = [line for line in json.loads(path.read_bytes())["scores"] if line["metric"] not in COSTS]
        elif path.name == "manifest.json":
            document = json.loads(path.read_bytes())
            lines = [json.loads(line) for line in (folder / "manifest.jsonl").read_bytes().splitlines()]
            costless = [{k: v for k, v in line.items() if k not in ("seconds", "reused")} for line in document["photos"]]
            placeless = json.loads(json.dumps(costless).replace(str(out.parent), ""))
            found[name] = [document["status"], placeless, sorted(line["name"] for line in lines if "name" in line)]
        elif path.name in ("same_as.json", "report.html"):
            found[name] = "there"
        elif path.suffix in (".part", ".tmp") or ".ranks" in path.parts:
            found[name] = "left over"
    return found


def tracked(place: Path) -> list[Any]:
    """What MLflow's store holds of a finished command: name, status and means of each run, without what they cost."""
    path = place / "mlruns"
    if not path.exists():
        return []
    left = [["left over", file.name] for file in path.glob(".*.part*")]
    store = client(store_uri(str(path)))
    runs = store.search_runs([each.experiment_id for each in store.search_experiments()])
    means = [{k: v for k, v in run.data.metrics.items() if k.startswith("mean") and "seconds" not in k} for run in runs]
    found = [[run.info.run_name, run.info.status, mean] for run, mean in zip(runs, means, strict=True)]
    return left + sorted(found, key=json.dumps)


def differences(whole: dict[str, Any], torn: dict[str, Any]) -> list[str]:
    """The names of what is not as it was in the undisturbed run."""
    return [
        f"{name} is {'missing' if name not in torn else 'new' if name not in whole else 'different'}"
        for name in sorted(whole.keys() | torn.keys())
        if whole.get(name) != torn.get(name)
    ]


def misbehaviour(ended: Ended, number: int) -> list[str]:
    """What is wrong with how a command answered a signal (0: none was sent)."""
    # A signal in the first moments finds Python itself, before gfpup: the shell's status is the same, 128 + the signal.
    right = {-number, 128 + number} if number else {0}
    found = [] if ended.status in right else [f"status {ended.status}"]
    lines = [line for line in ended.said.splitlines() if line.startswith(("Traceback", "Exception", "Error", "Fatal"))]
    return found + [f"said: {line}" for line in dict.fromkeys(lines)]


def attacked(
    name: str, words: list[str], place: Path, whole: dict[str, Any], *, seconds: float, draw: random.Random
) -> list[Any]:
    """One run, attacked until a draw says that it is enough, then resumed and checked; returns lines of the table."""
    lines: list[list[Any]] = []
    made = TRACKED[name] and draw.random() < MADE
    while not lines or draw.random() < AGAIN:
        if not lines:
            shutil.rmtree(place, ignore_errors=True)
            if made:
                shutil.copytree(place.parents[1] / "store", place / "mlruns")
        number, reaches, _ = draw.choices(SIGNALS, weights=[weight for *_, weight in SIGNALS])[0]
        second = draw.uniform(0, seconds)
        fresh = name == "joblib" or draw.random() < FRESH
        second += IMPORTS_SECONDS * draw.random() * fresh
        ended = execute(words, place, attack=(second, number, reaches), fresh=fresh)
        if ended.status is None:
            if not lines:
                continue
            break
        before = len(list((place / "out").rglob("*.jpg"))) if (place / "out").exists() else 0
        found = misbehaviour(ended, number)
        if found:
            shutil.copy(place / "stderr.txt", place / f"attack{len(lines)}.txt")
        sent = (
            name,
            signal.Signals(number).name,
            reaches,
            f"{second:.2f}",
            f"{seconds:.2f}",
            fresh,
            len(lines),
            ended.status,
            before,
        )
        lines.append([*sent, found])
    last = execute(words, place)
    wrong = misbehaviour(last, 0) or differences(whole, results(place / "out") | {"MLflow": tracked(place)})
    lines[-1][-1] += wrong
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=list(COMMANDS), default=list(COMMANDS))
    own, flags = sys.argv[1:], []
    if "--" in own:
        own, flags = own[: own.index("--")], own[own.index("--") + 1 :]
    request = parser.parse_args(own)
    work, draw = request.work.absolute(), random.Random(request.seed)
    if not (work / "photos").exists():
        make_photos(work / "photos")
        prepare_store(store_uri(str(work / "store")))
    # Once here, so that forks have everything imported.
    warm = ["--output", str(work / "warm"), "--input", str(work / "photos"), "--tracking-uri", str(work / "warm-store")]
    shutil.copytree(work / "store", work / "warm-store", dirs_exist_ok=True)
    gfpup([COMMANDS["sweep"][0], *warm, *(flags or ["--detector", "cascade"]), *COMMANDS["sweep"][1:]])
    common = ["--input", str(work / "photos"), "--output", "out", *(flags or ["--detector", "cascade"])]
    undisturbed: dict[str, tuple[dict[str, Any], float]] = {}
    counts: Counter[str] = Counter()
    with (work / f"kills-{'-'.join(request.only)}-{request.seed}.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        while sum(counts.values()) < request.kills:
            name = min(request.only, key=lambda name: counts[name])
            words, place = [COMMANDS[name][0], *common, *COMMANDS[name][1:]], work / f"{name}-{request.seed}" / "whole"
            if name not in undisturbed:
                shutil.rmtree(place.parent, ignore_errors=True)
                ended = execute(words, place, fresh=name == "joblib")
                undisturbed[name] = results(place / "out") | {"MLflow": tracked(place)}, ended.seconds
                assert not misbehaviour(ended, 0) and len(undisturbed[name][0]["MLflow"]) == TRACKED[name], ended.said
            whole, seconds = undisturbed[name]
            place = place.with_name(f"torn{counts[name]}")
            lines = attacked(name, words, place, whole, seconds=seconds, draw=draw)
            counts[name] += len(lines)
            table.writerows([[*line[:-1], "; ".join(line[-1])] for line in lines])
            file.flush()
            if not any(line[-1] for line in lines):
                shutil.rmtree(place)
    print(dict(counts))


if __name__ == "__main__":
    main()
