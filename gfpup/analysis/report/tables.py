"""The tables of a report as cells: runs and their scores, the comparison, failures, plans and commands."""

from __future__ import annotations

import json
import shlex
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from gfpup.analysis import render
from gfpup.analysis.compare import Line, verdict
from gfpup.analysis.render import interval_text, number
from gfpup.analysis.report.data import ReportedRun, Subject
from gfpup.analysis.shared import Key, named
from gfpup.evaluation.metrics import TO_INPUT
from gfpup.evaluation.metrics.cost import OUTSIDE
from gfpup.records.scores import RUN

FAILURES_SHOWN: Final = 1000


@dataclass(frozen=True)
class Cell:
    """A cell: `value` is what it is sorted by, `small` are lines beneath the text, `run` marks the name of that run."""

    text: str
    value: float | str | None
    small: tuple[str, ...] = ()
    strong: bool = False
    run: int | None = None

    @property
    def is_number(self) -> bool:
        return isinstance(self.value, int | float)


@dataclass(frozen=True)
class Table:
    """A sortable table; the text of a plain cell is also what it is sorted by."""

    name: str
    caption: str
    heads: Sequence[str]
    cells: Iterable[Sequence[Any]]

    @cached_property
    def rows(self) -> list[list[Cell]]:
        return [[cell if isinstance(cell, Cell) else Cell(str(cell), cell) for cell in row] for row in self.cells]

    @property
    def kinds(self) -> list[str]:
        """How each column is sorted: as "number", or as "text"."""
        columns = zip(*self.rows, strict=True) if self.rows else ()
        return ["number" if any(cell.is_number for cell in column) else "text" for column in columns]


def title(subject: Subject, key: Key) -> str:
    """A metric in words, with which direction is better."""
    return render.title(*key, higher_is_better=higher_is_better(subject, key))


def short(subject: Subject, key: Key) -> str:
    """A metric as a heading, with an arrow in the better direction; against the input there is none."""
    return named(*key) + ("" if key[0].endswith(TO_INPUT) else " ↑" if higher_is_better(subject, key) else " ↓")


def higher_is_better(subject: Subject, key: Key) -> bool:
    return next(iter(subject.of(key).values())).higher_is_better


def runs_table(subject: Subject) -> Table:
    """A row per run: how many of its photos and faces were restored, and the mean of each metric with its interval."""
    compared = [] if subject.comparison is None else subject.comparison.metrics
    untimed = ("seconds", "photo") not in subject.keys and subject.noun == "run"
    with_faces = subject.noun == "run"
    whole = list(dict.fromkeys(row.metric for run in subject.runs for row in run.scores if row.photo == RUN))
    heads = [subject.noun, "photos", "failed" if with_faces else "missing"]
    heads += [*(["faces"] if with_faces else []), *(["seconds per photo"] if untimed else [])]
    heads += [*(short(subject, key) for key in subject.keys), *(f"{metric} of the run" for metric in whole)]
    rows = []
    for i, run in enumerate(subject.runs):
        faces = [face for photo in run.photos for face in photo.faces]
        restored = sum(face.restored for face in faces)
        recorded = any(photo.faces_recorded for photo in run.photos)
        cells = [Cell(run.name, run.name, run=i), len(run.photos), sum(photo.error is not None for photo in run.photos)]
        if with_faces:
            cells.append(Cell(f"{restored} of {len(faces)}", restored) if recorded else Cell("not recorded", None))
        cells += [_value(_seconds(run))] if untimed else []
        cells += [_mean(subject.of(key).get(run.name), compared=key in compared) for key in subject.keys]
        of_run = {row.metric: row.value for row in run.scores if row.photo == RUN}
        rows.append([*cells, *(_value(of_run.get(metric), metric) for metric in whole)])
    return Table("runs", "Runs and their mean scores", heads, rows)


def comparison_tables(subject: Subject) -> list[Table]:
    """A table per metric with the columns that `gfpup compare` prints; the caption is its heading."""
    found, tables = subject.comparison, []
    names = [run.name for run in subject.runs]
    for at, key in enumerate(found.metrics if found else ()):
        columns = render.columns(found.confidence if found else 0.95)
        rows = [[Cell(column.text(line), column.value(line)) for column in columns] for line in subject.of(key).values()]
        for row in rows:
            row[1] = Cell(row[1].text, row[1].text, run=names.index(row[1].text))
        tables.append(Table(f"metric-{at}", title(subject, key), [column.heading for column in columns], rows))
    return tables


