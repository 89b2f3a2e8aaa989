"""Similarity fit, affine algebra, warp: identities, inverses, edges."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from gfpup.ops import geometry


def similarity(scale: float, angle: float, dx: float, dy: float) -> np.ndarray:
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s, dx], [s, c, dy]])


@pytest.mark.parametrize("seed", range(5))
def test_fit_finds_the_transform_that_made_the_points(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true = similarity(rng.uniform(0.2, 9), rng.uniform(-1, 1), *rng.uniform(-500, 500, 2))
    points = geometry.apply(geometry.invert(true), geometry.TEMPLATE_512_XY)
    fitted = geometry.fit_similarity(points)
    assert fitted is not None
    np.testing.assert_allclose(geometry.apply(fitted, points), geometry.TEMPLATE_512_XY, atol=1e-2)


def test_one_bad_landmark_does_not_move_the_fit() -> None:
    points = geometry.TEMPLATE_512_XY.copy()
    points[2] += 60
    fitted = geometry.fit_similarity(points)
    assert fitted is not None
    np.testing.assert_allclose(fitted, np.eye(2, 3), atol=1e-3)


def test_fit_refuses_what_has_no_transform() -> None:
    assert geometry.fit_similarity(np.full((5, 2), 7.0)) is None
    assert geometry.fit_similarity(np.full((5, 2), np.nan)) is None


def test_invert_and_compose() -> None:
    a, b = similarity(1.7, 0.3, 4, -9), similarity(0.4, -1.1, 20, 3)
    np.testing.assert_allclose(geometry.compose(a, geometry.invert(a)), np.eye(2, 3), atol=1e-12)
    points = np.array([[1.0, 2.0], [-3.0, 0.5]])
    np.testing.assert_allclose(
        geometry.apply(geometry.compose(a, b), points), geometry.apply(a, geometry.apply(b, points)), atol=1e-12
    )
    assert geometry.scale_of(a) == pytest.approx(1.7)


def test_resize_keeps_outer_edges() -> None:
    to_double = geometry.resize_affine((10, 20), (20, 40))
    np.testing.assert_allclose(geometry.apply(to_double, np.array([[-0.5, -0.5], [19.5, 9.5]])), [[-0.5, -0.5], [39.5, 19.5]])


def test_resize_affine_is_what_opencv_does() -> None:
    ramp = np.tile(np.arange(40, dtype=np.float32), (8, 1))
    resized = cv2.resize(ramp, (100, 8), interpolation=cv2.INTER_LINEAR)
    source_x = geometry.apply(geometry.invert(geometry.resize_affine((8, 40), (8, 100))), np.array([[50.0, 0.0]]))[0, 0]
    assert resized[0, 50] == pytest.approx(source_x, abs=1e-4)


def test_touched_rectangle_is_the_smallest_that_holds_the_crop() -> None:
    assert geometry.touched_rectangle(np.eye(2, 3), (512, 512), (600, 700)) == (0, 0, 512, 512)
    moved = geometry.shift(np.eye(2, 3), (-100, 650))
    assert geometry.touched_rectangle(moved, (512, 512), (600, 700)) is None
    assert geometry.touched_rectangle(geometry.shift(np.eye(2, 3), (-100, 50)), (512, 512), (600, 700)) == (0, 50, 412, 562)


def test_warp_by_nothing_changes_nothing() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    np.testing.assert_array_equal(geometry.warp(picture, np.eye(2, 3), (60, 80)), picture)


def test_warp_there_and_back_keeps_a_smooth_picture() -> None:
    y, x = np.mgrid[0:300, 0:400]
    picture = (127 + 60 * np.sin(x / 9) + 60 * np.cos(y / 7)).astype(np.uint8)
    affine = similarity(1.9, 0.3, 50, -120)
    crop = geometry.warp(picture, affine, (512, 512))
    back = geometry.warp(crop, geometry.invert(affine), (300, 400))
    seen = geometry.warp(np.full((512, 512), 255, np.uint8), geometry.invert(affine), (300, 400), border=(0.0,)) == 255
    error = (back.astype(float) - picture)[cv2.erode(seen.astype(np.uint8), np.ones((9, 9))).astype(bool)]
    assert 10 * np.log10(255**2 / (error**2).mean()) > 45


def test_warp_touches_only_what_it_shows() -> None:
    """The slice taken out of a big picture gives the bits that the whole picture gives."""
    rng = np.random.default_rng(1)
    picture = cv2.GaussianBlur(rng.integers(0, 256, (900, 1100, 3), np.uint8), (0, 0), 1)
    affine = geometry.invert(similarity(0.3, 0.4, 500, 300))
    whole = cv2.warpAffine(picture, affine, (512, 512), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE)
    np.testing.assert_array_equal(geometry.warp(picture, affine, (512, 512)), whole)


def test_warp_that_reduces_does_not_alias() -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (800, 400))
    reduced = geometry.warp(stripes, geometry.shift(np.eye(2, 3) * 0.23, (0, 0)), (150, 150))
    assert reduced[20:-20, 20:-20].std() < 8


def test_warp_beyond_the_edge_shows_the_border() -> None:
    picture = np.full((50, 50, 3), 200, np.uint8)
    moved = geometry.warp(picture, geometry.shift(np.eye(2, 3), (30, 0)), (50, 50), border=(1.0, 2.0, 3.0))
    assert moved[25, 10].tolist() == [1, 2, 3]
    assert moved[25, 45].tolist() == [200, 200, 200]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [None, 1, 3])
def test_reducing_keeps_dtype_levels_and_channels(dtype: type, channels: int | None) -> None:
    unit = 257 if dtype == np.uint16 else 1
    ramp = np.tile(np.linspace(20, 220, 120), (60, 1))
    picture = ramp if channels is None else np.stack([ramp / (i + 1) for i in range(channels)], axis=2)
    if channels == 1 and dtype == np.uint8:
        picture = picture[..., 0]
    reduced = geometry.reduce((picture * unit).astype(dtype), 3.0)
    assert reduced.dtype == dtype and reduced.shape == (20, 40, *picture.shape[2:])
    expected = picture.reshape(20, 3, 40, 3, *picture.shape[2:]).mean(axis=(1, 3))
    assert np.abs(reduced / unit - expected)[:, 2:-2].max() < 1.0
    assert geometry.reduce((picture * unit).astype(dtype), 500.0).shape[:2] == (1, 1)


def test_a_reduced_16_bit_picture_stays_in_range() -> None:
    step = np.repeat(np.array([0, 65535], np.uint16), 60)[None].repeat(60, axis=0)
    reduced = geometry.reduce(step, 3.0)
    assert reduced[:, :10].max() < 9000 and reduced[:, -10:].min() > 56000, "what overshoots is cut and does not wrap round"


def test_a_crop_may_touch_the_photo_at_its_last_pixel() -> None:
    touched = geometry.touched_rectangle
    for by, expected in (((599, 0), (599, 0, 600, 10)), ((0, 399), (0, 399, 10, 400)), ((-9, -9), (0, 0, 1, 1))):
        assert touched(geometry.shift(np.eye(2, 3), by), (10, 10), (400, 600)) == expected
    for by in ((600, 0), (0, 400), (-10, 0), (0, -10)):
        assert touched(geometry.shift(np.eye(2, 3), by), (10, 10), (400, 600)) is None


def test_resizing_by_different_factors_each_way() -> None:
    affine = geometry.resize_affine((10, 20), (30, 100))
    np.testing.assert_allclose(affine, [[5.0, 0, 2.0], [0, 3.0, 1.0]])


def test_warp_shows_a_single_pixel_where_the_affine_puts_it() -> None:
    picture = np.zeros((80, 120, 3), np.uint8)
    picture[30, 70] = 255
    moved = geometry.warp(picture, geometry.shift(np.eye(2, 3), (-60, -25)), (20, 40))
    assert moved.shape == (20, 40, 3) and np.argwhere(moved[..., 0]).tolist() == [[5, 10]]
