"""The methods of a trial: finished runs, the runs of a sweep, scored folders, or any folders of pictures of the same names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from gfpup.analysis.report.scored import read_scored
from gfpup.core.errors import GfpupError
from gfpup.core.files import natural_key
from gfpup.records.folders import read_folders
from gfpup.records.items import Item, items_of_run
from gfpup.records.layout import DOCUMENT
from gfpup.records.run_record import RunRecord, called, folders_with, named, read_record
from gfpup.records.scores import TABLE, read_all

Unit = tuple[str, int | None]
"""What is shown in one picture: a photo by the name it is matched by, and the number of a face or None for the whole photo."""
SHOWN: Final = ("faces", "photos")


@dataclass(frozen=True, eq=False)
class Method(RunRecord):
    """One method's results: `items` are its photos by the name they are matched by."""

    items: Mapping[str, Item] = field(default_factory=dict)

    @property
    def started(self) -> str | None:
        """When the run began, by which a later run in the same folder is told apart; None for a folder of pictures."""
        return str(self.document["started"]) if (self.folder / DOCUMENT).is_file() else None

    def has(self, photo: str) -> bool:
        """Whether there is a result of this photo."""
        return photo in self.items and self.items[photo].refusal is None and self.items[photo].restored is not None


def read_methods(given: Sequence[Path], *, degraded: Path | None = None) -> list[Method]:
    """Read the methods in these folders; `degraded` holds the inputs of folders that have no record.

    Raises: GfpupError: a folder holds no pictures, one is given twice, or there are fewer than two methods.
    """
    of_path = {path: _runs_in(path) for path in given}
    runs = [run for found in of_path.values() for run in found]
    plain = [path for path in of_path if not of_path[path]]
    folders, _ = read_folders(plain, degraded=degraded, beside=runs)
    of_path |= {path: [_method(each.record, each.items)] for path, each in zip(plain, folders, strict=True)}
    found = [method for path in given for method in of_path[path]]
    if len({method.folder.resolve() for method in found}) < len(found):
        raise GfpupError("one folder is given twice: name folders of different results")
    if len(found) < 2:
        raise GfpupError(f"a vote needs at least two methods, and {len(found)} was given: name their folders")
    return [replace(method, name=record.name) for method, record in zip(found, named(found), strict=True)]


def read_method(folder: Path) -> RunRecord:
    """The record and the scores that a folder has now, for the metrics of a trial; without either, an empty record."""
    if (folder / DOCUMENT).is_file():
        return read_record(folder)
    scores = tuple(read_all(folder)) if folder.is_dir() else ()
    return RunRecord(folder, {}, scores, called(folder))


def units_of(methods: Sequence[Method], show: str | None) -> tuple[str, list[Unit]]:
    """What can be shown of two methods or more, and as what: "faces" or "photos".

    With `show` None faces are shown where a record says where they are, else whole photos.
    Raises: GfpupError: the methods share no photo, or no record says where faces are and faces were asked for.
    """
    names = sorted({photo for method in methods for photo in method.items}, key=natural_key)
    photos = [photo for photo in names if sum(method.has(photo) for method in methods) > 1]
    if not photos:
        raise GfpupError(f"{', '.join(method.name for method in methods)} have no photo in common: file names must be equal")
    faces: list[Unit] = []
    for photo in photos:
        item = framing(methods, photo)
        faces += [(photo, face) for face in ((item.affines or {}) if item else {})]
    if show == "faces" and not faces:
        raise GfpupError("no record says where faces are: give the folder of a run too, or --show photos")
    if show == "photos" or not faces:
        return "photos", [(photo, None) for photo in photos]
    return "faces", faces


def framing(methods: Sequence[Method], photo: str) -> Item | None:
    """The item by whose record the faces of a photo are cut out of all results; None where no record has any."""
    items = [method.items[photo] for method in methods if photo in method.items]
    return next((item for item in items if item.affines and item.degraded is not None), None)


def _runs_in(path: Path) -> list[Method]:
    """The runs or scored folders in a folder; none where it only holds pictures."""
    for file in (DOCUMENT, TABLE):
        try:
            folders = folders_with(file, [path])
        except GfpupError:
            continue
        return [_run(folder) if file == DOCUMENT else _scored(folder) for folder in folders]
    return []


def _run(folder: Path) -> Method:
    record = read_record(folder)
    return _method(record, items_of_run(record)[0])


def _scored(folder: Path) -> Method:
    scores = tuple(read_all(folder))
    document, items, _ = read_scored(folder, [score.photo for score in scores if score.photo])
    return _method(RunRecord(folder, document, scores, called(folder)), items)


def _method(record: RunRecord, items: Sequence[Item]) -> Method:
    matched = {record.matches[item.name]: item for item in items}
    return Method(record.folder, record.document, record.scores, record.name, matched)
