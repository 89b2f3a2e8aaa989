"""How far the pictures of two sides lie apart: a speed is worth nothing where the picture is another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Difference:
    """The largest difference in levels of 255, rounded to whole levels as a file would be, and the PSNR in dB before that.

    `psnr_db` is None for pictures that are equal to the bit, or not finite; `equal` says which.
    """

    levels: int
    psnr_db: float | None
    equal: bool


def difference(a_path: Path, b_path: Path) -> Difference | None:
    """Compare two .npy files of one shape, uint8 or float in [0, 1]; None where the shapes differ."""
    a, b = np.load(a_path, allow_pickle=False), np.load(b_path, allow_pickle=False)
    if a.shape != b.shape:
        return None
    x, y = (np.clip(v.astype(np.float32) * (1.0 if v.dtype == np.uint8 else 255.0), 0, 255) for v in (a, b))
    error = float(np.mean((x.astype(np.float64) - y) ** 2))
    psnr = 10 * math.log10(255**2 / error) if error > 0 and math.isfinite(error) else None
    levels = np.abs(np.rint(x) - np.rint(y)).max()
    return Difference(255 if not math.isfinite(levels) else int(levels), psnr, bool(np.array_equal(a, b)))


def changed_codes(own: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """How many of our codes differ from the other side's (None where that shows none), of how many, and our smallest margin."""
    if own is None:
        return None
    changed = None if other is None else sum(a != b for a, b in zip(own["codes"], other["codes"], strict=True))
    return {"changed": changed, "of": len(own["codes"]), "margin": own["margin"]}
