"""Writing a result: encode in memory, then put it in place in one step, so that no half-written file has a final name."""

from __future__ import annotations

import io
import os
import struct
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from PIL import Image

from gfpup.core.errors import PhotoError
from gfpup.core.files import write_atomic
from gfpup.core.types import Mark, Metadata, Pixels, UInt8
from gfpup.photos import exif
from gfpup.photos.annotations import fitting_annotations, marked, png_texts, with_iptc
from gfpup.photos.formats import check_size, format_of
from gfpup.photos.modes import rounded_to_8
from gfpup.photos.opening import DECODING_ERRORS
from gfpup.photos.stderr import collected_warnings, told
from gfpup.photos.tiff import encode_tiff

_DEEP: Final = frozenset({"PNG", "TIFF"})
_ALPHA: Final = frozenset({"PNG", "TIFF", "WEBP", "AVIF"})
_BARE: Final = frozenset({"BMP"})  # carries neither profile nor EXIF
_JPEG_EXIF_BYTES: Final = 65_533 - 6  # one marker segment, less the `Exif\0\0` before the block


@dataclass(frozen=True)
class WriteOptions:
    """How results are encoded: qualities 1 to 100, PNG's compression 0 (large, fast) to 9.

    JPEG and AVIF keep colour at full resolution at any quality. PNG at 3 takes a third of the time of 6 and is 7 % larger.
    Without `keep_metadata` the profile, EXIF and resolution are left out, and the pixels stay as they are.
    """

    jpeg_quality: int = 95
    webp_quality: int = 95
    avif_quality: int = 90
    png_compression: int = 3
    keep_metadata: bool = True


def write_photo(
    path: Path,
    pixels: Pixels,
    *,
    alpha: Pixels | None,
    metadata: Metadata,
    options: WriteOptions | None = None,
    mark: Mark | None = None,
) -> tuple[str, ...]:
    """Write a picture in the format of the path's extension, all at once; return what the format could not keep.

    `pixels` (h, w, 3) uint8 or uint16 RGB, `alpha` (h, w) of the same dtype or None. Missing folders are made. The same pixels,
    metadata, options and mark give the same bytes. The `mark` is written also where no metadata is kept.

    Raises:
        PhotoError: this picture cannot be written: it is too large for the format, or its name is too long.
        OutputError: the disk is full, or the folder is gone or read-only.
    """
    form = format_of(path)
    data, warnings = encode(form, pixels, alpha=alpha, metadata=metadata, options=options, mark=mark, name=str(path))
    write_atomic(path, data)
    if metadata.modified_ns is not None and (options is None or options.keep_metadata):
        with suppress(OSError):  # some file systems take no dates; the photo is there all the same
            os.utime(path, ns=(time.time_ns(), metadata.modified_ns))
    return warnings


def encode(
    form: str,
    pixels: Pixels,
    *,
    alpha: Pixels | None,
    metadata: Metadata,
    options: WriteOptions | None = None,
    mark: Mark | None = None,
    name: str = "the picture",
) -> tuple[bytes, tuple[str, ...]]:
    """Encode a picture as `form` (Pillow's name of a format) and return its bytes, and what the format could not keep.

    Raises: PhotoError: the picture is too large for the format; the message starts with `name`.
    """
    options = options or WriteOptions()
    channels = 3 if alpha is None else 4
    reason = check_size(form, pixels.shape[:2], bytes_per_pixel=channels * pixels.itemsize)  # type: ignore[arg-type]
    if reason is not None:
        raise PhotoError(f"{name} cannot be written: {reason}, so choose another --ext")
    warnings = []
    if pixels.dtype == np.uint16 and form not in _DEEP:
        warnings.append(f"16 bits were reduced to 8: {form} holds no more (--ext png keeps them)")
        pixels, alpha = rounded_to_8(pixels), None if alpha is None else rounded_to_8(alpha)
    if alpha is not None and form not in _ALPHA:
        if (alpha != np.iinfo(alpha.dtype).max).any():
            warnings.append(f"transparency was dropped: {form} has none (--ext png keeps it)")
        alpha = None
    kept, said = _kept(form, metadata if options.keep_metadata else Metadata(metadata.format), pixels.shape[:2])  # type: ignore[arg-type]
    kept, about_mark = marked(form, kept, mark)
    whole: Pixels = pixels if alpha is None else np.dstack((pixels, alpha))  # type: ignore[assignment]
    try:
        with collected_warnings() as heard:
            data = _encoded(form, whole, kept, options)
    except (*DECODING_ERRORS, cv2.error) as error:
        raise PhotoError(f"{name} cannot be written: encoding it as {form} failed ({' '.join(str(error).split())})") from error
    return data, (*warnings, *said, *about_mark, *told(heard))


