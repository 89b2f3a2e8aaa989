"""Reading a photo: upright RGB pixels of 8 or 16 bits, alpha, and what the file said about itself."""

from __future__ import annotations

import math
import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Final

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageFile

from gfpup.core.errors import PhotoError
from gfpup.core.types import Metadata, Photo, Pixels
from gfpup.photos import exif
from gfpup.photos.annotations import read_annotations
from gfpup.photos.formats import MAX_PIXELS
from gfpup.photos.modes import fitting_profile, to_rgb8
from gfpup.photos.opening import (
    DECODING_ERRORS,
    MAX_WHOLE_BYTES,
    bits_of,
    check_whole,
    format_name,
    header_orientation,
    open_picture,
    open_regular,
    unreadable,
)
from gfpup.photos.png import check_complete, check_length
from gfpup.photos.stderr import collected_stderr, collected_warnings, told

UInt16 = npt.NDArray[np.uint16]

_TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_PLANES, _TIFF_EXTRA, _TIFF_SAMPLE = 258, 262, 284, 338, 339
_ASSOCIATED_ALPHA, _SEPARATE_ALPHA = 1, 2
_DEEP_PIXEL_BYTES: Final = 16  # twice what 16-bit RGBA takes without compression
_HEADER_BYTES: Final = 2**20  # within so many bytes a file states its depth

# The tags of a TIFF that describe the photo and not how its pixels are stored. Source: TIFF 6.0, section 8; Exif 3.0, 4.6.4.
_DESCRIBING: Final = (*range(0x010D, 0x0111), 0x0131, 0x0132, 0x013B, 0x013C, 0x8298, *range(0x9C9B, 0x9CA0))


