"""Crops against a warp of the whole photo, and the ways in which a face cannot be cut."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from gfpup.core.types import AlignedCrop, Face
from gfpup.ops.geometry import TEMPLATE_512_XY, apply, invert
from gfpup.restoration.align import BORDER_RGB, AlignmentError, align_face, align_faces, aligned_crop


def face_at(centre_xy: tuple[float, float], *, size: float, angle: float = 0.0) -> Face:
    """A face whose landmarks are exactly the template's, `size` times as large, turned by `angle` radians."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (TEMPLATE_512_XY - 256) * size @ turn.T + np.array(centre_xy)
    x0, y0 = points.min(axis=0)
    x1, y1 = points.max(axis=0)
    return Face((float(x0), float(y0), float(x1), float(y1)), 0.99, points)


def noise(h: int, w: int, *, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (h, w, 3), dtype=np.uint8)


def whole_warp(rgb: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """The crop from the whole photo at once, where no filter goes before it; the official helper's own is bilinear."""
    return cv2.warpAffine(
        rgb, affine, (512, 512), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_CONSTANT, borderValue=BORDER_RGB
    )


def test_affines_of_the_shared_photos_are_met_from_their_landmarks(shared: Path) -> None:
    facts = json.loads((shared / "parity" / "detections.json").read_text())
    compared = 0
    for name, photo in facts["photos"].items():
        rgb = np.ascontiguousarray(cv2.imread(str(shared / "data" / "photos" / name))[..., ::-1])
        faces = [Face((0, 0, 1, 1), 1.0, np.array(f["landmarks_xy"], np.float64)) for f in photo["faces"]]
        for crop, expected in zip(align_faces(rgb, faces), photo["faces"], strict=True):
            assert isinstance(crop, AlignedCrop)
            # Corners of the crop, in the photo: this is what a difference of the affine would move.
            corners = np.array([[0, 0], [511, 0], [0, 511], [511, 511.0]])
            mine = apply(invert(crop.affine), corners)
            np.testing.assert_allclose(mine, apply(invert(np.array(expected["affine"])), corners), atol=0.01)
            bilinear = cv2.warpAffine(rgb, crop.affine, (512, 512), borderValue=BORDER_RGB)
            assert np.abs(crop.pixels.astype(float) - bilinear).mean() < 6, "the official crop, but sharper"
            compared += 1
    assert compared == 12


@pytest.mark.parametrize("seed", range(40))
def test_the_crop_is_a_warp_of_the_whole_photo(seed: int) -> None:
    rng = np.random.default_rng(seed)
    photo = noise(300, 420, seed=seed)
    centre = (float(rng.uniform(-60, 480)), float(rng.uniform(-60, 360)))
    face = face_at(centre, size=float(np.exp(rng.uniform(np.log(0.05), np.log(1.9)))), angle=float(rng.uniform(-np.pi, np.pi)))
    crop = align_faces(photo, [face])[0]
    if isinstance(crop, str):
        corners = apply(invert(np.eye(2, 3)), face.landmarks_xy)
        assert not ((corners >= 0) & (corners < [420, 300])).all(axis=1).any(), crop
    else:
        # Fixed-point sampling positions may round differently when the origin moves: a 32nd of a pixel, here and there.
        different = crop.pixels != whole_warp(photo, crop.affine)
        assert different.mean() < 0.02


def test_a_photo_wider_than_opencv_can_warp_is_cut_all_the_same() -> None:
    tile = noise(40, 512, seed=2)
    photo = np.tile(tile, (1, 80, 1))
    assert photo.shape[1] > np.iinfo(np.int16).max
    far, near = (align_face(photo, face_at((x, 20), size=0.05)) for x in (512 * 75 + 100, 512 + 100))
    assert np.abs(far.pixels.astype(int) - near.pixels).max() <= 1


def test_landmarks_land_on_the_template_and_an_aligned_face_is_its_own_crop() -> None:
    photo = noise(512, 512, seed=4)
    face = Face((0, 0, 512, 512), 1.0, TEMPLATE_512_XY.copy())
    crop = align_face(photo, face)
    np.testing.assert_allclose(crop.affine, np.eye(2, 3), atol=1e-9)
    np.testing.assert_array_equal(crop.pixels, photo)
    turned = face_at((300, 200), size=0.7, angle=0.4)
    np.testing.assert_allclose(apply(align_face(photo, turned).affine, turned.landmarks_xy), TEMPLATE_512_XY, atol=1e-6)


def test_one_bad_landmark_of_five_does_not_move_the_crop() -> None:
    photo = noise(400, 400, seed=5)
    good = face_at((200, 200), size=0.5)
    points = good.landmarks_xy.copy()
    points[2] += (25, -30)
    bent = align_face(photo, Face(good.box_xyxy, 0.99, points))
    np.testing.assert_allclose(bent.affine, align_face(photo, good).affine, atol=1e-3)


def test_the_border_is_the_official_grey_in_rgb_order() -> None:
    crop = align_face(np.zeros((64, 64, 3), np.uint8), face_at((32, 32), size=1.0))
    assert tuple(crop.pixels[0, 0]) == BORDER_RGB == (132, 133, 135)
    assert tuple(crop.pixels[256, 256]) == (0, 0, 0)


@pytest.mark.parametrize(
    "points",
    [np.full((5, 2), 30.0), np.full((5, 2), np.nan), np.array([[1, 1], [np.inf, 1], [2, 2], [1, 3], [3, 3]])],
    ids=["one-point", "nan", "infinite"],
)
def test_landmarks_that_are_no_face_are_refused_with_a_reason(points: np.ndarray) -> None:
    photo = noise(64, 64, seed=6)
    with pytest.raises(AlignmentError, match="fit no face"):
        align_face(photo, Face((0, 0, 9, 9), 0.99, points))
    good = face_at((32, 32), size=0.1)
    first, second = align_faces(photo, [Face((0, 0, 9, 9), 0.99, points), good])
    assert isinstance(first, str) and "landmarks" in first
    assert isinstance(second, AlignedCrop) and second.face is good


def test_a_crop_outside_the_photo_is_refused_with_a_reason() -> None:
    reason = align_faces(noise(64, 64, seed=7), [face_at((5000, 5000), size=0.1)])[0]
    assert isinstance(reason, str) and "outside the photo" in reason


def test_views_and_read_only_photos_are_cut_too() -> None:
    photo = noise(120, 160, seed=8)
    mirrored = photo[:, ::-1]
    locked = photo[:, ::-1].copy()
    locked.flags.writeable = False
    face = face_at((80, 60), size=0.15)
    np.testing.assert_array_equal(align_face(mirrored, face).pixels, align_face(locked, face).pixels)


def test_an_aligned_picture_of_512_is_taken_as_it_is() -> None:
    photo = noise(512, 512, seed=9)
    crop = aligned_crop(photo)
    np.testing.assert_array_equal(crop.pixels, photo)
    np.testing.assert_allclose(crop.affine, np.eye(2, 3))
    np.testing.assert_allclose(crop.face.landmarks_xy, TEMPLATE_512_XY)


@pytest.mark.parametrize("size_hw", [(1024, 1024), (256, 256), (300, 700), (1500, 1300)])
def test_an_aligned_picture_of_any_size_becomes_512(size_hw: tuple[int, int]) -> None:
    h, w = size_hw
    ramp = np.stack([np.broadcast_to(np.linspace(0, 255, w), (h, w)), np.broadcast_to(np.linspace(0, 255, h)[:, None], (h, w))])
    photo = np.rint(np.concatenate([ramp, ramp[:1]]).transpose(1, 2, 0)).astype(np.uint8)
    crop = aligned_crop(photo)
    assert crop.pixels.shape == (512, 512, 3)
    np.testing.assert_allclose(apply(crop.affine, crop.face.landmarks_xy), TEMPLATE_512_XY, atol=1e-9)
    # A ramp sampled where the affine says, in the middle where no edge interferes.
    at = apply(invert(crop.affine), np.array([[200.0, 300.0]]))[0]
    expected = np.array([at[0] / (w - 1), at[1] / (h - 1)]) * 255
    np.testing.assert_allclose(crop.pixels[300, 200, :2], expected, atol=1.01)
    if size_hw == (1024, 1024):
        np.testing.assert_array_equal(crop.pixels, cv2.resize(photo, (512, 512), interpolation=cv2.INTER_LINEAR))
