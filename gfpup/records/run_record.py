"""What a run left in its folder. This is the only code that reads a manifest; `records/manifest.py` writes it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any, Final

from gfpup.core.errors import GfpupError
from gfpup.core.files import natural_key
from gfpup.core.types import Score
from gfpup.records.layout import DOCUMENT, LINES, PARTS
from gfpup.records.photo_record import PhotoRecord
from gfpup.records.scores import TABLE, read_all, summarise

File = str | PathLike[str]
SWEEP_STATUS: Final = ".sweep"
"""Where the jobs of a sweep leave how they ended, in the sweep's folder."""
_RESUMED_BY: Final = {"name", "error", "input_sha256", "faces", "face_files"}


@dataclass(frozen=True, eq=False)
class RunRecord:
    """What a run left in its folder: `document` is the whole of `manifest.json`, `scores` the lines of `scores.csv`.

    `document` is empty for a folder that only has scores (of another tool's pictures). `name` is what the run is called beside
    others.
    """

    folder: Path
    document: Mapping[str, Any] = field(repr=False)
    scores: tuple[Score, ...] = field(default=(), repr=False)
    name: str = ""

    @property
    def status(self) -> str:
        """ "done", "failed" (some photos or faces), "running", "interrupted" or "stopped"."""
        return str(self.document.get("status"))

    @cached_property
    def photos(self) -> tuple[PhotoRecord, ...]:
        """A record for each photo: its name, input, faces, seconds, warnings and error."""
        return tuple(map(PhotoRecord.of, self.document.get("photos", ())))

    @property
    def plan(self) -> Mapping[str, Any]:
        """What was decided before the first photo, with reasons."""
        return self.document.get("plan", {})  # type: ignore[no-any-return]

    @property
    def pixels(self) -> Mapping[str, Any]:
        """The part of the plan that changes results."""
        return self.plan.get("pixels", {})  # type: ignore[no-any-return]

    @property
    def made_elsewhere(self) -> bool:
        """Whether another tool made the results, so that the time of its method is not known."""
        return self.pixels.get("backend") == "precomputed"

    @property
    def configuration(self) -> Mapping[str, Any]:
        """What was asked for, resolved."""
        return self.document.get("configuration", {})  # type: ignore[no-any-return]

    @property
    def tracking(self) -> dict[str, Any] | None:
        """Where the run was tracked, None where it was not."""
        found = self.document.get("tracking")
        return dict(found) if isinstance(found, dict) else None

    @property
    def failures(self) -> dict[str, str]:
        """Why each photo failed, or one of its faces, by the photo's name; empty where all went well."""
        reasons = {photo.name: (photo.error, *(face.reason for face in photo.faces if face.failed)) for photo in self.photos}
        return {name: "; ".join(filter(None, found)) for name, found in reasons.items() if any(found)}

    @cached_property
    def matches(self) -> dict[str, str]:
        """By what each photo is matched with other runs': its name without the extension, where that names one photo only."""
        photos = list(dict.fromkeys([photo.name for photo in self.photos] + [s.photo for s in self.scores if s.photo]))
        short = {photo: str(PurePosixPath(photo).with_suffix("")) for photo in photos}
        return short if len(set(short.values())) == len(photos) else {photo: photo for photo in photos}

    def mean(self, metric: str, level: str = "photo") -> float | None:
        """The mean of a metric over the photos; `level` is "photo", "faces" (each photo's faces first) or "run".

        Raises: GfpupError: the run has no scores of that name.
        """
        for row in summarise(self.scores)["scores"]:
            if (row["metric"], row["level"]) == (metric, level):
                return None if row["mean"] is None else float(row["mean"])
        known = dict.fromkeys(f"{row.metric} ({row.level})" for row in self.scores)
        raise GfpupError(f"{self.folder} has no scores {metric} ({level}); it has {', '.join(known) or 'none'}.")

    def ended(self) -> RunRecord:
        """This record, of a run that has ended; else a GfpupError."""
        if self.status != "running":
            return self
        again = "wait for it, or give its command again, which resumes it"
        raise GfpupError(f"the run in {self.folder} has not ended: {again}.")


