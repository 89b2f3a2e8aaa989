"""The light smoothing that some scripts give to small faces, which a network paints sharper than the photo around them."""

from __future__ import annotations

import cv2
import numpy as np

from gfpup.core.types import Float32

BINOMIAL: Float32 = np.outer((0.25, 0.5, 0.25), (0.25, 0.5, 0.25)).astype(np.float32)
"""Source: face_enhancement.py of yangxy/GPEN, which smooths faces whose box is under 100 px."""


def smoothed(pixels: Float32) -> Float32:
    """Smooth (h, w, 3) float32 pixels of any range under a 3x3 binomial kernel, mirrored around the edge; the mean is kept."""
    return np.asarray(cv2.filter2D(pixels, -1, BINOMIAL), np.float32)
