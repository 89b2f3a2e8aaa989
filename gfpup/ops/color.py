"""Convert between uint8 and float pictures, and give one picture the colours of another."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np

from gfpup.core.types import Float32, UInt8


def to_float(rgb: UInt8) -> Float32:
    """Convert levels to values: uint8 0..255, any shape, to float32 in [0, 1]."""
    return rgb.astype(np.float32) / np.float32(255)


def to_uint8(values: Float32) -> UInt8:
    """Convert finite values to levels: float32, any shape, to uint8; cut to [0, 1], rounded to the nearest, halves upwards."""
    return cast(UInt8, np.floor(np.clip(values, 0.0, 1.0) * np.float32(255) + np.float32(0.5)).astype(np.uint8))


def luma(rgb: Float32) -> Float32:
    """Brightness of a picture: (..., 3) float32 RGB to (...) float32, same range. Source: ITU-R BT.601, as in JPEG."""
    return rgb @ np.array([0.299, 0.587, 0.114], dtype=np.float32)


def to_unit(levels: Float32) -> Float32:
    """Scale float32 levels in [0, 255], any shape, to [0, 1]."""
    return levels * np.float32(1 / 255)


def match_color(restored: Float32, reference: Float32) -> Float32:
    """Give `restored` the colours of `reference`, detail untouched: (h, w, 3) float32 in [0, 1], same size; returns the same.

    The low frequencies of `restored` are replaced by those of `reference`; what is finer than about 2^5 pixels stays.

    Raises: ValueError when the sizes differ.
    Source: the wavelet colour fix of StableSR (Wang et al. 2023), five à-trous levels of the kernel [1 2 1]/4.
    """
    if restored.shape != reference.shape:
        raise ValueError(f"pictures of shapes {restored.shape} and {reference.shape} cannot be matched; give them one size")
    return np.clip(restored + (_low(reference) - _low(restored)), 0, 1)


def _low(picture: Float32) -> Float32:
    for hole in (1, 2, 4, 8, 16):
        taps = np.zeros(2 * hole + 1, dtype=np.float32)
        taps[[0, hole, 2 * hole]] = (0.25, 0.5, 0.25)
        picture = cast(Float32, cv2.sepFilter2D(picture, -1, taps, taps, borderType=cv2.BORDER_REPLICATE))
    return picture
