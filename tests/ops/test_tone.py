"""Grey stays grey, sepia stays sepia, and a photo with colours has no one tone."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data

from gfpup.ops.color import luma
from gfpup.ops.tone import GREY, Tone, is_grey, keep_tone, tone_of

COLOUR = np.ascontiguousarray(skimage.data.astronaut()[:300, :200])
SHADES = np.rint(luma(COLOUR.astype(np.float32))).astype(np.uint8)
GREY_PHOTO = np.repeat(SHADES[..., None], 3, axis=2)


def sepia(grey: np.ndarray) -> np.ndarray:
    """A brown that fades to white and to black, as a toned print has it."""
    tint = np.array([0.24, 0.0, -0.30], np.float32) * (grey[..., :1] / 255.0 * (1 - grey[..., :1] / 255.0) * 4) * 100
    return np.clip(np.rint(grey + tint), 0, 255).astype(np.uint8)


def test_grey_is_known_at_8_and_16_bits_and_through_lossy_formats() -> None:
    assert is_grey(GREY_PHOTO) and is_grey(GREY_PHOTO.astype(np.uint16) * 257) and is_grey(GREY_PHOTO.astype(np.float32))
    assert is_grey(np.clip(GREY_PHOTO + np.array([1, 0, -1]), 0, 255).astype(np.uint8))
    assert not is_grey(COLOUR) and not is_grey(sepia(GREY_PHOTO))
    spot = GREY_PHOTO.copy()
    spot[299, 199] = (200, 10, 10)
    assert not is_grey(spot)


def test_a_photo_has_one_tone_or_none() -> None:
    assert tone_of(GREY_PHOTO) is GREY
    found = tone_of(sepia(GREY_PHOTO))
    assert found is not None and found.offsets.any()
    assert found.offsets[128, 0] > 10 > -10 > found.offsets[128, 2]
    assert tone_of(COLOUR) is None


@pytest.mark.parametrize(("dtype", "unit"), [(np.uint8, 1), (np.uint16, 257), (np.float32, 1)])
def test_colours_go_and_brightness_stays(dtype: type, unit: int) -> None:
    grey, changed = keep_tone((COLOUR.astype(np.float32) * unit).astype(dtype), GREY)
    assert changed and grey.dtype == dtype and np.ptp(grey, axis=2).max() == 0
    assert np.abs(grey[..., 0] / unit - luma(COLOUR.astype(np.float32))).max() <= 0.5 / unit + 0.01
    toned = sepia(GREY_PHOTO)
    tone = tone_of(toned)
    assert tone is not None
    brought, changed = keep_tone((COLOUR.astype(np.float32) * unit).astype(dtype), tone)
    assert changed and np.abs(brought / unit - toned.astype(np.float32)).mean() < 3


def test_what_lies_within_the_tone_is_left_alone() -> None:
    for picture in (GREY_PHOTO, GREY_PHOTO.astype(np.uint16) * 257):
        kept, changed = keep_tone(picture, GREY)
        assert kept is picture and not changed


@pytest.mark.parametrize(("dtype", "unit"), [(np.uint8, 1), (np.uint16, 257), (np.float32, 1)])
def test_white_and_black_keep_their_brightness_and_halves_round_upwards(dtype: type, unit: int) -> None:
    levels = np.array([[[255, 255, 240], [0, 20, 0], [255, 255, 255], [10, 14, 10]]], np.float32)
    grey, changed = keep_tone((levels * unit).astype(dtype), GREY)
    expected = luma(levels) * unit
    assert changed and np.abs(grey[..., 0] - (expected if dtype == np.float32 else np.floor(expected + 0.5))).max() < 0.02
    assert grey[0, 2].tolist() == [255 * unit] * 3


def test_a_tone_that_leaves_the_range_is_cut() -> None:
    tone = tone_of(sepia(GREY_PHOTO))
    assert tone is not None
    bright = Tone("toned", tone.offsets + np.array([40, 0, -40], np.float32))
    made, _ = keep_tone(np.array([[[255, 255, 255], [0, 0, 0]]], np.uint8), bright)
    assert made[0, 0, 0] == 255 and made[0, 1, 2] == 0 and made[0, 0, 2] < 255 and made[0, 1, 0] > 0
