"""Strengths of simulated raters: found as choix finds them, with ties as they were made, and covered by their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from raters import ballots

from gfpup.analysis.vote import davidson, ranking

TRUTH = np.array([0.8, 0.2, -0.2, -0.8])


def counts(rng: np.random.Generator, tie: float, votes: int = 400) -> tuple[np.ndarray, np.ndarray]:
    found = ballots(rng, TRUTH, raters=1, photos=votes, votes=votes, tie=tie)
    return found.counts(np.ones(votes))


@pytest.mark.parametrize("penalty", [0.0, davidson.PENALTY])
def test_without_ties_the_strengths_are_those_of_choix(penalty: float) -> None:
    choix = pytest.importorskip("choix", reason="choix is not installed")
    for seed in range(5):
        wins, ties = counts(np.random.default_rng(seed), tie=-np.inf)
        data = [(i, j) for i in range(4) for j in range(4) for _ in range(int(wins[i, j]))]
        expected = choix.opt_pairwise(4, data, alpha=penalty, method="Newton-CG", tol=1e-12)
        found = davidson.fit(wins, ties, penalty=penalty)
        assert found.strengths == pytest.approx(expected - expected.mean(), abs=1e-5)
        assert np.isneginf(found.tie)
    iterated = choix.ilsr_pairwise(4, data)
    assert davidson.fit(wins, ties, penalty=0.0).strengths == pytest.approx(iterated - iterated.mean(), abs=1e-5)


def test_strengths_and_ties_are_found_as_they_were_made() -> None:
    wins, ties = counts(np.random.default_rng(0), tie=-0.3, votes=200_000)
    found = davidson.fit(wins, ties)
    assert found.strengths == pytest.approx(TRUTH, abs=0.03) and float(found.tie) == pytest.approx(-0.3, abs=0.03)
    won, tied = found.probabilities()
    off = ~np.eye(4, dtype=bool)
    assert (won + won.T + tied)[off] == pytest.approx(1)
    assert won[off] == pytest.approx((wins / (wins + wins.T + ties + np.eye(4)))[off], abs=0.01)


def test_many_fits_at_once_are_each_its_own_and_nothing_becomes_infinite() -> None:
    several = [counts(np.random.default_rng(seed), tie=tie) for seed, tie in enumerate((-0.3, -np.inf, 1.0))]
    alone = [davidson.fit(*each) for each in several]
    found = davidson.fit(*(np.stack(each) for each in zip(*several, strict=True)))
    for i, each in enumerate(alone):
        assert found.strengths[i] == pytest.approx(each.strengths, abs=1e-8)
        assert found.tie[i] == pytest.approx(each.tie, abs=1e-8)
    wins = np.array([[0, 9, 9], [0, 0, 9], [0, 0, 0]], float)
    for never_lost, tied in ((wins, np.zeros((3, 3))), (np.zeros((3, 3)), wins + wins.T), (0 * wins, 0 * wins)):
        fit = davidson.fit(never_lost, tied)
        assert np.isfinite(fit.strengths).all() and fit.strengths.sum() == pytest.approx(0)
        assert list(np.argsort(-fit.strengths, kind="stable")) == [0, 1, 2]


def test_what_photos_contribute_averages_to_the_strength_and_is_what_leaving_one_out_changes() -> None:
    made = ballots(np.random.default_rng(3), TRUTH, raters=20, photos=30, votes=60)
    wins, ties = made.by_photo()
    whole = davidson.fit(wins.sum(axis=0), ties.sum(axis=0))
    found = davidson.influence(whole, wins, ties)
    assert found.mean(axis=0) == pytest.approx(whole.strengths)
    without = davidson.fit(wins.sum(axis=0) - wins, ties.sum(axis=0) - ties).strengths
    jackknife = 30 * whole.strengths - 29 * without
    assert np.abs(found - jackknife).max() < 0.15 * found.std(axis=0).max()


@pytest.mark.parametrize(("of_raters", "of_photos"), [(0.0, 0.0), (0.5, 0.5)])
def test_intervals_cover_the_truth_of_200_trials(of_raters: float, of_photos: float) -> None:
    """At 93 % or more, where raters and photos are alike and where they are not."""
    own = {"of_raters": of_raters, "of_photos": of_photos}
    # What people in general prefer is not TRUTH itself where they differ: it is what very many of them say.
    many = ballots(np.random.default_rng(1), TRUTH, raters=2000, photos=300, votes=300, **own)
    truth = davidson.fit(*many.counts(np.ones(len(many.a))), penalty=0.0).strengths
    covered = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        found = ranking.rank(ballots(rng, TRUTH, raters=8, photos=15, votes=36, **own), rng, resamples=200)
        for line in ranking.strengths(found, "0123", 0.95):
            assert line.interval is not None
            covered.append(line.interval[0] <= truth[int(line.method)] <= line.interval[1])
        for pair in ranking.pairs(found, "0123", 0.95):
            assert pair.interval is not None
            covered.append(pair.interval[0] <= truth[int(pair.method)] - truth[int(pair.other)] <= pair.interval[1])
    assert len(covered) == 2000 and np.mean(covered) >= 0.93


def test_equal_methods_are_seldom_told_apart() -> None:
    claims = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        found = ranking.rank(ballots(rng, np.zeros(3), raters=8, photos=15, votes=36), rng, resamples=200)
        claims += any(pair.verdict == "preferred" for pair in ranking.pairs(found, "012", 0.95))
    assert claims <= 0.07 * 200


def test_one_that_never_loses_has_no_narrow_interval() -> None:
    rng = np.random.default_rng(0)
    made = ballots(rng, np.array([9.0, 0.0, -9.0]), raters=6, photos=12, votes=24, tie=-np.inf)
    first = ranking.strengths(ranking.rank(made, rng, resamples=200), "012", 0.95)[0]
    assert first.method == "0" and first.interval is not None and first.interval[1] - first.interval[0] > 2


def spread(variance: float) -> np.ndarray:
    """Three values with this sample variance."""
    return np.sqrt(variance) * np.array([-1.0, 0.0, 1.0])


@pytest.mark.parametrize(
    ("raters", "photos", "cells", "expected"),
    [(5.0, 3.0, 1.0, 7.0), (3.0, 5.0, 1.0, 7.0), (2.0, 1.0, 2.5, 2.5), (4.0, 1.0, 3.0, 4.0), (1.0, 4.0, 3.0, 4.0)],
)
def test_variances_of_raters_and_photos_add_up_less_what_both_have_and_are_no_smaller_than_any(
    raters: float, photos: float, cells: float, expected: float
) -> None:
    drawn = davidson.Replicates(None, None, np.zeros((3, 1)), np.zeros((3, 1)), 4)
    assert drawn.variance(spread(raters), spread(photos), spread(cells)) == pytest.approx(expected)


def test_where_only_raters_or_photos_vary_theirs_is_the_variance() -> None:
    drawn = davidson.Replicates(None, None, np.zeros((3, 1)), np.zeros((3, 1)), 4)
    assert drawn.variance(spread(5.0), None, spread(1.0)) == pytest.approx(5)
    assert drawn.variance(None, spread(2.0), spread(3.0)) == pytest.approx(3)
    both = drawn.variance(np.stack([spread(5.0), spread(1.0)], axis=1), None, np.zeros((3, 2)))
    assert both == pytest.approx([5, 1])


def test_a_vote_counts_as_often_as_its_rater_and_its_photo_are_drawn_and_cells_are_drawn_whole() -> None:
    raters, photos = (
        np.array(column) for column in zip(*[(r, p) for r in range(6) for p in range(7) for _ in range(2)], strict=True)
    )
    drawn = davidson.resample(raters, photos, fewest=5, resamples=40, rng=np.random.default_rng(0))
    assert drawn is not None and drawn.raters is not None and drawn.photos is not None and drawn.degrees == 5
    np.testing.assert_array_equal(drawn.both, drawn.raters * drawn.photos)
    for weights, groups, n in ((drawn.raters, raters, 6), (drawn.photos, photos, 7), (drawn.cells, 7 * raters + photos, 42)):
        first = np.unique(groups, return_index=True)[1]
        np.testing.assert_array_equal(weights, weights[:, first][:, groups])
        assert weights.shape == (40, 84) and (weights[:, first].sum(axis=1) == n).all() and len(np.unique(weights, axis=0)) > 20
    alone = davidson.resample(raters, photos, fewest=7, resamples=40, rng=np.random.default_rng(0))
    assert alone is not None and alone.raters is None and alone.degrees == 6
    np.testing.assert_array_equal(alone.both, alone.photos)
    assert davidson.resample(raters, photos, fewest=8, resamples=40, rng=np.random.default_rng(0)) is None
