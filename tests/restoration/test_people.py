"""Persons are gathered from photos that show one face, and recognised in the photos of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pictures import save

from gfpup.core.errors import GfpupError
from gfpup.core.types import Face, Float64, UInt8
from gfpup.evaluation.scorer import Pictures, Scorer
from gfpup.models.recognition import People
from gfpup.ops import geometry
from gfpup.restoration.align import align_face
from gfpup.restoration.people import RecognisingDetector, gather
from gfpup.restoration.turn import turned_face

COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}


class OnBright:
    """A detector that sees a face in each quarter of 128 px whose upper left pixel is not black."""

    def detect(self, rgb: UInt8) -> list[Face]:
        landmarks = geometry.TEMPLATE_512_XY / 4
        corners = [(x, y) for y in range(0, rgb.shape[0], 128) for x in range(0, rgb.shape[1], 128) if rgb[y, x].any()]
        return [Face((x, y, x + 127.0, y + 127.0), 0.99, landmarks + np.array([x, y])) for x, y in corners]


def by_colour(face: UInt8) -> Float64:
    return face.reshape(-1, 3).mean(axis=0).astype(np.float64)


def photo(path: Path, *colours: str) -> Path:
    """A photo of 128 px a face, side by side; black is none."""
    save(path, np.concatenate([np.full((128, 128, 3), COLOURS.get(colour, (0, 0, 0)), np.uint8) for colour in colours], axis=1))
    return path


def test_only_photos_with_exactly_one_face_count(tmp_path: Path) -> None:
    good, both, none = (
        photo(tmp_path / "a.png", "red"),
        photo(tmp_path / "b.png", "red", "blue"),
        photo(tmp_path / "c.png", "none"),
    )
    torn = tmp_path / "torn.png"
    torn.write_bytes(good.read_bytes()[:40])
    folk = gather(
        {"ann": [both, good, none, torn], "ben": [photo(tmp_path / "d.png", "blue")]}, OnBright(), by_colour, false_match=0
    )
    assert {name: len(faces) for name, faces in folk.gallery.people.items()} == {"ann": 1, "ben": 1}
    assert dict(folk.left_out[:2]) == {both: "2 faces", none: "no face"}
    ((path, reason),) = folk.left_out[2:]
    assert path == torn and "torn.png" in reason


def test_a_person_whom_no_photo_shows_alone_is_refused_with_the_reasons(tmp_path: Path) -> None:
    photos = {"ann": [photo(tmp_path / "b.png", "red", "blue")], "ben": [photo(tmp_path / "d.png", "blue")]}
    with pytest.raises(GfpupError, match=r"no photo of ann in --people shows exactly one face \(.*b\.png: 2 faces\): add one"):
        gather(photos, OnBright(), by_colour, false_match=0)


@pytest.fixture
def folk(tmp_path: Path) -> People:
    photos = {"ann": [photo(tmp_path / "ann.png", "red")], "ben": [photo(tmp_path / "ben.png", "blue")]}
    return gather(photos, OnBright(), by_colour, false_match=0)


def test_every_face_of_a_photo_is_recognised(folk: People) -> None:
    rgb = np.concatenate([np.full((128, 128, 3), COLOURS[colour], np.uint8) for colour in ("blue", "red")], axis=1)
    faces = RecognisingDetector(OnBright(), folk).detect(rgb)
    shown = [face.recognition for face in faces]
    assert [who and who.person for who in shown] == ["ben", "ann"]
    assert [who and who.similarity for who in shown] == [pytest.approx(1, abs=1e-4)] * 2
    assert turned_face(faces[0], 90, (128, 256)).recognition == shown[0]


def test_a_face_that_cannot_be_cut_out_is_not_looked_at(folk: People) -> None:
    class Flat:
        def detect(self, rgb: UInt8) -> list[Face]:
            return [Face((0, 0, 9, 9), 0.99, np.zeros((5, 2)))]

    (face,) = RecognisingDetector(Flat(), folk).detect(np.zeros((64, 64, 3), np.uint8))
    assert face.recognition is None


def test_a_run_and_its_scores_look_at_the_same_pixels(folk: People) -> None:
    """A face is recognised in the crop that its degraded face is scored in, to the last bit, so that both say one person."""
    seen: list[UInt8] = []

    class Watching(People):
        def recognise(self, crop: UInt8):  # type: ignore[no-untyped-def]
            seen.append(crop)
            return super().recognise(crop)

    rgb = np.random.default_rng(5).integers(1, 256, (128, 128, 3), np.uint8)
    watching = Watching(folk.gallery, folk.embed, 0.0)
    (face,) = RecognisingDetector(OnBright(), watching).detect(rgb)
    affine = align_face(rgb, face).affine.round(6)
    scored: list[UInt8] = []

    class Keep:
        def score(self, restored: UInt8, reference: UInt8 | None):  # type: ignore[no-untyped-def]
            from gfpup.core.types import Score

            assert reference is not None
            scored.append(reference)
            return Score("identity_gallery", 1.0, True)

    Scorer({"identity_gallery": Keep()}, {}, ["identity_gallery"], device="cpu")(Pictures(rgb, rgb, affines={0: affine}))
    np.testing.assert_array_equal(seen[0], scored[0])
