"""The pictures of a report: small enough to travel inside a page, with the faces at a higher resolution."""

from __future__ import annotations

import base64
import io
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from gfpup.analysis.disagreement import disagreement, disagreement_map, heat, region_disagreements
from gfpup.analysis.report.data import Subject
from gfpup.core.errors import GfpupError
from gfpup.core.types import UInt8
from gfpup.photos import pairs, read_photo
from gfpup.records.items import Item
from gfpup.records.photo_record import FaceRecord

Box = tuple[float, float, float, float]
"""x, y, width, height as fractions of a picture's width and height."""

PAGE_BYTES: Final = 24_000_000
"""How much the pictures of one page may take before base64 adds a third; a phone still opens such a page."""
BYTES_PER_PIXEL: Final = 0.16
"""WebP at quality 80, measured over photos and their restored versions; grain takes more."""
SMALLEST_PX, LARGEST_PX = 256, 1280
FACES_SHOWN: Final = 8
FACE_MARGIN: Final = 0.35
THUMBNAIL_PX: Final = 200
MAP_PX: Final = 320
"""The longer side of a map of disagreement, which is smooth: it takes little beside the pictures."""
_PROFILE_BYTES: Final = 16_384


@dataclass(frozen=True)
class Limits:
    """The most pixels that a picture and a face in it may have, as the sides of squares of that area."""

    side_px: int
    face_px: int


@dataclass(frozen=True, eq=False)
class Picture:
    """One version of a photo: a data URI, its faces as sharper patches (box, URI), and a copy for the contact sheet."""

    uri: str
    patches: tuple[tuple[Box, str], ...]
    thumbnail: Image.Image


@dataclass(frozen=True, eq=False)
class Views:
    """A photo in all its versions, by column; a text says why one is missing. `size_wh` is the input's, in pixels.

    `faces` are its largest ones from left to right, and `face_numbers` their numbers in the record, from 1.
    `apart` is how far the runs are apart (see `differences`), None where that is not known; `faces_apart` is the same of each
    of `faces`, and `map` a picture of where they are apart, both of two runs or more.
    """

    photo: str
    size_wh: tuple[int, int]
    faces: tuple[Box, ...]
    pictures: dict[str, Picture | str]
    face_numbers: tuple[int, ...] = ()
    apart: float | None = None
    faces_apart: tuple[float, ...] = ()
    map: str = ""


def columns(subject: Subject) -> dict[str, str]:
    """The versions a photo may have, by their short name in the page: before and reference if there are any, and each run."""
    items = [item for run in subject.runs for item in run.items.values()]
    # A scored folder may have no inputs; a run always had some, and says why they cannot be shown.
    known = any(item.degraded is not None for item in items) or any(run.pixels for run in subject.runs)
    found = {"before": "before"} if known else {}
    if any(item.reference is not None or item.damage is not None for item in items):
        found["reference"] = "reference"
    return found | {f"run-{number}": run.name for number, run in enumerate(subject.runs)}


def limits_for(photos: int, versions: int) -> Limits:
    """How large pictures may be on a page of `photos` in `versions` each; three fifths of the pixels are for whole pictures."""
    pixels = PAGE_BYTES / BYTES_PER_PIXEL / max(1, photos * versions)
    side = min(LARGEST_PX, max(SMALLEST_PX, int(math.sqrt(pixels * 0.6))))
    return Limits(side_px=side, face_px=min(320, max(96, int(math.sqrt(pixels * 0.2)))))


def views(subject: Subject, photos: Sequence[str], limits: Limits) -> Iterator[Views]:
    """Read the photos in all their versions, a few at a time, in the order given."""
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        yield from pool.map(lambda photo: _views(subject, photo, limits), photos)


def differences(subject: Subject) -> dict[str, float]:
    """How far apart the runs are on each photo (see `disagreement`); of a single run, how far it is from the input.

    A photo with fewer than two pictures to compare is left out.
    """

    def difference(photo: str) -> float | None:
        found, faces, _ = _versions(subject, photo, originals=len(subject.runs) == 1)
        return _apart(subject, found, list(faces.values()))

    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        found = zip(subject.photos, pool.map(difference, subject.photos), strict=True)
        return {photo: apart for photo, apart in found if apart is not None}


