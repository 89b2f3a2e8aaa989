"""Runs side by side, photo by photo: which method is better by each metric, by how much, and with what confidence."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from gfpup.analysis import statistics
from gfpup.core.errors import GfpupError
from gfpup.core.types import IDENTICAL, Float64, Score
from gfpup.evaluation.metrics import TABLE as METRICS
from gfpup.evaluation.metrics import TO_INPUT
from gfpup.records.run_record import RunRecord
from gfpup.records.scores import RUN, is_cost, per_photo, pixels_of

ALPHA: Final = 0.05
Key = tuple[str, str]
"""A metric and its level."""


@dataclass(frozen=True)
class Line:
    """One run by one metric: `interval` and `difference_interval` are at the comparison's confidence, None for too few photos.

    What compares with the baseline is None on the baseline's own line. `p_value` is corrected for the number of tests: those of
    quality among themselves, and those of cost (seconds) among themselves.
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


def compare(runs: Sequence[RunRecord], *, baseline: str | None = None, confidence: float = 0.95, seed: int = 0) -> Comparison:
    """Compare runs by every metric that all of them have, on the photos that all of them share.

    `baseline` names the run that the others are compared with, the first by default. The unit is the photo: of its faces the
    mean is taken first. The same scores and seed give the same table. Seconds are compared among the runs that have them.

    Raises:
        GfpupError: fewer than two runs, an unknown baseline, or no photo and no metric that all runs share.
    """
    if len(runs) < 2:
        raise GfpupError(f"a comparison needs at least two runs, and {len(runs)} was given: name their folders")
    names = [run.name for run in runs]
    base = names[0] if baseline is None else baseline
    if base not in names:
        raise GfpupError(f"unknown baseline {base!r}: choose one of {'; '.join(names)}")
    tables = [_by_metric(run) for run in runs]
    photos = [{run.matches[score.photo] for score in run.scores if score.photo != RUN} for run in runs]
    shared = set.intersection(*photos)
    if not shared:
        raise GfpupError(f"the runs {', '.join(names)} share no photo: compare runs over the same input")
    common = [key for key in dict.fromkeys(key for table in tables for key in table) if _is_common(key, tables)]
    notes = _notes(runs, tables, shared, photos, common)
    if repeated := [key for key in common if key[1] == "faces" and _is_its_face(key[0], tables)]:
        notes.append("every photo is its own face, so scores of faces are those of photos and are not repeated")
    seconds = _mean_seconds(names, tables, shared)
    lines: list[Line] = []
    for key in common:
        columns = {name: table[key] for name, table in zip(names, tables, strict=True) if key in table}
        if base in columns and key not in repeated:
            values = _shared_values(key, list(columns.values()), shared, notes)
            better = columns[base].higher_is_better
            facts: dict[str, Any] = {"confidence": confidence, "seed": seed, "seconds": seconds, "higher_is_better": better}
            lines += _lines(key, values, list(columns), base, **facts) if len(values) else []
    if not lines:
        raise GfpupError(
            f"the runs {', '.join(names)} share no metric that has values: score them with the same --metrics"
            + (f" ({notes[-1]})" if notes else "")
        )
    for cost in (False, True):
        tested = [i for i, line in enumerate(lines) if line.p_value is not None and is_cost(line.metric) == cost]
        for i, p_value in zip(tested, statistics.holm([lines[i].p_value or 0.0 for i in tested]), strict=True):
            lines[i] = replace(lines[i], p_value=p_value)
    return Comparison(
        runs=tuple(names),
        baseline=base,
        photos=len(shared),
        left_out={name: len(own - shared) for name, own in zip(names, photos, strict=True)},
        confidence=confidence,
        tests=sum(line.p_value is not None and not is_cost(line.metric) for line in lines),
        lines=tuple(lines),
        notes=tuple(notes),
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


def named(metric: str, level: str) -> str:
    """A metric at a level as it is called: "psnr", "identity of faces"."""
    return metric if level == "photo" else f"{metric} of {level}"


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
            )
        lines.append(line)
    return lines


@dataclass(frozen=True)
class _Column:
    """One metric of one run: by what photos are matched, a value a photo, and which pixels it was taken from."""

    values: Mapping[str, float]
    pixels: Mapping[str, str]
    higher_is_better: bool


Table = Mapping[Key, _Column]
_MIXED: Final = (
    "some runs were measured in memory, as earlier versions did, and others on the files that were written, whose lossy format "
    "changes pixels: gfpup score measures the files of both"
)


