"""The ramp at a crop's edge, for every paste mask."""

from __future__ import annotations

from functools import cache

import numpy as np

from gfpup.core.types import Float32
from gfpup.ops import geometry

FEATHER_PX = 51  # width of the ramp at a crop's edge, of 512: the official erosion and blur together reach as far


@cache
def feather_mask(side_px: int = geometry.CROP_PX) -> Float32:
    """The mask (side, side) float32 that is 0 at the crop's edge, 1 inside, with a smooth ramp between."""
    distance = np.minimum(np.arange(side_px), np.arange(side_px)[::-1]) / (FEATHER_PX * side_px / geometry.CROP_PX)
    t = np.clip(distance, 0.0, 1.0)
    ramp = t * t * (3 - 2 * t)
    mask = np.outer(ramp, ramp).astype(np.float32)
    mask.setflags(write=False)
    return mask