def read_photo(path: Path, *, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read a photo of any readable format, known by its content and not by its name.

    Pixels are (h, w, 3) RGB, upright; uint16 where a PNG or TIFF has more than 8 bits a channel, else uint8. Grey, palette and
    1-bit pictures become RGB with the same look; CMYK and Lab are converted to sRGB. Of several frames or pages the first is
    read. Whatever could not be kept is named in `warnings`.

    Raises:
        PhotoError: not a photo, damaged, cut off, over `max_pixels`, or of a kind that has no agreed look; the reason is named.
    """
    with unreadable(path):
        file = open_regular(path)
    with file, collected_warnings() as said, open_picture(file, path, max_pixels) as image:
        try:
            photo = _photo(image, file, path, said)
            return replace(photo, warnings=photo.warnings + told(said))
        except DECODING_ERRORS as error:
            reason = f"({' '.join(str(error).split()) or type(error).__name__})"
            raise PhotoError(f"{path} cannot be read: its {format_name(image)} data is damaged or cut off {reason}") from error
        except MemoryError as error:
            width, height = image.size
            raise PhotoError(f"{path} cannot be read: {width} x {height} px need more memory than there is") from error


def _photo(image: ImageFile.ImageFile, file: IO[bytes], path: Path, said: list[str]) -> Photo:
    warnings = []
    if getattr(image, "is_animated", False):
        warnings.append(f"the {format_name(image)} file holds more than one picture: only the first is used")
    pixels: Pixels
    alpha: Pixels | None
    if image.mode in ("I", "F"):
        kind = "floating-point" if image.mode == "F" else "32-bit or signed"
        raise PhotoError(f"{path} cannot be read: its {kind} values have no agreed white: save it with 8 or 16 bits a channel")
    deep, tiff = bits_of(image) == 16, image.format == "TIFF"
    block = _tiff_exif(image) if tiff else None
    # The decoders of the other formats print nothing, so that no thread has to wait for another.
    silent: AbstractContextManager[list[str]] = collected_stderr() if deep or tiff else nullcontext([])
    with silent as printed:
        if image.format == "PNG":
            check_length(file, path)
        image.load()  # also for what OpenCV decodes: Pillow refuses cut-off files and checks PNG's checksums
        if image.format == "PNG":
            check_complete(image, file, path)
        deep_pixels = _deep_pixels(image, file, path) if deep else None
    said += printed
    block = block if tiff else _exif(image)
    icc = image.info.get("icc_profile") or None
    if deep_pixels is not None:
        pixels, alpha = deep_pixels
        icc, dropped = fitting_profile(icc)
    else:
        pixels, alpha, icc, dropped = to_rgb8(image, icc)
    warnings += dropped
    if not deep and (bits := _announced_bits(image, file)) > 8:
        warnings.append(f"its {bits}-bit colours were reduced to 8 bits")
    turn = header_orientation(image)
    if block is not None:
        try:
            block = exif.upright(exif.block_of(block))
        except ValueError as error:
            warnings.append(f"its EXIF data was dropped: {error}")
            block = None
    modified_ns = os.fstat(file.fileno()).st_mtime_ns
    found = read_annotations(image)
    metadata = Metadata(format_name(image), icc, block, _dpi(image, turn), **found, modified_ns=modified_ns)
    alpha = None if alpha is None else _turned(alpha, turn)
    return Photo(path=path, pixels=_turned(pixels, turn), metadata=metadata, alpha=alpha, warnings=tuple(warnings))


def _deep_pixels(image: ImageFile.ImageFile, file: IO[bytes], path: Path) -> tuple[UInt16, UInt16 | None]:
    """Decode more than 8 bits a channel: (h, w, 3) uint16 RGB and (h, w) uint16 alpha or None, not yet turned (PNG)."""
    tags = image.tag_v2 if image.format == "TIFF" else {}  # type: ignore[attr-defined]
    if image.format == "JPEG2000":
        return _three_channels(np.array(image, dtype=np.uint16)), None
    bits = set(tags.get(_TIFF_BITS, (16,)))
    if bits == {12} and image.mode == "I;16":
        twelve = np.array(image, dtype=np.uint16)
        return _three_channels(twelve << 4 | twelve >> 8), None
    if bits != {16} or set(tags.get(_TIFF_SAMPLE, (1,))) != {1} or (tags.get(_TIFF_PLANES, 1) != 1 and image.mode[0] != "I"):
        # OpenCV and Pillow both read separate planes of 16 bits as noise, without an error.
        raise PhotoError(f"{path} cannot be read: it is a deep TIFF of an unusual layout: save it as interleaved 16-bit RGB")
    width, height = image.size
    check_whole(file, path, max(MAX_WHOLE_BYTES, _DEEP_PIXEL_BYTES * width * height))
    file.seek(0)
    raw = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    if raw is None or raw.dtype != np.uint16 or raw.shape[:2] != (height, width):
        raise PhotoError(f"{path} cannot be read: its 16-bit {image.format} data is of a kind that OpenCV does not decode")
    if raw.ndim == 2:
        grey = 65535 - raw if tags.get(_TIFF_PHOTOMETRIC) == 0 else raw
        key = image.info.get("transparency")
        return _three_channels(grey), np.where(grey == key, 0, 65535).astype(np.uint16) if isinstance(key, int) else None
    pixels = np.ascontiguousarray(raw[..., 2::-1]).astype(np.uint16, copy=False)
    extra = tags.get(_TIFF_EXTRA, (_SEPARATE_ALPHA,))
    if raw.shape[2] == 3 or extra[0] not in (_ASSOCIATED_ALPHA, _SEPARATE_ALPHA):
        return pixels, None
    alpha = np.ascontiguousarray(raw[..., 3]).astype(np.uint16, copy=False)
    if extra[0] == _ASSOCIATED_ALPHA:
        whole = np.maximum(alpha, 1).astype(np.uint64)[..., None]
        pixels = np.minimum((pixels.astype(np.uint64) * 65535 + whole // 2) // whole, 65535).astype(np.uint16)
    return pixels, alpha


def _three_channels(grey: npt.NDArray[Any]) -> UInt16:
    return np.repeat(grey.astype(np.uint16, copy=False)[..., None], 3, axis=2)


def _turned(array: Pixels, orientation: int) -> Pixels:
    """Apply an EXIF orientation to (h, w, ...): it says where row 0 and column 0 lie in the upright photo. Source: Exif 3.0."""
    turned: npt.NDArray[Any] = array
    if orientation >= 5:
        turned = turned.swapaxes(0, 1)  # 5: row 0 is the left side, column 0 the top
    if orientation in (3, 4, 7, 8):
        turned = turned[::-1]
    if orientation in (2, 3, 6, 7):
        turned = turned[:, ::-1]
    return np.ascontiguousarray(turned)


def _exif(image: ImageFile.ImageFile) -> bytes | None:
    block = image.info.get("exif")
    if isinstance(block, bytes) and block:
        return block
    text = image.info.get("Raw profile type exif")  # ImageMagick's older way: name, length and hexadecimal digits, by lines
    if isinstance(text, str):
        try:
            return bytes.fromhex("".join(text.split("\n")[3:]))
        except ValueError:
            return b"not hexadecimal"
    return None


def _tiff_exif(image: ImageFile.ImageFile) -> bytes | None:
    """Collect what a TIFF says about the photo into an EXIF block of its own."""
    block = Image.Exif()
    try:
        found = image.getexif()
        for tag in _DESCRIBING:
            if tag in found:
                block[tag] = found[tag]
        for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            if values := found.get_ifd(directory):
                block[directory] = dict(values)
        return block.tobytes() if len(block) else None
    except DECODING_ERRORS:
        return b"damaged"  # becomes a warning, like any other broken block


def _dpi(image: ImageFile.ImageFile, turn: int) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    if not all(math.isfinite(value) and 1 < value < 65536 for value in (across, down)):
        return None  # 1 is what Pillow makes of a TIFF that states none
    return (down, across) if turn >= 5 else (across, down)


def _announced_bits(image: ImageFile.ImageFile, file: IO[bytes]) -> int:
    """Bits a channel that the file has, where Pillow decodes to 8 whatever they are."""
    if image.format == "TIFF":
        return int(max(image.tag_v2.get(_TIFF_BITS, (1,))))  # type: ignore[attr-defined]
    if image.format not in ("AVIF", "JPEG2000"):
        return 8
    file.seek(0)
    data = file.read(_HEADER_BYTES)
    if image.format == "AVIF" and (at := data.find(b"av1C")) >= 0:
        flags = data[at + 6]  # Source: AV1 in ISO BMFF, 2.3.3: high_bitdepth and twelve_bit
        return 12 if flags & 0x60 == 0x60 else 10 if flags & 0x40 else 8
    if image.format == "JPEG2000" and (at := data.find(b"\xff\x4f\xff\x51")) >= 0:
        return (data[at + 42] & 0x7F) + 1  # Ssiz of the first component. Source: ISO 15444-1, A.5.1
    return 8
