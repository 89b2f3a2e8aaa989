"""Which extension a result gets, and which sizes a format takes."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from gfpup.core.errors import GfpupError
from gfpup.core.types import Metadata
from gfpup.photos import WRITABLE, check_size, output_extension


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.JPG", "jpg"),
        ("a.jpeg", "jpeg"),
        ("a.jfif", "jpg"),
        ("a.TIF", "tif"),
        ("a.gif", "png"),
        ("a.jp2", "png"),
        ("a", "png"),
        ("a.heic", "png"),
    ],
)
def test_auto_keeps_what_can_be_written(name: str, expected: str) -> None:
    assert output_extension(PurePosixPath(name), "auto") == expected


@pytest.mark.parametrize(
    ("form", "expected"), [("JPEG", "jpg"), ("PNG", "png"), ("TIFF", "tif"), ("GIF", "png"), ("AVIF", "avif")]
)
def test_auto_by_metadata(form: str, expected: str) -> None:
    assert output_extension(Metadata(form), "auto") == expected


def test_an_extension_asked_for_wins() -> None:
    assert output_extension(PurePosixPath("a.jpg"), "WebP") == "webp"
    assert output_extension(Metadata("PNG"), ".tiff") == "tiff"
    with pytest.raises(GfpupError, match=r"'gif'.*auto, png"):
        output_extension(PurePosixPath("a.jpg"), "gif")


def test_limits() -> None:
    assert all(check_size(ext, (4000, 6000)) is None for ext in WRITABLE)
    assert check_size("webp", (10, 16_383)) is None
    assert "16383" in (check_size("webp", (16_384, 10)) or "")
    assert "65500" in (check_size("jpg", (10, 65_501)) or "")
    assert "AVIF" in (check_size("avif", (20_000, 20_000)) or "")
    assert check_size("tiff", (30_000, 30_000)) is None
    assert "4 GiB" in (check_size("tiff", (30_000, 30_000), bytes_per_pixel=8) or "")
    assert "4 GiB" in (check_size("bmp", (40_000, 40_000)) or "")
    assert check_size("png", (40_000, 40_000), bytes_per_pixel=8) is None
