"""Runs side by side, photo by photo: which method is better by each metric, by how much, and whether that can be believed."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np

from gfpup.analysis import statistics
from gfpup.core.errors import GfpupError
from gfpup.evaluation.metrics import TO_INPUT
from gfpup.records.scores import RUN, TABLE, ScoreRow, per_photo, read

ALPHA: Final = 0.05


@dataclass(frozen=True)
class Run:
    """The scores of one finished run under the name it has in the table."""

    name: str
    rows: tuple[ScoreRow, ...]


@dataclass(frozen=True)
class Line:
    """One run by one metric: `interval` and `difference_interval` are at the comparison's confidence, None for too few photos.

    What compares with the baseline is None on the baseline's own line. `p_value` is corrected for all tests of the comparison.
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
    """Whether no other run is better and as fast; None where seconds were not measured."""


@dataclass(frozen=True)
class Comparison:
    """Everything that is printed or written: `photos` is how many all runs share, `left_out` how many each has besides."""

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


def read_runs(paths: Sequence[Path]) -> list[Run]:
    """Read the runs' `scores.csv`, named by their folders; folders of one name get their parents' names too.

    Raises:
        GfpupError: a folder has no scores, or is named twice.
    """
    folders = [path.parent if path.name == TABLE else path for path in paths]
    resolved = [folder.resolve() for folder in folders]
    if len(set(resolved)) < len(resolved):
        raise GfpupError("one run is given twice: name different runs to compare")
    return [Run(name, tuple(read(folder / TABLE))) for name, folder in zip(names_of(folders), folders, strict=True)]


def names_of(folders: Sequence[Path]) -> list[str]:
    """What different runs are called: by their folders, with as many parents as tell them apart."""
    resolved = [folder.resolve() for folder in folders]
    names, depth = [folder.name for folder in resolved], 1
    while len(set(names)) < len(names):
        depth += 1
        names = ["/".join(folder.parts[-depth:]) for folder in resolved]
    return names


def compare(runs: Sequence[Run], *, baseline: str | None = None, confidence: float = 0.95, seed: int = 0) -> Comparison:
    """Compare runs by every metric that all of them have, on the photos that all of them share.

    `baseline` names the run that the others are held against, the first by default. The unit is the photo: of its faces the
    mean is taken first. The same scores and seed give the same table.

    Raises:
        GfpupError: fewer than two runs, an unknown baseline, or no photo and no metric that all runs share.
    """
    if len(runs) < 2:
        raise GfpupError(f"a comparison takes two runs or more, and {len(runs)} was given: name their folders")
    names = [run.name for run in runs]
    base = names[0] if baseline is None else baseline
    if base not in names:
        raise GfpupError(f"the baseline {base!r} is none of the runs: choose one of {', '.join(names)}")
    tables = [_by_metric(run) for run in runs]
    photos = [_photos(run) for run in runs]
    shared = set.intersection(*photos)
    if not shared:
        raise GfpupError(f"the runs {', '.join(names)} share no photo: compare runs over the same input")
    common = [key for key in tables[0] if all(key in table for table in tables)]
    aligned = [key for key in common if key[1] == "faces" and _is_its_face(key[0], tables)]
    notes = _notes(runs, tables, shared, photos, common)
    if aligned:
        notes.append("every photo is its own face, so scores of faces are those of photos and are not repeated")
    common = [key for key in common if key not in aligned]
    seconds = _mean_seconds(tables, shared)
    lines: list[Line] = []
    for key in common:
        columns = [table[key][0] for table in tables]
        of_metric = sorted(shared.intersection(*columns))
        if not of_metric:
            notes.append(f"{_title(key)} has no photo on which all runs have a value")
            continue
        values = np.array([[column[photo] for column in columns] for photo in of_metric])
        better = tables[0][key][1]
        lines += _lines(key, values, names, base, higher_is_better=better, confidence=confidence, seed=seed, seconds=seconds)
        if len(of_metric) < len(shared):
            notes.append(f"{_title(key)} is compared on {len(of_metric)} photos: on the others a run has no value")
        if len(of_metric) < statistics.FEWEST_FOR_CLAIM <= len(shared):
            notes.append(_too_few(f"the {len(of_metric)} photos that have {_title(key)}", len(of_metric)))
    if not lines:
        raise GfpupError(f"the runs {', '.join(names)} share no metric that has values: score them with the same --metrics")
    tested = [i for i, line in enumerate(lines) if line.p_value is not None]
    for i, p_value in zip(tested, statistics.holm([lines[i].p_value or 0.0 for i in tested]), strict=True):
        lines[i] = replace(lines[i], p_value=p_value)
    return Comparison(
        runs=tuple(names),
        baseline=base,
        photos=len(shared),
        left_out={name: len(own - shared) for name, own in zip(names, photos, strict=True)},
        confidence=confidence,
        tests=len(tested),
        lines=tuple(lines),
        notes=tuple(notes),
    )


