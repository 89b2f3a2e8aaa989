"""Runs side by side, photo by photo: which method is better by each metric, by how much, and with what confidence."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from gfpup.analysis import power, statistics
from gfpup.analysis.shared import Key, SharedScores
from gfpup.analysis.slices import Facts, SliceLine, corrected, slice_lines
from gfpup.core.errors import GfpupError
from gfpup.core.types import Float64
from gfpup.evaluation.metrics import TABLE as METRICS
from gfpup.evaluation.metrics import TO_INPUT
from gfpup.records.run_record import RunRecord
from gfpup.records.scores import is_cost

ALPHA: Final = 0.05


@dataclass(frozen=True)
class Line:
    """One run by one metric: `interval` and `difference_interval` are at the comparison's confidence, None for too few photos.

    What compares with the baseline is None on the baseline's own line. `p_value` is corrected for the number of tests: those of
    quality among themselves, and those of cost (seconds) among themselves. `detectable` is the smallest difference that so many
    photos show with power 0.8 (two-sided 0.05, one comparison), `photos_needed` how many would show the one observed so.
    """

    metric: str
    level: str
    higher_is_better: bool
    run: str
    n: int
    mean: float
    rank: int
    interval: statistics.Interval | None = None
    difference: float | None = None
    difference_interval: statistics.Interval | None = None
    p_value: float | None = None
    win_rate: float | None = None
    detectable: float | None = None
    photos_needed: int | None = None
    on_front: bool | None = None
    """Whether no other run is better and as fast; None where this run's seconds were not measured."""

    @property
    def key(self) -> Key:
        """The metric and its level."""
        return self.metric, self.level


@dataclass(frozen=True)
class Comparison:
    """Everything that is printed or written: `photos` is how many all runs share, `left_out` how many more each has.

    `tests` counts the tests of quality; tests of cost are not among them.
    """

    runs: tuple[str, ...]
    baseline: str
    photos: int
    left_out: Mapping[str, int]
    confidence: float
    tests: int
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    slices: tuple[SliceLine, ...] = ()
    """The differences within slices of the photos, where any were asked for."""

    def of(self, metric: str, level: str) -> list[Line]:
        """The lines of one metric, best first."""
        return sorted((line for line in self.lines if line.key == (metric, level)), key=lambda line: line.rank)

    def by_run(self, key: Key) -> dict[str, Line]:
        """The lines of one metric by the name of their run, best first."""
        return {line.run: line for line in self.of(*key)}

    @property
    def metrics(self) -> list[Key]:
        """The metrics and their levels that were compared, in their order."""
        return list(dict.fromkeys(line.key for line in self.lines))


def compare(
    runs: Sequence[RunRecord],
    *,
    baseline: str | None = None,
    confidence: float = 0.95,
    seed: int = 0,
    by: Facts | None = None,
) -> Comparison:
    """Compare runs by every metric that all of them have, on the photos that all of them share.

    `baseline` names the run that the others are compared with, the first by default. The unit is the photo: of its faces the
    mean is taken first. The same scores and seed give the same table. Seconds are compared among the runs that have them.
    `by` are facts of the photos, by their names; differences in quality are then also taken within slices of the photos.

    Raises: GfpupError: fewer than two runs, an unknown baseline, or no photo and no metric that all runs share.
    """
    if len(runs) < 2:
        raise GfpupError(f"a comparison needs at least two runs, and {len(runs)} was given: name their folders")
    names = [run.name for run in runs]
    base = names[0] if baseline is None else baseline
    if base not in names:
        raise GfpupError(f"unknown baseline {base!r}: choose one of {'; '.join(names)}")
    shared = SharedScores(runs)
    seconds = shared.mean_seconds()
    lines: list[Line] = []
    sliced: list[SliceLine] = []
    for key in shared.keys:
        columns = shared.columns(key)
        if base in columns and len(values := shared.values(key)):
            better = columns[base].higher_is_better
            facts: dict[str, Any] = {"confidence": confidence, "seed": seed, "seconds": seconds, "higher_is_better": better}
            lines += _lines(key, values, list(columns), base, **facts)
            if by and not is_cost(key[0]):
                zero = values[:, list(columns).index(base)]
                differences = {name: values[:, i] - zero for i, name in enumerate(columns) if name != base}
                sliced += slice_lines(key, shared.measured(key), differences, by, confidence=confidence, seed=seed)
    if not lines:
        raise GfpupError(
            f"the runs {', '.join(names)} share no metric that has values: score them with the same --metrics"
            + (f" ({shared.notes[-1]})" if shared.notes else "")
        )
    lines = _corrected(lines)
    return Comparison(
        runs=tuple(names),
        baseline=base,
        photos=len(shared.photos),
        left_out={name: len(own - shared.photos) for name, own in shared.own.items()},
        confidence=confidence,
        tests=sum(line.p_value is not None and not is_cost(line.metric) for line in lines),
        lines=tuple(lines),
        notes=tuple(shared.notes),
        slices=tuple(corrected(sliced)),
    )


