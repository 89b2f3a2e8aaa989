"""Runs from Python: start one or a sweep of them, read what finished ones left, compare and track them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from gfpup.errors import GfpupError
from gfpup.observers.manifest import DOCUMENT
from gfpup.observers.scores import TABLE, ScoreRow, read, summarise
from gfpup.options import RunOptions, words_of
from gfpup.results import folders_with

if TYPE_CHECKING:
    from gfpup.compare import Comparison

File = str | PathLike[str]


@dataclass(frozen=True, eq=False)
class RunRecord:
    """What a run left in its folder: `document` is the whole of `manifest.json`, `scores` the lines of `scores.csv`."""

    folder: Path
    document: Mapping[str, Any] = field(repr=False)
    scores: tuple[ScoreRow, ...] = field(default=(), repr=False)

    @property
    def status(self) -> str:
        """ "done", "failed" (some photos or faces), "running", "interrupted" or "stopped"."""
        return str(self.document["status"])

    @property
    def photos(self) -> tuple[Mapping[str, Any], ...]:
        """A record for each photo: its name, input, faces, seconds, warnings and error."""
        return tuple(self.document["photos"])

    @property
    def failures(self) -> dict[str, str]:
        """Why each photo failed, or one of its faces, by the photo's name; empty where all went well."""
        found = {}
        for line in self.photos:
            reasons = [line["error"], *(face["reason"] for face in line["faces"] if face["failed"])]
            if any(reasons):
                found[str(line["name"])] = "; ".join(str(reason) for reason in reasons if reason)
        return found

    def mean(self, metric: str, level: str = "photo") -> float | None:
        """The mean of a metric over the photos; `level` is "photo", "faces" (each photo's faces first) or "run".

        Raises:
            GfpupError: the run has no scores of that name.
        """
        for row in summarise(self.scores)["scores"]:
            if (row["metric"], row["level"]) == (metric, level):
                return None if row["mean"] is None else float(row["mean"])
        known = dict.fromkeys(f"{row.metric} ({row.level})" for row in self.scores)
        raise GfpupError(f"{self.folder} has no scores {metric} ({level}); it has {', '.join(known) or 'none'}.")


def run(
    photos: File | Sequence[File],
    *,
    output: File,
    backend: str = "gfpgan",
    quiet: bool = False,
    **options: Unpack[RunOptions],
) -> RunRecord:
    """Restore photos, folders or patterns into `output`, as `gfpup run` does, and return the record of it.

    The run is a process of its own, so that its signals and settings are; what it says goes to stderr unless `quiet`. A run
    that was stopped goes on where it was. Failed photos are a Python warning and stand in `failures`.

    Raises:
        GfpupError: refused before the first photo, or stopped because a result could not be written.
    """
    words = _words(output, backend, options)
    status, said = _execute(["run", *_inputs(photos), *words], quiet=quiet)
    record = read_run(output) if (Path(output) / DOCUMENT).is_file() else None
    if record is None or (status and (status == 2 or record.status != "failed")):
        raise GfpupError(said[-1])
    if record.failures:
        warnings.warn(f"{len(record.failures)} photos of {output} failed, or a face in them; see failures.", stacklevel=2)
    return record


def sweep(
    photos: File | Sequence[File],
    *,
    output: File,
    backend: str | Sequence[str] = "gfpgan",
    quiet: bool = False,
    **options: Any,
) -> list[RunRecord]:
    """Run every combination of options that have several values, as `gfpup sweep` does; returns the runs' records.

    Every option with one value may have several; those that take a list may not. A job that fails loses no other: it is a
    Python warning, and its record says why, where it came so far as to have one.

    Raises:
        GfpupError: every job was refused.
    """
    words = _words(output, backend, options, sweeping=True)
    status, said = _execute(["sweep", *_inputs(photos), *words], quiet=quiet)
    if status == 2:
        raise GfpupError(said[-1])
    records = read_runs(output)
    if status:
        warnings.warn(f"not every job of the sweep in {output} did all: {' '.join(said)}", stacklevel=2)
    return records


