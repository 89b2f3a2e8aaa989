"""A closer look at one face: turned upright, the mean of its anchors and of its mirror image, and carried back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gfpup.core.types import Face
from gfpup.models.nets.retinaface import Candidates
from gfpup.ops import geometry
from gfpup.restoration.closer_look import (
    SQUARE_PX,
    face_of_both,
    mean_face,
    mirrored,
    placed_back,
    upright_affine,
    upright_square,
)

MIDDLE = (SQUARE_PX - 1) / 2
TEMPLATE_256 = geometry.apply(geometry.resize_affine((512, 512), (256, 256)), geometry.TEMPLATE_512_XY)


def anchors(*rows: tuple[float, float, float, float]) -> Candidates:
    """What the network takes for faces: centre x, centre y, side and score each, landmarks on a cross about the centre."""
    boxes = [[x - side / 2, y - side / 2, x + side / 2, y + side / 2] for x, y, side, _ in rows]
    cross = np.array([[-1.0, -1], [1, -1], [0, 0], [-1, 1], [1, 1]])
    points = [cross * side / 4 + (x, y) for x, y, side, _ in rows]
    as_float = [np.array(boxes).reshape(-1, 4), np.array([row[3] for row in rows]), np.array(points).reshape(-1, 5, 2)]
    return Candidates(*(torch.tensor(values, dtype=torch.float32) for values in as_float))


def test_a_face_is_set_upright_on_the_template_and_what_is_beyond_the_photo_is_the_networks_zero() -> None:
    turn = geometry.TEMPLATE_512_XY @ np.array([[0.0, 0.2], [-0.2, 0.0]]) + (150.0, 20.0)
    affine = upright_affine(Face((0, 0, 9, 9), 1.0, turn))
    assert affine is not None
    np.testing.assert_allclose(geometry.apply(affine, turn), TEMPLATE_256, atol=1e-6)
    photo = np.full((200, 200, 3), 200, np.uint8)
    square = upright_square(photo, affine)
    assert square.shape == (SQUARE_PX, SQUARE_PX, 3) and (square[128, 128] == 200).all()
    assert (upright_square(photo, geometry.shift(affine, (9999, 0))) == (123, 117, 104)).all()
    assert upright_affine(None) is None and upright_affine(Face((0, 0, 9, 9), 1.0, np.full((5, 2), 5.0))) is None


def test_the_face_of_a_look_is_the_mean_of_its_anchors_by_their_scores() -> None:
    found = mean_face(anchors((MIDDLE, MIDDLE, 100, 0.9), (MIDDLE + 4, MIDDLE - 8, 100, 0.6)))
    assert found is not None and found.score == pytest.approx(0.9)
    centre = np.array(found.box_xyxy).reshape(2, 2).mean(axis=0)
    np.testing.assert_allclose(centre, [MIDDLE + 4 * 0.6 / 1.5, MIDDLE - 8 * 0.6 / 1.5], atol=1e-3)
    np.testing.assert_allclose(found.landmarks_xy[2], centre, atol=1e-3)


def test_anchors_of_another_face_and_away_from_the_middle_have_no_say() -> None:
    alone = mean_face(anchors((MIDDLE, MIDDLE, 100, 0.9)))
    # Shifted by d, squares of 100 px overlap by (100 - d) / (100 + d): 0.6 at d = 25.
    near, far = ((MIDDLE + d, MIDDLE, 100.0, 0.5) for d in (24, 27))
    edge = (MIDDLE + 65, MIDDLE, 100.0, 0.99)
    assert alone is not None and mean_face(anchors((MIDDLE, MIDDLE, 100, 0.9), far, edge)).box_xyxy == alone.box_xyxy  # type: ignore[union-attr]
    assert mean_face(anchors((MIDDLE, MIDDLE, 100, 0.9), near)).box_xyxy[0] > alone.box_xyxy[0] + 5  # type: ignore[union-attr]
    assert mean_face(anchors(edge)) is None and mean_face(anchors()) is None
    assert mean_face(anchors((MIDDLE, MIDDLE - 62, 100, 0.9))) is not None


def test_a_mirrored_face_lies_where_the_mirrored_pixels_do() -> None:
    face = Face((20.0, 30.0, 60.0, 90.0), 0.8, np.array([[28.0, 45], [50, 44], [41, 60], [30, 75], [52, 76]]))
    back = mirrored(face)
    assert back is not None and mirrored(None) is None
    picture = np.zeros((SQUARE_PX, SQUARE_PX), np.uint8)
    for i, (x, y) in enumerate(face.landmarks_xy.astype(int), 1):
        picture[y, x] = i
    order = [picture[:, ::-1][int(y), int(x)] for x, y in back.landmarks_xy]
    assert order == [2, 1, 3, 5, 4], "what is left in one is right in the other"
    assert back.box_xyxy == (SQUARE_PX - 1 - 60, 30, SQUARE_PX - 1 - 20, 90) and back.score == 0.8
    again = mirrored(back)
    assert again is not None and again.box_xyxy == face.box_xyxy
    np.testing.assert_array_equal(again.landmarks_xy, face.landmarks_xy)


def test_a_look_and_its_mirror_image_have_the_same_say_and_one_is_enough() -> None:
    look, mirror = anchors((MIDDLE + 10, MIDDLE, 80, 0.7)), anchors((MIDDLE - 20, MIDDLE + 6, 80, 0.9))
    both = face_of_both(look, mirror)
    assert both is not None and both.score == pytest.approx(0.9)
    np.testing.assert_allclose(both.landmarks_xy[2], [MIDDLE + 15, MIDDLE + 3], atol=1e-3)
    np.testing.assert_allclose(both.box_xyxy, [MIDDLE - 25, MIDDLE - 37, MIDDLE + 55, MIDDLE + 43], atol=1e-3)
    only = face_of_both(anchors(), mirror)
    assert only is not None
    np.testing.assert_allclose(only.landmarks_xy[2], [MIDDLE + 20, MIDDLE + 6], atol=1e-3)
    assert face_of_both(anchors(), anchors()) is None


@pytest.mark.parametrize("degrees", [0.0, 30.0, 90.0])
def test_a_box_that_is_carried_back_holds_the_turned_ellipse(degrees: float) -> None:
    radians = np.deg2rad(degrees)
    back = np.array([[np.cos(radians), -np.sin(radians), 40.0], [np.sin(radians), np.cos(radians), -7.0]]) * [[2.0], [2.0]]
    face = Face((30.0, 50.0, 90.0, 150.0), 0.7, TEMPLATE_256.copy())
    placed = placed_back(face, back)
    np.testing.assert_allclose(placed.landmarks_xy, geometry.apply(back, TEMPLATE_256))
    around = np.linspace(0, 2 * np.pi, 721)
    ellipse = geometry.apply(back, np.stack([60 + 30 * np.cos(around), 100 + 50 * np.sin(around)], axis=1))
    np.testing.assert_allclose(placed.box_xyxy, [*ellipse.min(axis=0), *ellipse.max(axis=0)], atol=0.01)
    assert placed.score == 0.7
