"""What people and programs wrote into a photo's file beside EXIF: XMP, IPTC, a comment, PNG's texts.

Sources: XMP specification part 3; IPTC-IIM in Photoshop's image resource 0x0404; ITU T.81, B.2.4.5; PNG, third edition, 11.3.3.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from PIL import ImageFile

from gfpup.core.types import Mark, Metadata
from gfpup.photos.mark import with_mark

_IPTC_RESOURCE: Final = 0x0404
_TIFF_IPTC: Final = 33723
_PNG_XMP: Final = "XML:com.adobe.xmp"
_PHOTOSHOP: Final = b"Photoshop 3.0\0"
_SEGMENT_BYTES: Final = 65_533  # a JPEG segment's length has 16 bits and counts itself
_HOLDS: Final[Mapping[str, frozenset[str]]] = {
    "xmp": frozenset({"JPEG", "PNG", "WEBP", "TIFF", "AVIF"}),
    "iptc": frozenset({"JPEG", "TIFF"}),
    "comment": frozenset({"JPEG", "PNG"}),
    "texts": frozenset({"PNG"}),
}
_WORDS: Final = {"xmp": "XMP data", "iptc": "IPTC data", "comment": "comment", "texts": "PNG text"}
_JPEG_BYTES: Final = {"xmp": _SEGMENT_BYTES - 29, "iptc": _SEGMENT_BYTES - len(_PHOTOSHOP) - 12, "comment": _SEGMENT_BYTES}
"""How much of each fits into one segment, less what stands before it: XMP's name space, Photoshop's resource header."""


def read_annotations(image: ImageFile.ImageFile) -> dict[str, Any]:
    """The annotations of a decoded picture, as fields of `Metadata`; XMP says that the photo is upright."""
    info = image.info
    xmp = info.get("xmp") or info.get(_PNG_XMP)
    comment = info.get("comment") or None
    texts = {str(key): str(value) for key, value in getattr(image, "text", {}).items()}
    shown = [(key, value) for key, value in texts.items() if key != _PNG_XMP and not key.startswith("Raw profile type")]
    return {
        "xmp": None if not xmp else _upright(xmp.encode() if isinstance(xmp, str) else bytes(xmp)),
        "iptc": _iptc(image),
        "comment": comment.encode() if isinstance(comment, str) else comment,
        "texts": tuple(shown),
    }


def fitting_annotations(form: str, metadata: Metadata) -> tuple[Metadata, list[str]]:
    """The annotations that a format can hold, and words for those that it cannot."""
    lost = [name for name, forms in _HOLDS.items() if getattr(metadata, name) and form not in forms]
    said = [f"its {_WORDS[name]} was dropped: {form} holds none" for name in lost]
    if form == "JPEG":
        for name, most in _JPEG_BYTES.items():
            if (size := len(getattr(metadata, name) or b"")) > most:
                said.append(f"its {_WORDS[name]} was dropped: JPEG holds {most} bytes of it and there are {size}")
                lost.append(name)
    emptied: dict[str, Any] = {name: () if name == "texts" else None for name in lost}
    return replace(metadata, **emptied), said


def marked(form: str, metadata: Metadata, mark: Mark | None) -> tuple[Metadata, list[str]]:
    """The metadata with `mark` in its XMP, where the format holds any; else words for what is missing."""
    if mark is None:
        return metadata, []
    if form not in _HOLDS["xmp"]:
        return metadata, [f"it does not say that it was restored: {form} holds no XMP data (--ext png does)"]
    xmp, said = with_mark(metadata.xmp, mark, most_bytes=_JPEG_BYTES["xmp"] if form == "JPEG" else None)
    return replace(metadata, xmp=xmp), said


def with_iptc(jpeg: bytes, iptc: bytes) -> bytes:
    """Put IPTC data into a JPEG as Photoshop does, in an APP13 segment behind the APP segments that are there."""
    payload = _PHOTOSHOP + b"8BIM" + struct.pack(">HHI", _IPTC_RESOURCE, 0, len(iptc)) + iptc + b"\0" * (len(iptc) % 2)
    at = 2
    while jpeg[at] == 0xFF and 0xE0 <= jpeg[at + 1] <= 0xEF:
        at += 2 + int(struct.unpack_from(">H", jpeg, at + 2)[0])
    return jpeg[:at] + b"\xff\xed" + struct.pack(">H", len(payload) + 2) + payload + jpeg[at:]


def png_texts(metadata: Metadata) -> list[bytes]:
    """The contents of the iTXt chunks of a PNG: its texts, a comment, XMP."""
    texts = list(metadata.texts)
    if metadata.comment:
        texts.append(("Comment", metadata.comment.decode("utf-8", "replace")))
    chunks = [(key.encode("latin-1", "replace")[:79] or b"Comment", value.encode("utf-8", "replace")) for key, value in texts]
    if metadata.xmp:
        chunks.append((_PNG_XMP.encode(), metadata.xmp))
    return [key + b"\0\0\0\0\0" + value for key, value in chunks]


def _iptc(image: ImageFile.ImageFile) -> bytes | None:
    resources = image.info.get("photoshop")
    found = resources.get(_IPTC_RESOURCE) if isinstance(resources, dict) else None
    if found is None and image.format == "TIFF":
        found = image.tag_v2.get(_TIFF_IPTC)  # type: ignore[attr-defined]
    return bytes(found) if isinstance(found, bytes) and found else None


def _upright(xmp: bytes) -> bytes:
    # Readers such as Lightroom believe XMP before EXIF; the pixels have been turned already.
    xmp = re.sub(rb"(tiff:Orientation\s*=\s*[\"'])[2-8]([\"'])", rb"\g<1>1\g<2>", xmp)
    return re.sub(rb"(<tiff:Orientation>\s*)[2-8](\s*</tiff:Orientation>)", rb"\g<1>1\g<2>", xmp)
