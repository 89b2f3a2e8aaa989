"""Which faces are restored, and the reason for every other."""

from __future__ import annotations

import numpy as np

from gfpup.core.types import Face
from gfpup.restoration.select import FaceChoice, select_faces


def face(x: float, y: float, side: float, score: float = 0.99) -> Face:
    eyes = np.array([[x + side / 4, y + side / 3], [x + 3 * side / 4, y + side / 3]])
    return Face((x, y, x + side, y + side), score, np.concatenate([eyes, eyes[:1], eyes]))


FACES = [face(0, 0, 100), face(200, 200, 60), face(300, 10, 30, 0.98)]
SIZE = (460, 460)


def kept(choice: FaceChoice) -> list[int]:
    return [i for i, reason in enumerate(select_faces(FACES, SIZE, choice)) if reason is None]


def test_rules() -> None:
    assert kept(FaceChoice()) == [0, 1, 2]
    assert kept(FaceChoice("largest")) == [0]
    assert kept(FaceChoice("center")) == [1]
    assert kept(FaceChoice(2)) == [0, 1]
    assert kept(FaceChoice(9)) == [0, 1, 2]


def test_limits_come_before_the_rule() -> None:
    assert kept(FaceChoice(min_px=50)) == [0, 1]
    assert kept(FaceChoice(min_score=0.985)) == [0, 1]
    assert kept(FaceChoice("largest", leave_alone=((0, 0, 150, 150),))) == [1]


def test_eyes_five_pixels_apart_are_the_usual_limit_and_it_can_be_lowered() -> None:
    """The limit of the official code; a face under it is named, not left out."""
    small = face(0, 0, 9)
    assert select_faces([small], SIZE, FaceChoice()) == ["its eyes are 4 px apart, under the minimum of 5"]
    assert select_faces([small], SIZE, FaceChoice(min_eye_distance_px=0)) == [None]


def test_every_refusal_says_why() -> None:
    reasons = select_faces(FACES, SIZE, FaceChoice("largest", min_px=50))
    assert reasons == [None, "not the largest one", "its box is 30 px, under the minimum of 50"]
    assert select_faces([], SIZE, FaceChoice("center")) == []
