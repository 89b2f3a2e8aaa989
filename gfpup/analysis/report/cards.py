"""What stands beneath each photo of a report, and the orders that the photos can be put in."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gfpup.analysis.render import number
from gfpup.analysis.report.data import Subject
from gfpup.analysis.report.pictures import Box, Views
from gfpup.analysis.report.tables import higher_is_better, short
from gfpup.analysis.shared import Key
from gfpup.evaluation.metrics import TO_INPUT
from gfpup.records.photo_record import FaceRecord

SCORES_SHOWN: Final = 4
"""So many metrics are shown on a card at once; the others unfold."""
_COST: Final = ("seconds", "peak_memory")
_ZOOM_WORTH: Final = 1.15
"""With less magnification than this a face fills its picture already, as aligned faces do, and no button zooms to it."""


@dataclass(frozen=True, eq=False)
class Card:
    """One photo: all its versions, its scores and notes.

    `apart` is how far the runs are apart (see `disagreement`), -1 where that is not known, and `difference` says it in words.
    `faces` are those that a button zooms to, and `face_numbers` their numbers. `decided` says what became of the faces, with
    the runs that it is about.

    A score is (metric, the text of each run and whether it is the best, how far the runs are apart). A note is (text, the
    numbers of the runs it is about, whether it is an error), without numbers where it is about all runs. `values` is JSON: for
    each metric a list of values, one per run.
    """

    number: int
    name: str
    facts: str
    views: Views
    faces: tuple[Box, ...]
    scores: list[tuple[str, list[tuple[str, bool]], str]]
    notes: list[tuple[str, list[int], bool]]
    values: str
    apart: float = -1.0
    difference: str = ""
    face_numbers: tuple[int, ...] = ()
    decided: tuple[tuple[str, list[int]], ...] = ()


@dataclass(frozen=True)
class Order:
    """A way to sort photos, as the page's control names it; `kind` is "pixels", "difference", "worst" or "name"."""

    kind: str
    label: str
    metric: int = 0
    higher_is_better: bool = True

    @property
    def value(self) -> str:
        return f"{self.kind} {self.metric} {'higher' if self.higher_is_better else 'lower'}"


class PhotoScores:
    """The values of all photos by metric and run; metrics of photos come before those of faces.

    `infinite` names the metrics, runs and photos whose value is infinite, as PSNR is of equal pictures. `numbers` are those of
    the photos, from 1 in the order of their names; links name photos by them. `differences` is how far apart the pictures of
    each photo are.
    """

    def __init__(self, subject: Subject, differences: Mapping[str, float] | None = None) -> None:
        self.subject = subject
        self.differences = differences or {}
        self.keys = sorted(subject.keys, key=lambda key: key[1] != "photo")
        self.values = {key: [run.values(key) for run in subject.runs] for key in self.keys}
        self.numbers = {photo: at for at, photo in enumerate(subject.photos, 1)}
        self.infinite = {
            (row.key, i, row.photo)
            for i, run in enumerate(subject.runs)
            for row in run.scores
            if row.value is not None and math.isinf(row.value)
        }

    def row(self, key: Key, photo: str) -> list[float | None]:
        """One value per run, rounded to what a page needs; None where a run has none."""
        found = [of_run.get(photo) for of_run in self.values[key]]
        return [None if value is None else float(f"{value:.6g}") for value in found]

    def orders(self) -> dict[str, list[Order]]:
        """The orders on offer by heading, the first of all being how the photos stand in the report."""
        found: dict[str, list[Order]] = {"Largest difference first": [], "Worst score first": [], "Most changed first": []}
        if any(self.differences.values()):
            label = "difference between pictures" if len(self.subject.runs) > 1 else "difference from the input"
            found["Largest difference first"].append(Order("pixels", label))
        for at in sorted(range(len(self.keys)), key=self._rank):
            key, better = self.keys[at], higher_is_better(self.subject, self.keys[at])
            name = short(self.subject, key).rstrip(" ↑↓")
            if any(sum(photo in of_run for of_run in self.values[key]) > 1 for photo in self.subject.photos):
                found["Largest difference first"].append(Order("difference", f"difference in {name}", at, better))
            heading, worst = (
                ("Most changed first", "most changed by") if key[0].endswith(TO_INPUT) else ("Worst score first", "worst")
            )
            found[heading].append(Order("worst", f"{worst} {name}", at, better))
        found["Name"] = [Order("name", "name")]
        return {heading: orders for heading, orders in found.items() if orders}

    def sorted_photos(self, order: Order) -> list[str]:
        """The photos in that order; those without a value come last, equal ones keep the order of their names."""
        if order.kind == "pixels":
            return sorted(self.subject.photos, key=lambda photo: -self.differences.get(photo, -1.0))

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
        numbers = views.face_numbers or tuple(range(1, len(views.faces) + 1))
        faces = {at: face for at, face in sorted(zip(numbers, views.faces, strict=True)) if _is_worth_zooming(face)}
        apart = self.differences.get(photo, -1.0)
        return Card(
            number=self.numbers[photo],
            name=subject.name(photo),
            facts=_facts(subject, views),
            views=views,
            faces=tuple(faces.values()),
            scores=[self._score(key, photo, row) for key, row in rows.items() if any(value is not None for value in row)],
            notes=_notes(subject, photo),
            values=json.dumps(list(rows.values()), separators=(",", ":")),
            apart=float(f"{apart:.6g}"),
            difference=_difference(subject, apart, views) if photo in self.differences else "",
            face_numbers=tuple(faces),
            decided=tuple(_decided(subject, photo)),
        )

    def _rank(self, at: int) -> tuple[bool, bool, bool, int]:
        """What tells methods apart best comes first: quality against a reference, of photos; cost comes last."""
        metric, level = self.keys[at]
        return metric in _COST, level != "photo", metric.endswith(TO_INPUT), at

    def _score(self, key: Key, photo: str, row: Sequence[float | None]) -> tuple[str, list[tuple[str, bool]], str]:
        known = [value for value in row if value is not None]
        best = max(known) if higher_is_better(self.subject, key) else min(known)
        marked = len(set(known)) > 1 and not key[0].endswith(TO_INPUT)
        texts = []
        for i, (run, value) in enumerate(zip(self.subject.runs, row, strict=True)):
            missing = "∞" if photo in run.lines and (key, i, run.lines[photo].name) in self.infinite else "none"
            texts.append((missing, False) if value is None else (number(value, key[0]), marked and value == best))
        apart = number(max(known) - min(known), key[0], digits=3) if len(known) > 1 else ""
        return short(self.subject, key), texts, apart


