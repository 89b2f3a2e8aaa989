"""How far apart pictures of one photo are: a map of it, a number for each face, and the one that photos are sorted by.

Where methods agree they follow the photo; where they disagree at least one of them invents.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Final

import cv2
import numpy as np

from gfpup.core.types import Float32, UInt8

SIDE_PX: Final = 512
"""Regions are compared at no more than this along their longer side: enough to see a face, and quick for large photos."""
FULL_SCALE: Final = 64.0
"""The levels at which a map is at its brightest: beyond a quarter of the range any two pictures are plainly different."""
Region = tuple[float, float, float, float]
"""x, y, width, height in fractions of the picture."""
_WHOLE: Final[Region] = (0.0, 0.0, 1.0, 1.0)


def disagreement(pictures: Sequence[UInt8], boxes: Sequence[Region] = ()) -> float:
    """The largest of `region_disagreements` over the whole picture and `boxes`.

    In a photo of many people, a face that two methods restored differently would otherwise count for almost nothing.
    """
    return max(region_disagreements(pictures, [_WHOLE, *boxes]))


def region_disagreements(pictures: Sequence[UInt8], regions: Sequence[Region]) -> list[float]:
    """For each region the mean absolute difference between the two of `pictures` that differ most there, 0 to 255 levels.

    The mean is taken over the region's pixels and channels.

    Args:
        pictures: Versions of one photo, each (h, w, 3) uint8. Sizes may differ: a region is compared at its smallest version's
            size, reduced by area to at most `SIDE_PX`.
        regions: Such as faces, in fractions of the picture.

    Returns: 0 for each region where there are fewer than two pictures.
    """
    if len(pictures) < 2:
        return [0.0] * len(regions)
    return [_largest([_cut(picture, region) for picture in pictures]) for region in regions]


def disagreement_map(pictures: Sequence[UInt8], *, side_px: int = SIDE_PX) -> Float32:
    """How far apart `pictures` are at each pixel: the range of their levels, (h, w) float32 from 0 (equal) to 255.

    The range (largest less smallest) is taken in each channel, and its mean over the channels. Of two pictures that is their
    absolute difference, so that the mean of the map is then their `disagreement`.

    Args:
        pictures: Two or more versions of one photo, each (h, w, 3) uint8, of any sizes.
        side_px: The longer side of the map, unless the smallest version is smaller.

    Raises: ValueError: fewer than two pictures.
    """
    if len(pictures) < 2:
        raise ValueError(f"a map of disagreement needs two pictures or more, and {len(pictures)} was given")
    small = np.stack(_at_one_size(pictures, side_px))
    spread: Float32 = (small.max(axis=0) - small.min(axis=0)).mean(axis=2)
    return spread


def heat(spread: Float32, *, full_scale: float = FULL_SCALE) -> UInt8:
    """A map (h, w) in levels as a picture (h, w, 3) uint8 RGB: black where pictures agree, bright from `full_scale` on."""
    levels = np.round(np.clip(spread / full_scale, 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1], np.uint8)


def _cut(picture: UInt8, region: Region) -> UInt8:
    height, width = picture.shape[:2]
    x, y, w, h = region
    left, top = min(width - 1, max(0, round(x * width))), min(height - 1, max(0, round(y * height)))
    return picture[top : max(top + 1, round((y + h) * height)), left : max(left + 1, round((x + w) * width))]


def _largest(pictures: Sequence[UInt8]) -> float:
    small = _at_one_size(pictures, SIDE_PX)
    return max(float(np.abs(one - other).mean()) for one, other in combinations(small, 2))


def _at_one_size(pictures: Sequence[UInt8], side_px: int) -> list[Float32]:
    height, width = min((picture.shape[:2] for picture in pictures), key=lambda size: size[0] * size[1])
    scale = min(1.0, side_px / max(height, width))
    size_wh = max(1, round(width * scale)), max(1, round(height * scale))
    return [_resized(picture, size_wh) for picture in pictures]


def _resized(picture: UInt8, size_wh: tuple[int, int]) -> Float32:
    if picture.shape[1::-1] != size_wh:
        picture = np.asarray(cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
    return picture.astype(np.float32)