def read_run(folder: File) -> RunRecord:
    """Read what a run left in its `--output` folder.

    Raises: GfpupError: there is no record, it is damaged, or the folder holds several.
    """
    first, *more = folders_with(DOCUMENT, [Path(folder)])
    if more:
        raise GfpupError(f"{folder} holds {len(more) + 1} runs: gfpup.read_runs reads them all.")
    return read_record(first)


def read_runs(*folders: File) -> list[RunRecord]:
    """Read the runs in these folders, a sweep's among them, in natural order, each under a name of its own.

    Raises: GfpupError: a folder holds no record, or one is damaged.
    """
    return named([read_record(folder) for folder in folders_with(DOCUMENT, map(Path, folders))])


def read_scored(folders: Sequence[Path]) -> list[RunRecord]:
    """Read the runs that have scores in these folders, a sweep's among them; a folder of scores needs no record.

    A GfpupError names a folder without scores; so it does where one is given twice.
    """
    found = folders_with(TABLE, [path.parent if path.name == TABLE else path for path in folders])
    if len({folder.resolve() for folder in found}) < len(found):
        raise GfpupError("one run is given twice: name different runs to compare")
    return named([find_record(folder) or RunRecord(folder, {}, tuple(read_all(folder))) for folder in found])


def read_record(folder: Path) -> RunRecord:
    """Read the record in exactly this folder; a GfpupError where there is none, or it or its scores are damaged."""
    path = folder / DOCUMENT
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        whole = isinstance(document["status"], str) and all(isinstance(line["name"], str) for line in document["photos"])
    except (OSError, ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        hint = "give the --output folder of gfpup run, or pictures with --restored"
        raise GfpupError(f"{path} is not the record of a run: {hint}")
    return RunRecord(folder, document, tuple(read_all(folder)), called(folder))


def find_record(folder: Path) -> RunRecord | None:
    """The record in this folder, None where there is none that can be read."""
    with suppress(GfpupError):
        return read_record(folder)
    return None


def named(records: Sequence[RunRecord]) -> list[RunRecord]:
    """The records under different names: those of their folders, with as many parents as tell them apart."""
    folders = [record.folder.resolve() for record in records]
    names, depth = [called(folder) for folder in folders], 1
    while len(set(names)) < len(names) and len(set(folders)) == len(folders):
        depth += 1
        names = ["/".join((*folder.parts[-depth:-1], called(folder))) for folder in folders]
    return [replace(record, name=name) for record, name in zip(records, names, strict=True)]


def called(folder: Path) -> str:
    """What a run is called: its folder's name, of a sweep's job without what tells the reader nothing.

    `backend=classical,restore.strength=0.5` is "classical, strength 0.5".
    """
    name = folder.absolute().name
    words = [word.split("=", 1) for word in re.split(r",(?=[\w./@+~]+=)", name)]
    if not all(len(word) == 2 and all(word) for word in words):
        return name
    keys = [key.rpartition(".")[2] for key, _ in words]
    if len(set(keys)) < len(keys):
        keys = [key for key, _ in words]
    return ", ".join(value if key == "backend" else f"{key} {value}" for key, (_, value) in zip(keys, words, strict=True))


def chosen(records: Sequence[RunRecord], given: File | None) -> str | None:
    """The name of the run that `given` means by its name, its folder's name or its folder; else `given` itself."""
    if given is None or str(given) in [record.name for record in records]:
        return None if given is None else str(given)
    meant = [record.name for record in records if record.folder.resolve() == Path(given).resolve()]
    meant = meant or [record.name for record in records if record.folder.absolute().name == str(given)]
    return meant[0] if len(meant) == 1 else str(given)


@dataclass(frozen=True, eq=False)
class Lines:
    """What `manifest.jsonl` holds: a header a run, a line a photo, and where the whole lines end, in bytes."""

    headers: tuple[Mapping[str, Any], ...]
    photos: dict[str, dict[str, Any]]
    end: int

    @property
    def header(self) -> Mapping[str, Any] | None:
        """The header of the newest run; None where there was none."""
        return self.headers[-1] if self.headers else None

    @property
    def pixels(self) -> dict[str, Any] | None:
        """What decides about pixels in the plan of the newest run; None where there was none."""
        return None if self.header is None else dict(self.header.get("plan", {}).get("pixels", {}))


def read_lines(path: Path) -> Lines:
    """The complete lines of a record, but for a last one cut short by a crash; a GfpupError names what cannot be read."""
    try:
        data = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise GfpupError(f"the record {path} cannot be read: {error.strerror}; give another --output.") from None
    end = data.rfind(b"\n") + 1
    lines = parse_lines(data[:end], path)
    headers = [line["run"] for line in lines if "run" in line]
    photos = [line for line in lines if "run" not in line]
    named = all(line.keys() >= _RESUMED_BY and isinstance(line["name"], str) for line in photos)
    if not named or not all(isinstance(header, dict) for header in headers):
        raise GfpupError(f"{path} is damaged; give another --output, or --overwrite.")
    return Lines(tuple(headers), {line["name"]: line for line in photos}, end)


def parse_lines(data: bytes, path: Path) -> list[dict[str, Any]]:
    """The lines of whole `data` out of the record `path`; a GfpupError names one that is damaged."""
    lines = []
    for number, line in enumerate(data.splitlines(), 1):
        try:
            lines.append(dict(json.loads(line)))
        except (ValueError, TypeError):
            raise GfpupError(f"line {number} of {path} is damaged; give another --output, or --overwrite.") from None
    return lines


def recorded_names(folder: Path) -> dict[str, str]:
    """What the record in `folder` calls the result of each input, by the input's absolute path."""
    records = [read_lines(path) for path in (folder / LINES, *sorted((folder / PARTS).glob(f"*/{LINES}")))]
    return {line["input"]: line["name"] for record in records for line in record.photos.values() if "input" in line}


def job_statuses(sweep: Path) -> list[dict[str, Any]]:
    """What the jobs of a sweep left in its folder, in their order: number, overrides, output, status, error and double."""
    found = []
    for file in sorted((sweep / SWEEP_STATUS).glob("*.json"), key=lambda file: natural_key(file.name)):
        with suppress(OSError, ValueError):
            found.append(json.loads(file.read_text(encoding="utf-8")))
    return [facts for facts in found if isinstance(facts, dict)]


def folders_with(file: str, given: Iterable[Path]) -> list[Path]:
    """The folders that hold `file`: those given, or of each that does not (a sweep's) the ones below it, in natural order.

    A GfpupError names a folder that is not there, or that has no such file at all.
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
            yield from [path] if (path / file).is_file() else _below(path, file)


def scoring_command(folder: Path) -> str:
    """The command that scores a run's or sweep's folder, or any other folder of pictures."""
    if (folder / DOCUMENT).is_file() or any(_below(folder, DOCUMENT)):
        return f"gfpup score {shlex.quote(str(folder))}"
    return f"{folder_scoring_command(folder)} (with --reference DIR for metrics that need a reference)"


def folder_scoring_command(folder: Path, *, reference: Path | None = None, degraded: Path | None = None) -> str:
    """The command that scores a plain folder of pictures against its references and inputs."""
    partners = (("--reference", reference), ("--input", degraded))
    given = "".join(f" {flag} {shlex.quote(str(partner))}" for flag, partner in partners if partner)
    return f"gfpup score --restored {shlex.quote(str(folder))} --output {shlex.quote(str(scores_folder(folder)))}{given}"


def scores_folder(folder: Path) -> Path:
    """Where the scores of a plain folder of pictures go by default: beside it."""
    return folder.with_name(f"{folder.absolute().name}-scores")
