"""The quality that a JPEG file was saved with, read from its tables."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from gfpup.core.errors import PhotoError
from gfpup.core.types import Float64
from gfpup.photos.opening import DECODING_ERRORS, open_picture, open_regular
from gfpup.photos.stderr import collected_warnings

# Source: ITU T.81, annex K, table K.1; libjpeg scales it by quality (jpeg_quality_scaling, jpeg_add_quant_table).
_LUMINANCE: Final = """
16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62
18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99"""


def file_jpeg_quality(path: Path) -> int | None:
    """The quality, 1 to 100, that a JPEG file was saved with, by its table for brightness; None for other files.

    Of tables that are not libjpeg's own the nearest quality is given.
    """
    try:
        with open_regular(path) as file, collected_warnings(), open_picture(file, path) as image:
            tables = getattr(image, "quantization", None)
    except (OSError, PhotoError, *DECODING_ERRORS):
        return None
    if not tables:
        return None
    found = np.sort(np.asarray(tables[min(tables)], np.float64))  # sorted: neither order of the coefficients matters
    return int(np.argmin([np.abs(np.sort(_table(quality)) - found).sum() for quality in range(1, 101)])) + 1


def _table(quality: int) -> Float64:
    """libjpeg's table for brightness at a quality from 1 to 100, (64,)."""
    base = np.array(_LUMINANCE.split(), np.int64)
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.asarray(np.clip((base * percent + 50) // 100, 1, 255), np.float64)
