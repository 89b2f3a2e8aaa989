"""What stands beneath each photo of a report, and the orders that the photos can be put in."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gfpup.analysis.compare import Key
from gfpup.analysis.render import number
from gfpup.analysis.report.data import Subject
from gfpup.analysis.report.pictures import Box, Views
from gfpup.analysis.report.tables import higher_is_better, short
from gfpup.evaluation.metrics import TO_INPUT

SCORES_SHOWN: Final = 4
"""So many metrics are shown on a card at once; the others unfold."""
_COST: Final = ("seconds", "peak_memory")
_ZOOM_WORTH: Final = 1.15
"""With less magnification than this a face fills its picture already, as aligned faces do, and no button zooms to it."""


@dataclass(frozen=True)
class ScoreLine:
    """A metric of one photo: a text and whether it is the best for each run, and how far the runs are apart."""

    metric: str
    values: tuple[tuple[str, bool], ...]
    difference: str


@dataclass(frozen=True)
class Note:
    """What was decided or went wrong, and the numbers of the runs it is about; none where it is about all."""

    text: str
    runs: tuple[int, ...]
    is_error: bool


@dataclass(frozen=True, eq=False)
class Card:
    """One photo: all its versions, its scores and notes. `values` is JSON: for each metric a list of values, one per run."""

    number: int
    name: str
    facts: str
    views: Views
    faces: tuple[Box, ...]
    scores: tuple[ScoreLine, ...]
    notes: tuple[Note, ...]
    values: str


@dataclass(frozen=True)
class Order:
    """A way to sort photos, as the page's control names it; `kind` is "difference", "worst" or "name"."""

    kind: str
    label: str
    metric: int = 0
    higher_is_better: bool = True

    @property
    def value(self) -> str:
        return f"{self.kind} {self.metric} {'higher' if self.higher_is_better else 'lower'}"


