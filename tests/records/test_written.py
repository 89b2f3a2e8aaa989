"""A score says which file its pixels were taken from, and a lossy file is measured as it is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pictures import portrait

from gfpup.core.types import Metadata, Photo, RestoredPhoto
from gfpup.photos import WriteOptions, read_photo
from gfpup.records.written import encoded, file_kind


@pytest.fixture
def restored() -> RestoredPhoto:
    pixels = portrait()
    return RestoredPhoto(Photo(Path("a.png"), pixels, Metadata("PNG")), pixels, None, (), {})


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.TIFF", "a.bmp"])
def test_a_format_without_loss_is_not_encoded_twice(name: str, restored: RestoredPhoto) -> None:
    assert encoded(name, restored, WriteOptions()) is None


def test_a_jpeg_is_measured_as_its_file_holds_it(tmp_path: Path, restored: RestoredPhoto) -> None:
    made = encoded("sub/a.jpg", restored, WriteOptions())
    assert made is not None and made.taken_from.startswith("JPEG ")
    path = tmp_path / "a.JPG"
    path.write_bytes(made.data)
    np.testing.assert_array_equal(read_photo(path).rgb8, made.pixels)
    assert not np.array_equal(made.pixels, restored.pixels) and file_kind(path) == made.taken_from


def test_only_a_jpeg_has_a_quality(tmp_path: Path, restored: RestoredPhoto) -> None:
    made = encoded("a.webp", restored, WriteOptions())
    assert made is not None and made.taken_from == "WEBP"
    assert file_kind(tmp_path / "a.png") == "PNG" and file_kind(tmp_path / "a.tif") == "TIFF"
    assert file_kind(tmp_path / "a.xyz") == "XYZ"
