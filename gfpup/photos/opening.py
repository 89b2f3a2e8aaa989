"""Opening a picture by its content, within limits, and telling its size from the header alone."""

from __future__ import annotations

import hashlib
import importlib
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Final

from PIL import Image, ImageFile

from gfpup.core.errors import PhotoError
from gfpup.photos import exif
from gfpup.photos.formats import HEIC_BRANDS, MAX_PIXELS, READABLE, foreign_kind
from gfpup.photos.stderr import collected_warnings

MAX_FILE_BYTES: Final = 2**32
"""Largest file that is read: the largest photo as 16-bit RGBA takes half of it."""

MAX_WHOLE_BYTES: Final = 2**29
"""Largest file that is read into memory as a whole, as some decoders do: gigabytes may lie behind a few pixels."""

_READ_WHOLE: Final = ("WEBP", "AVIF", "HEIF")

# fmt: off
_KINDS: Final = {
    stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
}
# fmt: on

# fmt: off
DECODING_ERRORS: Final = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, EOFError,
    AssertionError, struct.error, zlib.error, Image.DecompressionBombError,
)
# fmt: on
"""What Pillow's plug-ins raise over damaged files; fuzzed files have raised each family."""


@dataclass(frozen=True)
class Probe:
    """What a file's header says: Pillow's name of the format, (h, w) upright, Pillow's mode, bits a channel (8 or 16)."""

    format: str
    size_hw: tuple[int, int]
    mode: str
    bits: int


def probe(path: Path) -> Probe:
    """Tell a photo's format and upright size from its header, without decoding a pixel.

    Raises: PhotoError (the file is not a photo, is damaged at its head, or is over `MAX_PIXELS`).
    """
    with unreadable(path), open_regular(path) as file, collected_warnings(), open_picture(file, path) as image:
        size_hw = image.size if header_orientation(image) >= 5 else image.size[::-1]
        return Probe(format_name(image), size_hw, image.mode, bits_of(image))


@contextmanager
def unreadable(path: Path) -> Iterator[None]:
    """Report what the system raises over `path` in the block as a PhotoError."""
    try:
        yield
    except OSError as error:
        raise PhotoError(f"{path} cannot be read: {error.strerror or error}") from error


def open_regular(path: Path) -> IO[bytes]:
    """Open a regular file of a sane size for reading; anything else is refused before it is opened.

    A pipe would wait for a writer, and opening a device may do something: a tape rewinds.

    Raises:
        PhotoError: it is a folder, a device, a pipe or a socket, empty, or over `MAX_FILE_BYTES`.
        OSError: it cannot be opened.
    """
    _check_regular(path, path.stat())
    file = os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb")
    try:
        _check_regular(path, os.fstat(file.fileno()))  # what lies there may have been exchanged meanwhile
    except BaseException:
        file.close()
        raise
    return file


def photo_sha256(path: Path) -> str:
    """The SHA-256 of a photo's file, in hexadecimal.

    Raises: PhotoError (it is no regular file, or reading it fails).
    """
    digest = hashlib.sha256()
    with unreadable(path), open_regular(path) as file:
        for block in islice(iter(partial(file.read, 2**20), b""), MAX_FILE_BYTES // 2**20):  # a file may grow meanwhile
            digest.update(block)
    return digest.hexdigest()


def _check_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "of an unknown kind")
        raise PhotoError(f"{path} cannot be read: it is {kind} and not an ordinary file")
    if status.st_size == 0:
        raise PhotoError(f"{path} cannot be read: the file is empty")
    if status.st_size > MAX_FILE_BYTES:
        raise PhotoError(f"{path} cannot be read: the file has {status.st_size} bytes, over the limit of {MAX_FILE_BYTES}")


def check_whole(file: IO[bytes], path: Path, most: int) -> None:
    """Refuse, with a PhotoError, a file of over `most` bytes that its decoder would read into memory as a whole."""
    size = os.fstat(file.fileno()).st_size
    if size > most:
        raise PhotoError(f"{path} cannot be read: the file has {size} bytes, over the limit of {most} for its format and size")


def open_picture(file: IO[bytes], path: Path, max_pixels: int = MAX_PIXELS) -> ImageFile.ImageFile:
    """Open a picture by its content, whatever its name, and refuse it if its header announces too many pixels.

    Pillow's `Image.open` refuses photos over 179 megapixels unless a global of the process is changed, and would try formats
    that run an interpreter (EPS), so those in `READABLE` are tried here.

    Raises: PhotoError: no format fits, the header is damaged, or the size is out of bounds; the message names `path`.
    """
    head = file.read(64)
    formats = {name: module for name, (module, _) in READABLE.items()}
    if head[4:8] == b"ftyp" and head[8:12] in HEIC_BRANDS:
        with suppress(ImportError):  # without the optional package pillow-heif it is refused below
            importlib.import_module("pillow_heif").register_heif_opener()
            formats["HEIF"] = "pillow_heif"
    for name, module in formats.items():
        importlib.import_module(module)
        factory, accept = Image.OPEN.get(name, (None, None))
        if factory is None or accept is None or accept(head if name == "HEIF" else head[:16]) is not True:
            continue
        if name in _READ_WHOLE:
            check_whole(file, path, MAX_WHOLE_BYTES)
        file.seek(0)
        try:
            image = factory(file, "")
        except DECODING_ERRORS as error:
            # A TIFF header alone promises little: raw photos and floating-point pictures have it too.
            kind = foreign_kind(head) if name == "TIFF" else f"its {name} header is damaged"
            raise PhotoError(f"{path} cannot be read: {kind} ({error or type(error).__name__})") from error
        width, height = image.size
        if width < 1 or height < 1:
            raise PhotoError(f"{path} cannot be read: it is {width} x {height} px large and holds no picture")
        if width * height > max_pixels:
            size = f"{width} x {height} px, {width * height / 1e6:.0f} megapixels"
            raise PhotoError(f"{path} cannot be read: it is {size}, over the limit of {max_pixels / 1e6:.0f}")
        return image
    raise PhotoError(f"{path} cannot be read: {foreign_kind(head)}")


def format_name(image: ImageFile.ImageFile) -> str:
    """Pillow's name of the format, but JPEG for the multi-picture JPEGs that phones write."""
    return "JPEG" if image.format == "MPO" else str(image.format)


def header_orientation(image: ImageFile.ImageFile) -> int:
    """The EXIF orientation that is still to be applied; Pillow has applied that of a TIFF by itself."""
    block = image.info.get("exif")
    if image.format != "TIFF" and isinstance(block, bytes):
        with suppress(ValueError):
            return exif.orientation_of(exif.block_of(block))
    return 1


def bits_of(image: ImageFile.ImageFile) -> int:
    """Bits a channel that reading will give: 16 for PNG and TIFF of 9 to 16 bits and deep grey JPEG 2000, else 8."""
    if image.format == "PNG":
        # Pillow says RGB for 16 bits as well; the depth is the ninth byte of IHDR, always the first chunk.
        assert image.fp is not None, "ask before the picture is loaded"
        position = image.fp.tell()
        image.fp.seek(24)
        depth = image.fp.read(1)
        image.fp.seek(position)
        return 16 if depth == b"\x10" else 8
    if image.format == "TIFF":
        bits = image.tag_v2.get(258, (1,))  # type: ignore[attr-defined]
        return 16 if max(bits) > 8 and image.mode not in ("CMYK", "LAB") else 8
    return 16 if image.mode.startswith("I;16") else 8
