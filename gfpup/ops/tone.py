"""Photos of one tone (grey, sepia): recognise them, and keep a picture within the tone of another.

Pixels are (h, w, 3) RGB: uint8, uint16, or float32 levels in [0, 255]. A tone gives each brightness one colour.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from gfpup.core.types import Float32, Pixels
from gfpup.ops.color import luma

GREY_LEVELS: Final = 2.0
"""Channels that differ by no more, in levels of 255, are grey: lossy formats of grey pictures leave as much."""
TONE_LEVELS: Final = 2.5
"""Mean distance of a photo's colours from its tone, in levels of 255, up to which it is of one tone.

Eleven colour photos of the test data measure 4.2 to 13.3, a made sepia print under 1.
"""
_ROWS: Final = 256  # a large photo is not turned into floats all at once

P = TypeVar("P", bound=npt.NDArray[Any])


@dataclass(frozen=True, eq=False)
class Tone:
    """The colour of each brightness: `offsets` (256, 3) float32, RGB less brightness, in levels of 255.

    `name` stands in the record.
    """

    name: str
    offsets: Float32

    @property
    def is_grey(self) -> bool:
        return not self.offsets.any()


GREY: Final = Tone("grey", np.zeros((256, 3), np.float32))


def is_grey(pixels: npt.NDArray[Any]) -> bool:
    """Whether the three channels are equal, but for `GREY_LEVELS`."""
    limit = GREY_LEVELS * _unit(pixels)
    return all(bool((np.ptp(_floats(rows), axis=2) <= limit).all()) for rows in _strips(pixels))


def tone_of(pixels: Pixels) -> Tone | None:
    """The one tone of a photo: grey, or that of a sepia or toned print; None where it has colours."""
    if is_grey(pixels):
        return GREY
    sums, counts = np.zeros((256, 3)), np.zeros(256)
    for rows in _strips(pixels):
        levels = (_floats(rows) / _unit(pixels)).reshape(-1, 3)
        bright = luma(levels)
        at = np.clip(np.rint(bright), 0, 255).astype(np.intp)
        counts += np.bincount(at, minlength=256)
        offsets = levels - bright[:, None]
        sums += np.stack([np.bincount(at, weights=offsets[:, channel], minlength=256) for channel in range(3)], axis=1)
    seen = np.flatnonzero(counts)
    means = sums[seen] / counts[seen, None]
    curve = np.stack([np.interp(np.arange(256), seen, means[:, channel]) for channel in range(3)], axis=1)
    tone = Tone("toned", curve.astype(np.float32))
    distance = sum(float(np.abs(_floats(rows) / _unit(pixels) - _toned(rows, tone)).sum()) for rows in _strips(pixels))
    return tone if distance / pixels.size <= TONE_LEVELS else None


def keep_tone(pixels: P, tone: Tone) -> tuple[P, bool]:
    """Keep the brightness of `pixels` and give it the colours of `tone`; says whether that changed more than `GREY_LEVELS`.

    Pixels that lie within the tone already are returned as they are.
    """
    unit = _unit(pixels)
    if all(bool((np.abs(_floats(rows) / unit - _toned(rows, tone)) <= GREY_LEVELS).all()) for rows in _strips(pixels)):
        return pixels, False
    changed = np.empty_like(pixels)
    for top in range(0, pixels.shape[0], _ROWS):
        rows = np.clip(_toned(pixels[top : top + _ROWS], tone) * unit, 0, 255 * unit)
        changed[top : top + _ROWS] = rows if pixels.dtype == np.float32 else np.floor(rows + 0.5)
    return changed, True


def _toned(rows: npt.NDArray[Any], tone: Tone) -> Float32:
    """Rows in levels of 255, with their own brightness and the tone's colours."""
    bright = luma(_floats(rows) / _unit(rows))
    at = np.clip(np.rint(bright), 0, 255).astype(np.intp)
    return np.asarray(bright[..., None] + tone.offsets[at], np.float32)


def _unit(pixels: npt.NDArray[Any]) -> np.float32:
    """What one level of 255 is in these pixels."""
    return np.float32(257 if pixels.dtype == np.uint16 else 1)


def _floats(rows: npt.NDArray[Any]) -> Float32:
    return rows.astype(np.float32, copy=False)


def _strips(pixels: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    return (pixels[top : top + _ROWS] for top in range(0, pixels.shape[0], _ROWS))
