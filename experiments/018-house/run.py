"""Compare two checkouts of gfpup in turn: the start of the commands, a run on one photo, and the networks' forwards.

    python experiments/018-house/run.py OLD/.venv/bin/gfpup NEW/.venv/bin/gfpup --repeat 5

Each command runs in OLD and NEW alternately, so that a change in the machine's speed touches both. Printed are the median
seconds of either and the median of the ratios NEW / OLD, pair by pair, of wall and of CPU seconds. No weights are needed:
`gfpup bench` fills the networks with deterministic ones.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

PHOTO = Path(__file__).resolve().parents[2] / "examples" / "photos"
BACKENDS = ("gfpgan", "codeformer", "restoreformer", "restoreformerpp")


def timed(words: list[str]) -> tuple[float, float]:
    """The wall and CPU seconds of a command, which has to succeed."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(words, check=True, capture_output=True)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def forward(gfpup: str, backend: str, repeat: int) -> tuple[float, float]:
    """The median wall and CPU seconds of one forward of `backend`."""
    words = [gfpup, "bench", "--backend", backend, "--against", "none", "--repeat", str(repeat), "--json"]
    found = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    (side,) = found["sides"]
    return side["wall"]["median"], side["cpu"]["median"]


def line(name: str, old: list[tuple[float, float]], new: list[tuple[float, float]]) -> str:
    """A row of the table of README.md."""
    walls = [statistics.median(wall for wall, _ in side) for side in (old, new)]
    ratios = [statistics.median(n[i] / o[i] for o, n in zip(old, new, strict=True)) for i in (0, 1)]
    return f"| {name} | {walls[0]:.3f} | {walls[1]:.3f} | {ratios[0]:.2f} | {ratios[1]:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--no-forwards", action="store_true")
    given = parser.parse_args()
    print("| what | old, s | new, s | wall, new/old | CPU, new/old |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        common = ["--input", str(PHOTO), "--limit", "1", "--backend", "classical", "--detector", "cascade", "-q"]
        commands = {
            "`gfpup --help`": ["--help"],
            "`gfpup backends`": ["backends"],
            "`gfpup run ... --dry-run`": ["run", *common, "--output", f"{folder}/dry", "--dry-run"],
            "`gfpup run`, one photo, `classical`": ["run", *common, "--overwrite", "--output", f"{folder}/out"],
        }
        for name, words in commands.items():
            sides: tuple[list[tuple[float, float]], ...] = ([], [])
            for i in range(given.repeat + 1):
                for side, gfpup in zip(sides, (given.old, given.new), strict=True):
                    seconds = timed(
                        [gfpup, *(f"{word}-{gfpup == given.old}" if word.startswith(folder) else word for word in words)]
                    )
                    if i:  # the first fills the disk's cache
                        side.append(seconds)
            print(line(name, *sides), flush=True)
    for backend in () if given.no_forwards else BACKENDS:
        pairs = [(forward(given.old, backend, 5), forward(given.new, backend, 5)) for _ in range(3)]
        print(line(f"forward of `{backend}`", [old for old, _ in pairs], [new for _, new in pairs]), flush=True)


if __name__ == "__main__":
    main()