def _apart(subject: Subject, found: Mapping[str, Image.Image | str], faces: Sequence[Box]) -> float | None:
    """How far apart the runs' versions of a photo are, or the only run's from the input; None for fewer than two pictures."""
    pixels = _compared(subject, found)
    return disagreement(pixels, faces) if len(pixels) > 1 else None


def _compared(subject: Subject, found: Mapping[str, Image.Image | str]) -> list[UInt8]:
    """The pictures that are compared with each other: those of the runs, or of the only run and of the input."""
    left_out = {"reference", "before"} if len(subject.runs) > 1 else {"reference"}
    pictures = [it for name, it in found.items() if isinstance(it, Image.Image) and name not in left_out]
    return [np.asarray(picture.convert("RGB"), np.uint8) for picture in pictures]


def _views(subject: Subject, photo: str, limits: Limits) -> Views:
    found, faces, size = _versions(subject, photo)
    wanted = _with_margin(list(faces.values()))
    shown = {name: found[name] for name in columns(subject) if name in found}
    kept = {name: _picture(it, wanted, limits) if isinstance(it, Image.Image) else it for name, it in shown.items()}
    boxes = list(faces.values())
    seen = Views(photo, size, tuple(boxes), kept, tuple(faces), _apart(subject, found, boxes))
    pixels = _compared(subject, found) if len(subject.runs) > 1 else []
    if len(pixels) < 2 or not seen.apart:
        return seen
    spread = Image.fromarray(heat(disagreement_map(pixels, side_px=min(MAP_PX, limits.side_px))))
    return replace(seen, faces_apart=tuple(region_disagreements(pixels, boxes)), map=_map_uri(spread))


def _versions(
    subject: Subject, photo: str, *, originals: bool = True
) -> tuple[dict[str, Image.Image | str], dict[int, Box], tuple[int, int]]:
    """Every version of a photo or why it is missing, its largest faces by their number in the record, and its size."""
    items = [run.items.get(photo) for run in subject.runs]
    found = _originals([item for item in items if item is not None]) if originals else {}
    for number, item in enumerate(items):
        if item is None:
            found[f"run-{number}"] = "this run does not have this photo"
        elif item.refusal is not None or item.restored is None:
            found[f"run-{number}"] = item.refusal or "there is no result"
        else:
            found[f"run-{number}"] = _opened(item.restored)
    size = _size(found, [run.pixels.get("upscale") or 1 for run in subject.runs])
    lines = [run.lines[photo] for run in subject.runs if photo in run.lines]
    return found, _places(next((line.faces for line in lines if line.faces), ()), size), size


def _originals(items: Sequence[Item]) -> dict[str, Image.Image | str]:
    """The input, synthesised again where it was made from a reference, and the reference."""
    item = next((item for item in items if item.degraded is not None), items[0])
    referenced = next((item.reference for item in items if item.reference is not None), None)
    found: dict[str, Image.Image | str] = {} if referenced is None else {"reference": _opened(referenced)}
    if item.degraded is None:
        return {"before": item.no_input, **found}
    if item.damage is None:
        return {name: _turned(it, item.turned) for name, it in {"before": _opened(item.degraded), **found}.items()}
    protocol, seed = item.damage
    try:
        pixels = read_photo(item.degraded).rgb8
        damaged, reference, _ = pairs.synthesise(pixels, protocol=protocol, seed=seed, name=item.degraded.name)
    except GfpupError as error:
        return {"before": str(error), **found}
    both = {"before": Image.fromarray(damaged), "reference": Image.fromarray(reference)}
    return {name: _turned(it, item.turned) for name, it in both.items()}


def _turned(picture: Image.Image | str, turned: int) -> Image.Image | str:
    """A picture of the input, turned clockwise by so many degrees, as its result is."""
    return picture.rotate(-turned, expand=True) if isinstance(picture, Image.Image) and turned else picture


