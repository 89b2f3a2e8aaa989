"""The votes of one question as counts, the strengths of the methods with their intervals, and what two methods differ by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from scipy.special import stdtr, stdtrit

from gfpup.analysis.compare import ALPHA
from gfpup.analysis.statistics import FEWEST_FOR_CLAIM, FEWEST_FOR_INTERVAL, Interval, holm
from gfpup.analysis.vote import davidson
from gfpup.analysis.vote.davidson import Fit, Int64, Replicates
from gfpup.analysis.vote.design import connected
from gfpup.analysis.vote.result import PairLine, Strength
from gfpup.core.types import Float64

RESAMPLES: Final = 1000
FEWEST_VOTES: Final = 30
"""A method with fewer votes gets an interval and no verdict."""
RULE: Final = (
    f"a verdict needs votes on {FEWEST_FOR_CLAIM} photos, {FEWEST_VOTES} votes for each of the two methods, and methods that "
    f"are connected by votes; an interval needs {FEWEST_FOR_INTERVAL} photos or {FEWEST_FOR_INTERVAL} raters"
)


@dataclass(frozen=True, eq=False)
class Ballots:
    """Votes as arrays (votes,): numbers of rater, photo, methods `a` and `b`, and the outcome: 1 for a, -1 for b, 0 a tie."""

    raters: Int64
    photos: Int64
    a: Int64
    b: Int64
    outcome: Int64
    methods: int

    def counts(self, weights: Float64) -> tuple[Float64, Float64]:
        """Wins and ties (..., methods, methods) where each vote counts as often as `weights`, (..., votes), says."""
        m, rows = self.methods, np.arange(len(self.a))
        wins, ties = np.zeros((len(rows), m * m)), np.zeros((len(rows), m * m))
        ab, ba = self.a * m + self.b, self.b * m + self.a
        wins[rows, ab], wins[rows, ba] = self.outcome > 0, self.outcome < 0
        ties[rows, ab] = ties[rows, ba] = self.outcome == 0
        shape = (*weights.shape[:-1], m, m)
        return (weights @ wins).reshape(shape), (weights @ ties).reshape(shape)

    def by_photo(self) -> tuple[Float64, Float64]:
        """Wins and ties of each photo, (photos, methods, methods)."""
        return self.counts((self.photos == np.arange(self.photos.max() + 1)[:, None]).astype(np.float64))


@dataclass(frozen=True, eq=False)
class Ranking:
    """The fit to all votes, and to each resample of raters, photos, cells and both; None where there are too few votes."""

    ballots: Ballots
    fit: Fit
    replicates: Replicates | None
    raters: Float64 | None = None
    photos: Float64 | None = None
    cells: Float64 | None = None
    both: Float64 | None = None


def rank(ballots: Ballots, rng: np.random.Generator, *, resamples: int = RESAMPLES) -> Ranking:
    """Fit the strengths of all methods, and again in each resample."""
    wins, ties = ballots.counts(np.ones(len(ballots.a)))
    fit = davidson.fit(wins, ties)
    drawn = davidson.resample(ballots.raters, ballots.photos, fewest=FEWEST_FOR_INTERVAL, resamples=resamples, rng=rng)
    if drawn is None:
        return Ranking(ballots, fit, None)

    def fitted(weights: Float64 | None) -> Float64 | None:
        return None if weights is None else davidson.fit(*ballots.counts(weights)).strengths

    by_rater, by_photo, cells = fitted(drawn.raters), fitted(drawn.photos), fitted(drawn.cells)
    both = fitted(drawn.both) if by_rater is not None and by_photo is not None else by_photo if by_rater is None else by_rater
    return Ranking(ballots, fit, drawn, by_rater, by_photo, cells, both)


def deviation(ranking: Ranking, direction: Float64) -> float | None:
    """The standard error of a combination of strengths, `direction` (methods,) that sums to 0; None for too few votes.

    It is at least the model's own: where a method never loses, resamples hardly differ.
    """
    if ranking.replicates is None or ranking.cells is None:
        return None
    raters, photos = (None if each is None else each @ direction for each in (ranking.raters, ranking.photos))
    counts = ranking.ballots.counts(np.ones(len(ranking.ballots.a)))
    least = float(direction @ davidson.variance(ranking.fit, *counts) @ direction)
    return float(np.sqrt(max(least, float(ranking.replicates.variance(raters, photos, ranking.cells @ direction)))))


def interval(value: float, error: float | None, degrees: int, confidence: float) -> Interval | None:
    """A symmetric interval by Student's distribution; None without a standard error."""
    if error is None:
        return None
    half = float(stdtrit(degrees, (1 + confidence) / 2)) * error
    return value - half, value + half


def strengths(ranking: Ranking, names: Sequence[str], confidence: float) -> tuple[Strength, ...]:
    """The methods, strongest first, with their intervals."""
    values, degrees = ranking.fit.strengths, _degrees(ranking)
    ballots, lines = ranking.ballots, []
    ordered = sorted(values.tolist(), reverse=True)
    for i, direction in enumerate(np.eye(len(names)) - 1 / len(names)):
        bounds = interval(float(values[i]), deviation(ranking, direction), degrees, confidence)
        lines.append(Strength(names[i], float(values[i]), bounds, ordered.index(values[i]) + 1, _votes(ballots, i)))
    return tuple(sorted(lines, key=lambda line: line.rank))


def pairs(ranking: Ranking, names: Sequence[str], confidence: float) -> tuple[PairLine, ...]:
    """Every two methods that were compared, the preferred one first, with p-values corrected for their number."""
    ballots, values = ranking.ballots, ranking.fit.strengths
    wins, ties = ballots.counts(np.ones(len(ballots.a)))
    found, p_values = [], []
    claimable = ranking.replicates is not None and is_connected(ballots)
    claimable &= len(np.unique(ballots.photos)) >= FEWEST_FOR_CLAIM
    for i, j in combinations(np.argsort(-values, kind="stable").tolist(), 2):
        direction = np.eye(len(names))[i] - np.eye(len(names))[j]
        difference, error = float(values[i] - values[j]), deviation(ranking, direction)
        bounds = interval(difference, error, _degrees(ranking), confidence)
        if error is not None:
            p_values.append(2 * (1 - float(stdtr(_degrees(ranking), difference / error))) if error else 1.0)
        enough = claimable and min(_votes(ballots, i), _votes(ballots, j)) >= FEWEST_VOTES
        counts = int(wins[i, j]), int(ties[i, j]), int(wins[j, i])
        found.append((names[i], names[j], *counts, difference, bounds, enough))
    corrected: Sequence[float | None] = holm(p_values) if p_values else [None] * len(found)
    return tuple(PairLine(*line[:-1], p, _verdict(p, enough=line[-1])) for line, p in zip(found, corrected, strict=True))


def is_connected(ballots: Ballots) -> bool:
    """Whether all methods are compared by these votes, directly or through others."""
    return connected(list(zip(ballots.a.tolist(), ballots.b.tolist(), strict=True)), ballots.methods)


def _verdict(p_value: float | None, *, enough: bool) -> str:
    if p_value is None or not enough:
        return "too few votes"
    return "preferred" if p_value <= ALPHA else "no difference shown"


def _votes(ballots: Ballots, method: int) -> int:
    return int(((ballots.a == method) | (ballots.b == method)).sum())


def _degrees(ranking: Ranking) -> int:
    return 1 if ranking.replicates is None else ranking.replicates.degrees
