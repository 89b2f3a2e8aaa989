"""Which picture formats there are: their names, extensions and limits. Reads no file and imports no codec."""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import Final

from gfpup.core.errors import GfpupError
from gfpup.core.types import Metadata

MAX_PIXELS: Final = 256_000_000
"""Largest photo that is decoded: a phone's 200 megapixels and the largest sensor on sale (151) fit. Decoding takes up to 16
bytes a pixel: 4 GB at this limit."""

LARGE_PIXELS: Final = 40_000_000
"""Photos above this are decoded one at a time, when their turn comes: not ahead, by several workers at once."""

READABLE: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    # Pillow's name of the format: (the module that registers it, extensions)
    "JPEG": ("PIL.JpegImagePlugin", ("jpg", "jpeg", "jpe", "jfif", "mpo")),
    "PNG": ("PIL.PngImagePlugin", ("png", "apng")),
    "WEBP": ("PIL.WebPImagePlugin", ("webp",)),
    "BMP": ("PIL.BmpImagePlugin", ("bmp", "dib")),
    "TIFF": ("PIL.TiffImagePlugin", ("tif", "tiff")),
    "AVIF": ("PIL.AvifImagePlugin", ("avif", "avifs")),
    "GIF": ("PIL.GifImagePlugin", ("gif",)),
    "JPEG2000": ("PIL.Jpeg2KImagePlugin", ("jp2", "j2k", "jpf", "jpx", "j2c", "jpc")),
}

# fmt: off
WRITABLE: Final[dict[str, str]] = {  # extension: Pillow's name of the format
    "png": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "webp": "WEBP", "bmp": "BMP", "tif": "TIFF", "tiff": "TIFF", "avif": "AVIF",
}
# fmt: on

PICTURE_EXTENSIONS: Final = frozenset(ext for _, extensions in READABLE.values() for ext in extensions)
"""Extensions of the files that can be read, lower case, without the dot."""

FOREIGN_EXTENSIONS: Final = frozenset({"heic", "heif", "hif", "jxl"})
"""Photos that gfpup alone does not decode: HEIC needs the package pillow-heif. They are refused by name, never skipped."""

HEIC_BRANDS: Final = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
"""What stands behind `ftyp` in a HEIC file. Source: ISO 23008-12, annex B."""

_SAME_FORMAT: Final = {"jpe": "jpg", "jfif": "jpg", "mpo": "jpg"}

_SIDE_PX: Final[dict[str, int]] = {
    "WEBP": 16_383,  # 14 bits a side. Source: RFC 9649, section 2.6
    "JPEG": 65_500,  # JPEG_MAX_DIMENSION of libjpeg; the format itself ends at 65,535
    "AVIF": 32_768,  # AVIF_DEFAULT_IMAGE_DIMENSION_LIMIT of libavif: larger ones are written, and then nothing reads them
    "PNG": 1_000_000,  # PNG_USER_WIDTH_MAX of libpng
}
_AVIF_PX: Final = 16_384 * 16_384  # AVIF_DEFAULT_IMAGE_SIZE_LIMIT of libavif


def output_extension(source: Metadata | PurePath, ext: str) -> str:
    """Choose the extension, without the dot, of a result: `ext`, or for `auto` that of the input's own format.

    `source` is the metadata of a photo already read, or its path, whose extension then stands for its format. An input that
    cannot be written as it was (GIF, JPEG 2000, an unknown extension) becomes a PNG, which loses nothing.

    Raises: GfpupError (`ext` is not a format that can be written).
    """
    wanted = ext.lower().removeprefix(".")
    if wanted in WRITABLE:
        return wanted
    if wanted != "auto":
        raise GfpupError(f"cannot write pictures as {ext!r}: choose one of auto, {', '.join(WRITABLE)}")
    if isinstance(source, Metadata):
        return next((name for name, form in WRITABLE.items() if form == source.format), "png")
    own = source.suffix.lower().removeprefix(".")
    own = _SAME_FORMAT.get(own, own)
    return own if own in WRITABLE else "png"


def check_size(ext: str, size_hw: tuple[int, int], *, bytes_per_pixel: int = 3) -> str | None:
    """Say why a picture of `size_hw` pixels cannot be written with extension `ext`, or None if it can.

    `bytes_per_pixel` is the channels times the bytes of each: 3 for 8-bit RGB, 8 for 16-bit RGB with alpha.
    """
    height, width = size_hw
    form = WRITABLE[ext.lower().removeprefix(".")]
    if form in _SIDE_PX and max(height, width) > _SIDE_PX[form]:
        return f"{form} ends at {_SIDE_PX[form]} px a side and the picture is {width} x {height} px"
    if form == "AVIF" and height * width > _AVIF_PX:
        return f"{form} ends at {_AVIF_PX} pixels and the picture is {width} x {height} px"
    if form in ("BMP", "TIFF") and height * (width * bytes_per_pixel + 4) >= 2**32 - 2**20:  # 32-bit file sizes and offsets
        return f"{form} ends at 4 GiB and the picture of {width} x {height} px may need more"
    return None


def format_of(path: Path) -> str:
    """Name the format that a file name's extension asks for when it is written.

    Raises: GfpupError (it is not one that can be written).
    """
    ext = path.suffix.lower().removeprefix(".")
    if ext not in WRITABLE:
        raise GfpupError(f"{path} cannot be written: its extension must be one of {', '.join(WRITABLE)}")
    return WRITABLE[ext]


def foreign_kind(head: bytes) -> str:
    """Say what a file that is not a readable picture seems to be, from its first 64 bytes."""
    if head[4:8] == b"ftyp" and head[8:12] in HEIC_BRANDS:
        return "it is HEIC, which needs the package pillow-heif: pip install 'gfpup[heic]', or convert it to JPEG or PNG first"
    if head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return "it is JPEG XL, which gfpup does not decode: convert it to PNG first"
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "it is a raw photo or a TIFF of an unusual kind: convert it to an 8-bit or 16-bit RGB TIFF first"
    if re.match(rb"\s*(<\?xml|<!doctype|<html|<svg)", head, re.IGNORECASE):
        return "it is a page of text, not a picture, as a failed download leaves it"
    return f"it is not a picture in any of the formats {', '.join(READABLE)}"