def failures(subject: Subject) -> Table:
    """Which photos, faces and jobs failed, and why."""
    rows = [(job, "", "job", error) for job, error in subject.lost_jobs]
    for run in subject.runs:
        for photo in run.photos:
            failed = [("photo", photo.error)] if photo.error else []
            for i, face in enumerate(photo.faces, 1):
                failed += [(f"face {i}", face.reason or "no reason was recorded")] if face.failed else []
            rows += [(run.name, photo.name, what, reason) for what, reason in failed]
    return Table("failed", "What failed and why", (subject.noun, "photo", "what", "reason"), rows)


def gaps(subject: Subject) -> Table:
    """Which metrics lack values: a row per metric and reason, with the runs and how many values."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for run in subject.runs:
        for row in run.scores:
            if row.missing_reason is not None:
                counts.setdefault((row.metric, row.missing_reason), Counter())[run.name] += 1
    rows = []
    for (metric, reason), of_run in counts.items():
        every = len(of_run) == len(subject.runs) > 1
        rows.append((f"all {len(of_run)} runs" if every else ", ".join(of_run), metric, of_run.total(), reason))
    return Table("missing", "What could not be measured and why", ("run", "metric", "missing values", "reason"), rows)


def differing_settings(subject: Subject) -> Table | None:
    """The settings that runs differ in, or None where they do not."""
    settings = [_flat(run.pixels) for run in subject.runs]
    every = dict.fromkeys(name for each in settings for name in each)
    names = [name for name in every if len({each.get(name) for each in settings}) > 1]
    rows = [
        [Cell(run.name, run.name, run=i), *(own.get(name, "") for name in names)]
        for i, (run, own) in enumerate(zip(subject.runs, settings, strict=True))
    ]
    return Table("differ", "Settings that differ", ("run", *names), rows) if names else None


def plans(subject: Subject) -> list[dict[str, Any]]:
    """Every decision of each run with its reason, its warnings, and the facts of its record as (name, value) pairs."""
    found = []
    for i, run in enumerate(subject.runs):
        if not run.document["started"]:
            continue  # a plain folder: nothing is known of how its pictures were made
        rows = [(reason["setting"], _text(reason["value"]), reason["why"]) for reason in run.plan["reasons"]]
        table = Table(f"plan-{i}", f"Plan of {run.name}", ("setting", "value", "reason"), rows)
        found.append({"run": i, "name": run.name, "table": table, "warnings": run.plan["warnings"], "facts": _facts(run)})
    return found


def commands(subject: Subject) -> list[tuple[str, list[str]]]:
    """Each command line once, quoted for a shell, with the runs that it made."""
    by_command: dict[str, list[str]] = {}
    for run in subject.runs:
        folder = f"cd {shlex.quote(run.document['cwd'])}\n" if "cwd" in run.document else ""
        by_command.setdefault(folder + shlex.join(run.document["argv"]), []).append(run.name)
    return list(by_command.items())


def _value(value: float | None, metric: str = "") -> Cell:
    return Cell("none" if value is None else number(value, metric), value)


def _mean(line: Line | None, *, compared: bool) -> Cell:
    if line is None:
        return Cell("none", None)
    small = [] if line.interval is None else [interval_text(line)]
    small += [verdict(line)] if compared else []
    best = compared and line.rank == 1 and not line.metric.endswith(TO_INPUT)
    return Cell(number(line.mean, line.metric), line.mean, tuple(small), strong=best)


def _seconds(run: ReportedRun) -> float | None:
    """The mean time of a photo, counted as the metric `seconds` does; None where no stage was timed."""
    stages = [photo.unshared_seconds for photo in run.photos]
    took = [sum(v for stage, v in photo.items() if stage not in OUTSIDE) for photo in stages if photo]
    return statistics.fmean(took) if took else None


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": _text(value)}
    return flat


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _facts(run: ReportedRun) -> list[tuple[str, str]]:
    document, machine, text = run.document, run.document["hardware"], ""
    if machine:
        gpus = ", ".join(str(gpu.get("name", gpu)) if isinstance(gpu, dict) else str(gpu) for gpu in machine["gpus"])
        text = f"{machine['cores']} cores, {machine['memory_bytes'] / 1e9:.0f} GB of memory, {gpus or 'no GPU'}"
    facts = {
        "started": document["started"],
        "finished": f"{document.get('finished', '')} ({run.status})".strip() if document["started"] else "",
        "machine": text,
        "versions": ", ".join(f"{name} {version}" for name, version in document["versions"].items()),
        "commit": document["commit"] or "unknown",
        **{f"checkpoint {name}": f"{used['file']} ({used['sha256']})" for name, used in document["checkpoints"].items()},
        **{f"licence of {name}": licence for name, licence in document["licences"].items()},
    }
    return [(name, value) for name, value in facts.items() if value]
