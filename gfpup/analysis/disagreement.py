"""How far apart pictures of one photo are: the number that reports and trials sort photos by."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Final

import cv2
import numpy as np

from gfpup.core.types import Float32, UInt8

SIDE_PX: Final = 512
"""Regions are compared at no more than this along their longer side: enough to see a face, and quick for large photos."""


def disagreement(pictures: Sequence[UInt8], boxes: Sequence[tuple[float, float, float, float]] = ()) -> float:
    """The mean absolute difference between the two of `pictures` that differ most, in levels from 0 (equal) to 255.

    The mean is taken over pixels and channels of the whole picture or, where that is larger, of one of `boxes`: in a photo of
    many people, a face that two methods restored differently would otherwise count for almost nothing.

    Args:
        pictures: Versions of one photo, each (h, w, 3) uint8. Sizes may differ: a region is compared at its smallest version's
            size, reduced by area to at most `SIDE_PX`.
        boxes: Regions, such as faces, as x, y, width, height in fractions of the picture.

    Returns: 0 for fewer than two pictures.
    """
    if len(pictures) < 2:
        return 0.0
    regions = [(0.0, 0.0, 1.0, 1.0), *boxes]
    return max(_largest([_cut(picture, region) for picture in pictures]) for region in regions)


def _cut(picture: UInt8, region: tuple[float, float, float, float]) -> UInt8:
    height, width = picture.shape[:2]
    x, y, w, h = region
    left, top = min(width - 1, max(0, round(x * width))), min(height - 1, max(0, round(y * height)))
    return picture[top : max(top + 1, round((y + h) * height)), left : max(left + 1, round((x + w) * width))]


def _largest(pictures: Sequence[UInt8]) -> float:
    height, width = min((picture.shape[:2] for picture in pictures), key=lambda size: size[0] * size[1])
    scale = min(1.0, SIDE_PX / max(height, width))
    size_wh = max(1, round(width * scale)), max(1, round(height * scale))
    small = [_resized(picture, size_wh) for picture in pictures]
    return max(float(np.abs(one - other).mean()) for one, other in combinations(small, 2))


def _resized(picture: UInt8, size_wh: tuple[int, int]) -> Float32:
    if picture.shape[1::-1] != size_wh:
        picture = np.asarray(cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
    return picture.astype(np.float32)