@dataclass(frozen=True, eq=False)
class PhotoScores:
    """The values of all photos by metric and run; metrics of photos come before those of faces."""

    subject: Subject
    keys: tuple[Key, ...]
    values: Mapping[Key, Sequence[Mapping[str, float]]]
    infinite: frozenset[tuple[Key, int, str]]
    """The metrics, runs and names of photos whose value is infinite, as PSNR is of equal pictures."""
    numbers: Mapping[str, int]
    """The photos counted from 1 in the order of their names; links name them by it."""

    @classmethod
    def of(cls, subject: Subject) -> PhotoScores:
        keys = tuple(sorted(subject.keys, key=lambda key: key[1] != "photo"))
        infinite = {
            ((row.metric, row.level), i, row.photo)
            for i, run in enumerate(subject.runs)
            for row in run.scores
            if row.value is not None and math.isinf(row.value)
        }
        values = {key: [run.values(key) for run in subject.runs] for key in keys}
        numbers = {photo: at for at, photo in enumerate(subject.photos, 1)}
        return cls(subject, keys, values, frozenset(infinite), numbers)

    def row(self, key: Key, photo: str) -> list[float | None]:
        """One value per run, rounded to what a page needs; None where a run has none."""
        found = [of_run.get(photo) for of_run in self.values[key]]
        return [None if value is None else float(f"{value:.6g}") for value in found]

    def orders(self) -> dict[str, list[Order]]:
        """The orders on offer by heading, the first of all being how the photos stand in the report."""
        several = len(self.subject.runs) > 1
        found: dict[str, list[Order]] = {"Largest difference first": [], "Worst score first": [], "Most changed first": []}
        for at in sorted(range(len(self.keys)), key=self._rank):
            key, better = self.keys[at], higher_is_better(self.subject, self.keys[at])
            name = short(self.subject, key).rstrip(" ↑↓")
            if several and any(sum(photo in of_run for of_run in self.values[key]) > 1 for photo in self.subject.photos):
                found["Largest difference first"].append(Order("difference", f"difference in {name}", at, better))
            if key[0].endswith(TO_INPUT):
                found["Most changed first"].append(Order("worst", f"most changed by {name}", at, better))
            else:
                found["Worst score first"].append(Order("worst", f"worst {name}", at, better))
        found["Name"] = [Order("name", "name")]
        return {heading: orders for heading, orders in found.items() if orders}

    def sorted_photos(self, order: Order) -> list[str]:
        """The photos in that order; those without a value come last, equal ones keep the order of their names."""

        def place(photo: str) -> float:
            known = [v for v in self.row(self.keys[order.metric], photo) if v is not None]
            if order.kind == "difference":
                return min(known) - max(known) if len(known) > 1 else math.inf
            return (min(known) if order.higher_is_better else -max(known)) if known else math.inf

        return list(self.subject.photos) if order.kind == "name" else sorted(self.subject.photos, key=place)

    def card(self, views: Views) -> Card:
        """The card of one photo."""
        subject, photo = self.subject, views.photo
        rows = {key: self.row(key, photo) for key in self.keys}
        return Card(
            number=self.numbers[photo],
            name=subject.name(photo),
            facts=_facts(subject, views),
            views=views,
            faces=tuple(face for face in views.faces if min(0.7 / face[2], 0.7 / face[3]) > _ZOOM_WORTH),
            scores=tuple(self._score(key, photo) for key, row in rows.items() if any(value is not None for value in row)),
            notes=_notes(subject, photo),
            values=json.dumps(list(rows.values()), separators=(",", ":")),
        )

    def _rank(self, at: int) -> tuple[bool, bool, bool, int]:
        """What tells methods apart best comes first: quality against a reference, of photos; cost comes last."""
        metric, level = self.keys[at]
        return metric in _COST, level != "photo", metric.endswith(TO_INPUT), at

    def _score(self, key: Key, photo: str) -> ScoreLine:
        row = self.row(key, photo)
        known = [value for value in row if value is not None]
        best = max(known) if higher_is_better(self.subject, key) else min(known)
        marked = len(set(known)) > 1 and not key[0].endswith(TO_INPUT)
        texts = []
        for i, (run, value) in enumerate(zip(self.subject.runs, row, strict=True)):
            missing = "∞" if photo in run.lines and (key, i, run.lines[photo]["name"]) in self.infinite else "none"
            texts.append((missing, False) if value is None else (number(value, key[0]), marked and value == best))
        apart = number(max(known) - min(known), key[0], digits=3) if len(known) > 1 else ""
        return ScoreLine(short(self.subject, key), tuple(texts), apart)


def _facts(subject: Subject, views: Views) -> str:
    lines = [run.lines[views.photo] for run in subject.runs if views.photo in run.lines]
    counts = {len(line["faces"]) for line in lines if not line["error"] and "faces" in line}
    faces = f"{' or '.join(map(str, sorted(counts)))} face{'s' * (counts != {1})}, " if counts else ""
    failed = "not restored, " if all(line["error"] for line in lines) else ""
    return f"{failed}{faces}{views.size_wh[0]}×{views.size_wh[1]} px"


def _notes(subject: Subject, photo: str) -> tuple[Note, ...]:
    """What was decided about a photo and what went wrong, each text once with the runs that it is about."""
    found: dict[tuple[str, bool], list[int]] = {}
    having = [i for i, run in enumerate(subject.runs) if photo in run.lines]
    for i in having:
        line = subject.runs[i].lines[photo]
        decided = [*line.get("notes", ()), *line["warnings"]]
        if line.get("method") and not any(line["method"] in note for note in decided):
            decided.insert(0, f"method: {line['method']}")
        decided += [f"face {at}: {face['reason']}" for at, face in enumerate(line.get("faces", ()), 1) if face["reason"]]
        for text, is_error in [(line["error"], True)] if line["error"] else [(text, False) for text in decided]:
            found.setdefault((text, is_error), []).append(i)
    return tuple(Note(text, () if runs == having else tuple(runs), error) for (text, error), runs in found.items())
