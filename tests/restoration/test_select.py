"""Which faces are restored, and the reason for every other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gfpup.core.types import AlignedCrop, Face, FaceResult, Metadata, Photo, Recognition, UInt8
from gfpup.restoration.select import FaceChoice, cut_faces, reduction, select_faces


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


def test_limits_are_inclusive_and_measured_on_the_shorter_side_and_the_eyes() -> None:
    eyes = np.array([[10.0, 10.0], [13.0, 14.0], [0, 0], [0, 0], [0, 0]])
    found = Face((0.0, 0.0, 40.0, 50.0), 0.9, eyes)

    def reason(**limits: float) -> str | None:
        return select_faces([found], SIZE, FaceChoice(**limits))[0]  # type: ignore[arg-type]

    assert reason(min_px=40) is None and reason(min_score=0.9) is None and reason(min_eye_distance_px=5) is None
    assert reason(min_px=40.5) == "its box is 40 px, under the minimum of 40.5"
    assert reason(min_eye_distance_px=5.5) == "its eyes are 5 px apart, under the minimum of 5.5"
    assert reason(min_score=0.91) == "its score is 0.90, under the minimum of 0.91"


def test_a_region_holds_the_faces_whose_centres_lie_in_it() -> None:
    found = [Face((100.0, 20.0, 140.0, 60.0), 0.9, np.zeros((5, 2)))]
    for region, left_alone in (
        ((120, 40, 130, 50), True), ((110, 30, 120, 40), True), ((121, 30, 130, 50), False), ((110, 41, 130, 50), False),
        ((100, 30, 119, 50), False), ((100, 30, 130, 39), False),
    ):  # fmt: skip
        (reason,) = select_faces(found, SIZE, FaceChoice(leave_alone=(region,), min_eye_distance_px=0))
        assert (reason is not None and "left alone" in reason) == left_alone, region


def test_the_centre_is_that_of_the_photo_whatever_its_shape() -> None:
    found = [face(0, 0, 20), face(90, 40, 20), face(190, 80, 20)]
    assert select_faces(found, (100, 200), FaceChoice("center")) == ["not the center one", None, "not the center one"]
    assert select_faces([face(140, 50, 20), face(50, 140, 20)], (100, 300), FaceChoice("center"))[0] is None


def test_the_largest_is_the_one_of_the_largest_area() -> None:
    wide, square = Face((0.0, 0.0, 90.0, 10.0), 0.9, np.zeros((5, 2))), face(0, 0, 40)
    choice = FaceChoice("largest", min_eye_distance_px=0)
    assert select_faces([wide, square], SIZE, choice) == ["not the largest one", None]


def test_faces_are_picked_by_number_of_one_photo() -> None:
    """The longest name that fits a photo's path counts; a face that is too small says so, picked or not."""
    choice = FaceChoice(picked={"a.jpg": (0, 2), "album/a.jpg": (1,), "none.jpg": ()}, min_px=50)
    names = ("x/a.jpg", "album/a.jpg", "none.jpg", "b.jpg")
    reasons = {name: select_faces(FACES, SIZE, choice, path=Path(name)) for name in names}
    kept = {name: [i for i, reason in enumerate(found) if reason is None] for name, found in reasons.items()}
    assert kept == {"x/a.jpg": [0], "album/a.jpg": [1], "none.jpg": [], "b.jpg": [0, 1]}
    assert reasons["x/a.jpg"][1:] == ["it was not picked", "its box is 30 px, under the minimum of 50"]


def test_persons_come_before_the_rule_and_every_other_face_says_who_it_is() -> None:
    shown = [Recognition("ben", "ben", 0.61), Recognition("ann", "ann", 0.5), Recognition(None, "ann", 0.12)]
    faces = [replace(face, recognition=who) for face, who in zip(FACES, shown, strict=True)]
    assert select_faces(faces, SIZE, FaceChoice("largest", persons=("ann", "cy"))) == [
        "it is ben (0.61 to the photos of ben), who was not asked for",
        None,
        "it is nobody of --people (0.12 to the photos of ann at most)",
    ]
    assert select_faces(faces, SIZE, FaceChoice(persons=("ann", "ben"))) == [
        None,
        None,
        select_faces(faces, SIZE, FaceChoice(persons=("ann",)))[2],
    ]
    assert select_faces(FACES, SIZE, FaceChoice(persons=("ann",))) == ["nobody can be recognised in it"] * 3
    assert select_faces(faces, SIZE, FaceChoice(min_px=50, persons=("ann",)))[2] == "its box is 30 px, under the minimum of 50"


class Cuts:
    """Stands in for alignment: a face of any size comes out as a crop that is reduced by the times asked for."""

    def __init__(self, times: float) -> None:
        self.times = times
        self.asked: list[Face] = []

    def __call__(self, rgb: UInt8, faces: Sequence[Face], side_px: int) -> list[AlignedCrop | str]:
        self.asked += faces
        affine = np.array([[1 / self.times, 0.0, 0.0], [0.0, 1 / self.times, 0.0]])
        cut = [AlignedCrop(each, np.zeros((side_px, side_px, 3), np.uint8), affine) for each in faces]
        return [crop if i != 1 else "it cannot be cut" for i, crop in enumerate(cut)]


def cut(times: float, *, keep_large: bool = True, min_px: float = 0.0) -> tuple[list[FaceResult], Cuts]:
    photo, align = Photo(Path("p.png"), np.zeros((*SIZE, 3), np.uint8), Metadata("PNG")), Cuts(times)
    return cut_faces(photo, FACES, FaceChoice(keep_large=keep_large, min_px=min_px), align, 256), align


def test_a_face_reduced_more_than_one_and_a_half_times_is_left_as_it_was_where_that_is_asked_for() -> None:
    results, _ = cut(1.6)
    assert [result.crop is None for result in results] == [True, True, True] and not results[0].failed
    assert results[0].reason == "its 410 px are reduced 1.6 times to the 256 px that the method takes, so it is left as it was"
    assert cut(1.4)[0][0].crop is not None and cut(1.6, keep_large=False)[0][0].crop is not None


def test_faces_that_are_not_restored_are_not_cut_and_one_that_cannot_be_has_failed() -> None:
    results, align = cut(1.0, min_px=50)
    assert align.asked == FACES[:2]
    assert [(result.failed, result.reason) for result in results] == [
        (False, None),
        (True, "it cannot be cut"),
        (False, "its box is 30 px, under the minimum of 50"),
    ]
    assert results[0].crop is not None and reduction(results[0].crop) == 1.0 and results[0].face is FACES[0]
