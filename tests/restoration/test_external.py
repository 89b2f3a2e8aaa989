"""Whole photos that another method delivers: faces are found in the input and cut out of both, and each stage has its time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gfpup.core.plan import FaceChoice
from gfpup.core.types import Face, Metadata, Photo, UInt8
from gfpup.ops import geometry
from gfpup.restoration.external import WholePhotoRestorer


class Doubled:
    """Delivers each photo at twice its size, brighter."""

    def photo(self, photo: Photo) -> Photo:
        pixels = np.repeat(np.repeat(photo.pixels, 2, axis=0), 2, axis=1) + np.uint8(100)
        return replace(photo, pixels=pixels.astype(np.uint8), alpha=np.full(pixels.shape[:2], 7, np.uint8))


class Finds:
    def __init__(self, *faces: Face) -> None:
        self.faces = list(faces)

    def detect(self, rgb: UInt8) -> list[Face]:
        return self.faces


def face_at(x: float, y: float) -> Face:
    return Face((x, y, x + 256, y + 256), 0.99, geometry.TEMPLATE_512_XY * 0.5 + np.array([x, y]))


@pytest.fixture
def photo() -> Photo:
    """Half dark, half light, so that a face cut from the wrong half is seen."""
    pixels = np.full((300, 600, 3), 20, np.uint8)
    pixels[:, 300:] = 120
    return Photo(Path("p.png"), pixels, Metadata("PNG"))


def test_faces_are_cut_from_the_result_where_they_were_found_in_the_input(photo: Photo) -> None:
    restorer = WholePhotoRestorer(Doubled(), Finds(face_at(10, 10), face_at(330, 10)), FaceChoice(1))
    (done,) = restorer([photo])
    assert done.pixels.shape == (600, 1200, 3) and done.alpha is not None and (done.alpha == 7).all()
    first, second = done.faces
    assert first.restored and not second.restored and second.output is None and second.reason == "not one of the 1 largest"
    assert first.crop is not None and first.output is not None
    assert first.crop.pixels[256, 256].tolist() == [20] * 3 and first.output[256, 256].tolist() == [120] * 3
    assert done.warnings == ()
    both = WholePhotoRestorer(Doubled(), Finds(face_at(10, 10), face_at(330, 10)), FaceChoice())([photo])[0].faces
    assert both[1].output is not None and both[1].output[256, 256].tolist() == [220] * 3


def test_a_photo_without_a_face_is_delivered_and_says_so(photo: Photo) -> None:
    (done,) = WholePhotoRestorer(Doubled(), Finds(), FaceChoice())([photo])
    assert done.faces == () and done.warnings == ("no face was found",) and done.pixels[0, 0, 0] == 120


def test_an_aligned_photo_is_one_face_whatever_size_its_result_has(photo: Photo) -> None:
    (done,) = WholePhotoRestorer(Doubled(), None, FaceChoice())([photo])
    (face,) = done.faces
    assert face.restored and face.output is not None and face.output.shape == (512, 512, 3)
    assert face.output[256, 10, 0] == 120 and face.output[256, 500, 0] == 220
    assert set(done.seconds) == {"read result", "align"}


@pytest.mark.parametrize("aligned", [False, True])
def test_each_stage_has_its_own_time(photo: Photo, aligned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([100.0, 101.0, 103.0, 107.0])
    monkeypatch.setattr("gfpup.restoration.external.time.perf_counter", lambda: next(ticks))
    (done,) = WholePhotoRestorer(Doubled(), None if aligned else Finds(), FaceChoice())([photo])
    assert done.seconds == (
        {"read result": 1.0, "align": 2.0} if aligned else {"read result": 1.0, "detect": 2.0, "align": 4.0}
    )