def _opened(path: Path) -> Image.Image | str:
    """A picture, with white behind transparent parts, or why it cannot be read."""
    try:
        photo = read_photo(path)
    except GfpupError as error:
        return str(error)
    pixels: UInt8 = photo.rgb8
    if photo.alpha is not None:
        alpha = (photo.alpha.astype(np.float32) / np.iinfo(photo.alpha.dtype).max)[..., None]
        pixels = np.round(pixels * alpha + 255 * (1 - alpha)).astype(np.uint8)
    picture = Image.fromarray(pixels)
    profile = photo.metadata.icc_profile
    if profile is not None and len(profile) <= _PROFILE_BYTES:
        picture.info["icc_profile"] = profile
    return picture


def _size(found: dict[str, Image.Image | str], upscales: Sequence[float]) -> tuple[int, int]:
    """Width and height of the input, in whose pixels boxes of faces are; taken from a result where the input is missing."""
    for name, picture in found.items():
        if isinstance(picture, Image.Image):
            scale = upscales[int(name.removeprefix("run-"))] if name.startswith("run-") else 1
            return max(1, round(picture.width / scale)), max(1, round(picture.height / scale))
    return 4, 3


def _places(faces: Sequence[FaceRecord], size_wh: tuple[int, int]) -> dict[int, Box]:
    """The largest faces from left to right, as fractions of the picture, by their number in the record, from 1."""
    boxes = {number: face.box_xyxy for number, face in enumerate(faces, 1)}
    largest = sorted(boxes, key=lambda i: (boxes[i][0] - boxes[i][2]) * (boxes[i][3] - boxes[i][1]))[:FACES_SHOWN]
    width, height = size_wh
    found: dict[int, Box] = {}
    for number in sorted(largest, key=lambda i: boxes[i]):
        x0, y0, x1, y1 = boxes[number]
        found[number] = _box(x0 / width, y0 / height, x1 / width, y1 / height)
    return {number: box for number, box in found.items() if box[2] > 0 and box[3] > 0}


def _with_margin(faces: Sequence[Box]) -> list[Box]:
    """Boxes with `FACE_MARGIN` of their sides around them, cut to the picture."""
    return [
        _box(x - FACE_MARGIN * w, y - FACE_MARGIN * h, x + (1 + FACE_MARGIN) * w, y + (1 + FACE_MARGIN) * h)
        for x, y, w, h in faces
    ]


def _box(left: float, top: float, right: float, bottom: float) -> Box:
    """A box of fractions, cut to the picture."""
    left, top, right, bottom = (min(1.0, max(0.0, edge)) for edge in (left, top, right, bottom))
    return left, top, right - left, bottom - top


def _picture(picture: Image.Image, faces: Sequence[Box], limits: Limits) -> Picture:
    whole = _bounded(picture, limits.side_px)
    thumbnail = whole.copy()
    thumbnail.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    patches, (w, h) = [], picture.size
    for x, y, width, height in faces if whole.width < w else ():
        # The box is rounded to whole pixels with its patch: a patch that is off by half a pixel shows as an edge.
        left, top = round(x * w), round(y * h)
        right, bottom = max(left + 1, round((x + width) * w)), max(top + 1, round((y + height) * h))
        cut = _bounded(picture.crop((left, top, right, bottom)), limits.face_px)
        if cut.width / (right - left) * w / whole.width > 1.2:
            patches.append(((left / w, top / h, (right - left) / w, (bottom - top) / h), _uri(cut)))
    return Picture(_uri(whole), tuple(patches), thumbnail)


def _bounded(picture: Image.Image, side_px: int) -> Image.Image:
    scale = side_px / math.sqrt(picture.width * picture.height)
    if scale >= 1:
        return picture
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    small = picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    small.info = dict(picture.info)
    return small


def _map_uri(spread: Image.Image) -> str:
    """A map as a data URI: JPEG, which any viewer shows and which takes little for something so smooth."""
    file = io.BytesIO()
    spread.save(file, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _uri(picture: Image.Image) -> str:
    """WebP as a data URI; a picture that is mostly noise gets a lower quality, which bounds its size."""
    allowed = 4096 + 2.5 * BYTES_PER_PIXEL * picture.width * picture.height
    for quality in (80, 50, 25):
        file = io.BytesIO()
        picture.save(file, "WEBP", quality=quality, method=2, icc_profile=picture.info.get("icc_profile"))
        if file.tell() <= allowed:
            break
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode("ascii")
