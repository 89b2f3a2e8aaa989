"""What several runs have in common: their photos and metrics, the values of each, and what has to be left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gfpup.analysis.statistics import FEWEST_FOR_CLAIM
from gfpup.core.errors import GfpupError
from gfpup.core.types import IDENTICAL, Float64, Score
from gfpup.records.run_record import RunRecord
from gfpup.records.scores import RUN, grouped, is_cost, per_photo, pixels_of

Key = tuple[str, str]
"""A metric and its level."""
_MIXED: Final = (
    "some runs were measured in memory, as earlier versions did, and others on the files that were written, whose lossy format "
    "changes pixels: gfpup score measures the files of both"
)


def named(metric: str, level: str) -> str:
    """A metric at a level as it is called: "psnr", "identity of faces"."""
    return metric if level == "photo" else f"{metric} of {level}"


@dataclass(frozen=True)
class Column:
    """One metric of one run: by what photos are matched, a value a photo, and which pixels it was taken from."""

    values: Mapping[str, float]
    pixels: Mapping[str, str]
    higher_is_better: bool


class SharedScores:
    """The scores of `runs` on the `photos` that all of them have, by the metrics in `keys` that can be compared.

    `own` are the photos of each run by its name; `notes` say what is left out.
    """

    def __init__(self, runs: Sequence[RunRecord]) -> None:
        """Find what the runs share; a GfpupError where that is no photo."""
        self.runs = runs
        self.own = {run.name: {run.matches[score.photo] for score in run.scores if score.photo != RUN} for run in runs}
        self.photos = set.intersection(*self.own.values())
        if not self.photos:
            raise GfpupError(f"the runs {', '.join(self.own)} share no photo: compare runs over the same input")
        self._tables = {run.name: _by_metric(run) for run in runs}
        self._every = list(dict.fromkeys(key for table in self._tables.values() for key in table))
        common = [key for key in self._every if self._is_common(key)]
        repeated = {key for key in common if key[1] == "faces" and self._is_its_face(key[0])}
        self.keys = [key for key in common if key not in repeated]
        self.notes = [*self._photos_left_out(), *self._metrics_left_out(common), *_about_values(runs)]
        if repeated:
            self.notes.append("every photo is its own face, so scores of faces are those of photos and are not repeated")

    def columns(self, key: Key) -> dict[str, Column]:
        """The runs that have a metric, by their names."""
        return {name: table[key] for name, table in self._tables.items() if key in table}

    def values(self, key: Key) -> Float64:
        """The values, (photos, runs that have them), of the photos that all of these measured on the same kind of pixels.

        Its rows are the photos of `measured`, in their order; what is left out is added to the notes.
        """
        columns, notes = list(self.columns(key).values()), self.notes
        measured = self.photos.intersection(*(column.values for column in columns))
        photos = self.measured(key)
        if not photos:
            said = f"is not compared: {_MIXED}" if measured else "has no photo on which all runs have a value"
            notes.append(f"{named(*key)} {said}")
        elif len(photos) < len(self.photos):
            why = _MIXED if len(photos) < len(measured) else "on the others a run has no value"
            notes.append(f"{named(*key)} is compared on {len(photos)} photos: {why}")
            if len(photos) < FEWEST_FOR_CLAIM <= len(self.photos):
                notes.append(_too_few(f"the {len(photos)} photos that have {named(*key)}", len(photos)))
        return np.array([[column.values[photo] for column in columns] for photo in photos])

    def measured(self, key: Key) -> list[str]:
        """The photos that all runs which have a metric measured on the same kind of pixels."""
        columns = list(self.columns(key).values())
        photos = self.photos.intersection(*(column.values for column in columns))
        return sorted(photo for photo in photos if len({column.pixels[photo] for column in columns}) == 1)

    def mean_seconds(self) -> dict[str, float]:
        """By run the mean seconds, of the photos that all timed runs share."""
        columns = {name: column.values for name, column in self.columns(("seconds", "photo")).items()}
        timed = self.photos.intersection(*columns.values())
        return {name: sum(values[photo] for photo in timed) / len(timed) for name, values in columns.items()} if timed else {}

    def _is_common(self, key: Key) -> bool:
        """Whether a metric can be compared: all runs have it, or, of a cost, at least two."""
        having = len(self.columns(key))
        return having == len(self._tables) or (is_cost(key[0]) and having > 1)

    def _is_its_face(self, metric: str) -> bool:
        """Whether a metric says the same of photos and of their faces, as of aligned crops: it would be tested twice."""
        of_photos, of_faces = ([table.get((metric, level)) for table in self._tables.values()] for level in ("photo", "faces"))
        return all(a is not None and b is not None and a.values == b.values for a, b in zip(of_photos, of_faces, strict=True))

    def _photos_left_out(self) -> list[str]:
        n = len(self.photos)
        notes = [_too_few(f"{n} photos", n)] if n < FEWEST_FOR_CLAIM else []
        more = {name: len(own - self.photos) for name, own in self.own.items()}
        left_out = "photos that not all runs have; they are left out"
        return notes + [f"{name} has {count} {left_out}" for name, count in more.items() if count]

    def _metrics_left_out(self, common: Sequence[Key]) -> list[str]:
        lacking = grouped(
            (", ".join(name for name, table in self._tables.items() if key not in table), named(*key))
            for key in self._every
            if key not in common
        )
        return [
            f"{', '.join(metrics)} {'is' if len(metrics) == 1 else 'are'} not compared: missing from {without}"
            for without, metrics in lacking.items()
        ]


def _by_metric(run: RunRecord) -> dict[Key, Column]:
    """By metric and level what a run has; of seconds nothing where the method's own time is not known."""
    scores = (s for s in run.scores if s.photo != RUN and not (s.metric == "seconds" and run.made_elsewhere))
    groups: dict[Key, list[Score]] = grouped((score.key, score) for score in scores)
    return {
        key: Column(
            {run.matches[photo]: value for photo, value in per_photo(group).items()},
            {run.matches[score.photo]: pixels_of(score) for score in group if score.is_finite},
            group[0].higher_is_better,
        )
        for key, group in groups.items()
        if any(score.value is not None for score in group)
    }


def _about_values(runs: Sequence[RunRecord]) -> list[str]:
    """What has to be known of the values: whose time is not known, what is infinite, and which formats were measured."""
    notes = []
    if untimed := [run.name for run in runs if run.made_elsewhere]:
        one = len(untimed) == 1
        said = "has no time of its own, so it is" if one else "have no time of their own, so they are"
        notes.append(f"{', '.join(untimed)} {said} not on a Pareto front")
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
        f"and {FEWEST_FOR_CLAIM} photos are the fewest that intervals were checked for)"
    )
