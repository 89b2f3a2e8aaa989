"""Pictures to measure on: a face, and a photo of any size with faces in known places."""

from __future__ import annotations

import math
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from gfpup.ops import geometry
from gfpup.types import Face, Metadata, Photo, UInt8

SEED = 7
ROOM = 0.8
"""The most of its cell that a face takes."""


@cache
def face_crop() -> UInt8:
    """A face that comes with scikit-image, (512, 512, 3) uint8 RGB."""
    # Read beside the package, which would bring SciPy with it and count in every side's memory.
    (folder,) = find_spec("skimage").submodule_search_locations  # type: ignore[union-attr, misc]
    portrait = cv2.imread(str(Path(folder, "data", "astronaut.png")))
    assert portrait is not None
    size = (geometry.CROP_PX, geometry.CROP_PX)
    return np.asarray(cv2.resize(portrait[:256, 96:352, ::-1], size, interpolation=cv2.INTER_LINEAR), np.uint8)


def places(size_wh: tuple[int, int], faces: int, face_px: int) -> list[tuple[int, int, int]]:
    """Where `faces` squares go in a photo of `size_wh`: (x, y, side) in px, row by row, each in a cell of its own."""
    if not faces:
        return []
    w, h = size_wh
    columns = min(faces, max(1, math.ceil(math.sqrt(faces * w / h))))
    rows = math.ceil(faces / columns)
    cell_w, cell_h = w / columns, h / rows
    side = max(8, int(min(face_px, ROOM * cell_w, ROOM * cell_h)))
    found = []
    for i in range(faces):
        row, column = divmod(i, columns)
        found.append((int((column + 0.5) * cell_w - side / 2), int((row + 0.5) * cell_h - side / 2), side))
    return found


def planted(size_wh: tuple[int, int], faces: int, face_px: int) -> tuple[Photo, list[Face]]:
    """A coloured photo of `size_wh` px with `faces` faces, and these faces as a detector would give them; always the same."""
    w, h = size_wh
    numbers = np.random.default_rng(SEED)
    coarse = numbers.integers(40, 216, (max(2, h // 40), max(2, w // 40), 3), np.uint8)
    pixels = np.asarray(cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC), np.uint8)
    there = []
    for x, y, side in places(size_wh, faces, face_px):
        small = cv2.resize(face_crop(), (side, side), interpolation=cv2.INTER_AREA)
        under = pixels[max(y, 0) : y + side, max(x, 0) : x + side]
        under[:] = small[: under.shape[0], : under.shape[1]]
        points = geometry.TEMPLATE_512_XY * (side / geometry.CROP_PX) + np.array([x, y], np.float64)
        box = (x + 0.2 * side, y + 0.2 * side, x + 0.8 * side, y + 0.95 * side)
        there.append(Face(box, 0.999, np.asarray(points, np.float64)))
    return Photo(Path("bench.png"), pixels, Metadata("PNG")), there
