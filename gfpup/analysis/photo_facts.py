"""What photos differ in beside their scores: the size, pose and blur of a face, or the columns of a table of the user's."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np

from gfpup.analysis.slices import Fact
from gfpup.core.errors import GfpupError, PhotoError
from gfpup.core.types import Face
from gfpup.ops import geometry
from gfpup.photos import read_photo
from gfpup.records.photo_record import FaceRecord, PhotoRecord
from gfpup.records.run_record import RunRecord
from gfpup.restoration.damage import measure_damage

MEASURED: Final = {
    "face_px": "the shorter side of the largest face's box, in px of the input",
    "pose": "how far its nose stands from the middle of its eyes, in eye distances: 0 from the front, 0.5 and more in profile",
    "blur": "how blurred it is in the input, -log2 of its sharpness: each step is half as sharp",
}
"""What is known of every photo of a run that recorded its faces."""


def read_facts(
    runs: Sequence[RunRecord], names: Iterable[str], columns: Path | None = None
) -> tuple[dict[str, dict[str, Fact]], list[str]]:
    """By each of `names`, a fact of `MEASURED` or a column of the CSV file `columns`, its value for each photo; and notes.

    The first column of the file names the photos, with or without their extension. A column whose every value is a number
    counts as one. Photos without a value are left out, and a note counts them.

    Raises: GfpupError: an unknown name, a file that cannot be read, or blur of photos that were damaged on the fly.
    """
    table = {} if columns is None else _read_table(columns, runs)
    photos = {match for run in runs for match in run.matches.values()}
    found: dict[str, dict[str, Fact]] = {}
    notes = []
    for name in dict.fromkeys(names):
        if name in table:
            found[name] = table[name]
        elif name in MEASURED:
            found[name] = {**_measured(runs, name)}
        else:
            given = f"a column of --columns ({', '.join(table)})" if table else "a column of a file given with --columns"
            raise GfpupError(f"invalid value {name!r} for --by: expected {', '.join(MEASURED)} or {given}.")
        if lacking := len(photos - found[name].keys()):
            notes.append(f"{lacking} photos have no {name} and are in none of its slices")
    return found, notes


def _measured(runs: Sequence[RunRecord], name: str) -> dict[str, float]:
    measures: Mapping[str, Callable[[PhotoRecord, FaceRecord], float | None]] = {
        "face_px": lambda _, face: _side_px(face),
        "pose": lambda _, face: pose(np.asarray(face.landmarks_xy, np.float64)) if face.landmarks_xy else None,
        "blur": blur,
    }
    found: dict[str, float] = {}
    for run in runs:
        if name == "blur" and run.pixels.get("damage"):
            raise GfpupError(
                f"--by blur is not available for {run.name}: its photos were damaged as they were read, and those pixels are "
                "gone; write them with gfpup degrade and run on these."
            )
        for photo in run.photos:
            faces = [face for face in photo.faces if face.affine is not None]
            if not faces or run.matches[photo.name] in found:
                continue
            value = measures[name](photo, max(faces, key=_side_px))
            if value is not None and math.isfinite(value):
                found[run.matches[photo.name]] = float(value)
    return found


def pose(landmarks_xy: np.ndarray) -> float | None:
    """How far the nose of (5, 2) landmarks stands from the middle of the eyes along their line, in eye distances; 0 or more.

    The tilt of the head does not count. None where the eyes are in one place.
    """
    left, right, nose = landmarks_xy[0], landmarks_xy[1], landmarks_xy[2]
    across = right - left
    square = float(across @ across)
    return abs(float((nose - (left + right) / 2) @ across)) / square if square > 0 else None


def blur(photo: PhotoRecord, face: FaceRecord) -> float | None:
    """How blurred a face is in its input, -log2 of `measure_damage`'s sharpness; None where the input is gone."""
    if not face.landmarks_xy:
        return None
    try:
        pixels = geometry.turned_pixels(read_photo(Path(photo.input)).rgb8, photo.turned)
    except (PhotoError, OSError):
        return None
    sharpness = measure_damage(pixels, [Face(face.box_xyxy, 1.0, np.asarray(face.landmarks_xy, np.float64))]).sharpness
    return None if not sharpness else -math.log2(sharpness)


def _side_px(face: FaceRecord) -> float:
    x0, y0, x1, y1 = face.box_xyxy
    return min(x1 - x0, y1 - y0)


def _read_table(path: Path, runs: Sequence[RunRecord]) -> dict[str, dict[str, Fact]]:
    """The columns of the file by their name, each with its values by what a photo is matched by."""
    matches: dict[str, str] = {}
    for run in runs:
        for name, match in run.matches.items():
            matches |= {name: match, str(PurePosixPath(name).with_suffix("")): match, match: match}
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise GfpupError(f"--columns {path} cannot be read: {error}; give a CSV file in UTF-8.") from None
    if len(rows) < 2 or len(rows[0]) < 2:
        raise GfpupError(f"--columns {path} has no columns: expected a line of headings, of which the first is the photo's.")
    head, *body = rows
    found: dict[str, dict[str, str]] = {name: {} for name in head[1:]}
    for row in body:
        photo = PurePosixPath(row[0].strip() if row else "")
        place = matches.get(str(photo)) or (matches.get(str(photo.with_suffix(""))) if photo.name else None)
        if place is not None:
            for column, value in zip(head[1:], row[1:], strict=False):
                if value.strip():
                    found[column][place] = value
    return {column: _numbers(values) for column, values in found.items()}


def _numbers(values: Mapping[str, str]) -> dict[str, Fact]:
    """The values as numbers where every one of them is, without those that are not finite; else as words."""
    try:
        numbers = {match: float(value) for match, value in values.items()}
    except ValueError:
        return {match: value.strip() for match, value in values.items()}
    return {match: value for match, value in numbers.items() if math.isfinite(value)}
