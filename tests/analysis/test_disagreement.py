"""Disagreement is the mean absolute difference of the two pictures that differ most, whole or in one region."""

from __future__ import annotations

import numpy as np
import pytest

from gfpup.analysis.disagreement import FULL_SCALE, SIDE_PX, disagreement, disagreement_map, heat, region_disagreements


def flat(level: int, size_hw: tuple[int, int] = (40, 60)) -> np.ndarray:
    return np.full((*size_hw, 3), level, np.uint8)


def test_equal_pictures_and_single_ones_do_not_disagree() -> None:
    assert disagreement([]) == disagreement([flat(9)]) == disagreement([flat(9), flat(9)]) == 0


def test_the_two_that_differ_most_count_in_levels() -> None:
    assert disagreement([flat(0), flat(255)]) == 255
    assert disagreement([flat(10), flat(14), flat(11)]) == pytest.approx(4)
    one = flat(0)
    one[:, :30, 0] = 60  # half of the pixels, one channel of three
    assert disagreement([one, flat(0)]) == pytest.approx(10)


def test_a_region_counts_where_it_differs_more_than_the_whole() -> None:
    one = flat(100)
    one[10:20, 15:30] = 130
    assert disagreement([one, flat(100)]) == pytest.approx(30 * 150 / 2400)
    assert disagreement([one, flat(100)], [(0.25, 0.25, 0.25, 0.25)]) == pytest.approx(30)
    assert disagreement([one, flat(100)], [(0.75, 0.75, 0.25, 0.25)]) == pytest.approx(30 * 150 / 2400)
    assert disagreement([one, flat(100)], [(0.99, 0.99, 0.5, 0.5), (-0.5, -0.5, 0.1, 0.1)]) == pytest.approx(30 * 150 / 2400)


def test_pictures_of_other_sizes_are_compared_at_the_smallest() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    large = noise.repeat(2, axis=0).repeat(2, axis=1)
    assert disagreement([large, noise]) == disagreement([noise, large]) == 0
    wide = flat(0, (30, 4 * SIDE_PX))
    wide[:, ::2] = 200  # stripes that the reduction averages
    assert disagreement([wide, flat(100, (30, 4 * SIDE_PX))]) == pytest.approx(0, abs=1)


def test_each_region_has_its_own_number() -> None:
    one = flat(100)
    one[10:20, 15:30] = 130
    found = region_disagreements([one, flat(100), flat(101)], [(0.25, 0.25, 0.25, 0.25), (0.75, 0.75, 0.25, 0.25)])
    assert found == pytest.approx([30, 1]) and max(found) == disagreement(
        [one, flat(100), flat(101)], [(0.25, 0.25, 0.25, 0.25)]
    )
    assert region_disagreements([one], [(0, 0, 1, 1), (0, 0, 0.5, 0.5)]) == [0.0, 0.0]


def test_the_map_is_the_range_at_each_pixel_and_of_two_pictures_their_difference() -> None:
    rng = np.random.default_rng(3)
    one, two, three = rng.integers(0, 256, (3, 40, 60, 3), dtype=np.uint8)
    assert disagreement_map([one, two]).mean() == pytest.approx(disagreement([one, two]))
    expected = np.ptp(np.stack([one, two, three]).astype(float), axis=0).mean(axis=2)
    assert disagreement_map([one, two, three]) == pytest.approx(expected, rel=1e-6)
    assert disagreement_map([one, one]).max() == 0 and disagreement_map([one, two], side_px=30).shape == (20, 30)
    with pytest.raises(ValueError, match="two pictures"):
        disagreement_map([one])


def test_a_map_is_shown_from_black_to_bright() -> None:
    steps = np.linspace(0, 2 * FULL_SCALE, 9, dtype=np.float32)[None]
    luma = heat(steps).astype(float).sum(axis=2)[0]
    assert heat(steps).shape == (1, 9, 3) and luma[0] < 10 and (np.diff(luma[:5]) > 0).all() and (luma[4:] == luma[4]).all()


def test_a_region_is_cut_at_whole_pixels_and_holds_one_at_least() -> None:
    one = flat(100, (10, 20))
    one[3, 7] = 200  # one pixel
    for region, share in (
        ((0.35, 0.3, 0.05, 0.1), 1.0), ((0.36, 0.32, 0.0, 0.0), 1.0), ((0.35, 0.3, 0.1, 0.1), 0.5),
        ((0.35, 0.3, 0.05, 0.2), 0.5), ((0.3, 0.3, 0.05, 0.1), 0.0), ((0.4, 0.3, 0.05, 0.1), 0.0),
        ((0.35, 0.2, 0.05, 0.1), 0.0), ((0.35, 0.4, 0.05, 0.1), 0.0),
    ):  # fmt: skip
        assert region_disagreements([one, flat(100, (10, 20))], [region]) == [pytest.approx(100 * share)], region


def test_the_map_has_the_shape_of_the_smallest_picture_and_of_the_side_that_is_asked_for() -> None:
    wide, small = flat(0, (100, 400)), flat(10, (50, 200))
    assert disagreement_map([wide, small]).shape == (50, 200) and disagreement_map([small, wide], side_px=100).shape == (
        25,
        100,
    )
    tall = flat(0, (400, 3))
    assert disagreement_map([tall, tall], side_px=40).shape == (40, 1)
    assert (disagreement_map([wide, small]) == 10).all()
