"""What a report is about: finished runs, matched photo by photo, and what their scores say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np

from gfpup.analysis import statistics
from gfpup.analysis.compare import Comparison, Line, Run, compare, names_of
from gfpup.analysis.report.scored import read_scored
from gfpup.core.errors import GfpupError
from gfpup.core.files import natural_key
from gfpup.records import items as results
from gfpup.records.items import Item
from gfpup.records.manifest import DOCUMENT
from gfpup.records.run_record import folders_with
from gfpup.records.scores import RUN, TABLE, ScoreRow, per_photo, read

SWEEP_STATUS: Final = ".sweep/*.json"
"""What the jobs of a sweep leave in its folder; a refused one leaves nothing else."""

Key = tuple[str, str]
"""A metric and its level."""


@dataclass(frozen=True, eq=False)
class ReportedRun:
    """One finished run: its record, its scores, and by what a photo is matched its item on disk and its line."""

    name: str
    document: Mapping[str, Any]
    rows: tuple[ScoreRow, ...]
    items: Mapping[str, Item]
    lines: Mapping[str, Mapping[str, Any]]

    def values(self, key: Key) -> dict[str, float]:
        """One finite value a photo of a metric at a level, by what the photo is matched by."""
        match_of = {line["name"]: match for match, line in self.lines.items()}
        found = per_photo(row for row in self.rows if (row.metric, row.level) == key)
        return {match_of[photo]: value for photo, value in found.items() if photo in match_of}


@dataclass(frozen=True, eq=False)
class Subject:
    """Everything a report shows. `photos` are in natural order; `lines` hold the baseline's runs or, of one run, its means."""

    runs: tuple[ReportedRun, ...]
    photos: tuple[str, ...]
    baseline: str
    lines: tuple[Line, ...]
    comparison: Comparison | None
    notes: tuple[str, ...]
    lost_jobs: tuple[tuple[str, str], ...]

    def name(self, photo: str) -> str:
        """What a photo is called: the name of its result in the first run that has it."""
        return str(next(run.lines[photo]["name"] for run in self.runs if photo in run.lines))

    @property
    def keys(self) -> list[Key]:
        """The metrics and levels that have a value, in their order."""
        return list(dict.fromkeys((line.metric, line.level) for line in self.lines))

    def of(self, key: Key) -> dict[str, Line]:
        """The lines of one metric by run."""
        return {line.run: line for line in self.lines if (line.metric, line.level) == key}


def read_subject(given: Sequence[Path], *, baseline: str | None = None) -> Subject:
    """Read runs, or of a sweep's folder all runs below it; runs that have not ended are left out and named in `notes`.

    Raises:
        GfpupError: a folder holds no run, none of the runs has ended, or `baseline` is none of them.
    """
    folders = _folders(given)
    notes: list[str] = []
    runs = []
    for name, folder in zip(names_of(folders), folders, strict=True):
        try:
            runs.append(_read(name, folder, notes))
        except GfpupError as error:
            if len(folders) == 1:
                raise
            notes.append(f"{name} is left out: {error}")
    if not runs:
        raise GfpupError(f"none of the {len(folders)} runs can be reported: {notes[0]}")
    chosen = _baseline(baseline, runs, dict(zip(names_of(folders), folders, strict=True)))
    photos = {photo: run.lines[photo]["name"] for run in reversed(runs) for photo in run.lines}
    lines, comparison = _lines(runs, chosen, notes)
    return Subject(
        runs=tuple(runs),
        photos=tuple(sorted(photos, key=lambda photo: (natural_key(photos[photo]), photo))),
        baseline=chosen,
        lines=lines,
        comparison=comparison,
        lost_jobs=tuple(_lost_jobs(given, notes)),
        notes=tuple(notes),
    )


def _folders(given: Sequence[Path]) -> list[Path]:
    folders: dict[Path, Path] = {}
    for path in given:
        try:
            found = folders_with(DOCUMENT, [path])
        except GfpupError:
            found = scored_folders(path)
        folders |= {folder.resolve(): folder for folder in found}
    if not folders:
        raise GfpupError("a report needs at least one run: give the --output folder of gfpup run.")
    return list(folders.values())


