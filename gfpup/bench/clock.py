"""Times of several sides, taken in turn, and what is said of them: median and quartiles."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

Call = Callable[[], "Sample"]


@dataclass(frozen=True)
class Sample:
    """One call: `wall` and `cpu` seconds (CPU of all threads), and the wall seconds of its stages where it has any."""

    wall: float
    cpu: float
    stages: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Spread:
    """The middle of several numbers, the quarters below and above it, and the numbers in the order they were taken."""

    median: float
    q1: float
    q3: float
    values: tuple[float, ...]


def in_turn(sides: Mapping[str, Call], *, warmup: int, repeat: int) -> Iterator[tuple[str, Sample, bool]]:
    """Call the sides one after another (A B A B), so that what changes on the machine meets them alike.

    Yields the side's name, its sample, and whether it counts: the first `warmup` rounds do not.
    """
    for round_ in range(warmup + repeat):
        for name, call in sides.items():
            yield name, call(), round_ >= warmup


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles of `values`, at least one; quartiles by linear interpolation, as numpy's default."""
    if not values:
        raise ValueError("there is nothing to take a median of")
    q1, median, q3 = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return Spread(median, q1, q3, tuple(values))


def ratios(slow: Sequence[float], fast: Sequence[float]) -> Spread:
    """How many times `fast` goes into `slow`, round by round: a slow round slows both, and leaves their ratio."""
    return spread([a / b for a, b in zip(slow, fast, strict=True) if b > 0] or [float("nan")])


def stage_medians(samples: Sequence[Sample]) -> dict[str, float]:
    """The median seconds of each stage, in the order the stages come."""
    names = dict.fromkeys(name for sample in samples for name in sample.stages)
    return {name: statistics.median(sample.stages.get(name, 0.0) for sample in samples) for name in names}
