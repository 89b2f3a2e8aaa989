"""The ramp at a crop's edge, for every paste mask."""

from __future__ import annotations

from functools import cache

import numpy as np

from gfpup.core.types import Float32
from gfpup.ops import geometry

FEATHER_PX = 51  # width of the ramp at a crop's edge, of 512: the official erosion and blur together reach as far


@cache
def feather_mask() -> Float32:
    """The mask (512, 512) float32 that is 0 at the crop's edge, 1 inside, with a smooth ramp between."""
    places = np.arange(geometry.CROP_PX)
    distance = np.minimum(places, places[::-1]) / FEATHER_PX
    t = np.clip(distance, 0.0, 1.0)
    ramp = t * t * (3 - 2 * t)
    mask = np.outer(ramp, ramp).astype(np.float32)
    mask.setflags(write=False)
    return mask
