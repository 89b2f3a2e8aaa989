"""Runs side by side, photo by photo: which method is better by each metric, by how much, and with what confidence."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from gfpup.analysis import statistics
from gfpup.core.errors import GfpupError
from gfpup.core.types import IDENTICAL, Float64, Score
from gfpup.evaluation.metrics import TABLE as METRICS
from gfpup.evaluation.metrics import TO_INPUT
from gfpup.records.run_record import RunRecord
from gfpup.records.scores import RUN, is_cost, per_photo, pixels_of

ALPHA: Final = 0.05


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
        return sorted((line for line in self.lines if (line.metric, line.level) == (metric, level)), key=lambda line: line.rank)

    @property
    def metrics(self) -> list[tuple[str, str]]:
        """The metrics and their levels that were compared, in their order."""
        return list(dict.fromkeys((line.metric, line.level) for line in self.lines))


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
    photos = [{run.matches[photo] for photo in _scored(run)} for run in runs]
    shared = set.intersection(*photos)
    if not shared:
        raise GfpupError(f"the runs {', '.join(names)} share no photo: compare runs over the same input")
    common = [key for key in dict.fromkeys(key for table in tables for key in table) if _is_common(key, tables)]
    notes = _notes(runs, tables, shared, photos, common)
    if aligned := [key for key in common if key[1] == "faces" and _is_its_face(key[0], tables)]:
        notes.append("every photo is its own face, so scores of faces are those of photos and are not repeated")
    seconds = _mean_seconds(names, tables, shared)
    lines: list[Line] = []
    for key in (key for key in common if key not in aligned):
        those = [i for i, table in enumerate(tables) if key in table]
        if names.index(base) not in those:
            continue
        columns, differing = _same_pixels([tables[i][key] for i in those])
        of_metric = sorted(shared.intersection(*columns))
        if differing and not of_metric:
            notes.append(f"{_title(key)} is not compared: {_MIXED}")
            continue
        if not of_metric:
            notes.append(f"{_title(key)} has no photo on which all runs have a value")
            continue
        values = np.array([[column[photo] for column in columns] for photo in of_metric])
        lines += _lines(
            key,
            values,
            [names[i] for i in those],
            base,
            confidence=confidence,
            seed=seed,
            seconds=seconds,
            higher_is_better=tables[those[0]][key].higher_is_better,
        )
        if len(of_metric) < len(shared):
            why = _MIXED if differing else "on the others a run has no value"
            notes.append(f"{_title(key)} is compared on {len(of_metric)} photos: {why}")
        if len(of_metric) < statistics.FEWEST_FOR_CLAIM <= len(shared):
            notes.append(_too_few(f"the {len(of_metric)} photos that have {_title(key)}", len(of_metric)))
    if not lines:
        raise GfpupError(
            f"the runs {', '.join(names)} share no metric that has values: score them with the same --metrics"
            + (f" ({notes[-1]})" if notes else "")
        )
    for cost in (False, True):
        _correct(lines, [i for i, line in enumerate(lines) if line.p_value is not None and is_cost(line.metric) == cost])
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


def _correct(lines: list[Line], tested: Sequence[int]) -> None:
    for i, p_value in zip(tested, statistics.holm([lines[i].p_value or 0.0 for i in tested]), strict=True):
        lines[i] = replace(lines[i], p_value=p_value)


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


def _lines(
    key: tuple[str, str],
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
    low, high = METRICS[key[0].removesuffix(TO_INPUT)].bounds if key[0].removesuffix(TO_INPUT) in METRICS else (None, None)
    span = None if low is None or high is None else high - low
    bounds = statistics.intervals(np.hstack([values, differences]), confidence=confidence, seed=stream)
    means = values.mean(axis=0)
    order = np.sort(means)[:: -1 if higher_is_better else 1].tolist()
    front = {} if is_cost(key[0]) else _front(names, means, seconds, higher_is_better=higher_is_better)
    lines = []
    for i, name in enumerate(names):
        rank = order.index(float(means[i])) + 1
        line = Line(
            *key,
            higher_is_better,
            name,
            len(values),
            float(means[i]),
            rank,
            _clipped(bounds[i], low, high),
            on_front=front.get(name),
        )
        if i != reference:
            line = replace(
                line,
                difference=float(differences[:, i].mean()),
                difference_interval=_clipped(bounds[len(names) + i], None if span is None else -span, span),
                p_value=statistics.sign_flip(differences[:, i], seed=stream),
                win_rate=statistics.win_rate(differences[:, i], higher_is_better=higher_is_better),
            )
        lines.append(line)
    return lines


def _front(names: Sequence[str], means: Float64, seconds: Mapping[str, float], *, higher_is_better: bool) -> dict[str, bool]:
    """Of the runs that have seconds, which are on the Pareto front of this metric against them."""
    timed = [(name, float(mean)) for name, mean in zip(names, means, strict=True) if name in seconds]
    front = statistics.pareto([(seconds[name], mean) for name, mean in timed], higher_is_better=higher_is_better)
    return {name: i in front for i, (name, _) in enumerate(timed)}


def _clipped(interval: statistics.Interval | None, low: float | None, high: float | None) -> statistics.Interval | None:
    """An interval inside the bounds of its metric: no mean of SSIMs is above 1."""
    if interval is None:
        return None
    return max(interval[0], interval[0] if low is None else low), min(interval[1], interval[1] if high is None else high)


@dataclass(frozen=True)
class _Column:
    """One metric of one run: by what photos are matched, a value a photo, and which pixels it was taken from."""

    values: Mapping[str, float]
    pixels: Mapping[str, str]
    higher_is_better: bool


Table = Mapping[tuple[str, str], _Column]
_MIXED: Final = (
    "some runs were measured in memory, as earlier versions did, and others on the files that were written, whose lossy format "
    "changes pixels: gfpup score measures the files of both"
)


def _by_metric(run: RunRecord) -> Table:
    """By metric and level what a run has; of seconds nothing where the method's own time is not known."""
    groups: dict[tuple[str, str], list[Score]] = {}
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


