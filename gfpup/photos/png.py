"""What Pillow does not notice about a PNG: pixel data that ends early, which it fills up with black."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from PIL import ImageFile

from gfpup.core.errors import PhotoError

_DEFLATE_RATIO: Final = 1032
"""The most that deflate can shrink data: 258 bytes of two bits. Source: zlib's "Technical Details"."""

_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PASSES: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Adam7: first column and row, steps across and down. Source: PNG (third edition), section 8.1."""

_BLOCK: Final = 2**20


def check_length(file: IO[bytes], path: Path) -> None:
    """Refuse, with a PhotoError, a file too short for the pixels that its header announces, before memory is taken for them."""
    with _position_kept(file):
        size, needed = file.seek(0, 2), _data_bytes(_header(file))
    if size * _DEFLATE_RATIO < needed:
        raise PhotoError(f"{path} cannot be read: its PNG data is cut off ({size} bytes cannot hold {needed} bytes of pixels)")


def check_complete(image: ImageFile.ImageFile, file: IO[bytes], path: Path) -> None:
    """Refuse, with a PhotoError, a decoded picture whose data ended before its last row."""
    width, height = image.size
    if image.crop((0, height - 1, width, height)).getbbox() is not None:
        return  # what is missing is black, from some row to the end; counting all bytes of every photo would take as long again
    inflate, found = zlib.decompressobj(), 0
    with _position_kept(file):
        needed = _data_bytes(_header(file))
        for data in _pixel_data(file):
            while data and not inflate.eof and found < needed:
                found += len(inflate.decompress(data, _BLOCK))
                data = inflate.unconsumed_tail
    if found < needed:
        raise PhotoError(f"{path} cannot be read: its PNG data is cut off ({found} of {needed} bytes of pixels)")


@contextmanager
def _position_kept(file: IO[bytes]) -> Iterator[None]:
    position = file.tell()
    yield
    file.seek(position)  # where Pillow goes on to read


def _header(file: IO[bytes]) -> bytes:
    file.seek(16)
    return file.read(13)


def _data_bytes(header: bytes) -> int:
    """The bytes of all rows, each with the byte that names its filter, from the contents of IHDR."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    bits = depth * _CHANNELS.get(colour, 1)
    total = 0
    for left, top, across, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        total += rows * (1 + (columns * bits + 7) // 8) if columns > 0 and rows > 0 else 0
    return total


def _pixel_data(file: IO[bytes]) -> Iterator[bytes]:
    """The contents of the first picture's IDAT chunks, block by block."""
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            return
        end = file.tell() + length + 4
        while kind == b"IDAT" and length > 0 and (data := file.read(min(length, _BLOCK))):
            length -= len(data)
            yield data
        file.seek(end)
