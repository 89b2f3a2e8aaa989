"""Resize a whole picture, and the size that an enlargement gives."""

from __future__ import annotations

import cv2

from gfpup.core.types import Pixels


def output_size(size_hw: tuple[int, int], upscale: float) -> tuple[int, int]:
    """The size of the result for a photo of `size_hw`, at least one pixel each way."""
    return max(1, round(size_hw[0] * upscale)), max(1, round(size_hw[1] * upscale))


def resize(pixels: Pixels, to_hw: tuple[int, int]) -> Pixels:
    """Resize (h, w) or (h, w, c) uint8 or uint16 by Lanczos, or by area where it shrinks; outer edges stay in place.

    Always a new array. At the same size the pixels are equal bit for bit.
    """
    if pixels.shape[:2] == to_hw:
        return pixels.copy()
    shrinks = to_hw[0] < pixels.shape[0] or to_hw[1] < pixels.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LANCZOS4
    return cv2.resize(pixels, (to_hw[1], to_hw[0]), interpolation=how)  # type: ignore[return-value]
