from __future__ import annotations

import numpy as np
import pytest

from gfpup.ops.color import luma, match_color, to_float, to_uint8, to_unit


def test_every_level_survives_the_way_there_and_back() -> None:
    levels = np.arange(256, dtype=np.uint8)
    assert to_float(levels).dtype == np.float32
    assert np.array_equal(to_uint8(to_float(levels)), levels)


def test_rounding_is_to_the_nearest_and_values_outside_are_cut() -> None:
    values = np.array([-0.3, 0.49 / 255, 0.51 / 255, 127.49 / 255, 127.51 / 255, 1.7], dtype=np.float32)
    assert to_uint8(values).tolist() == [0, 0, 1, 127, 128, 255]


def test_luma_of_grey_is_the_grey() -> None:
    grey = np.full((2, 3, 3), 0.25, dtype=np.float32)
    assert np.allclose(luma(grey), 0.25) and luma(grey).shape == (2, 3)


def _picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 190, (96, 128, 3)).astype(np.uint8)


def test_a_picture_matched_to_itself_is_itself() -> None:
    picture = to_float(_picture(3))
    assert np.allclose(match_color(picture, picture), picture, atol=1e-6)


def test_a_colour_cast_is_taken_off_and_the_detail_stays() -> None:
    reference = to_float(_picture(4))
    tinted = reference + np.array([0.1, -0.12, 0.05], dtype=np.float32)
    assert np.allclose(match_color(tinted, reference), reference, atol=1e-5)


def test_colours_come_from_the_reference_and_detail_from_the_restored() -> None:
    detail = np.zeros((96, 96, 3), dtype=np.float32)
    detail[:, ::2], detail[:, 1::2] = 0.3, 0.5
    reference = np.full((96, 96, 3), (0.6, 0.4, 0.25), dtype=np.float32)
    matched = match_color(detail, reference)
    assert np.abs(matched.mean((0, 1)) - (0.6, 0.4, 0.25)).max() < 0.005
    assert np.abs(matched[:, 41::2].mean((0, 1)) - matched[:, 40::2].mean((0, 1)) - 0.2).max() < 0.005


def test_the_result_stays_in_range() -> None:
    bright = match_color(to_float(_picture(5)), np.ones((96, 128, 3), dtype=np.float32))
    assert bright.max() <= 1 and bright.min() >= 0


def test_levels_scale_to_values() -> None:
    assert to_unit(np.array([0, 51, 255], dtype=np.float32)).tolist() == pytest.approx([0, 0.2, 1])


def test_sizes_must_agree() -> None:
    with pytest.raises(ValueError, match="one size"):
        match_color(to_float(_picture(1)), to_float(_picture(1))[:50])


def test_detail_and_colour_are_parted_by_five_levels() -> None:
    x = np.arange(512)

    def kept(period_px: int) -> float:
        wave = np.broadcast_to((0.5 + 0.2 * np.sin(2 * np.pi * x / period_px))[None, :, None], (96, 512, 3)).astype(np.float32)
        matched = match_color(wave, np.full_like(wave, 0.5))[48, 128:384, 0]
        return float(np.ptp(matched)) / 0.4

    for period_px in (16, 64, 128, 256):
        # The response of [1 2 1]/4 with holes of h pixels to a wave of p pixels is cos²(pi h / p).
        low = np.prod([np.cos(np.pi * hole / period_px) ** 2 for hole in (1, 2, 4, 8, 16)])
        assert kept(period_px) == pytest.approx(1 - low, abs=0.01)
    point = np.zeros((129, 129, 3), np.float32)
    point[64, 64] = 1.0
    spread = np.full_like(point, 0.5) - match_color(np.full_like(point, 0.5), 0.5 - 0.5 * point) + 0  # half the low frequencies
    rows, columns = np.nonzero(spread[..., 0] > 1e-7)
    # Five kernels of 2, 4, 8, 16 and 32 pixels' reach on either side.
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (33, 95, 33, 95)
    assert spread.sum() / 3 == pytest.approx(0.5, rel=1e-4)
