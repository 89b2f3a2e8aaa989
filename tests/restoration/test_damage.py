"""Each measure of damage gives the number that a picture was made with."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from gfpup.core.types import Face, UInt8
from gfpup.ops.geometry import TEMPLATE_512_XY
from gfpup.restoration.align import aligned_crop
from gfpup.restoration.damage import Damage, measure_damage


def measured(picture: UInt8, **facts: int) -> Damage:
    return measure_damage(picture, [aligned_crop(picture).face], **facts)


def grey(luma: np.ndarray) -> UInt8:
    return np.repeat(np.clip(np.rint(luma), 0, 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("sigma", [3.0, 6.0, 12.0])
def test_noise_is_the_standard_deviation_of_white_noise_at_128_px(sigma: float) -> None:
    noise = np.random.default_rng(0).normal(128, sigma, (128, 128))
    found = measured(grey(cv2.resize(noise, (512, 512), interpolation=cv2.INTER_NEAREST))).noise
    # Of blocks with 64 values each, the calmest tenth lies a little below the mean.
    assert found == pytest.approx(sigma, rel=0.2) and found is not None and found < sigma


def test_noise_is_measured_where_the_face_is_calm() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 4.0, (128, 128))
    noise[:96] += rng.normal(0, 40.0, (96, 128))  # hair and cloth on three quarters
    found = measured(grey(128 + cv2.resize(noise, (512, 512), interpolation=cv2.INTER_NEAREST))).noise
    assert found == pytest.approx(4.0, rel=0.25)


@pytest.mark.parametrize("across", [2.0, 7.0])
def test_colours_are_the_deviation_across_the_line_on_which_most_of_them_lie(across: float) -> None:
    rng = np.random.default_rng(2)
    along = rng.normal(0, 30, (64, 64, 1)) * np.array([1, 1, 1]) / np.sqrt(3)
    beside = rng.normal(0, across, (64, 64, 1)) * np.array([1, -1, 0]) / np.sqrt(2)
    picture = np.clip(np.rint(128 + along + beside), 0, 255).astype(np.uint8)
    found = measured(np.asarray(cv2.resize(picture, (512, 512), interpolation=cv2.INTER_NEAREST), np.uint8)).colours
    assert found == pytest.approx(across, rel=0.1)


def test_sharpness_does_not_depend_on_contrast_and_a_flat_face_has_none() -> None:
    checks = np.indices((64, 64)).sum(axis=0) % 2 * 2.0 - 1

    def of(amplitude: float) -> float | None:
        return measured(grey(cv2.resize(128 + amplitude * checks, (512, 512), interpolation=cv2.INTER_NEAREST))).sharpness

    # The Laplacian of a checkerboard of amplitude a is -8 a or 8 a.
    assert of(60) == pytest.approx(64, rel=0.05) and of(20) == pytest.approx(64, rel=0.05)
    assert of(0) == 0.0 and measured(grey(np.full((512, 512), 128))).sharpness == 0.0


def stairs(low: float, high: float, *, phase: int = 0, length: int = 64) -> np.ndarray:
    """Levels that rise and fall by `low`, and by `high` from each eighth pixel to the next."""
    steps = np.where((np.arange(length - 1) + phase) % 8 == 7, high, low)
    signs = np.where(np.arange(length - 1) % 2 == 0, 1, -1)
    return np.concatenate([[0.0], np.cumsum(steps * signs)])


@pytest.mark.parametrize("phase", [0, 5])
def test_blockiness_is_the_ratio_of_steps_at_the_grid_to_the_others(phase: int) -> None:
    line = stairs(2, 10, phase=phase)
    both = measured(grey(128 + line[None] + line[:, None]))
    assert both.blockiness == pytest.approx(5, rel=0.02) and both.face_px == 64
    upright = measured(grey(128 + line[None] + stairs(2, 2)[:, None]))
    assert upright.blockiness == pytest.approx(1, rel=0.05), "a grid runs both ways"
    assert measured(grey(128 + line[None] + line[:, None]), jpeg_quality=20).blockiness is None


def test_blocks_are_looked_for_in_the_pixels_under_the_box_and_in_no_others() -> None:
    line = stairs(2, 10)
    canvas = np.random.default_rng(3).integers(0, 256, (200, 200, 3), np.uint8)
    canvas[60:124, 40:104] = grey(128 + line[None] + line[:, None])
    face = Face((39.6, 60.3, 102.7, 123.4), 0.9, TEMPLATE_512_XY * (64 / 512) + (40, 60))
    assert measure_damage(canvas, [face]).blockiness == pytest.approx(5, rel=0.02)
    beyond = Face((-20.0, -30.0, 63.0, 63.0), 0.9, TEMPLATE_512_XY * (64 / 512))
    corner = grey(128 + line[None] + line[:, None])
    assert measure_damage(corner, [beyond]).blockiness == pytest.approx(5, rel=0.02), "what lies outside the photo is not there"
