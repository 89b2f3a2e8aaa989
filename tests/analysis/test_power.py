"""What photos can show is what they do show, at the stated rate, in simulated comparisons."""

from __future__ import annotations

import numpy as np
import pytest

from gfpup.analysis.power import FEWEST, photos_to_show, smallest_difference
from gfpup.analysis.statistics import sign_flip


def power_of(mean: float, n: int, *, trials: int, seed: int) -> float:
    """How often n photos with normal differences of this mean and spread 1 come out at p <= 0.05."""
    rng = np.random.default_rng(seed)
    return float(np.mean([sign_flip(rng.normal(mean, 1, n), resamples=500, seed=i) <= 0.05 for i in range(trials)]))


def of_spread_1(n: int, mean: float = 0.0) -> np.ndarray:
    values = np.random.default_rng(n).normal(size=n)
    return (values - values.mean()) / values.std(ddof=1) + mean


@pytest.mark.parametrize("n", [10, 25, 60])
def test_the_smallest_difference_is_shown_four_times_in_five(n: int) -> None:
    smallest = smallest_difference(of_spread_1(n))
    assert smallest is not None
    # Three standard errors of 400 trials, and 2 % for the formula's own error in small samples.
    assert power_of(smallest, n, trials=400, seed=n) == pytest.approx(0.8, abs=0.08)


@pytest.mark.parametrize("mean", [0.3, 0.7])
def test_as_many_photos_as_named_show_the_one_observed_four_times_in_five(mean: float) -> None:
    needed = photos_to_show(of_spread_1(20, mean))
    assert needed is not None
    assert power_of(mean, needed, trials=400, seed=7) == pytest.approx(0.8, abs=0.08)


@pytest.mark.slow
@pytest.mark.parametrize("n", [10, 15, 30, 100])
def test_the_rate_is_exact_to_two_percent(n: int) -> None:
    smallest = smallest_difference(of_spread_1(n))
    assert smallest is not None
    assert power_of(smallest, n, trials=4000, seed=n) == pytest.approx(0.8, abs=0.03)


def test_it_agrees_with_the_paired_t_test() -> None:
    from scipy import optimize, stats

    for n in (10, 20, 50, 200):

        def lacking(mean: float, n: int = n) -> float:
            bound = stats.t.ppf(0.975, n - 1)
            return float(stats.nct.sf(bound, n - 1, mean * np.sqrt(n))) - 0.8  # the other tail is below 1e-6

        assert smallest_difference(of_spread_1(n)) == pytest.approx(optimize.brentq(lacking, 0.01, 1.5), rel=0.02)


def test_the_two_are_each_others_inverse_and_scale_with_the_metric() -> None:
    values = of_spread_1(40, 0.4)
    smallest = smallest_difference(values)
    assert smallest is not None and smallest_difference(1000 * values) == pytest.approx(1000 * smallest)
    assert photos_to_show(-1000 * values) == photos_to_show(values)
    assert photos_to_show(values - values.mean() + smallest) in (40, 41)


def test_too_few_photos_promise_nothing_and_no_number_shows_a_difference_of_0() -> None:
    assert smallest_difference(of_spread_1(9)) is None and photos_to_show(of_spread_1(9, 1.0)) is None
    assert photos_to_show(np.zeros(20)) is None and smallest_difference(np.zeros(20)) == 0.0
    assert photos_to_show(np.full(20, 0.5)) == FEWEST
