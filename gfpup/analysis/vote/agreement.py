"""Do metrics agree with people, and do raters agree with themselves?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np

from gfpup.analysis.shared import Key
from gfpup.analysis.vote.methods import Unit
from gfpup.analysis.vote.ranking import Ranking, interval
from gfpup.analysis.vote.result import MetricLine, RaterLine
from gfpup.analysis.vote.trial import Trial
from gfpup.analysis.vote.votes import CHOICES, Vote
from gfpup.core.types import Float64
from gfpup.records.run_record import RunRecord
from gfpup.records.scores import PEOPLE_METRIC, RUN, grouped, is_cost, per_photo

Values = Mapping[Unit, float]
"""The values of one metric of one method, by photo and by face."""


def values_of(record: RunRecord) -> dict[Key, tuple[bool, dict[Unit, float]]]:
    """Of each metric whether higher is better, and its values by unit; a photo's value of a metric of faces is their mean."""
    rows = [row for row in record.scores if row.photo != RUN and not is_cost(row.metric)]
    groups = grouped((row.key, row) for row in rows if not row.metric.startswith(PEOPLE_METRIC))
    found = {}
    for key, group in groups.items():
        values: dict[Unit, float] = {(record.matches[photo], None): value for photo, value in per_photo(group).items()}
        values |= {(record.matches[row.photo], row.face): float(row.value or 0) for row in group if row.is_finite}
        found[key] = (group[0].higher_is_better, values)
    return found


def metrics(
    ranking: Ranking, units: Sequence[Unit], measured: Sequence[Mapping[Key, tuple[bool, Values]]], confidence: float
) -> tuple[MetricLine, ...]:
    """How often each metric that two methods or more have agrees with the votes, which are on `units`, best first."""
    every = grouped((key, found[0]) for each in measured for key, found in each.items())
    lines = []
    for key, better in every.items():
        columns = [each[key][1] if key in each else {} for each in measured]
        line = _metric(key, ranking, units, columns, 1 if better[0] else -1, confidence)
        lines += [] if line is None else [line]
    return tuple(sorted(lines, key=lambda line: -line.share))


def _metric(
    key: Key, ranking: Ranking, units: Sequence[Unit], columns: Sequence[Values], better: int, confidence: float
) -> MetricLine | None:
    ballots = ranking.ballots
    # Of a face its own value, where the metric has one; else the photo's.
    table = np.array([[column.get(unit, column.get((unit[0], None), np.nan)) for column in columns] for unit in units])
    rows = np.arange(len(units))
    difference = better * (table[rows, ballots.a] - table[rows, ballots.b])
    decided = (ballots.outcome != 0) & np.isfinite(difference)
    if not decided.any():
        return None
    agreed = np.where(decided, (np.sign(np.nan_to_num(difference)) * ballots.outcome + 1) / 2, 0.0)
    n = int(decided.sum())
    share = float(agreed.sum() / n)
    means = np.array([[column.get((photo, None), np.nan) for column in columns] for photo, _ in units])
    tau, bounds = _tau(ranking, means, better, confidence)
    return MetricLine(*key, n, share, _share_interval(ranking, agreed, decided, share, confidence), tau, bounds)


def _share_interval(
    ranking: Ranking, agreed: Float64, decided: np.ndarray, share: float, confidence: float
) -> tuple[float, float] | None:
    drawn = ranking.replicates
    if drawn is None:
        return None

    def shares(weights: Float64 | None) -> Float64 | None:
        if weights is None:
            return None
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((weights @ agreed) / (weights @ decided))

    cells = shares(drawn.cells)
    assert cells is not None
    variance = float(drawn.variance(shares(drawn.raters), shares(drawn.photos), cells))
    # Where all votes agree, so do all resamples: the variance is at least that of two votes more, one each way.
    n = int(decided.sum())
    smoothed = (share * n + 1) / (n + 2)
    found = interval(share, float(np.sqrt(max(variance, smoothed * (1 - smoothed) / (n + 2)))), drawn.degrees, confidence)
    return None if found is None else (max(0.0, found[0]), min(1.0, found[1]))


def _tau(ranking: Ranking, table: Float64, better: int, confidence: float) -> tuple[float | None, tuple[float, float] | None]:
    """Kendall's tau-b of the methods' means over photos and their strengths, with a percentile interval; `table` is by vote.

    It is of the methods that have the metric, on the photos where all of these have a value. Without resampled photos the order
    of the metric would never change, so there is no interval.
    """
    _, first = np.unique(ranking.ballots.photos, return_index=True)
    having = np.flatnonzero(np.isfinite(table).any(axis=0))
    table = table[:, having]
    whole = [i for i in first.tolist() if np.isfinite(table[i]).all()]
    if not whole:
        return None, None
    means = better * table[whole].mean(axis=0)
    tau = float(kendall(ranking.fit.strengths[having], means))
    if not np.isfinite(tau):
        return None, None
    if ranking.both is None or ranking.replicates is None or ranking.replicates.photos is None:
        return tau, None
    weights = ranking.replicates.photos[:, whole]
    total = weights.sum(axis=1, keepdims=True)
    some = total[:, 0] > 0
    resampled = kendall(ranking.both[some][:, having], better * (weights[some] @ table[whole]) / total[some])
    low, high = np.nanquantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    return tau, (float(low), float(high))


def kendall(a: Float64, b: Float64) -> Float64:
    """Kendall's tau-b of the last axes of two arrays (..., n); nan where all values of one are equal.

    Source: Kendall, "The treatment of ties in ranking problems" (1945).
    """
    i, j = np.triu_indices(a.shape[-1], 1)
    x, y = np.sign(a[..., i] - a[..., j]), np.sign(b[..., i] - b[..., j])
    with np.errstate(invalid="ignore"):
        return np.asarray((x * y).sum(axis=-1) / np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1)))


def raters(votes: Sequence[Vote], trial: Trial) -> tuple[RaterLine, ...]:
    """How consistent each rater is, by name."""
    return tuple(_rater(rater, group, trial) for rater, group in sorted(grouped((v.rater, v) for v in votes).items()))


def _rater(rater: str, votes: Sequence[Vote], trial: Trial) -> RaterLine:
    answers = {(vote.item, vote.question): vote for vote in votes}
    both = []
    for vote in votes:
        first = answers.get((trial.items[vote.item].repeats or "", vote.question))
        if first is not None:
            both.append((_place(first.choice, first.side), _place(vote.choice, first.side)))
    sides = [_place(vote.choice, vote.side) for vote in votes]
    left, right = sides.count("left"), sides.count("right")
    share = left / (left + right) if left + right else None
    same = sum(one == other for one, other in both)
    return RaterLine(rater, len(votes), len(both), same, kappa(both), share, median(vote.seconds for vote in votes))


def _place(choice: str, side_of_a: str) -> str:
    """Where the chosen picture stands when picture a is on `side_of_a`: "left", "right" or "tie"."""
    return "tie" if choice == CHOICES[2] else "left" if (choice == "a") == (side_of_a == "left") else "right"


def kappa(both: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa of two answers to the same questions; None where chance alone would always agree.

    Answers are the sides on which pictures stood the first time, so that a rater who always takes the left one has none.
    Source: Cohen, "A coefficient of agreement for nominal scales" (1960).
    """
    n = len(both)
    if n == 0:
        return None
    observed = sum(one == other for one, other in both) / n
    first, second = zip(*both, strict=True)
    chance = sum(first.count(answer) * second.count(answer) for answer in {*first, *second}) / n**2
    return None if chance == 1 else (observed - chance) / (1 - chance)
