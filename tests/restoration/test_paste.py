"""The paste: exact outside, true inside, no seam, no half pixel, neighbours kept."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from gfpup.ops import geometry
from gfpup.ops.feather import feather_mask
from gfpup.ops.resize import output_size, resize
from gfpup.restoration.paste import Patch, paste_faces


def picture(h: int, w: int, seed: int = 0) -> np.ndarray:
    """A smooth, colourful picture."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (h // 12 + 2, w // 12 + 2, 3), np.uint8)
    return cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC)


def affine(scale: float, angle: float, dx: float, dy: float) -> np.ndarray:
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s, dx], [s, c, dy]])


def patch(crop: np.ndarray, to_canvas: np.ndarray) -> Patch:
    return Patch(crop.astype(np.float32), feather_mask(), to_canvas)


@pytest.mark.parametrize("upscale", [1, 2, 1.5, 3.7])
@pytest.mark.parametrize("scale", [1.0, 2.3, 6.0])
def test_identity_gives_the_upscaled_photo(upscale: float, scale: float) -> None:
    photo = picture(300, 420)
    to_crop = affine(scale, 0.2, -60 * scale, -30 * scale)
    crop = geometry.warp(photo, to_crop, (512, 512), border=(132.0, 133.0, 135.0))
    to_hw = output_size((300, 420), upscale)
    upscaled = resize(photo, to_hw)
    canvas = upscaled.copy()
    back = geometry.compose(geometry.resize_affine((300, 420), to_hw), geometry.invert(to_crop))
    paste_faces(canvas, [patch(crop, back)])
    x0, y0, x1, y1 = geometry.touched_rectangle(back, (512, 512), to_hw) or (0, 0, 0, 0)
    outside = np.ones(to_hw, bool)
    outside[y0:y1, x0:x1] = False
    np.testing.assert_array_equal(canvas[outside], upscaled[outside])
    in_photo = cv2.warpAffine(np.ones((512, 512), np.uint8), back, to_hw[::-1]).astype(bool)
    error = (canvas.astype(float) - upscaled)[in_photo]
    assert 10 * np.log10(255**2 / max((error**2).mean(), 1e-9)) > 40


def test_no_half_pixel_shift() -> None:
    """A bright dot pasted back lies where the upscaled photo has it, to a twentieth of a pixel."""
    photo = np.zeros((200, 200, 3), np.uint8)
    cv2.circle(photo, (100, 100), 6, (255, 255, 255), -1, cv2.LINE_AA)
    to_crop = affine(2.5, 0, 6, 6)
    crop = geometry.warp(photo, to_crop, (512, 512))
    canvas = resize(photo, (400, 400))
    expected = centroid(canvas)
    paste_faces(
        canvas, [patch(crop, geometry.compose(geometry.resize_affine((200, 200), (400, 400)), geometry.invert(to_crop)))]
    )
    np.testing.assert_allclose(centroid(canvas), expected, atol=0.05)


def centroid(image: np.ndarray) -> np.ndarray:
    weight = image[..., 0].astype(float)
    y, x = np.mgrid[0 : image.shape[0], 0 : image.shape[1]]
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


def test_no_seam_where_a_brighter_face_meets_the_photo() -> None:
    canvas = np.full((700, 700, 3), 100, np.uint8)
    paste_faces(canvas, [patch(np.full((512, 512, 3), 140), geometry.shift(np.eye(2, 3), (90, 90)))])
    steps = np.abs(np.diff(canvas[..., 0].astype(int), axis=1))
    assert canvas[350, 350, 0] == 140
    assert steps.max() <= 2, "a ramp of 40 levels over 51 px rises at most 1.2 levels a pixel"


def test_neighbours_are_not_covered() -> None:
    """Two crops that overlap: each face's centre keeps its own pixels, whichever is laid down last."""
    left, right = np.full((512, 512, 3), 50), np.full((512, 512, 3), 200)
    places = [geometry.shift(np.eye(2, 3), (50, 50)), geometry.shift(np.eye(2, 3), (250, 50))]
    results = []
    for order in ([0, 1], [1, 0]):
        canvas = np.full((620, 820, 3), 120, np.uint8)
        patches = [patch((left, right)[i], places[i]) for i in order]
        paste_faces(canvas, patches)
        assert abs(int(canvas[306, 306, 0]) - 50) <= 2
        assert abs(int(canvas[306, 506, 0]) - 200) <= 2
        results.append(canvas.astype(int))
    assert np.abs(results[0] - results[1]).max() <= 2, "the order does not matter"


def test_sixteen_bits_stay() -> None:
    canvas = (picture(600, 600).astype(np.uint16) * 257) ^ 3
    before = canvas.copy()
    crop = np.full((512, 512, 3), 128)
    paste_faces(canvas, [patch(crop, geometry.shift(np.eye(2, 3), (40, 40)))])
    np.testing.assert_array_equal(canvas[:40], before[:40])
    assert canvas[300, 300, 0] == 128 * 257


def test_a_face_outside_the_photo_changes_nothing() -> None:
    canvas = picture(100, 100)
    before = canvas.copy()
    paste_faces(canvas, [patch(np.zeros((512, 512, 3)), geometry.shift(np.eye(2, 3), (2000, 0)))])
    np.testing.assert_array_equal(canvas, before)


def test_only_the_rectangle_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work for a small face does not grow with the photo."""
    sizes = []
    real = geometry.warp
    monkeypatch.setattr(geometry, "warp", lambda p, a, hw, **k: sizes.append(hw) or real(p, a, hw, **k))
    paste_faces(np.zeros((3000, 4000, 3), np.uint8), [patch(np.zeros((512, 512, 3)), affine(0.2, 0, 1000, 1000))])
    assert sizes == [(103, 103)] or max(sizes[0]) <= 104


def test_faces_that_only_touch_do_not_share() -> None:
    """Side by side, one above the other, and corner to corner: each is pasted as it would be alone."""
    for second in ((100.0, 0.0), (0.0, 100.0), (100.0, 100.0), (101.0, 50.0)):
        patches = [
            Patch(
                np.full((100, 100, 3), level, np.float32),
                np.full((100, 100), 0.5, np.float32),
                geometry.shift(np.eye(2, 3), at),
            )
            for level, at in ((200.0, (0.0, 0.0)), (100.0, second))
        ]
        together, alone = np.zeros((220, 220, 3), np.uint8), np.zeros((220, 220, 3), np.uint8)
        paste_faces(together, patches)
        for patch in patches:
            paste_faces(alone, [patch])
        np.testing.assert_array_equal(together, alone)
        assert together[50, 50, 0] == 100 and together[int(second[1]) + 60, int(second[0]) + 60, 0] == 50


def test_where_faces_overlap_the_nearer_centre_has_the_larger_share() -> None:
    ones = np.ones((100, 100), np.float32)
    patches = [
        Patch(np.full((100, 100, 3), level, np.float32), ones, geometry.shift(np.eye(2, 3), (x, 0.0)))
        for level, x in ((200.0, 0.0), (100.0, 60.0))
    ]
    made = []
    for order in (patches, patches[::-1]):
        canvas = np.zeros((100, 160, 3), np.uint8)
        paste_faces(canvas, order)
        made.append(canvas[..., 0].astype(int))
    assert np.abs(made[0] - made[1]).max() <= 1
    row = made[0][50]
    assert row[30] == 200 and row[130] == 100 and (np.diff(row[60:100]) <= 0).all() and row[62] > 170 and row[97] < 130
    assert row[79:81] == pytest.approx(150, abs=13), "in the middle both have half"
    assert made[0][:, 60:100].min() >= 100, "shares add up to one"
