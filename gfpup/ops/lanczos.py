"""Lanczos filters as numbers: what OpenCV and Pillow resample with, for devices that have neither."""

from __future__ import annotations

from functools import cache

import numpy as np

from gfpup.core.types import Float32

TAPS, FRACTIONS = 8, 32
"""Pixels that a sample is made of along an axis, and steps to which its place is rounded. Source: OpenCV, INTER_LANCZOS4."""
SUPPORT = 3
"""Lobes of the filter that reduces. Source: Pillow, Resampling.LANCZOS."""


@cache
def sampling_table() -> Float32:
    """The weights (32, 8) of the pixels x - 3 to x + 4 for a sample at x + k / 32; each row adds up to 1."""
    away = np.arange(FRACTIONS)[:, None] / FRACTIONS + TAPS // 2 - 1 - np.arange(TAPS)
    weights = np.sinc(away) * np.sinc(away / (TAPS // 2))
    table: Float32 = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    table.setflags(write=False)
    return table


@cache
def reducing_matrix(size: int, to_size: int) -> Float32:
    """The weights (to_size, size) that reduce an axis; outer edges stay in place, and each row adds up to 1."""
    factor = size / to_size
    centres = (np.arange(to_size) + 0.5) * factor
    away = (np.arange(size) + 0.5 - centres[:, None]) / factor
    first = np.maximum((centres - SUPPORT * factor + 0.5).astype(int), 0)
    last = np.minimum((centres + SUPPORT * factor + 0.5).astype(int), size)
    seen = (np.arange(size) >= first[:, None]) & (np.arange(size) < last[:, None])
    weights = np.where(seen & (np.abs(away) < SUPPORT), np.sinc(away) * np.sinc(away / SUPPORT), 0.0)
    matrix: Float32 = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    matrix.setflags(write=False)
    return matrix
