"""Votes become counts, strengths an order, and a verdict needs as many votes and photos as the rule says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from raters import ballots
from scipy import stats

from gfpup.analysis.vote import davidson, ranking
from gfpup.analysis.vote.ranking import Ballots


def of(*votes: tuple[int, int, int, int, int], methods: int = 2) -> Ballots:
    """Ballots of rater, photo, method a, method b and outcome."""
    return Ballots(*np.array(votes, np.int64).T, methods)  # type: ignore[call-arg]


def test_each_vote_is_a_win_of_one_method_or_a_tie_of_both() -> None:
    made = of((0, 0, 0, 1, 1), (0, 1, 2, 1, -1), (1, 0, 0, 2, 0), (1, 1, 1, 0, 1), methods=3)
    wins, ties = made.counts(np.ones(4))
    assert wins.tolist() == [[0, 1, 0], [1, 0, 1], [0, 0, 0]] and ties.tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]
    weighted, _ = made.counts(np.array([[2.0, 0, 0, 0], [0, 3.0, 0, 0]]))
    assert weighted.shape == (2, 3, 3) and weighted[0, 0, 1] == 2 and weighted[1, 1, 2] == 3 and weighted.sum() == 5
    by_photo, ties_of = made.by_photo()
    assert by_photo[0].tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]] and ties_of[0, 0, 2] == 1 and ties_of[1].sum() == 0
    np.testing.assert_array_equal(by_photo.sum(axis=0), wins)


def test_an_interval_is_students() -> None:
    low, high = ranking.interval(2.0, 0.5, 7, 0.9) or (0, 0)
    assert (low, high) == pytest.approx(stats.t.interval(0.9, 7, loc=2.0, scale=0.5))
    assert ranking.interval(2.0, None, 7, 0.9) is None


def verdicts(*, photos: int = 15, raters: int = 8, votes: int = 40) -> tuple[str, ranking.Ranking]:
    rng = np.random.default_rng(0)
    found = ranking.rank(ballots(rng, np.array([1.5, -1.5]), raters=raters, photos=photos, votes=votes), rng, resamples=100)
    (pair,) = ranking.pairs(found, "ab", 0.95)
    assert pair.method == "a" and pair.preferred + pair.ties + pair.other_preferred == raters * votes
    return pair.verdict, found


def test_a_verdict_needs_ten_photos_and_thirty_votes_for_each_method() -> None:
    assert verdicts()[0] == "preferred"
    assert verdicts(photos=10)[0] == "preferred" and verdicts(photos=9)[0] == "too few votes"
    assert verdicts(raters=5, votes=6)[0] == "too few votes", "thirty votes over six photos"
    assert verdicts(raters=3, votes=10)[0] == "preferred" and verdicts(raters=1, votes=29)[0] == "too few votes"


def test_intervals_need_five_photos_or_five_raters() -> None:
    for photos, raters, degrees in ((4, 4, None), (5, 4, 4), (4, 5, 4), (5, 9, 4), (12, 7, 6), (12, 3, 11)):
        _, found = verdicts(photos=photos, raters=raters, votes=60)
        assert (found.replicates is None) == (degrees is None)
        if degrees is not None:
            assert found.replicates is not None and found.replicates.degrees == degrees
            assert (found.raters is None) == (raters < 5) and (found.photos is None) == (photos < 5)
        strengths = ranking.strengths(found, "ab", 0.95)
        assert all((line.interval is None) == (degrees is None) for line in strengths)


def test_methods_that_no_votes_connect_get_no_verdict() -> None:
    rng = np.random.default_rng(1)
    first = ballots(rng, np.array([1.5, -1.5]), raters=8, photos=15, votes=40)
    apart = replace(
        first,
        a=np.concatenate([first.a, first.a + 2]),
        b=np.concatenate([first.b, first.b + 2]),
        raters=np.tile(first.raters, 2),
        photos=np.tile(first.photos, 2),
        outcome=np.tile(first.outcome, 2),
        methods=4,
    )
    assert ranking.is_connected(first) and not ranking.is_connected(apart)
    found = ranking.rank(apart, rng, resamples=50)
    assert {pair.verdict for pair in ranking.pairs(found, "abcd", 0.95)} == {"too few votes"}


def test_methods_stand_in_the_order_of_their_strengths_with_their_votes_and_equal_ones_share_a_rank() -> None:
    made = of(*[(0, i % 12, 1, 0, 1) for i in range(8)], *[(0, i % 12, 1, 2, 1) for i in range(8)], methods=3)
    lines = ranking.strengths(ranking.rank(made, np.random.default_rng(0), resamples=20), ["a", "b", "c"], 0.95)
    assert [(line.method, line.rank, line.votes) for line in lines] == [("b", 1, 16), ("a", 2, 8), ("c", 2, 8)]
    assert sum(line.strength for line in lines) == pytest.approx(0, abs=1e-9)


def test_a_vote_that_all_agree_on_is_no_surer_than_the_model() -> None:
    made = of(*[(i % 6, i % 12, 0, 1, 1) for i in range(60)])
    found = ranking.rank(made, np.random.default_rng(0), resamples=100)
    direction = np.array([1.0, -1.0])
    wins, ties = made.counts(np.ones(60))
    least = float(direction @ davidson.variance(found.fit, wins, ties) @ direction)
    assert ranking.deviation(found, direction) == pytest.approx(np.sqrt(least))
    assert ranking.deviation(ranking.Ranking(made, found.fit, None), direction) is None