def _same_pixels(columns: Sequence[_Column]) -> tuple[list[Mapping[str, float]], bool]:
    """The values of photos that all runs measured on the same kind of pixels, and whether others were left out."""
    differing = {
        photo
        for photo in set.intersection(*(set(column.values) for column in columns))
        if len({column.pixels[photo] for column in columns}) > 1
    }
    return [{photo: v for photo, v in column.values.items() if photo not in differing} for column in columns], bool(differing)


def _is_common(key: tuple[str, str], tables: Sequence[Table]) -> bool:
    """Whether a metric can be compared: all runs have it, or, of a cost, at least two."""
    having = sum(key in table for table in tables)
    return having == len(tables) or (is_cost(key[0]) and having > 1)


def _is_its_face(metric: str, tables: Sequence[Table]) -> bool:
    """Whether a metric says the same of photos and of their faces, as it does of aligned crops: it would be tested twice."""
    return all(
        (metric, "photo") in table and table[metric, "photo"].values == table[metric, "faces"].values for table in tables
    )


def _scored(run: RunRecord) -> list[str]:
    """The photos that a run has scores of."""
    return list(dict.fromkeys(score.photo for score in run.scores if score.photo != RUN))


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
    common: Sequence[tuple[str, str]],
) -> list[str]:
    notes = []
    if len(shared) < statistics.FEWEST_FOR_CLAIM:
        notes.append(_too_few(f"{len(shared)} photos", len(shared)))
    for run, own in zip(runs, photos, strict=True):
        if own - shared:
            notes.append(f"{run.name} has {len(own - shared)} photos that not all runs have; they are left out")
    for key in dict.fromkeys(key for table in tables for key in table if key not in common):
        without = ", ".join(run.name for run, table in zip(runs, tables, strict=True) if key not in table)
        notes.append(f"{_title(key)} is not compared: {without} lacks it")
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


def _title(key: tuple[str, str]) -> str:
    return key[0] if key[1] == "photo" else f"{key[0]} of {key[1]}"