def read_run(folder: File) -> RunRecord:
    """Read what a run left in its `--output` folder.

    Raises:
        GfpupError: there is no record, it is damaged, or the folder holds several.
    """
    found = folders_with(DOCUMENT, [Path(folder)])
    if len(found) > 1:
        raise GfpupError(f"{folder} holds {len(found)} runs: gfpup.read_runs reads them all.")
    return _read(found[0])


def read_runs(*folders: File) -> list[RunRecord]:
    """Read the runs in these folders, a sweep's among them, in natural order.

    Raises:
        GfpupError: a folder holds no record, or one is damaged.
    """
    return [_read(folder) for folder in folders_with(DOCUMENT, [Path(folder) for folder in folders])]


def compare_runs(
    *runs: File | RunRecord, baseline: str | File | None = None, confidence: float = 0.95, seed: int = 0
) -> Comparison:
    """Compare scored runs photo by photo; a sweep's folder stands for all runs in it.

    `baseline` is the name or the folder of the run that the others are held against, the first by default. Each line of the
    result has a mean with its interval at `confidence`, the difference to the baseline and whether it may be believed.

    Raises:
        GfpupError: fewer than two runs, no scores, or nothing that all runs share.
    """
    from gfpup.compare import compare
    from gfpup.compare import read_runs as scored_runs

    folders = folders_with(TABLE, [given.folder if isinstance(given, RunRecord) else Path(given) for given in runs])
    scored = scored_runs(folders)
    base = None if baseline is None else fspath(baseline)
    if base is not None and base not in [found.name for found in scored]:
        places = {folder.resolve(): found.name for folder, found in zip(folders, scored, strict=True)}
        base = places.get(Path(base).resolve(), base)
    return compare(scored, baseline=base, confidence=confidence, seed=seed)


def track(folder: File, *, uri: str | None = None, experiment: str = "gfpup") -> list[str]:
    """Log a finished run, or a sweep's, to MLflow; returns the ids of its runs. What is there already is left alone.

    `uri` is a folder, `sqlite:///FILE` or a server's address; `mlruns/` by default.

    Raises:
        GfpupError: no finished run, or a store that cannot be used.
    """
    from gfpup.observers import tracking_folder
    from gfpup.observers.tracking import Target
    from gfpup.observers.tracking_store import store_uri

    target = Target(store_uri(uri), experiment)
    found = folders_with(DOCUMENT, [Path(folder)])
    if found == [Path(folder)]:
        return [tracking_folder.track(found[0], target)]
    return tracking_folder.track_sweep(Path(folder), found, target)[1]


def _read(folder: Path) -> RunRecord:
    try:
        document = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
        document["status"], document["photos"]
    except (OSError, ValueError, KeyError, TypeError):
        raise GfpupError(f"{folder / DOCUMENT} is no record of a run; give the --output folder of gfpup run.") from None
    return RunRecord(folder, document, tuple(read(folder / TABLE)) if (folder / TABLE).is_file() else ())


def _inputs(photos: File | Sequence[File]) -> list[str]:
    several = [photos] if isinstance(photos, str | PathLike) else photos
    return [word for photo in several for word in ("--input", fspath(photo))]


def _words(output: File, backend: str | Sequence[str], options: Mapping[str, Any], *, sweeping: bool = False) -> list[str]:
    names = [backend] if isinstance(backend, str) else list(backend)
    if len(names) != 1 and not sweeping:
        raise GfpupError(f"backend takes one value and got {backend!r}; gfpup.sweep tries several.")
    return ["--output", fspath(output), "--backend", ",".join(names), *words_of(options, sweeping=sweeping)]


def _execute(words: Sequence[str], *, quiet: bool) -> tuple[int, list[str]]:
    """Run the command `gfpup WORDS`; returns its exit status and the sentences that it said to stderr, at least one.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    said: list[str] = []
    line = ""
    with subprocess.Popen(
        [sys.executable, "-m", "gfpup", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # an interrupt reaches it once, from here: a second one would disturb the closing of its record
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
    if process.returncode == 130:
        raise KeyboardInterrupt
    return process.returncode, said or [line.strip() or f"the command ended with status {process.returncode} and no word."]