def _is_worth_zooming(face: Box) -> bool:
    return min(0.7 / face[2], 0.7 / face[3]) > _ZOOM_WORTH


def _difference(subject: Subject, apart: float, views: Views) -> str:
    """How far apart the pictures are, and each of several faces in them, as a sentence about a card."""
    what = "The results" if len(subject.runs) > 1 else "Before and after"
    if not apart:
        return f"{what} are equal"
    numbers = views.face_numbers or range(1, len(views.faces) + 1)
    of_faces = [f"face {i} by {number(value, digits=2)}" for i, value in zip(numbers, views.faces_apart, strict=False)]
    faces = f": {', '.join(of_faces)}" if len(of_faces) > 1 else ""
    return f"{what} differ by {number(apart, digits=2)} of 255 levels{faces}"


def _decided(subject: Subject, photo: str) -> Iterator[tuple[str, list[int]]]:
    """How many faces were restored, each text with the runs that it is about, or with none where it is about all."""
    found: dict[str, list[int]] = {}
    having = [i for i, run in enumerate(subject.runs) if photo in run.lines and not run.lines[photo].error]
    for i in having:
        faces = subject.runs[i].lines[photo].faces
        restored = sum(face.restored for face in faces)
        if faces:
            text = f"{restored} of {len(faces)} faces restored" if len(faces) > 1 else "face restored" * restored
            found.setdefault(text or "face left as it was", []).append(i)
    for text, runs in found.items():
        yield text, [] if len(runs) == len(subject.runs) else runs


def _facts(subject: Subject, views: Views) -> str:
    lines = [run.lines[views.photo] for run in subject.runs if views.photo in run.lines]
    counts = {len(line.faces) for line in lines if not line.error and line.faces_recorded}
    faces = f"{' or '.join(map(str, sorted(counts)))} face{'s' * (counts != {1})}, " if counts else ""
    failed = "not restored, " if all(line.error for line in lines) else ""
    return f"{failed}{faces}{views.size_wh[0]}×{views.size_wh[1]} px"


def _reason(number: int, face: FaceRecord) -> str:
    """Why a face was treated as it was, in words for somebody who sees only the result."""
    says_so = face.restored or face.failed or "left as it was" in str(face.reason)
    return f"face {number}: {face.reason}" if says_so else f"face {number} was left as it was: {face.reason}"


def _notes(subject: Subject, photo: str) -> list[tuple[str, list[int], bool]]:
    """What was decided about a photo and what went wrong, each text once with the runs that it is about."""
    found: dict[tuple[str, bool], list[int]] = {}
    having = [i for i, run in enumerate(subject.runs) if photo in run.lines]
    for i in having:
        line = subject.runs[i].lines[photo]
        texts = [line.error] if line.error else [*line.notes, *line.warnings]
        if not line.error:
            if line.method and not any(line.method in text for text in texts):
                texts.insert(0, f"method: {line.method}")
            texts += [_reason(at, face) for at, face in enumerate(line.faces, 1) if face.reason]
        for text in texts:
            found.setdefault((text, bool(line.error)), []).append(i)
    return [(text, [] if runs == having else runs, is_error) for (text, is_error), runs in found.items()]
