"""Measure a folder: wall time against CPU seconds divided by the cores, and when the first photo is begun.

python experiments/011-folder/run.py PHOTOS [--code FOLDER] [--count 24] [-- FLAGS OF gfpup run]

Makes `count` photos of 2 megapixels of those in PHOTOS, and restores one of them, then all: the difference is what the others
took, without the start. `--code` is a checkout to measure instead of the installed one. What other programs used of the
processor meanwhile is printed too, and where that is much, only `wall_over_restoring` says something: the wall time over the
seconds that the stages between reading and writing took, 1 where both are hidden.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import cv2

MEGAPIXELS = 2.0


def make_photos(sources: Path, folder: Path, count: int) -> None:
    """Fill `folder` with `count` JPEG files of 2 megapixels."""
    found = sorted(path for path in sources.iterdir() if path.suffix.lower() in (".jpg", ".png"))
    for i in range(count):
        photo = cv2.imread(str(found[i % len(found)]))
        height, width = photo.shape[:2]
        scale = (MEGAPIXELS * 1e6 / (height * width)) ** 0.5
        photo = cv2.resize(photo, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{i:03d}.jpg"), photo, [cv2.IMWRITE_JPEG_QUALITY, 92])


def busy_seconds() -> float:
    """CPU seconds that all programs of this machine used since it was started."""
    user, nice, system = Path("/proc/stat").read_text().split()[1:4]
    return (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")


def measure(code: Path | None, words: Sequence[str], output: Path) -> dict[str, float]:
    """Wall, CPU, others' CPU and stage seconds of one run."""
    before, others = resource.getrusage(resource.RUSAGE_CHILDREN), busy_seconds()
    began, clock = time.time(), time.perf_counter()
    subprocess.run([sys.executable, "-m", "gfpup", "run", *words, "-q", "-o", str(output)], check=False, cwd=code)
    wall = time.perf_counter() - clock
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    record = json.loads((output / "manifest.json").read_text())
    lines = [json.loads(line) for line in (output / "manifest.jsonl").read_text().splitlines()]
    stages: dict[str, float] = {}
    for stage, value in ((stage, value) for line in lines if "name" in line for stage, value in line["seconds"].items()):
        stages[stage] = stages.get(stage, 0.0) + value
    ours = sum(value for stage, value in stages.items() if stage not in ("read", "write"))
    seconds = {"read": stages["read"], "restoring": ours, "write": stages["write"]}
    loaded = datetime.fromisoformat(record["started"]).timestamp() - began
    return {"wall": wall, "cpu": cpu, "others": busy_seconds() - others - cpu, "loaded": loaded, **seconds}


def digest(folder: Path) -> str:
    """One number for all photos of a folder."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.glob("[0-9]*")))).hexdigest()[:12]


def main() -> None:
    """Print one object: the runs of one photo and of all, and what lies between them."""
    own, flags = sys.argv[1:], []
    if "--" in own:
        own, flags = own[: own.index("--")], own[own.index("--") + 1 :]
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path)
    parser.add_argument("--code", type=Path)
    parser.add_argument("--count", type=int, default=24)
    given = parser.parse_args(own)
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "photos").mkdir()
        make_photos(given.photos, root / "photos", given.count)
        one = measure(given.code, ["-i", str(root / "photos/000.jpg"), *flags], root / "one")
        many = measure(given.code, ["-i", str(root / "photos"), *flags], root / "many")
        between = {key: round(many[key] - one[key], 2) for key in ("wall", "cpu", "others", "read", "restoring", "write")}
        found = {
            "one": {key: round(value, 2) for key, value in one.items()},
            "between": between,
            "wall_over_cpu_a_core": round(between["wall"] / (between["cpu"] / cores), 3),
            "wall_over_all_cpu_a_core": round(between["wall"] / ((between["cpu"] + between["others"]) / cores), 3),
            "wall_over_restoring": round(between["wall"] / between["restoring"], 3),
            "pixels": digest(root / "many"),
        }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