def verdict(line: Line) -> str:
    """What may be said of a run against the baseline: "baseline", "better", "worse", "no difference shown" or "too few".

    By a metric against the input it is "nearer the input" or "farther from the input": that is not yet good or bad.
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
    values: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    names: Sequence[str],
    base: str,
    *,
    higher_is_better: bool,
    confidence: float,
    seed: int,
    seconds: Sequence[float] | None,
) -> list[Line]:
    """The lines of one metric; `values` is (photos, runs)."""
    # Its own stream of chance for each metric: adding another metric changes no number.
    stream = zlib.crc32("/".join(key).encode()) + (seed << 32)
    reference = names.index(base)
    differences = values - values[:, reference : reference + 1]
    bounds = statistics.intervals(np.hstack([values, differences]), confidence=confidence, seed=stream)
    means = values.mean(axis=0)
    order = np.sort(means)[:: -1 if higher_is_better else 1].tolist()
    front = None
    if seconds is not None and key[0] != "seconds":
        front = statistics.pareto(list(zip(seconds, means.tolist(), strict=True)), higher_is_better=higher_is_better)
    lines = []
    for i, name in enumerate(names):
        line = Line(
            metric=key[0],
            level=key[1],
            higher_is_better=higher_is_better,
            run=name,
            n=len(values),
            mean=float(means[i]),
            rank=order.index(float(means[i])) + 1,
            interval=bounds[i],
            on_front=None if front is None else i in front,
        )
        if i != reference:
            line = replace(
                line,
                difference=float(differences[:, i].mean()),
                difference_interval=bounds[len(names) + i],
                p_value=statistics.sign_flip(differences[:, i], seed=stream),
                win_rate=statistics.win_rate(differences[:, i], higher_is_better=higher_is_better),
            )
        lines.append(line)
    return lines


Table = dict[tuple[str, str], tuple[dict[str, float], bool]]


def _by_metric(run: Run) -> Table:
    """By metric and level one value a photo, and whether more is better."""
    key_of = _keys(run)
    groups: dict[tuple[str, str], list[ScoreRow]] = {}
    for row in run.rows:
        if row.photo != RUN:
            groups.setdefault((row.metric, row.level), []).append(row)
    return {
        key: ({key_of[photo]: value for photo, value in per_photo(group).items()}, group[0].higher_is_better)
        for key, group in groups.items()
        if any(row.value is not None for row in group)
    }


def _is_its_face(metric: str, tables: Sequence[Table]) -> bool:
    """Whether a metric says the same of photos and of their faces, as it does of aligned crops: it would be tested twice."""
    return all(table.get((metric, "photo"), ({}, True))[0] == table[metric, "faces"][0] for table in tables)


def _photos(run: Run) -> set[str]:
    return set(_keys(run).values())


def _keys(run: Run) -> dict[str, str]:
    """What a photo is called when runs are matched: its name without the extension, where that names one photo only."""
    photos = list(dict.fromkeys(row.photo for row in run.rows if row.photo != RUN))
    short = {photo: str(PurePosixPath(photo).with_suffix("")) for photo in photos}
    return short if len(set(short.values())) == len(photos) else {photo: photo for photo in photos}


def _mean_seconds(tables: Sequence[Table], shared: set[str]) -> list[float] | None:
    columns = [table.get(("seconds", "photo"), ({}, False))[0] for table in tables]
    timed = shared.intersection(*columns)
    return [sum(column[photo] for photo in timed) / len(timed) for column in columns] if timed else None


def _notes(
    runs: Sequence[Run],
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
    infinite = sorted({row.metric for run in runs for row in run.rows if row.value is not None and not np.isfinite(row.value)})
    if infinite:
        notes.append(f"{', '.join(infinite)} is infinite on some photos (equal pictures), and those are left out")
    return notes


def _too_few(photos: str, n: int) -> str:
    least = f"{min(1.0, 2 / 2**n):.2g}"
    return (
        f"{photos} are too few for a claim: this is an illustration (no p-value below {least} is possible, "
        f"and {statistics.FEWEST_FOR_CLAIM} photos are the fewest that intervals were checked for)"
    )


def _title(key: tuple[str, str]) -> str:
    return key[0] if key[1] == "photo" else f"{key[0]} of {key[1]}"
