"""The pictures of faces lie where the layout says, numbered as the layout counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gfpup.core.errors import GfpupError
from gfpup.core.types import AlignedCrop, Face, FaceResult, Metadata, Photo, RestoredPhoto
from gfpup.records.layout import as_gfpgan, flat, refuse_shared_bases


def face(score: float, *, crop: int | None, output: int | None) -> FaceResult:
    found = Face((0, 0, 9, 9), score, np.zeros((5, 2)))
    aligned = None if crop is None else AlignedCrop(found, np.full((4, 4, 3), crop, np.uint8), np.eye(2, 3))
    return FaceResult(
        found,
        restored=output is not None,
        crop=aligned,
        output=None if output is None else np.full((4, 4, 3), output, np.uint8),
    )


@pytest.fixture
def restored() -> RestoredPhoto:
    """Four faces: one whole, one cut out only, one left out before the cut, and one with a restored picture only."""
    faces = (
        face(0.7, crop=1, output=2),
        face(0.9, crop=3, output=None),
        face(0.99, crop=None, output=None),
        face(0.8, crop=None, output=4),
    )
    pixels = np.zeros((9, 9, 3), np.uint8)
    return RestoredPhoto(Photo(Path("a.png"), pixels, Metadata("PNG")), pixels, None, faces, {})


def test_flat_has_each_picture_under_its_face_number(restored: RestoredPhoto) -> None:
    assert {name: int(pixels[0, 0, 0]) for name, pixels in flat("sub/a.png", restored)} == {
        "faces/sub/a.png/00_aligned.png": 1,
        "faces/sub/a.png/00_restored.png": 2,
        "faces/sub/a.png/01_aligned.png": 3,
        "faces/sub/a.png/03_restored.png": 4,
    }


def test_the_official_layout_numbers_cut_faces_by_score(restored: RestoredPhoto) -> None:
    expected = {
        "cropped_faces/a_00.png": 3,
        "restored_faces/a_01_x.png": 4,
        "cropped_faces/a_02.png": 1,
        "restored_faces/a_02_x.png": 2,
    }
    name = "restored_imgs/a_x.png"
    assert {n: int(p[0, 0, 0]) for n, p in as_gfpgan(suffix="_x", compare=False)(name, restored)} == expected
    compared = dict(as_gfpgan(suffix="_x", compare=True)(name, restored))
    assert {n: int(p[0, 0, 0]) for n, p in compared.items()} == expected | {"cmp/a_02.png": 1}
    assert compared["cmp/a_02.png"].shape == (4, 8, 3) and (compared["cmp/a_02.png"][:, 4:] == 2).all()


def test_photos_whose_faces_would_share_names_are_refused() -> None:
    refuse_shared_bases(["restored_imgs/a_x.png", "restored_imgs/b_x.png"], suffix="_x")
    with pytest.raises(GfpupError, match=r"restored_imgs/a_x\.png and restored_imgs/a_x\.jpg would get the same names"):
        refuse_shared_bases(["restored_imgs/a_x.png", "restored_imgs/b.png", "restored_imgs/a_x.jpg"], suffix="_x")
