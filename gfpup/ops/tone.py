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
    """The colour of each brightness: `offsets` (256, 3) float32, RGB less brightness, in levels; a name for the record."""

    name: str
    offsets: Float32


GREY: Final = Tone("grey", np.zeros((256, 3), np.float32))


def is_grey(pixels: npt.NDArray[Any]) -> bool:
    """Whether the three channels are equal, but for `GREY_LEVELS`."""
    limit = GREY_LEVELS * _unit(pixels)
    return all(bool((np.ptp(rows.astype(np.float32, copy=False), axis=2) <= limit).all()) for rows in _strips(pixels))


def tone_of(pixels: Pixels) -> Tone | None:
    """The one tone of a photo: grey, or that of a sepia or toned print; None where it has colours."""
    if is_grey(pixels):
        return GREY
    sums, counts = np.zeros((256, 3)), np.zeros(256)
    for rows in _strips(pixels):
        levels = _levels(rows).reshape(-1, 3)
        bright = luma(levels)
        at = np.clip(np.rint(bright), 0, 255).astype(np.intp)
        counts += np.bincount(at, minlength=256)
        sums += np.stack([np.bincount(at, weights=weights, minlength=256) for weights in (levels - bright[:, None]).T], axis=1)
    seen = np.flatnonzero(counts)
    curve = [np.interp(np.arange(256), seen, means) for means in (sums[seen] / counts[seen, None]).T]
    tone = Tone("toned", np.stack(curve, axis=1).astype(np.float32))
    distance = sum(float(np.abs(_levels(rows) - _toned(rows, tone)).sum()) for rows in _strips(pixels))
    return tone if distance / pixels.size <= TONE_LEVELS else None


def keep_tone(pixels: P, tone: Tone) -> tuple[P, bool]:
    """Keep the brightness of `pixels` and give it the colours of `tone`; says whether that changed more than `GREY_LEVELS`.

    Pixels that lie within the tone already are returned as they are.
    """
    if all(bool((np.abs(_levels(rows) - _toned(rows, tone)) <= GREY_LEVELS).all()) for rows in _strips(pixels)):
        return pixels, False
    changed, unit = np.empty_like(pixels), _unit(pixels)
    for rows, target in zip(_strips(pixels), _strips(changed), strict=True):
        toned = np.clip(_toned(rows, tone) * unit, 0, 255 * unit)
        target[:] = toned if pixels.dtype == np.float32 else np.floor(toned + 0.5)
    return changed, True


def _toned(rows: npt.NDArray[Any], tone: Tone) -> Float32:
    """Rows in levels of 255, with their own brightness and the tone's colours."""
    bright = luma(_levels(rows))
    at = np.clip(np.rint(bright), 0, 255).astype(np.intp)
    return np.asarray(bright[..., None] + tone.offsets[at], np.float32)


def _unit(pixels: npt.NDArray[Any]) -> np.float32:
    """What one level of 255 is in these pixels."""
    return np.float32(257 if pixels.dtype == np.uint16 else 1)


def _levels(rows: npt.NDArray[Any]) -> Float32:
    return np.asarray(rows.astype(np.float32, copy=False) / _unit(rows), np.float32)


def _strips(pixels: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    return (pixels[top : top + _ROWS] for top in range(0, pixels.shape[0], _ROWS))
