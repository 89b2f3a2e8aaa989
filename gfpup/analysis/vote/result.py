"""What the votes of a trial say, as facts: who was preferred, by how much, by whom, and which metrics agree."""

from __future__ import annotations

from dataclasses import dataclass

from gfpup.analysis.statistics import Interval


@dataclass(frozen=True)
class Strength:
    """One method: its `strength` is a natural logarithm, and those of all methods sum to 0; `votes` is how many it was in."""

    method: str
    strength: float
    interval: Interval | None
    rank: int
    votes: int


@dataclass(frozen=True)
class PairLine:
    """Two methods: how often each was preferred, the difference of strengths with its interval, and p corrected by Holm."""

    method: str
    other: str
    preferred: int
    ties: int
    other_preferred: int
    difference: float
    interval: Interval | None
    p_value: float | None
    verdict: str


@dataclass(frozen=True)
class MetricLine:
    """One metric: in what share of `votes` (ties left out) the picture that it finds better was preferred, equal ones counting
    half, and Kendall's tau-b between the methods' mean scores and strengths, None where all means are equal."""

    metric: str
    level: str
    votes: int
    share: float
    share_interval: Interval | None
    tau: float | None
    tau_interval: Interval | None


@dataclass(frozen=True)
class RaterLine:
    """One rater: of the `repeated` pairs, in how many the answer was the `same`, and Cohen's kappa, None where it is undefined.

    `left` is the share of decided votes for the left picture, and `seconds` the median time of a vote.
    """

    rater: str
    votes: int
    repeated: int
    same: int
    kappa: float | None
    left: float | None
    seconds: float


@dataclass(frozen=True)
class QuestionResult:
    """All about one question; `tie_share` is how often equally strong methods tie."""

    question: str
    votes: int
    raters: int
    photos: int
    tie_share: float
    strengths: tuple[Strength, ...]
    pairs: tuple[PairLine, ...]
    metrics: tuple[MetricLine, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """All questions of a trial that have votes; `scored` are the folders whose people.csv was written."""

    trial: str
    confidence: float
    questions: tuple[QuestionResult, ...]
    raters: tuple[RaterLine, ...]
    notes: tuple[str, ...]
    scored: tuple[str, ...] = ()