def _kept(form: str, metadata: Metadata, size_hw: tuple[int, int]) -> tuple[Metadata, list[str]]:
    """What of the metadata the format can carry, with the size in EXIF corrected, and words for what it cannot."""
    metadata, said = fitting_annotations(form, metadata)
    block = metadata.exif
    if block is not None:
        try:
            block = exif.with_size(exif.block_of(block), size_hw)
            if form == "JPEG" and len(block) > _JPEG_EXIF_BYTES:
                raise ValueError(f"JPEG holds {_JPEG_EXIF_BYTES} bytes of it and there are {len(block)}")
            if form == "AVIF":
                # Pillow parses EXIF for this format alone, and writes it anew, makers' notes broken, if it has an orientation.
                block = exif.without_orientation(block)
                with collected_warnings():  # the same warnings come again when it is written
                    Image.Exif().load(block)
        except DECODING_ERRORS as error:
            said.append(f"its EXIF data was dropped: {error}")
            block = None
    if form in _BARE and (block is not None or metadata.icc_profile is not None):
        lost = " and ".join(w for w, v in (("colour profile", metadata.icc_profile), ("EXIF data", block)) if v is not None)
        said.append(f"its {lost} was dropped: {form} carries none")
        return replace(metadata, icc_profile=None, exif=None), said
    return replace(metadata, exif=block), said


def _encoded(form: str, whole: Pixels, kept: Metadata, options: WriteOptions) -> bytes:
    if form == "TIFF":
        return encode_tiff(whole, icc=kept.icc_profile, exif=kept.exif, dpi=kept.dpi, xmp=kept.xmp, iptc=kept.iptc)
    if form == "PNG":
        return _png(whole, kept, options.png_compression)
    return _by_pillow(form, rounded_to_8(whole), kept, options)


def _by_pillow(form: str, whole: UInt8, kept: Metadata, options: WriteOptions) -> bytes:
    by_format: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": options.jpeg_quality, "subsampling": 0},
        "WEBP": {"quality": options.webp_quality, "method": 4, "exact": True},  # exact: colours under full transparency stay
        # One thread: the encoder's bytes depend on their number, and would differ from machine to machine.
        "AVIF": {"quality": options.avif_quality, "subsampling": "4:4:4", "speed": 6, "max_threads": 1},
    }
    carried = {"icc_profile": kept.icc_profile, "exif": kept.exif, "xmp": kept.xmp, "comment": kept.comment}
    settings = by_format.get(form, {}) | {name: value for name, value in carried.items() if value is not None}
    if kept.exif is not None and form == "JPEG":
        settings["exif"] = b"Exif\0\0" + kept.exif
    if kept.dpi is not None and form in ("JPEG", "BMP"):
        settings["dpi"] = kept.dpi
    file = io.BytesIO()
    Image.fromarray(whole).save(file, form, **settings)
    return file.getvalue() if kept.iptc is None else with_iptc(file.getvalue(), kept.iptc)


def _png(whole: Pixels, kept: Metadata, compression: int) -> bytes:
    """Encode by OpenCV, which keeps 16 bits, and put the metadata behind the header. Source: PNG, third edition, 11.3."""
    order = [2, 1, 0, 3][: whole.shape[2]]
    done, coded = cv2.imencode(".png", np.ascontiguousarray(whole[..., order]), [cv2.IMWRITE_PNG_COMPRESSION, compression])
    if not done:
        raise ValueError("OpenCV refused it")
    chunks = []
    if kept.icc_profile is not None:
        chunks.append(b"iCCP" + b"ICC profile\0\0" + zlib.compress(kept.icc_profile, 9))
    if kept.dpi is not None:
        across, down = (round(value / 0.0254) for value in kept.dpi)  # dots a metre
        chunks.append(b"pHYs" + struct.pack(">IIB", across, down, 1))
    if kept.exif is not None:
        chunks.append(b"eXIf" + kept.exif)
    chunks += [b"iTXt" + text for text in png_texts(kept)]
    framed = [struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks]
    data, header = coded.tobytes(), 8 + 25  # signature and IHDR
    return data[:header] + b"".join(framed) + data[header:]
