"""What a report is about: finished runs, matched photo by photo, and what their scores say."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from gfpup.analysis import statistics
from gfpup.analysis.compare import Comparison, Line, clipped, compare
from gfpup.analysis.report.scored import read_scored
from gfpup.analysis.shared import Key
from gfpup.core.errors import GfpupError
from gfpup.core.files import natural_key
from gfpup.records import items as results
from gfpup.records.folders import read_folders
from gfpup.records.items import Item
from gfpup.records.layout import DOCUMENT
from gfpup.records.photo_record import PhotoRecord
from gfpup.records.run_record import (
    RunRecord,
    called,
    chosen,
    folder_scoring_command,
    folders_with,
    job_statuses,
    named,
    read_record,
    scores_folder,
    scoring_command,
)
from gfpup.records.scores import RUN, TABLE, per_photo, read_all


@dataclass(frozen=True, eq=False)
class ReportedRun(RunRecord):
    """A finished run, and by what a photo is matched its item on disk and its line."""

    items: Mapping[str, Item] = field(default_factory=dict)
    lines: Mapping[str, PhotoRecord] = field(default_factory=dict)

    def values(self, key: Key) -> dict[str, float]:
        """One finite value a photo of a metric at a level, by what the photo is matched by."""
        found = per_photo(row for row in self.scores if row.key == key)
        return {match: found[photo.name] for match, photo in self.lines.items() if photo.name in found}


@dataclass(frozen=True)
class Folders:
    """Plain folders of pictures to report, the folders of their inputs and references, and the command that is recorded."""

    paths: Sequence[Path]
    degraded: Path | None = None
    reference: Path | None = None
    argv: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class Subject:
    """Everything a report shows. `photos` are in natural order; `lines` are of the comparison or, of one run, its means."""

    runs: tuple[ReportedRun, ...]
    photos: tuple[str, ...]
    baseline: str
    lines: tuple[Line, ...]
    comparison: Comparison | None
    notes: tuple[str, ...]
    lost_jobs: tuple[tuple[str, str], ...]
    noun: str = "run"
    """What one of `runs` is called: a "run", or a "folder" where all are plain folders of pictures."""
    scoring: tuple[str, ...] = ()
    """The commands that compute scores, where there are none."""

    def name(self, photo: str) -> str:
        """What a photo is called: the name of its result in the first run that has it."""
        return next(run.lines[photo].name for run in self.runs if photo in run.lines)

    @property
    def keys(self) -> list[Key]:
        """The metrics and levels that have a value, in their order."""
        return list(dict.fromkeys(line.key for line in self.lines))

    def of(self, key: Key) -> dict[str, Line]:
        """The lines of one metric by run, best first where they were compared."""
        return {line.run: line for line in sorted(self.lines, key=lambda line: line.rank) if line.key == key}


def read_subject(given: Sequence[Path], *, baseline: str | None = None, folders: Folders | None = None) -> Subject:
    """Read runs, or of a sweep's folder all runs below it; runs that have not ended are left out and named in `notes`.

    Plain `folders` of pictures follow them, matched by the names of the photos.

    Raises: GfpupError: a folder holds no run, none of the runs has ended, `baseline` is none of them, or see `read_folders`.
    """
    notes: list[str] = []
    folders = folders or Folders(())
    recorded = [path for path in folders.paths if (path / DOCUMENT).is_file()]
    given, folders = [*given, *recorded], replace(folders, paths=[path for path in folders.paths if path not in recorded])
    runs = _runs(given, notes) if given else []
    plain = _plain(runs, folders, notes) if folders.paths else []
    names = [record.name for record in named([*runs, *plain])] if plain else [run.name for run in runs]
    every = [replace(run, name=name) for run, name in zip([*runs, *plain], names, strict=True)]
    if not every:
        raise GfpupError("a report needs at least one run: give the --output folder of gfpup run.")
    picked = chosen(every, baseline) or every[0].name
    if picked not in [run.name for run in every]:
        raise GfpupError(f"unknown baseline {baseline!r}: choose one of {'; '.join(run.name for run in every)}.")
    photos = {photo: run.lines[photo].name for run in reversed(every) for photo in run.lines}
    lines, comparison = _lines(every, picked, notes)
    return Subject(
        runs=tuple(every),
        photos=tuple(sorted(photos, key=lambda photo: (natural_key(photos[photo]), photo))),
        baseline=picked,
        lines=lines,
        comparison=comparison,
        lost_jobs=tuple(_lost_jobs(given, notes)),
        notes=tuple(notes),
        noun="run" if runs else "folder",
        scoring=_scoring(runs, folders),
    )


def _runs(given: Sequence[Path], notes: list[str]) -> list[ReportedRun]:
    folders = {folder.resolve(): folder for path in given for folder in _folders(path)}
    records, runs, lost = [], [], []
    for folder in folders.values():
        try:
            bare = not (folder / DOCUMENT).is_file()
            records.append(RunRecord(folder, {}, tuple(read_all(folder))) if bare else read_record(folder))
        except GfpupError as error:
            lost.append((called(folder), error))
    for record in named(records):
        try:
            runs.append(_reported(record, notes))
        except GfpupError as error:
            lost.append((record.name, error))
    if lost and len(folders) == 1:
        raise lost[0][1]
    notes += [f"{name} is left out: {error}" for name, error in lost]
    if not runs:
        raise GfpupError(f"none of the runs can be reported: {notes[0]}")
    return runs


def _plain(runs: Sequence[ReportedRun], folders: Folders, notes: list[str]) -> list[ReportedRun]:
    """The plain folders, each in the form of a run."""
    read, said = read_folders(
        folders.paths, reference=folders.reference, degraded=folders.degraded, beside=runs, argv=folders.argv
    )
    notes += said
    return [_matched(folder.record, folder.items) for folder in read]


def _scoring(runs: Sequence[RunRecord], folders: Folders) -> tuple[str, ...]:
    """The commands that compute scores and show them, for a report in which nothing is scored."""
    if not folders.paths:
        return (scoring_command(runs[0].folder),)
    paths = folders.paths
    first = [folder_scoring_command(path, reference=folders.reference, degraded=folders.degraded) for path in paths]
    scored = [shlex.quote(str(path)) for path in (*(run.folder for run in runs), *map(scores_folder, paths))]
    return (*(scoring_command(run.folder) for run in runs if not run.scores), *first, f"gfpup report {' '.join(scored)}")


def _folders(path: Path) -> list[Path]:
    """The folders of runs in a folder or, where there are none, those of scores.

    Raises: GfpupError: there are none of either.
    """
    for file in (DOCUMENT, TABLE):
        try:
            return folders_with(file, [path])
        except GfpupError:
            continue
    raise GfpupError(
        f"{path} holds neither a run nor scores: give the --output folder of gfpup run, gfpup sweep or gfpup score."
    )


def _reported(record: RunRecord, notes: list[str]) -> ReportedRun:
    if record.document:
        items, said = results.items_of_run(record)
    else:
        photos = [score.photo for score in record.scores if score.photo != RUN]
        document, items, said = read_scored(record.folder, photos)
        record = replace(record, document=document)
    notes += said
    if record.status != "done":
        notes.append(f"{record.name} ended as {record.status}")
    return _matched(record, items)


def _matched(record: RunRecord, items: Sequence[Item]) -> ReportedRun:
    matched = {record.matches[item.name]: item for item in items}
    lines = {record.matches[photo.name]: photo for photo in record.photos}
    return ReportedRun(record.folder, record.document, record.scores, record.name, matched, lines)


def _lines(runs: Sequence[ReportedRun], baseline: str, notes: list[str]) -> tuple[tuple[Line, ...], Comparison | None]:
    """The comparison of the runs that have scores, and the means of what only some of them have."""
    scored, found = [run for run in runs if run.scores], None
    notes += [
        f"{run.name} has no scores: {scoring_command(run.folder)} computes them" for run in runs if scored and not run.scores
    ]
    if len(scored) > 1:
        try:
            found = compare(scored, baseline=baseline if baseline in [run.name for run in scored] else None)
            notes += found.notes
        except GfpupError as error:
            notes.append(f"the runs are not compared: {error}")
    means = [line for run in scored for line in _means(run) if found is None or line.key not in found.metrics]
    return (*(found.lines if found else ()), *means), found


def _means(run: ReportedRun) -> list[Line]:
    lines = []
    better = {row.key: row.higher_is_better for row in run.scores if row.photo != RUN}
    for (metric, level), higher in better.items():
        values = np.array(list(run.values((metric, level)).values()), dtype=np.float64)
        # Of aligned crops a photo is its own face: the same numbers would stand there twice.
        if len(values) and not (level == "faces" and run.values((metric, level)) == run.values((metric, "photo"))):
            interval = clipped(statistics.intervals(values[:, None])[0], metric)
            lines.append(Line(metric, level, higher, run.name, len(values), float(values.mean()), 1, interval))
    return lines


def _lost_jobs(given: Sequence[Path], notes: list[str]) -> list[tuple[str, str]]:
    """The jobs of a sweep that an error ended: what was asked for, and why it failed; doubles of others go to `notes`."""
    lost = []
    for facts in (facts for path in given for facts in job_statuses(path)):
        name = called(Path(facts["output"]))
        if facts.get("same_as"):
            notes.append(f"{name} means the same as {called(Path(facts['same_as']))}, and was not repeated")
        if facts.get("error"):
            lost.append((name, str(facts["error"])))
    return lost
