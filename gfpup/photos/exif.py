"""EXIF blocks, changed in place: every offset in them stays true, so that makers' notes survive.

A block is a TIFF header with its directories, without the `Exif\\0\\0` that JPEG puts before it.
Source: CIPA DC-008 (Exif 3.0), sections 4.5 and 4.6; TIFF 6.0, section 2.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal

ORIENTATION: Final = 0x0112
_EXIF_IFD: Final = 0x8769
_SIZE_TAGS: Final = {0xA002: 1, 0xA003: 0, 0x0100: 1, 0x0101: 0}  # tag: index into (height, width)
_THUMBNAIL_AT, _THUMBNAIL_BYTES = 0x0201, 0x0202
_TYPE_BYTES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SHORT, _LONG = 3, 4


@dataclass(frozen=True)
class Entry:
    """One directory entry: `at` is its own place in the block; its value, or its value's offset, stands at `at + 8`."""

    tag: int
    kind: int
    count: int
    at: int

    @property
    def size(self) -> int:
        return _TYPE_BYTES.get(self.kind, 0) * self.count


def block_of(exif: bytes) -> bytes:
    """Strip what a container put before an EXIF block.

    Raises: ValueError (no TIFF header follows, or its first directory is cut off).
    """
    block = exif.removeprefix(b"Exif\0\0")
    if block[:4] not in (b"II*\0", b"MM\0*"):
        raise ValueError("it does not start with a TIFF header")
    try:
        list(entries(block, first_directory(block)))
    except struct.error:
        raise ValueError("its first directory is cut off") from None
    return block


def byte_order(block: bytes | bytearray) -> Literal["<", ">"]:
    """`<` for little-endian blocks, `>` for big-endian ones, as `struct` has it."""
    return "<" if block[:2] == b"II" else ">"


def first_directory(block: bytes) -> int:
    """The offset of the directory that describes the main picture."""
    return int(struct.unpack_from(byte_order(block) + "I", block, 4)[0])


def entries(block: bytes | bytearray, directory: int) -> Iterator[Entry]:
    """Walk the entries of the directory at this offset.

    Raises: struct.error (the directory reaches beyond the block).
    """
    order = byte_order(block)
    (count,) = struct.unpack_from(order + "H", block, directory)
    for index in range(count):
        at = directory + 2 + 12 * index
        tag, kind, number, _ = struct.unpack_from(order + "HHI4s", block, at)
        yield Entry(tag, kind, number, at)


def orientation_of(block: bytes) -> int:
    """The orientation in an EXIF block: 1 (upright) to 8, and 1 where it states none or an invalid one."""
    found = next((_value(block, entry) for entry in entries(block, first_directory(block)) if entry.tag == ORIENTATION), 1)
    return found if 1 <= found <= 8 else 1


def upright(block: bytes) -> bytes:
    """Reset the orientation and drop the preview, which would show the photo as it was: turned, and not restored."""
    changed = bytearray(block)
    order, directory = byte_order(block), first_directory(block)
    for entry in entries(block, directory):
        if entry.tag == ORIENTATION:
            _put(changed, entry, 1)
    link = _end_of(block, directory)
    if link + 4 > len(block):
        return bytes(changed)
    (preview,) = struct.unpack_from(order + "I", block, link)
    struct.pack_into(order + "I", changed, link, 0)
    try:
        values = {entry.tag: _value(changed, entry) for entry in entries(changed, preview)} if preview else {}
    except struct.error:
        return bytes(changed)
    start, size = values.get(_THUMBNAIL_AT, 0), values.get(_THUMBNAIL_BYTES, 0)
    # Only a preview at the very end can be cut off without moving anything else; that is where writers put it.
    return bytes(changed[:start]) if preview < start and start + size >= len(block) - 1 else bytes(changed)


def without_orientation(block: bytes) -> bytes:
    """Take the orientation out of the first directory; everything outside that directory stays where it was."""
    directory = first_directory(block)
    kept = [block[entry.at : entry.at + 12] for entry in entries(block, directory) if entry.tag != ORIENTATION]
    end = _end_of(block, directory)
    packed = struct.pack(byte_order(block) + "H", len(kept)) + b"".join(kept) + block[end : end + 4]
    return block[:directory] + packed + block[directory + len(packed) :]


def with_size(block: bytes, size_hw: tuple[int, int]) -> bytes:
    """Correct the picture's size, in pixels, wherever the block states it."""
    changed = bytearray(block)
    directories = [first_directory(block)]
    directories += [_value(block, entry) for entry in entries(block, directories[0]) if entry.tag == _EXIF_IFD]
    for directory in directories:
        with suppress(struct.error):  # a broken sub-directory stays as it was found
            for entry in list(entries(block, directory)):
                if entry.tag in _SIZE_TAGS:
                    _put(changed, entry, size_hw[_SIZE_TAGS[entry.tag]])
    return bytes(changed)


def _end_of(block: bytes, directory: int) -> int:
    (count,) = struct.unpack_from(byte_order(block) + "H", block, directory)
    return directory + 2 + 12 * int(count)


def _value(block: bytes | bytearray, entry: Entry) -> int:
    form = {1: "B", _SHORT: "H"}.get(entry.kind, "I")
    return int(struct.unpack_from(byte_order(block) + form, block, entry.at + 8)[0])


def _put(block: bytearray, entry: Entry, value: int) -> None:
    # Rewritten as one SHORT, or LONG where it must be: whatever odd type stood there, readers expect these.
    order = byte_order(block)
    if value < 2**16:
        struct.pack_into(order + "HIHH", block, entry.at + 2, _SHORT, 1, value, 0)
    else:
        struct.pack_into(order + "HII", block, entry.at + 2, _LONG, 1, value)
