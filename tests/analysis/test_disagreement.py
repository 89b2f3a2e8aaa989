"""Disagreement is the mean absolute difference of the two pictures that differ most, whole or in one region."""

from __future__ import annotations

import numpy as np
import pytest

from gfpup.analysis.disagreement import SIDE_PX, disagreement


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
