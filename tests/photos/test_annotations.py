"""XMP, IPTC, comments, PNG texts and the file's date stay where the format can hold them, and are named where it cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gfpup.core.types import Metadata
from gfpup.photos import WriteOptions, read_photo, write_photo
from gfpup.photos.annotations import with_iptc

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/>'
    b"<tiff:Orientation>8</tiff:Orientation></x:xmpmeta>"
)
UPRIGHT = XMP.replace(b'"6"', b'"1"').replace(b">8<", b">1<")
IPTC = b"\x1c\x02\x78\x00\x05Hello"
DATE = 1_000_000_000_123_456_789
PIXELS = np.zeros((16, 24, 3), np.uint8)
HELD = {
    "jpg": {"xmp", "iptc", "comment"},
    "png": {"xmp", "texts", "comment"},
    "tif": {"xmp", "iptc"},
    "webp": {"xmp"},
    "avif": {"xmp"},
    "bmp": set(),
}


@pytest.mark.parametrize("ext", HELD)
def test_what_a_format_holds_stays_and_the_rest_is_named(tmp_path: Path, ext: str) -> None:
    metadata = Metadata("JPEG", xmp=XMP, iptc=IPTC, comment=b"by hand", texts=(("Title", "Caf\u00e9"),), modified_ns=DATE)
    warnings = write_photo(tmp_path / f"a.{ext}", PIXELS, alpha=None, metadata=metadata)
    read = read_photo(tmp_path / f"a.{ext}").metadata
    assert read.xmp == (UPRIGHT if "xmp" in HELD[ext] else None)
    assert read.iptc == (IPTC if "iptc" in HELD[ext] else None)
    if ext == "png":
        assert dict(read.texts) == {"Title": "Caf\u00e9", "Comment": "by hand"}
    else:
        assert read.comment == (b"by hand" if "comment" in HELD[ext] else None)
    words = {"xmp": "XMP", "iptc": "IPTC", "comment": "comment", "texts": "PNG text"}
    said = {name for name, word in words.items() if any(word in warning and "dropped" in warning for warning in warnings)}
    assert said == set(words) - HELD[ext]
    assert (tmp_path / f"a.{ext}").stat().st_mtime_ns // 1000 == DATE // 1000
    assert read.modified_ns is not None


def test_files_of_other_programs_are_read(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", xmp=XMP, comment="Gr\u00fc\u00dfe")
    (tmp_path / "a.jpg").write_bytes(with_iptc((tmp_path / "a.jpg").read_bytes(), IPTC))
    read = read_photo(tmp_path / "a.jpg").metadata
    assert (read.xmp, read.iptc) == (UPRIGHT, IPTC) and read.comment is not None
    info = PngInfo()
    info.add_text("Author", "Ann")
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    Image.fromarray(PIXELS).save(tmp_path / "a.png", pnginfo=info)
    read = read_photo(tmp_path / "a.png").metadata
    assert read.texts == (("Author", "Ann"),) and read.xmp == UPRIGHT


def test_nothing_is_kept_where_metadata_is_not_wanted(tmp_path: Path) -> None:
    metadata = Metadata("JPEG", xmp=XMP, iptc=IPTC, comment=b"c", texts=(("a", "b"),), modified_ns=DATE)
    bare = WriteOptions(keep_metadata=False)
    for ext in HELD:
        assert write_photo(tmp_path / f"a.{ext}", PIXELS, alpha=None, metadata=metadata, options=bare) == ()
        read = read_photo(tmp_path / f"a.{ext}").metadata
        assert (read.xmp, read.iptc, read.comment, read.texts) == (None, None, None, ())
        assert read.modified_ns != DATE


def test_what_is_too_long_for_a_jpeg_is_named(tmp_path: Path) -> None:
    for field in ("xmp", "iptc", "comment"):
        metadata = Metadata("JPEG", **{field: b"x" * 70_000})  # type: ignore[arg-type]
        (warning,) = write_photo(tmp_path / "a.jpg", PIXELS, alpha=None, metadata=metadata)
        assert "was dropped: JPEG holds 65" in warning
        assert read_photo(tmp_path / "a.jpg").size_hw == (16, 24)
