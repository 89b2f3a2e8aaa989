"""Writing a TIFF of 8 or 16 bits a channel, with its EXIF data whole.

Pillow writes no 16-bit RGB, OpenCV no metadata, and both move EXIF directories, which breaks makers' notes. An EXIF block *is*
a TIFF without pixels: the file starts with it, so that every offset stays true, and a new first directory is appended.
Source: TIFF 6.0, sections 2, 8, 14; Adobe's note on deflate.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from fractions import Fraction
from typing import Final, Literal

import numpy as np

from gfpup.core.types import Pixels
from gfpup.photos import exif as blocks

_BYTE, _SHORT, _LONG, _RATIONAL, _UNDEFINED = 1, 3, 4, 5, 7
_DEFLATE, _RGB, _TOP_LEFT, _CONTIGUOUS, _HORIZONTAL, _UNASSOCIATED, _INCH = 8, 2, 1, 1, 2, 2, 2
_LEVEL: Final = 6  # zlib's
_STRIP_BYTES: Final = 2**18  # large enough to compress well, small enough for a reader's cache
_STORAGE_TAGS: Final = {0x00FE, 0x00FF, 0x0140, 0x014A, 0x015B, 0x02BC, *range(0x0142, 0x0146), *range(0x0200, 0x0215)}

Tag = tuple[int, int, Sequence[int] | bytes | None]
"""A tag, the kind of its values and these; None where it is left out."""


def encode_tiff(
    pixels: Pixels,
    *,
    icc: bytes | None,
    exif: bytes | None,
    dpi: tuple[float, float] | None,
    xmp: bytes | None = None,
    iptc: bytes | None = None,
) -> bytes:
    """Encode (h, w, 3) RGB or (h, w, 4) RGBA, uint8 or uint16, as a TIFF compressed by deflate.

    `exif` is an EXIF block without prefix, as `exif.block_of` returns it; `dpi` is (across, down).
    """
    height, width, channels = pixels.shape
    file = bytearray(exif or b"II*\0\0\0\0\0")
    order = blocks.byte_order(bytes(file[:8]))
    rows = max(1, _STRIP_BYTES // (width * channels * pixels.itemsize))
    places, sizes = [], []
    for top in range(0, height, rows):
        strip = zlib.compress(_differences(pixels[top : top + rows], order), _LEVEL)
        places.append(_append(file, strip))
        sizes.append(len(strip))
    tags = _layout(pixels, places, sizes, rows=rows)
    if dpi is not None:
        across, down = (Fraction(value).limit_denominator(1000).as_integer_ratio() for value in dpi)
        tags += [(0x011A, _RATIONAL, across), (0x011B, _RATIONAL, down), (0x0128, _SHORT, [_INCH])]
    tags += [(0x8773, _UNDEFINED, icc), (0x02BC, _BYTE, xmp), (0x83BB, _UNDEFINED, iptc)]
    directory = {tag: _packed(file, order, tag, kind, value) for tag, kind, value in tags if value is not None}
    if exif is not None:
        directory = _kept_entries(exif, order) | directory
    listed = b"".join(directory[tag] for tag in sorted(directory))
    start = _append(file, struct.pack(order + "H", len(directory)) + listed + b"\0\0\0\0")
    struct.pack_into(order + "I", file, 4, start)
    return bytes(file)


def _layout(pixels: Pixels, places: Sequence[int], sizes: Sequence[int], *, rows: int) -> list[Tag]:
    """The tags that say how the pixels are stored: `places` and `sizes` are those of the strips, of `rows` rows each."""
    height, width, channels = pixels.shape
    # fmt: off
    return [
        (0x0100, _LONG, [width]), (0x0101, _LONG, [height]), (0x0102, _SHORT, [8 * pixels.itemsize] * channels),
        (0x0103, _SHORT, [_DEFLATE]), (0x0106, _SHORT, [_RGB]), (0x0111, _LONG, places), (0x0112, _SHORT, [_TOP_LEFT]),
        (0x0115, _SHORT, [channels]), (0x0116, _LONG, [rows]), (0x0117, _LONG, sizes),
        (0x011C, _SHORT, [_CONTIGUOUS]), (0x013D, _SHORT, [_HORIZONTAL]),
        (0x0152, _SHORT, [_UNASSOCIATED] if channels == 4 else None),
    ]
    # fmt: on


def _kept_entries(exif: bytes, order: str) -> dict[int, bytes]:
    """The entries of an EXIF block's first directory that are whole and say nothing of how pixels are stored."""
    found: dict[int, bytes] = {}
    for entry in blocks.entries(exif, blocks.first_directory(exif)):
        offset = struct.unpack_from(order + "I", exif, entry.at + 8)[0]
        whole = 0 < entry.size <= 4 or (entry.size > 4 and offset + entry.size <= len(exif))
        if whole and entry.tag not in _STORAGE_TAGS:
            found.setdefault(entry.tag, exif[entry.at : entry.at + 12])
    return found


def _append(file: bytearray, data: bytes) -> int:
    if len(file) % 2:
        file.append(0)  # offsets are even
    start = len(file)
    file += data
    return start


def _packed(file: bytearray, order: str, tag: int, kind: int, values: Sequence[int] | bytes) -> bytes:
    """A directory's entry; a value of more than four bytes goes to the end of the file."""
    count = len(values) // 2 if kind == _RATIONAL else len(values)
    form = f"{order}{len(values)}{'H' if kind == _SHORT else 'I'}"
    value = values if isinstance(values, bytes) else struct.pack(form, *values)
    field = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(order + "I", _append(file, value))
    return struct.pack(order + "HHI", tag, kind, count) + field


def _differences(strip: Pixels, order: Literal["<", ">"]) -> bytes:
    # Predictor 2: each value less its left neighbour's, modulo its range.
    changed = strip.copy()
    changed[:, 1:] -= strip[:, :-1]
    return np.ascontiguousarray(changed.astype(changed.dtype.newbyteorder(order), copy=False)).tobytes()
