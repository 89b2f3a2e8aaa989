"""Boxes of faces, and the reduced copy of a photo in which faces are looked for.

Boxes are (x0, y0, x1, y1) in the photo's own pixels, centres at integer coordinates.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from gfpup.core.types import Face, Float64, UInt8
from gfpup.ops import geometry

Boxes = npt.NDArray[np.floating]

LONGEST_TO_SHORTEST = 4
"""The multiple of the short side to which the long side of a reduced copy is held, so that a panorama is bounded too."""

CONTAINED = 0.9
"""Share of a box inside a larger one from which it counts as part of that face (an eye, a mouth, an inner face); people who
stand before each other seldom overlap as much."""


def bounded_size(size_hw: tuple[int, int], detect_size: int | None) -> tuple[int, int]:
    """The size (h, w) a photo of `size_hw` is reduced to before detection; never larger than the photo.

    The short side comes to `detect_size` px at most, the long side to `LONGEST_TO_SHORTEST` times that. None or 0: no bound.
    """
    h, w = size_hw
    if not detect_size:
        return h, w
    factor = min(1.0, detect_size / min(h, w), LONGEST_TO_SHORTEST * detect_size / max(h, w))
    return max(1, round(h * factor)), max(1, round(w * factor))


def reduce_for_detection(rgb: UInt8, detect_size: int | None) -> tuple[UInt8, Float64]:
    """Reduce (h, w, 3) uint8 `rgb` to `bounded_size`; also the (2, 3) affine from the reduced picture back to the photo."""
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"a detector takes (h, w, 3) uint8 pixels, not {rgb.shape} {rgb.dtype}")
    h, w = rgb.shape[:2]
    to_hw = bounded_size((h, w), detect_size)
    small = np.ascontiguousarray(rgb)
    if to_hw != (h, w):
        small = np.asarray(cv2.resize(small, (to_hw[1], to_hw[0]), interpolation=cv2.INTER_AREA), np.uint8)
    return small, geometry.resize_affine(to_hw, (h, w))


def intersections(box: Boxes, others: Boxes) -> Boxes:
    """The areas that `box` (4,) shares with each of `others` (n, 4)."""
    sides = np.minimum(box[2:4], others[:, 2:4]) - np.maximum(box[:2], others[:, :2])
    return np.asarray(np.maximum(sides, 0).prod(axis=1))


def without_overlaps(boxes: Boxes, scores: Boxes, overlap: float, *, of_smaller: bool = False) -> npt.NDArray[np.intp]:
    """Keep of (n, 4) boxes that overlap by more than `overlap` only the surest; the kept indices, surest first.

    The overlap is the shared area over that of the union, or with `of_smaller` over that of the smaller box. Equal scores keep
    their order (non-maximum suppression).
    """
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(best)
        shared = intersections(boxes[best], boxes[rest])
        whole = np.minimum(areas[best], areas[rest]) if of_smaller else areas[best] + areas[rest] - shared
        order = rest[shared <= overlap * whole]
    return np.array(kept, np.intp)


def drop_contained(boxes_xyxy: Boxes, *, share: float = CONTAINED) -> list[int]:
    """Keep the boxes of which at most `share` lies inside one larger box; returns the kept indices, in order."""
    sizes = np.maximum(boxes_xyxy[:, 2:4] - boxes_xyxy[:, :2], 0).prod(axis=1)
    kept: list[int] = []
    for index in np.argsort(-sizes, kind="stable"):
        if not (intersections(boxes_xyxy[index], boxes_xyxy[kept]) > share * sizes[index]).any():
            kept.append(int(index))
    return sorted(kept)


def largest_first(faces: Sequence[Face], size_hw: tuple[int, int]) -> list[Face]:
    """Sort by the area of the box inside the photo; equal areas from top to bottom, then from left to right."""
    h, w = size_hw

    def key(face: Face) -> tuple[float, float, float]:
        x0, y0, x1, y1 = face.box_xyxy
        return -max(min(x1, w) - max(x0, 0), 0) * max(min(y1, h) - max(y0, 0), 0), y0, x0

    return sorted(faces, key=key)


def make_face(box: Boxes, score: float, landmarks: Float64) -> Face:
    """A `Face` from arrays."""
    x0, y0, x1, y1 = (float(v) for v in box)
    return Face((x0, y0, x1, y1), float(score), landmarks)


def longer_side(face: Face) -> float:
    """The longer side of a face's box, in px."""
    x0, y0, x1, y1 = face.box_xyxy
    return max(x1 - x0, y1 - y0)