def verdict(line: Line) -> str:
    """How a run compares with the baseline: "baseline", "better", "worse", "no difference shown" or "too few".

    By a metric against the input it is "nearer the input" or "farther from the input", which by itself is neither good nor bad.
    """
    if line.difference is None or line.p_value is None:
        return "baseline"
    if line.n < statistics.FEWEST_FOR_CLAIM:
        return "too few"
    if line.p_value > ALPHA:
        return "no difference shown"
    good = (line.difference > 0) == line.higher_is_better
    if line.metric.endswith(TO_INPUT):
        return "nearer the input" if good else "farther from the input"
    return "better" if good else "worse"


def clipped(interval: statistics.Interval | None, metric: str, *, difference: bool = False) -> statistics.Interval | None:
    """An interval inside the range of its metric, or of differences in it: no mean of SSIMs is above 1."""
    facts = METRICS.get(metric.removesuffix(TO_INPUT))
    low, high = facts.bounds if facts else (None, None)
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    if difference:
        low, high = low - high, high - low
    return None if interval is None else (max(interval[0], low), min(interval[1], high))


def _lines(
    key: Key,
    values: Float64,
    names: Sequence[str],
    base: str,
    *,
    higher_is_better: bool,
    confidence: float,
    seed: int,
    seconds: Mapping[str, float],
) -> list[Line]:
    """The lines of one metric; `values` is (photos, runs) float64."""
    # Its own stream of chance for each metric: adding another metric changes no number.
    stream = zlib.crc32("/".join(key).encode()) + (seed << 32)
    reference = names.index(base)
    differences = values - values[:, reference, None]
    bounds = statistics.intervals(np.hstack([values, differences]), confidence=confidence, seed=stream)
    means = values.mean(axis=0).tolist()
    ranked = sorted(means, reverse=higher_is_better)
    timed = [] if is_cost(key[0]) else [(name, mean) for name, mean in zip(names, means, strict=True) if name in seconds]
    ahead = statistics.pareto([(seconds[name], mean) for name, mean in timed], higher_is_better=higher_is_better)
    front = {name: i in ahead for i, (name, _) in enumerate(timed)}
    lines = []
    for i, name in enumerate(names):
        rank, interval = ranked.index(means[i]) + 1, clipped(bounds[i], key[0])
        line = Line(*key, higher_is_better, name, len(values), means[i], rank, interval, on_front=front.get(name))
        if i != reference:
            line = replace(
                line,
                difference=float(differences[:, i].mean()),
                difference_interval=clipped(bounds[len(names) + i], key[0], difference=True),
                p_value=statistics.sign_flip(differences[:, i], seed=stream),
                win_rate=statistics.win_rate(differences[:, i], higher_is_better=higher_is_better),
                detectable=power.smallest_difference(differences[:, i]),
                photos_needed=power.photos_to_show(differences[:, i]),
            )
        lines.append(line)
    return lines


def _corrected(lines: Sequence[Line]) -> list[Line]:
    """The lines with p-values that are corrected for the number of tests: quality and cost each among themselves."""
    found = list(lines)
    for cost in (False, True):
        tested = [i for i, line in enumerate(lines) if line.p_value is not None and is_cost(line.metric) == cost]
        for i, p_value in zip(tested, statistics.holm([lines[i].p_value or 0.0 for i in tested]), strict=True):
            found[i] = replace(lines[i], p_value=p_value)
    return found
