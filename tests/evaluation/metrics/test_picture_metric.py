"""What every metric of one picture or pair has in common: what it refuses, and what it does with a value that is no number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from gfpup.core.types import UInt8
from gfpup.evaluation.metrics.base import PictureMetric

GREY = np.full((20, 30, 3), 90, np.uint8)


class Fixed(PictureMetric):
    """Always the same value, under the name of a metric for which higher is better."""

    name = "psnr"
    smallest_px = 16

    def __init__(self, value: float) -> None:
        self.always = value

    def value(self, restored: UInt8, reference: Any) -> float:
        return self.always


class MayBeInfinite(Fixed):
    may_be_infinite = True


def test_a_number_is_the_score() -> None:
    score = Fixed(2.5).score(GREY, GREY)
    assert (score.value, score.higher_is_better, score.missing_reason) == (2.5, True, None)


@pytest.mark.parametrize("metric", [Fixed(math.nan), MayBeInfinite(math.nan), Fixed(math.inf)])
def test_what_is_not_finite_is_missing_with_that_reason(metric: Fixed) -> None:
    score = metric.score(GREY, GREY)
    assert score.value is None and score.missing_reason == "its value is not a finite number"


def test_a_metric_may_say_that_equal_pictures_are_infinitely_close() -> None:
    assert MayBeInfinite(math.inf).score(GREY, GREY).value == math.inf


def test_pictures_of_different_shapes_are_a_mistake_and_a_missing_or_small_one_a_reason() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        Fixed(1.0).score(GREY, GREY[:, 1:])
    assert Fixed(1.0).score(GREY).missing_reason == "there is no picture to compare with"
    assert "needs 16 pixels each way and the picture is 30x10" in str(Fixed(1.0).score(GREY[:10], GREY[:10]).missing_reason)
