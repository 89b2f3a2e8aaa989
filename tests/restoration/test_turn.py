"""Which way up a photo is, by the faces that a detector sees in it as it lies and turned by quarters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gfpup.core.types import Face, Metadata, Photo, UInt8
from gfpup.ops import geometry
from gfpup.restoration.turn import TurningDetector, evidence, turn_of, turned_face, turned_photo

SIZE_HW = (300, 500)


def face(roll: float = 0.0, *, score: float = 0.9, side: float = 100.0, at: tuple[float, float] = (200.0, 150.0)) -> Face:
    """A face whose head is turned clockwise by `roll` degrees."""
    c, s = np.cos(np.deg2rad(roll)), np.sin(np.deg2rad(roll))
    points = (geometry.TEMPLATE_512_XY - 256) * (side / 512) @ np.array([[c, s], [-s, c]]) + at
    half = side / 2
    return Face((at[0] - half, at[1] - half, at[0] + half, at[1] + half), score, points)


class Sees:
    """A detector that sees given faces in a photo turned by each quarter, told apart by a bright corner."""

    def __init__(self, **found: list[Face]) -> None:
        self.found = {int(turn.removeprefix("by_")): faces for turn, faces in found.items()}
        self.asked: list[int] = []

    def detect(self, rgb: UInt8) -> list[Face]:
        corners = {0: rgb[0, 0], 90: rgb[0, -1], 180: rgb[-1, -1], 270: rgb[-1, 0]}
        (turn,) = (turn for turn, pixel in corners.items() if pixel.max() == 255)
        self.asked.append(turn)
        return self.found.get(turn, [])


def looked(**found: list[Face]) -> tuple[list[int], list[Face]]:
    rgb = np.zeros((*SIZE_HW, 3), np.uint8)
    rgb[0, 0] = 255
    detector = Sees(**found)
    return detector.asked, TurningDetector(detector).detect(rgb)


@pytest.mark.parametrize(
    ("roll", "turn"), [(0, 0), (44, 0), (-44, 0), (46, 270), (90, 270), (-46, 90), (-90, 90), (180, 180), (136, 180)]
)
def test_a_photo_is_turned_by_the_quarter_nearest_to_its_face(roll: float, turn: int) -> None:
    assert turn_of([face(roll)]) == turn


def test_more_than_half_of_the_faces_decide_and_else_the_photo_stays() -> None:
    up, lying, down = face(0), face(90), face(180)
    assert turn_of([lying, lying, up]) == 270 and turn_of([lying, lying, up, down]) == 0 and turn_of([]) == 0
    assert turn_of([lying, lying, lying, up, down]) == 270 and turn_of([down, up]) == 0


def test_what_speaks_for_a_turn_are_the_scores_of_the_faces_that_it_sets_upright() -> None:
    faces = [face(0, score=0.5), face(90, score=0.8), face(80, score=0.1), face(180, score=0.7)]
    assert [evidence(faces, turn) for turn in (0, 90, 180, 270)] == pytest.approx([0.5, 0, 0.7, 0.9])


def test_an_upright_face_is_looked_at_once_and_no_face_from_all_four_sides() -> None:
    upright = face()
    assert looked(by_0=[upright], by_90=[face(score=0.99)]) == ([0], [upright])
    assert looked() == ([0, 90, 180, 270], [])


def test_faces_that_only_a_turn_shows_come_back_in_the_photos_own_pixels() -> None:
    for turn in (90, 180, 270):
        seen = face(at=(120.0, 200.0) if turn != 180 else (120.0, 100.0), side=60.0)
        asked, (found,) = looked(**{f"by_{turn}": [seen]})
        assert asked == [0, 90, 180, 270] and turn_of([found]) == turn
        again = turned_face(found, turn, SIZE_HW)
        np.testing.assert_allclose(again.landmarks_xy, seen.landmarks_xy)
        assert again.box_xyxy == pytest.approx(seen.box_xyxy)


def test_a_lying_face_is_looked_at_again_as_it_would_stand_and_from_the_other_side() -> None:
    lying = face(90, score=0.6)
    asked, found = looked(by_0=[lying], by_90=[face(180, score=0.99)])
    assert asked == [0, 270, 90] and found == [lying], "no turn sets one upright"
    asked, (better,) = looked(by_0=[lying], by_270=[face(score=0.5)], by_90=[face(score=0.4)])
    assert asked == [0, 270, 90] and better.score == 0.5 and turn_of([better]) == 270
    _, (other,) = looked(by_0=[lying], by_90=[face(score=0.95)])
    assert turn_of([other]) == 90, "upside down the network may take a chin for a forehead"


def test_faces_are_sorted_by_what_lies_in_the_photo() -> None:
    small, large = face(side=40, at=(50, 50)), face(side=90, at=(300, 150))
    assert looked(by_0=[small, large])[1] == [large, small]


def test_a_photo_is_turned_with_its_transparency() -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    photo = Photo(Path("p.png"), pixels, Metadata("PNG"), pixels[..., 0].copy())
    turned = turned_photo(photo, 90)
    np.testing.assert_array_equal(turned.pixels, np.rot90(pixels, -1))
    assert turned.alpha is not None
    np.testing.assert_array_equal(turned.alpha, turned.pixels[..., 0])
    opaque = turned_photo(Photo(Path("p.png"), pixels, Metadata("PNG")), 180)
    assert opaque.alpha is None
    np.testing.assert_array_equal(opaque.pixels, pixels[::-1, ::-1])
