"""The statistics do what they say: intervals cover at their rate, p-values are those of all signs, fronts are not beaten."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest

from gfpup.analysis.statistics import FEWEST_FOR_INTERVAL, holm, intervals, pareto, sign_flip, win_rate

Draw = Callable[[np.random.Generator, int], np.ndarray]
DRAWS: dict[str, tuple[Draw, float]] = {
    "normal": (lambda rng, n: rng.normal(0.5, 0.1, n), 0.5),
    "exponential": (lambda rng, n: rng.exponential(2.0, n), 2.0),
    "beta": (lambda rng, n: rng.beta(8, 2, n), 0.8),
}


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize(("n", "confidence"), [(10, 0.95), (30, 0.95), (30, 0.8)])
def test_intervals_cover_at_their_rate(name: str, n: int, confidence: float) -> None:
    draw, truth = DRAWS[name]
    rng = np.random.default_rng(2024)
    trials, hits = 500, 0
    for trial in range(trials):
        (bounds,) = intervals(draw(rng, n)[:, None], confidence=confidence, resamples=600, seed=trial)
        assert bounds is not None
        hits += bounds[0] <= truth <= bounds[1]
    # Three standard errors of 500 trials, and 2 % for small samples of skewed values.
    slack = 3 * np.sqrt(confidence * (1 - confidence) / trials)
    assert confidence - slack - 0.02 <= hits / trials <= confidence + slack + 0.02


def test_the_same_seed_gives_the_same_bounds_and_columns_do_not_matter() -> None:
    values = np.random.default_rng(3).normal(size=(25, 3))
    once, again = intervals(values, seed=7), intervals(values, seed=7)
    assert once == again
    alone = intervals(values[:, :1], seed=7)
    assert alone[0] == pytest.approx(once[0])
    assert intervals(values, seed=8) != once


def test_a_shifted_and_scaled_column_has_a_shifted_and_scaled_interval() -> None:
    values = np.random.default_rng(4).gamma(2.0, size=(40, 1))
    (plain,), (moved,) = intervals(values, seed=1), intervals(1000 + 3 * values, seed=1)
    assert plain is not None and moved is not None
    assert moved == pytest.approx((1000 + 3 * plain[0], 1000 + 3 * plain[1]))


def test_equal_values_have_a_point_for_an_interval_and_few_have_none() -> None:
    assert intervals(np.full((12, 1), 0.7)) == [(pytest.approx(0.7), pytest.approx(0.7))]
    assert intervals(np.arange(FEWEST_FOR_INTERVAL - 1.0)[:, None]) == [None]


def test_sign_flip_counts_every_sign() -> None:
    differences = np.array([0.3, -0.1, 0.4, 0.2, 0.5])
    sums = [abs(sum(s * d for s, d in zip(signs, differences, strict=True))) for signs in product((-1, 1), repeat=5)]
    expected = np.mean([total >= abs(differences.sum()) - 1e-12 for total in sums])
    assert sign_flip(differences) == pytest.approx(expected)
    assert sign_flip(np.array([1.0, 1.0, 1.0, 1.0])) == pytest.approx(2 / 2**4)
    assert sign_flip(np.zeros(6)) == 1.0 and sign_flip(np.zeros(40)) == 1.0


def test_sign_flip_at_random_agrees_with_all_signs_of_normal_differences() -> None:
    rng = np.random.default_rng(11)
    differences = rng.normal(0.25, 1.0, 60)
    t = differences.mean() / (differences.std(ddof=1) / np.sqrt(60))
    from scipy import stats

    assert sign_flip(differences, seed=5) == pytest.approx(2 * stats.t.sf(abs(t), 59), abs=0.02)
    assert sign_flip(differences, seed=5) == sign_flip(differences, seed=5)
    assert sign_flip(differences + 5, seed=5) == pytest.approx(1 / 10_001)


def test_sign_flip_holds_its_level_without_a_difference() -> None:
    rng = np.random.default_rng(12)
    rejected = [sign_flip(rng.standard_t(3, 20), resamples=400, seed=i) <= 0.05 for i in range(600)]
    assert 0.02 <= np.mean(rejected) <= 0.08


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == [] and holm([0.2]) == [0.2]


def test_win_rate_counts_ties_half() -> None:
    differences = np.array([1.0, -1.0, 0.0, 2.0])
    assert win_rate(differences, higher_is_better=True) == pytest.approx(0.625)
    assert win_rate(differences, higher_is_better=False) == pytest.approx(0.375)


def test_pareto() -> None:
    points = [(1.0, 0.5), (2.0, 0.6), (2.0, 0.4), (3.0, 0.6), (0.5, 0.1)]
    assert pareto(points, higher_is_better=True) == [0, 1, 4]
    assert pareto(points, higher_is_better=False) == [4]
    assert pareto([(1.0, 1.0), (1.0, 1.0)], higher_is_better=True) == [0, 1]


def test_many_photos_are_resampled_in_parts_to_the_same_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(5).normal(2.0, 1.0, size=(40, 2))
    whole, p_value = intervals(values, seed=3), sign_flip(values[:, 0] - 2.0, seed=3)
    monkeypatch.setattr("gfpup.analysis.statistics._CHUNK_VALUES", 40 * 333)
    parts, p_part = intervals(values, seed=3), sign_flip(values[:, 0] - 2.0, seed=3)
    for one, other in zip(whole, parts, strict=True):
        assert one is not None and other is not None and other == pytest.approx(one, abs=0.05)
    assert p_part == pytest.approx(p_value, abs=0.02)


def test_an_interval_is_that_of_the_studentised_bootstrap_written_out() -> None:
    values = np.random.default_rng(9).gamma(2.0, size=12)
    rng = np.random.default_rng(1)
    mean, spread = values.mean(), values.std()
    drawn = values[rng.integers(0, 12, (20_000, 12))]
    ratios = (drawn.mean(axis=1) - mean) / drawn.std(axis=1)
    low, high = np.quantile(ratios, [0.05, 0.95])
    (bounds,) = intervals(values[:, None], confidence=0.9)
    assert bounds == pytest.approx((mean - high * spread, mean - low * spread), rel=0.03)


def test_values_that_differ_by_rounding_alone_are_equal_and_small_ones_are_not() -> None:
    tiny = np.random.default_rng(2).normal(1e-9, 1e-9, (20, 1))
    ((low, high),) = intervals(tiny)  # type: ignore[misc]
    assert low < tiny.mean() < high and high - low > 1e-10
    rounded = 1e6 * (1 + 1e-15 * np.arange(20.0))[:, None]
    ((low, high),) = intervals(rounded)  # type: ignore[misc]
    assert low == high


def test_up_to_fourteen_differences_every_sign_is_counted() -> None:
    for n in (1, 4, 13, 14):
        assert sign_flip(np.ones(n)) == 2 / 2**n
    assert sign_flip(np.ones(15)) == pytest.approx(1 / 10_001, abs=5e-4) and sign_flip(np.zeros(0)) == 1.0
