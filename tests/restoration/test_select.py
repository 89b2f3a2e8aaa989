"""Which faces are restored, and the reason for every other."""

from __future__ import annotations

import numpy as np

from gfpup.core.types import Face
from gfpup.restoration.select import FaceChoice, select_faces


def face(x: float, y: float, side: float, score: float = 0.99) -> Face:
    return Face((x, y, x + side, y + side), score, np.zeros((5, 2)))


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


def test_every_refusal_says_why() -> None:
    reasons = select_faces(FACES, SIZE, FaceChoice("largest", min_px=50))
    assert reasons == [None, "not the largest one", "its box is 30 px, under the minimum of 50"]
    assert select_faces([], SIZE, FaceChoice("center")) == []
