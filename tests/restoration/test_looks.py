"""RetinaFace's looks, with a network that sees red squares: what the first look proposes, and what is decided where."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch

from gfpup.core.types import Face, UInt8
from gfpup.models.nets.retinaface import MEAN_BGR, prior_boxes
from gfpup.ops.geometry import TEMPLATE_512_XY
from gfpup.restoration.retinaface import RetinaFaceDetector

Scoring = Callable[[float, float], float]


class SeesSquares(torch.nn.Module):
    """Finds red squares; `scoring` makes a score from a square's green, 0 to 1, and its side in the picture that is seen."""

    def __init__(self, scoring: Scoring = lambda green, side: green) -> None:
        super().__init__()
        self.scoring = scoring
        self.seen: list[tuple[int, int]] = []

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        rgb = (x + torch.tensor(MEAN_BGR).view(1, 3, 1, 1)).flip(1).permute(0, 2, 3, 1).numpy()
        looks = [self._look(picture) for picture in rgb]
        return tuple(torch.tensor(np.stack(rows), dtype=torch.float32) for rows in zip(*looks, strict=True))

    def _look(self, rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        h, w = rgb.shape[:2]
        self.seen.append((h, w))
        priors = prior_boxes((h, w)).double().numpy()
        loc, conf, points = np.zeros((len(priors), 4)), np.zeros((len(priors), 2)), np.zeros((len(priors), 10))
        _, _, found, centres = cv2.connectedComponentsWithStats((rgb[..., 0] > 128).astype(np.uint8))
        size = np.array([w, h])
        for row, ((x0, y0, width, height, _), (cx, cy)) in enumerate(zip(found[1:], centres[1:], strict=True)):
            low, high = np.array([x0, y0]) / size, np.array([x0 + width, y0 + height]) / size
            anchor, side = priors[row, :2], priors[row, 2:]
            loc[row] = [*(((low + high) / 2 - anchor) / (0.1 * side)), *(np.log((high - low) / side) / 0.2)]
            landmarks = np.array([x0, y0]) + TEMPLATE_512_XY * (width / 512)
            points[row] = ((landmarks / size - anchor) / (0.1 * side)).ravel()
            conf[row, 1] = self.scoring(rgb[int(cy), int(cx), 1] / 255, max(width, height))
        return loc, conf, points


def photo(size_hw: tuple[int, int], *squares: tuple[int, int, int], green: int = 254) -> UInt8:
    """A black photo with red squares of (x, y, side)."""
    rgb = np.zeros((*size_hw, 3), np.uint8)
    for x, y, side in squares:
        rgb[y : y + side, x : x + side] = (255, green, 0)
    return rgb


def found(rgb: UInt8, scoring: Scoring | None = None, **settings: float) -> tuple[list[Face], SeesSquares]:
    network = SeesSquares() if scoring is None else SeesSquares(scoring)
    return RetinaFaceDetector(network, **settings).detect(rgb), network  # type: ignore[arg-type]


LARGE_HW = (3000, 4000)


def test_a_photo_that_the_first_look_shows_whole_is_looked_at_once() -> None:
    rgb = photo((600, 640), (100, 100, 60), (300, 100, 80))
    faces, network = found(rgb)
    assert network.seen == [(600, 640)] and [round(face.box_xyxy[0]) for face in faces] == [300, 100]
    assert found(photo((600, 640), (100, 100, 60), green=246))[0] == [], "0.965 is under the threshold"
    assert len(found(photo((600, 640), (100, 100, 60), green=249))[0]) == 1, "0.976 is over it"
    assert len(found(photo((600, 640), (100, 100, 60), green=130), threshold=0.5)[0]) == 1


def test_what_the_reduced_photo_proposes_is_decided_in_the_photos_own_pixels() -> None:
    rgb = photo(LARGE_HW, (1003, 807, 99), (3001, 2200, 101))
    faces, network = found(rgb, lambda green, side: green if side > 60 else 0.2)
    assert network.seen[0] == (640, 853) and len(network.seen) == 3, "a look at the whole, and a window for each face"
    np.testing.assert_allclose([face.box_xyxy for face in faces], [(3001, 2200, 3102, 2301), (1003, 807, 1102, 906)], atol=0.01)
    np.testing.assert_allclose(faces[1].landmarks_xy, np.array([1003, 807]) + TEMPLATE_512_XY * (99 / 512), atol=0.05)
    assert all(h < 400 and w < 400 for h, w in network.seen[1:])


@pytest.mark.parametrize(
    ("side", "first_score", "proposed"),
    [(60, 0.12, True), (60, 0.09, False), (48, 0.09, True), (48, 0.04, True), (48, 0.02, False)],
)
def test_a_small_face_is_proposed_from_three_percent_on_and_a_larger_one_from_ten(
    side: int, first_score: float, proposed: bool
) -> None:
    """Of a photo that is reduced three times; up to 17 px in the first look are small."""
    faces, network = found(photo((1920, 2560), (1003, 807, side)), lambda green, seen: green if seen > 40 else first_score)
    assert len(faces) == proposed and len(network.seen) == 1 + proposed


@pytest.mark.parametrize(("neighbours", "expected"), [(10, 10), (11, 12)])
def test_in_a_crowd_of_eleven_smaller_faces_are_looked_for(neighbours: int, expected: int) -> None:
    row = [(200 + 300 * i, 500, 60) for i in range(neighbours)]
    rgb = photo(LARGE_HW, *row, (2005, 2003, 24))  # 5 px in the first look, 15 in the copy that is three times as large
    faces, network = found(rgb, lambda green, side: green if side >= 8 else 0.01)
    assert len(faces) == expected and (1920, 2560) not in network.seen
    if expected > neighbours:
        np.testing.assert_allclose(faces[-1].box_xyxy, (2005, 2003, 2029, 2027), atol=0.01)
    assert max(max(seen) for seen in network.seen) <= 1280


def test_in_a_crowd_only_small_faces_are_taken_from_the_larger_copy() -> None:
    """A face of over 72 px in it would have been seen in the first look."""
    row = [(200 + 300 * i, 500, 60) for i in range(11)]
    for side, taken in ((100, True), (130, False)):  # 64 and 83 px in the larger copy, 21 and 28 in the first look
        rgb = photo(LARGE_HW, *row, (2005, 2003, side))
        faces, _ = found(rgb, lambda green, seen, s=side: 0.0 if seen < s / 4 and seen > 16 else green)
        assert len(faces) == 11 + taken


def test_of_several_looks_each_face_is_found_once() -> None:
    rgb = photo(LARGE_HW, (1000, 800, 100), (1150, 800, 100))
    faces, network = found(rgb)
    assert len(faces) == 2 and len(network.seen) == 2, "their windows are one"
    again = RetinaFaceDetector(network).detect(rgb, also=faces)  # type: ignore[arg-type]
    np.testing.assert_allclose([face.box_xyxy for face in again], [face.box_xyxy for face in faces], atol=0.01)
    hidden, _ = found(rgb, lambda green, side: green if side > 60 else 0.0)
    assert hidden == []
    network.scoring = lambda green, side: green if side > 60 else 0.0
    assert len(RetinaFaceDetector(network).detect(rgb, also=faces)) == 2, "proposals from elsewhere are decided as well"  # type: ignore[arg-type]


def test_one_look_at_full_size_decides_alone_where_that_is_asked_for() -> None:
    rgb = photo((1500, 2000), (1003, 807, 40))
    faces, network = found(rgb, detect_size=0)
    assert len(faces) == 1 and network.seen == [(1500, 2000)]
    _, reduced = found(rgb, detect_size=300)
    assert reduced.seen[0] == (300, 400)


def test_a_face_too_large_for_the_network_is_looked_at_reduced_and_mirrored() -> None:
    rgb = photo((2000, 2400), (600, 500, 800))
    faces, network = found(rgb)
    assert network.seen[0] == (640, 768) and set(network.seen[1:]) == {(256, 256)} and len(network.seen) >= 3
    (face,) = faces
    np.testing.assert_allclose(face.box_xyxy, (600, 500, 1400, 1300), atol=12)
    np.testing.assert_allclose(face.landmarks_xy.mean(axis=0), [600, 500] + TEMPLATE_512_XY.mean(axis=0) * (800 / 512), atol=12)
