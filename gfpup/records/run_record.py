"""TODO gfpup/records/run_record.py."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from gfpup.core.errors import GfpupError
from gfpup.core.files import natural_key
from gfpup.records.manifest import DOCUMENT
from gfpup.records.scores import TABLE, ScoreRow, read, summarise

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


def _read(folder: Path) -> RunRecord:
    try:
        document = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
        document["status"], document["photos"]
    except (OSError, ValueError, KeyError, TypeError):
        raise GfpupError(f"{folder / DOCUMENT} is no record of a run; give the --output folder of gfpup run.") from None
    return RunRecord(folder, document, tuple(read(folder / TABLE)) if (folder / TABLE).is_file() else ())


def folders_with(file: str, given: Sequence[Path]) -> list[Path]:
    """The folders that hold `file`: those given, or of each that does not (a sweep's) the ones below it, in natural order.

    Raises:
        GfpupError: a folder is not there, or neither it nor one below holds the file.
    """
    found: list[Path] = []
    for path in given:
        if not path.is_dir():
            raise GfpupError(f"there is no folder {path}: give the --output folder of a run or a sweep")
        here = [path] if (path / file).is_file() else list(_below(path, file))
        if not here:
            hint = "give a folder of pictures with --restored" if file == DOCUMENT else f"run {scoring_command(path)} first"
            raise GfpupError(f"{path} holds no {file}, nor does a folder in it: {hint}")
        found += here
    return found


def _below(folder: Path, file: str) -> Iterator[Path]:
    for path in sorted(folder.iterdir(), key=lambda path: natural_key(path.name)):
        if path.is_dir() and not path.name.startswith("."):
            if (path / file).is_file():
                yield path
            else:
                yield from _below(path, file)


def scoring_command(folder: Path) -> str:
    """The command that scores a run's or sweep's folder, or any other folder of pictures."""
    if (folder / DOCUMENT).is_file() or any(_below(folder, DOCUMENT)):
        return f"gfpup score {shlex.quote(str(folder))}"
    scores = folder.with_name(f"{folder.name}-scores")
    command = f"gfpup score --restored {shlex.quote(str(folder))} --output {shlex.quote(str(scores))}"
    return f"{command} (with --reference DIR for metrics that need a reference)"
