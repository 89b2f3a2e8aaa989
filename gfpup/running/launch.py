"""Runs from Python: start one or a sweep of them, read what finished ones left, compare and track them."""

from __future__ import annotations

import signal
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Unpack

from gfpup.core.errors import GfpupError
from gfpup.planning.options import RunOptions, words_of
from gfpup.records.run_record import File, RunRecord, find_record, read_runs


def run(
    photos: File | Sequence[File], *, output: File, backend: str = "gfpgan", quiet: bool = False, **options: Unpack[RunOptions]
) -> RunRecord:
    """Restore photos, folders or patterns into `output`, as `gfpup run` does, and return the record of it.

    The run is a process of its own, so that its signals and settings are; what it says goes to stderr unless `quiet`. A run
    that was stopped goes on where it was. Failed photos are a Python warning and stand in `failures`.

    Raises: GfpupError: refused before the first photo, or stopped because a result could not be written.
    """
    status, said = _execute("run", photos, _words(output, backend, options), quiet=quiet)
    record = find_record(Path(output))
    if record is None or (status and (status == 2 or record.status != "failed")):
        raise GfpupError(said[-1])
    if record.failures:
        warnings.warn(f"{len(record.failures)} photos of {output} failed, or a face in them; see failures.", stacklevel=2)
    return record


def sweep(
    photos: File | Sequence[File], *, output: File, backend: str | Sequence[str] = "gfpgan", quiet: bool = False, **options: Any
) -> list[RunRecord]:
    """Run every combination of options that have several values, as `gfpup sweep` does; returns the runs' records.

    Every option with one value may have several; those that take a list may not. A job that fails loses no other: it is a
    Python warning, and its record says why, where it came so far as to have one.

    Raises: GfpupError: every job was refused.
    """
    status, said = _execute("sweep", photos, _words(output, backend, options, sweeping=True), quiet=quiet)
    if status == 2:
        raise GfpupError(said[-1])
    records = read_runs(output)
    if status:
        warnings.warn(f"not every job of the sweep in {output} did all: {' '.join(said)}", stacklevel=2)
    return records


def _words(output: File, backend: str | Sequence[str], options: Mapping[str, Any], *, sweeping: bool = False) -> list[str]:
    names = [backend] if isinstance(backend, str) else list(backend)
    if len(names) != 1 and not sweeping:
        raise GfpupError(f"backend takes one value and got {backend!r}; gfpup.sweep tries several.")
    return ["--output", fspath(output), "--backend", ",".join(names), *words_of(options, sweeping=sweeping)]


def _execute(verb: str, photos: File | Sequence[File], words: Sequence[str], *, quiet: bool) -> tuple[int, list[str]]:
    """Run a command of gfpup; returns its exit status and the sentences that it printed to stderr, at least one.

    Raises: KeyboardInterrupt: it was interrupted.
    """
    several = [photos] if isinstance(photos, str | PathLike) else photos
    inputs = [word for photo in several for word in ("--input", fspath(photo))]
    said: list[str] = []
    line = ""
    with subprocess.Popen(
        [sys.executable, "-m", "gfpup", verb, *inputs, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # an interrupt reaches it once, from here: a second would disturb the closing of its record
    ) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if line.startswith("gfpup: "):
                    said.append(line.removeprefix("gfpup: ").strip())
                if not quiet:
                    print(line, end="", file=sys.stderr)
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.stderr.read()
            process.wait()
            raise
    if process.returncode > 128:  # a signal: Ctrl-C is 130
        raise KeyboardInterrupt
    return process.returncode, said or [line.strip() or f"the command ended with status {process.returncode} and no word."]
