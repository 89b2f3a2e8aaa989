"""Results side by side: runs, sweeps, or any folders of pictures with equal names, lined up by photo."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from gfpup.analysis.disagreement import disagreement
from gfpup.analysis.render import number
from gfpup.app import pictures
from gfpup.app.folders import Folders
from gfpup.app.texts import Texts
from gfpup.core.errors import GfpupError
from gfpup.core.files import natural_key
from gfpup.photos.matching import key_of
from gfpup.photos.pairs import by_name
from gfpup.photos.sources import pictures_in
from gfpup.records.layout import DOCUMENT
from gfpup.records.run_record import RunRecord, called, folders_with, named, read_record

ON_A_PAGE: Final = 12


@dataclass(frozen=True, eq=False)
class Compared:
    """Pictures by photo and column, with the scores of each; `differences` are by photo, from 0 to 255."""

    columns: tuple[str, ...]
    photos: dict[str, dict[str, Path]]
    scores: dict[tuple[str, str], str] = field(default_factory=dict)
    differences: dict[str, float | None] = field(default_factory=dict)

    def ordered(self, *, by_difference: bool) -> list[str]:
        """The photos, the most different first or by name."""
        names = sorted(self.photos, key=natural_key)
        return sorted(names, key=lambda name: -(self.differences[name] or 0)) if by_difference else names

    def pages(self) -> int:
        """How many pages of photos there are."""
        return max(1, -(-len(self.photos) // ON_A_PAGE))


def compare(given: Sequence[Path], folders: Folders, texts: Texts) -> Compared:
    """Line up what lies in folders: the runs of those that hold records, the pictures of the others.

    Raises: GfpupError: a folder may not be opened, is not there, or holds no pictures.
    """
    if not given:
        raise GfpupError(texts.compare_help.format(folders=", ".join(map(str, folders.allowed))))
    real = [folders.inside(path, texts.outside) for path in given]
    columns: dict[str, dict[str, Path]] = {}
    scores: dict[tuple[str, str], str] = {}
    inputs: dict[str, Path] = {}
    records = {folder: _records(folder) for folder in real}
    for record in named([record for found in records.values() for record in found]):
        job = record.folder.is_relative_to(folders.own)
        name = _free(f"{record.pixels.get('backend')}, {record.folder.parent.name}" if job else record.name, columns)
        columns[name], words = _of_run(record, inputs)
        scores |= {(photo, name): text for photo, text in words.items()}
    for folder in (folder for folder, found in records.items() if not found):
        columns[_free(called(folder), columns)] = _of_folder(folder)
    inputs = {photo: path for photo, path in inputs.items() if path.is_file() and folders.is_inside(path)}
    if inputs:
        columns = {texts.input: inputs, **columns}
    photos: dict[str, dict[str, Path]] = {}
    for column, found in columns.items():
        for photo, path in found.items():
            if folders.is_inside(path):
                photos.setdefault(photo, {})[column] = path
    results = [column for column in columns if column != texts.input]
    differences = {
        photo: _difference([found[column] for column in results if column in found]) for photo, found in photos.items()
    }
    return Compared(tuple(columns), photos, scores, differences)


def grid(compared: Compared, names: Sequence[str], texts: Texts) -> str:
    """A table of photos by columns, each picture with its scores below."""
    head = "".join(f"<th scope='col'>{html.escape(column)}</th>" for column in compared.columns)
    rows = []
    for name in names:
        cells = []
        for column in compared.columns:
            path = compared.photos[name].get(column)
            caption = compared.scores.get((name, column), "")
            picture = None if path is None else _opened(path)
            figure = pictures.figure(picture, caption, alt=f"{name}, {column}", missing=texts.not_there)
            cells.append(f"<td data-column='{html.escape(column)}'>{figure}</td>")
        value = compared.differences[name]
        note = "" if value is None else f"<br><small>{html.escape(texts.difference.format(value=f'{value:.1f}'))}</small>"
        rows.append(f"<tr><th scope='row'>{html.escape(name)}{note}</th>{''.join(cells)}</tr>")
    return f"<table class='grid'><thead><tr><td></td>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _records(folder: Path) -> list[RunRecord]:
    try:
        return [read_record(path) for path in folders_with(DOCUMENT, [folder])]
    except GfpupError:
        return []


def _of_run(record: RunRecord, inputs: dict[str, Path]) -> tuple[dict[str, Path], dict[str, str]]:
    """The results of a run by what they are matched by, with their scores in words; its inputs join `inputs`."""
    found = {record.matches[line.name]: record.folder / line.name for line in record.photos if line.error is None}
    for line in record.photos:
        inputs.setdefault(record.matches[line.name], Path(line.input))
    said: dict[str, list[str]] = {}
    for score in record.scores:
        if score.level == "photo" and score.value is not None and score.is_finite:
            text = f"{score.metric} {number(score.value, score.metric)}"
            said.setdefault(record.matches.get(score.photo, score.photo), []).append(text)
    return found, {photo: ", ".join(words) for photo, words in said.items()}


def _of_folder(folder: Path) -> dict[str, Path]:
    found = {key_of(photo): photo.path for photo in by_name(pictures_in(folder), what="compared").values()}
    if not found:
        raise GfpupError(f"the folder {folder} holds no pictures: give a run, a sweep, or a folder of pictures.")
    return found


def _opened(path: Path) -> Image.Image | None:
    try:
        return pictures.shown(path, pictures.THUMB_PX)
    except GfpupError:
        return None


def _difference(paths: Sequence[Path]) -> float | None:
    found = [picture for picture in map(_opened, paths) if picture is not None]
    return disagreement([np.asarray(picture) for picture in found]) if len(found) > 1 else None


def _free(name: str, taken: dict[str, dict[str, Path]]) -> str:
    number = 1
    while (free := name if number == 1 else f"{name} ({number})") in taken:
        number += 1
    return free
