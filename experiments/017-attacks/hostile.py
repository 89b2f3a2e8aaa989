"""Restore a folder of hostile files with some good photos among them, and check what becomes of each.

python experiments/017-attacks/hostile.py WORK [--files 1000] [--seed 0] [--seconds 900] [-- FLAG ...]

FLAGs after `--` go to the command (a detector, for example; without them faces are found by the cascade).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hostile_files
from processes import memory_bytes, processes_of

LIMIT_BYTES = 3_000_000_000
SAMPLE_SECONDS = 0.25
LOOKS = 8
"""Samples between looks for new processes."""


@dataclass
class Ended:
    """How the command ended, and the most memory that its processes held: all together, and the largest one alone."""

    status: int
    seconds: float
    group_bytes: int
    process_bytes: int
    said: list[str]
    shown: list[str]


def execute(words: Sequence[str], folder: Path, *, seconds: float) -> Ended:
    """Run gfpup and sample the memory of its processes; it is killed after `seconds`."""
    with (folder / "stderr.txt").open("w+b") as said, (folder / "stdout.txt").open("w+b") as shown:
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "gfpup", *words],
            stdin=subprocess.DEVNULL,
            stdout=shown,
            stderr=said,
            cwd=folder,
            start_new_session=True,
        )
        most = [0, 0]
        over = threading.Event()

        def watch() -> None:
            group: list[int] = []
            looks = 0
            while not over.wait(SAMPLE_SECONDS):
                group = processes_of(process.pid) if looks % LOOKS == 0 else group  # reading all of /proc takes a core
                looks += 1
                found = [memory_bytes(each) for each in group]
                most[0] = max(most[0], sum(now for now, _ in found))
                most[1] = max([most[1], *(peak for _, peak in found)])
                if time.monotonic() - began > seconds:
                    os.killpg(process.pid, signal.SIGKILL)

        watching = threading.Thread(target=watch)
        watching.start()
        status = process.wait()
        took = time.monotonic() - began
        over.set()
        watching.join()
    read = [(folder / name).read_bytes().decode(errors="surrogateescape").splitlines() for name in ("stderr.txt", "stdout.txt")]
    return Ended(status, took, *most, *read)


def verdicts(out: Path, expected: dict[str, str]) -> list[str]:
    """What became of the files otherwise than it should; one sentence each."""
    document = json.loads((out / "manifest.json").read_bytes())
    lines = {Path(line["input"]).name: line for line in document["photos"]}
    wrong = []
    for name, wanted in expected.items():
        line = lines.get(name)
        restored = line is not None and line["error"] is None
        if wanted == "skipped":
            wrong += [f"{name!r} was taken for a photo"] if line is not None else []
        elif line is None:
            wrong.append(f"{name!r} ({wanted}) is not in the record")
        elif restored and not (out / line["name"]).is_file():
            wrong.append(f"{name!r} is recorded as restored and not there")
        elif not restored and name not in line["error"]:
            wrong.append(f"{name!r} failed without its name: {line['error'][:200]!r}")
        elif (wanted, restored) in (("good", False), ("bad", True)):
            wrong.append(f"{name!r} is {wanted} and was {'restored' if restored else 'refused: ' + line['error'][:200]!r}")
    return wrong


def noise(ended: Ended) -> list[str]:
    """Lines on stderr that name neither gfpup nor a photo, tracebacks, and control characters on the screen."""
    kinds = re.compile(r"gfpup: |failed ")
    wrong = [f"stderr: {line[:200]!r}" for line in ended.said if line.strip() and not kinds.match(line)]
    wrong += [
        f"control character: {line[:200]!r}"
        for line in ended.said + ended.shown
        if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", line)
    ]
    return wrong + [f"{line[:200]!r}" for line in ended.said + ended.shown if "Traceback" in line]


def report(what: str, ended: Ended, out: Path, expected: dict[str, str], *, limit: int) -> list[str]:
    """Print the figures of one command; returns all that is wrong."""
    document: dict[str, Any] = json.loads((out / "manifest.json").read_bytes())
    failed = sum(line["error"] is not None for line in document["photos"])
    print(f"{what}: status {ended.status}, {ended.seconds:.0f} s, {len(document['photos'])} photos, {failed} of them failed")
    print(f"  memory: {ended.group_bytes / 1e6:.0f} MB by all processes, {ended.process_bytes / 1e6:.0f} MB by the largest")
    wrong = verdicts(out, expected) + noise(ended)
    wrong += [f"status {ended.status}, not 1"] if ended.status != 1 else []
    wrong += [f"{ended.group_bytes / 1e9:.2f} GB of memory"] if max(ended.group_bytes, ended.process_bytes) > limit else []
    return [f"{what}: {sentence}" for sentence in wrong]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=900, help="end a command that takes longer")
    own, flags = sys.argv[1:], []
    if "--" in own:
        own, flags = own[: own.index("--")], own[own.index("--") + 1 :]
    request = parser.parse_args(own)
    work = request.work.absolute()
    shutil.rmtree(work, ignore_errors=True)
    expected = hostile_files.make(work / "photos", count=request.files, seed=request.seed)
    print(f"{len(expected)} files:", ", ".join(f"{count} {kind}" for kind, count in Counter(expected.values()).items()))
    words = ["run", "--input", "photos", "--output", "out", "--backend", "identity", "--upscale", "1", "--tracking", "none"]
    words += flags or ["--detector", "cascade"]
    wrong = report("run", execute(words, work, seconds=request.seconds), work / "out", expected, limit=LIMIT_BYTES)
    before = {
        path: path.stat().st_ctime_ns for path in (work / "out").iterdir() if path.suffix not in (".json", ".jsonl", ".lock")
    }
    wrong += report("resumed", execute(words, work, seconds=request.seconds), work / "out", expected, limit=LIMIT_BYTES)
    wrong += [f"{path.name!r} was done again" for path, changed in before.items() if path.stat().st_ctime_ns != changed]
    print("\n".join(wrong[:200]) or "nothing is wrong")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