def _by_metric(run: RunRecord) -> Table:
    """By metric and level what a run has; of seconds nothing where the method's own time is not known."""
    groups: dict[Key, list[Score]] = {}
    for score in run.scores:
        if score.photo != RUN and not (score.metric == "seconds" and run.pixels.get("backend") == "precomputed"):
            groups.setdefault((score.metric, score.level), []).append(score)
    return {
        key: _Column(
            {run.matches[photo]: value for photo, value in per_photo(group).items()},
            {run.matches[score.photo]: pixels_of(score) for score in group if score.is_finite},
            group[0].higher_is_better,
        )
        for key, group in groups.items()
        if any(score.value is not None for score in group)
    }


def _shared_values(key: Key, columns: Sequence[_Column], shared: set[str], notes: list[str]) -> Float64:
    """The values of photos that all runs measured on the same kind of pixels, (photos, runs); `notes` say what is left out."""
    measured = shared.intersection(*(column.values for column in columns))
    photos = sorted(photo for photo in measured if len({column.pixels[photo] for column in columns}) == 1)
    if not photos:
        said = f"is not compared: {_MIXED}" if measured else "has no photo on which all runs have a value"
        notes.append(f"{named(*key)} {said}")
    elif len(photos) < len(shared):
        why = _MIXED if len(photos) < len(measured) else "on the others a run has no value"
        notes.append(f"{named(*key)} is compared on {len(photos)} photos: {why}")
        if len(photos) < statistics.FEWEST_FOR_CLAIM <= len(shared):
            notes.append(_too_few(f"the {len(photos)} photos that have {named(*key)}", len(photos)))
    return np.array([[column.values[photo] for column in columns] for photo in photos])


def _is_common(key: Key, tables: Sequence[Table]) -> bool:
    """Whether a metric can be compared: all runs have it, or, of a cost, at least two."""
    having = sum(key in table for table in tables)
    return having == len(tables) or (is_cost(key[0]) and having > 1)


def _is_its_face(metric: str, tables: Sequence[Table]) -> bool:
    """Whether a metric says the same of photos and of their faces, as it does of aligned crops: it would be tested twice."""
    return all(
        (metric, "photo") in table and table[metric, "photo"].values == table[metric, "faces"].values for table in tables
    )


def _mean_seconds(names: Sequence[str], tables: Sequence[Table], shared: set[str]) -> dict[str, float]:
    """By run the mean seconds, of the photos that all timed runs share."""
    columns = {
        name: table["seconds", "photo"].values
        for name, table in zip(names, tables, strict=True)
        if ("seconds", "photo") in table
    }
    timed = shared.intersection(*columns.values())
    return {name: sum(column[photo] for photo in timed) / len(timed) for name, column in columns.items()} if timed else {}


def _notes(
    runs: Sequence[RunRecord],
    tables: Sequence[Table],
    shared: set[str],
    photos: Sequence[set[str]],
    common: Sequence[Key],
) -> list[str]:
    notes = []
    if len(shared) < statistics.FEWEST_FOR_CLAIM:
        notes.append(_too_few(f"{len(shared)} photos", len(shared)))
    for run, own in zip(runs, photos, strict=True):
        if own - shared:
            notes.append(f"{run.name} has {len(own - shared)} photos that not all runs have; they are left out")
    lacking: dict[tuple[str, ...], list[str]] = {}
    for key in dict.fromkeys(key for table in tables for key in table if key not in common):
        without = tuple(run.name for run, table in zip(runs, tables, strict=True) if key not in table)
        lacking.setdefault(without, []).append(named(*key))
    for without, metrics in lacking.items():
        be = "is" if len(metrics) == 1 else "are"
        notes.append(f"{', '.join(metrics)} {be} not compared: missing from {', '.join(without)}")
    if untimed := [run.name for run in runs if run.pixels.get("backend") == "precomputed"]:
        notes.append(f"{', '.join(untimed)} has no time of its own, so it is not on a Pareto front")
    infinite = sorted({score.metric for run in runs for score in run.scores if score.missing_reason == IDENTICAL})
    if infinite:
        notes.append(f"{', '.join(infinite)} is infinite on some photos ({IDENTICAL}), and those are left out")
    kinds = {run.name: sorted({score.taken_from for score in run.scores} - {""}) for run in runs}
    if len({tuple(kind) for kind in kinds.values() if kind}) > 1:
        said = "; ".join(f"{name}: {', '.join(kind)}" for name, kind in kinds.items() if kind)
        notes.append(f"the results are of different formats or qualities, and what writing lost counts too ({said})")
    return notes


def _too_few(photos: str, n: int) -> str:
    least = f"{min(1.0, 2 / 2**n):.2g}"
    return (
        f"{photos} are too few for a claim: this is an illustration (no p-value below {least} is possible, "
        f"and {statistics.FEWEST_FOR_CLAIM} photos are the fewest that intervals were checked for)"
    )