def _read(name: str, folder: Path, notes: list[str]) -> ReportedRun:
    scores = folder / TABLE
    rows = tuple(read(scores)) if scores.exists() else ()
    if (folder / DOCUMENT).is_file():
        items, said = results.items_of_run(folder)
        document = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
    else:
        document, items, said = read_scored(folder, [row.photo for row in rows if row.photo != RUN])
    notes += said
    if document["status"] != "done":
        notes.append(f"{name} ended as {document['status']}")
    # As gfpup compare matches photos: by name without its extension, where that names one photo only.
    photos = [line["name"] for line in document["photos"]]
    short = {photo: str(PurePosixPath(photo).with_suffix("")) for photo in photos}
    match = short if len(set(short.values())) == len(photos) else {photo: photo for photo in photos}
    return ReportedRun(
        name=name,
        document=document,
        rows=rows,
        items={match[item.name]: item for item in items},
        lines={match[line["name"]]: line for line in document["photos"]},
    )


def _baseline(given: str | None, runs: Sequence[ReportedRun], folders: Mapping[str, Path]) -> str:
    names = [run.name for run in runs]
    if given is None:
        return names[0]
    by_folder = next((name for name in names if folders[name].resolve() == Path(given).resolve()), given)
    if by_folder not in names:
        raise GfpupError(f"the baseline {given!r} is none of the runs: choose one of {', '.join(names)}.")
    return by_folder


def _lines(runs: Sequence[ReportedRun], baseline: str, notes: list[str]) -> tuple[tuple[Line, ...], Comparison | None]:
    """The comparison of the runs that have scores, and the means of what only some of them have."""
    scored = [run for run in runs if run.rows]
    notes += [f"{run.name} has no scores: gfpup score makes them" for run in runs if scored and not run.rows]
    if len(scored) > 1:
        among = [run.name for run in scored]
        try:
            found = compare([Run(run.name, run.rows) for run in scored], baseline=baseline if baseline in among else None)
        except GfpupError as error:
            notes.append(f"the runs are not compared: {error}")
        else:
            notes += found.notes
            rest = [line for run in scored for line in _means(run) if (line.metric, line.level) not in found.metrics]
            return (*found.lines, *rest), found
    return tuple(line for run in scored for line in _means(run)), None


def _means(run: ReportedRun) -> list[Line]:
    lines = []
    for key in dict.fromkeys((row.metric, row.level) for row in run.rows if row.photo != RUN):
        values = np.array(list(run.values(key).values()), dtype=np.float64)
        # Of aligned crops a photo is its own face: the same numbers would stand there twice.
        if len(values) and not (key[1] == "faces" and run.values(key) == run.values((key[0], "photo"))):
            better = next(row.higher_is_better for row in run.rows if row.metric == key[0])
            interval = statistics.intervals(values[:, None])[0]
            lines.append(Line(*key, better, run.name, len(values), float(values.mean()), 1, interval))
    return lines


def _lost_jobs(given: Sequence[Path], notes: list[str]) -> list[tuple[str, str]]:
    """The jobs of a sweep that an error ended: what was asked for, and why it failed; doubles of others go to `notes`."""
    lost = []
    for path in given:
        for file in sorted(path.glob(SWEEP_STATUS), key=lambda file: natural_key(file.name)):
            try:
                facts = json.loads(file.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            if not isinstance(facts, dict):
                continue
            if facts.get("same_as"):
                notes.append(
                    f"{Path(facts['output']).name} means the same as {Path(facts['same_as']).name}, and was not repeated"
                )
            if facts.get("error"):
                lost.append((Path(facts["output"]).name, str(facts["error"])))
    return lost


def scored_folders(path: Path) -> list[Path]:
    """The folders with scores in a folder that holds no run.

    Raises:
        GfpupError: there are none.
    """
    try:
        return folders_with(TABLE, [path])
    except GfpupError:
        raise GfpupError(
            f"{path} holds neither a run nor scores: give the --output folder of gfpup run, gfpup sweep or gfpup score."
        ) from None
