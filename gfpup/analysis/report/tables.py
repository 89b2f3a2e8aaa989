"""The tables of a report as cells: runs and their scores, the comparison, failures, plans and commands."""

from __future__ import annotations

import json
import shlex
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gfpup.analysis import render
from gfpup.analysis.compare import Line, verdict
from gfpup.analysis.render import interval_text, mean_interval, number
from gfpup.analysis.report.data import Key, ReportedRun, Subject
from gfpup.evaluation.metrics import TO_INPUT
from gfpup.evaluation.metrics.cost import OUTSIDE, unshared
from gfpup.records.scores import RUN

FAILURES_SHOWN: Final = 1000
_NUMBERS: Final = ("run", "verdict")
"""The columns of the comparison that are not numbers."""


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
    """A sortable table; `heads` are (text, "text" or "number") pairs."""

    name: str
    caption: str
    heads: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Plan:
    """What was decided for a run, and the facts of its record as (name, value) pairs."""

    run: int
    name: str
    table: Table
    warnings: Sequence[str]
    facts: Sequence[tuple[str, str]]


def title(subject: Subject, key: Key) -> str:
    """A metric in words, with which direction is better."""
    return render.title(*key, higher_is_better=higher_is_better(subject, key))


def short(subject: Subject, key: Key) -> str:
    """A metric as a heading, with an arrow in the better direction; against the input there is none."""
    arrow = "" if key[0].endswith(TO_INPUT) else " ↑" if higher_is_better(subject, key) else " ↓"
    return f"{key[0]}{'' if key[1] == 'photo' else f' of {key[1]}'}{arrow}"


def higher_is_better(subject: Subject, key: Key) -> bool:
    return next(iter(subject.of(key).values())).higher_is_better


def runs_table(subject: Subject) -> Table:
    """A row per run: how many of its photos and faces were restored, and the mean of each metric with its interval."""
    keys = subject.keys
    compared = [] if subject.comparison is None else subject.comparison.metrics
    timed = ("seconds", "photo") in keys
    whole = list(dict.fromkeys(row.metric for run in subject.runs for row in run.rows if row.photo == RUN))
    numbers = ["photos", "failed", "faces", *([] if timed else ["seconds per photo"])]
    numbers += [*(short(subject, key) for key in keys), *(f"{metric} of the run" for metric in whole)]
    rows = []
    for i, run in enumerate(subject.runs):
        photos = run.document["photos"]
        faces = [face for photo in photos for face in photo.get("faces", ())]
        lost = sum(photo["error"] is not None for photo in photos)
        restored = sum(face["restored"] for face in faces)
        recorded = any("faces" in photo for photo in photos)
        cells = [_run(i, run.name), _count(len(photos)), _count(lost)]
        cells.append(Cell(f"{restored} of {len(faces)}", restored) if recorded else Cell("not recorded", None))
        cells += [] if timed else [_value(_seconds(run))]
        cells += [_mean(subject.of(key).get(run.name), compared=key in compared) for key in keys]
        of_run = {row.metric: row.value for row in run.rows if row.photo == RUN}
        cells += [_value(of_run.get(metric), metric) for metric in whole]
        rows.append(cells)
    return Table("runs", "Runs and their mean scores", [("run", "text"), *((name, "number") for name in numbers)], rows)


def comparison_tables(subject: Subject) -> list[Table]:
    """A table per metric with the columns that `gfpup compare` prints; the caption is its heading."""
    found = subject.comparison
    if found is None:
        return []
    names = [run.name for run in subject.runs]
    columns = render.columns(found.confidence)
    heads = [(column.heading, "text" if column.heading in _NUMBERS else "number") for column in columns]
    tables = []
    for at, key in enumerate(found.metrics):
        rows = [
            [
                Cell(column.text(line), column.value(line), run=names.index(line.run) if column.heading == "run" else None)
                for column in columns
            ]
            for line in found.of(*key)
        ]
        tables.append(Table(f"metric-{at}", title(subject, key), heads, rows))
    return tables


def failures(subject: Subject) -> Table:
    """Which photos, faces and jobs failed, and why."""
    rows = [(job, "", "job", error) for job, error in subject.lost_jobs]
    for run in subject.runs:
        for photo in run.document["photos"]:
            if photo["error"]:
                rows.append((run.name, photo["name"], "photo", photo["error"]))
            rows += [
                (run.name, photo["name"], f"face {i}", face["reason"] or "no reason was recorded")
                for i, face in enumerate(photo.get("faces", ()), 1)
                if face["failed"]
            ]
    return _texts("failed", "What failed and why", ("run", "photo", "what", "reason"), rows)


def gaps(subject: Subject) -> Table:
    """Which metrics lack values: a row per metric and reason, with the runs and how many values."""
    missing: dict[tuple[str, str], dict[str, int]] = {}
    for run in subject.runs:
        for row in run.rows:
            if row.missing_reason is not None:
                of_run = missing.setdefault((row.metric, row.missing_reason), {})
                of_run[run.name] = of_run.get(run.name, 0) + 1
    rows = []
    for (metric, reason), counts in missing.items():
        every = len(counts) == len(subject.runs) > 1
        name = f"all {len(counts)} runs" if every else ", ".join(counts)
        rows.append([Cell(name, name), Cell(metric, metric), _count(sum(counts.values())), Cell(reason, reason)])
    heads = [("run", "text"), ("metric", "text"), ("missing values", "number"), ("reason", "text")]
    return Table("missing", "What could not be measured and why", heads, rows)


def differing_settings(subject: Subject) -> Table | None:
    """The settings that runs differ in, or None where they do not."""
    settings = [_flat(run.document["plan"]["pixels"]) for run in subject.runs]
    every = dict.fromkeys(name for each in settings for name in each)
    names = [name for name in every if len({each.get(name) for each in settings}) > 1]
    rows = [
        [_run(i, run.name), *(Cell(own.get(name, ""), own.get(name, "")) for name in names)]
        for i, (run, own) in enumerate(zip(subject.runs, settings, strict=True))
    ]
    heads = [("run", "text"), *((name, "text") for name in names)]
    return Table("differ", "Settings that differ", heads, rows) if names else None


def plans(subject: Subject) -> list[Plan]:
    """Every decision of each run with its reason, and what the run was made with."""
    found = []
    for i, run in enumerate(subject.runs):
        plan = run.document["plan"]
        rows = [(reason["setting"], _text(reason["value"]), reason["why"]) for reason in plan["reasons"]]
        table = _texts(f"plan-{i}", f"Plan of {run.name}", ("setting", "value", "reason"), rows)
        found.append(Plan(i, run.name, table, plan["warnings"], _facts(run)))
    return found


def commands(subject: Subject) -> list[tuple[str, list[str]]]:
    """Each command line once, quoted for a shell, with the runs that it made."""
    by_command: dict[str, list[str]] = {}
    for run in subject.runs:
        command = shlex.join(run.document["argv"])
        if "cwd" in run.document:
            command = f"cd {shlex.quote(run.document['cwd'])}\n{command}"
        by_command.setdefault(command, []).append(run.name)
    return list(by_command.items())


def _run(index: int, name: str) -> Cell:
    return Cell(name, name, run=index)


def _count(number: int) -> Cell:
    return Cell(str(number), number)


def _value(value: float | None, metric: str = "") -> Cell:
    return Cell("none" if value is None else number(value, metric), value)


def _texts(name: str, caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    return Table(name, caption, [(head, "text") for head in heads], [[Cell(text, text) for text in row] for row in rows])


def _mean(line: Line | None, *, compared: bool) -> Cell:
    if line is None:
        return Cell("none", None)
    interval = mean_interval(line)
    small = ("" if interval is None else interval_text(interval), verdict(line) if compared else "")
    best = compared and line.rank == 1 and not line.metric.endswith(TO_INPUT)
    return Cell(number(line.mean), line.mean, tuple(text for text in small if text), strong=best)


def _seconds(run: ReportedRun) -> float | None:
    """The mean time of a photo, counted as the metric `seconds` does; None where no stage was timed."""
    stages = [unshared(photo["seconds"], photo.get("reused", {})) for photo in run.document["photos"]]
    took = [sum(v for stage, v in photo.items() if stage not in OUTSIDE) for photo in stages if photo]
    return statistics.fmean(took) if took else None


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": _text(value)}
    return flat


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _facts(run: ReportedRun) -> list[tuple[str, str]]:
    document = run.document
    facts = [("started", document["started"]), ("finished", f"{document.get('finished', '')} ({document['status']})".strip())]
    machine = document["hardware"]
    if machine:
        gpus = ", ".join(str(gpu.get("name", gpu)) if isinstance(gpu, dict) else str(gpu) for gpu in machine["gpus"])
        memory = f"{machine['memory_bytes'] / 1e9:.0f} GB of memory"
        facts.append(("machine", f"{machine['cores']} cores, {memory}, {gpus or 'no GPU'}"))
    facts.append(("versions", ", ".join(f"{name} {version}" for name, version in document["versions"].items())))
    facts.append(("commit", document["commit"] or "unknown"))
    facts += [(f"checkpoint {name}", f"{used['file']} ({used['sha256']})") for name, used in document["checkpoints"].items()]
    facts += [(f"licence of {name}", licence) for name, licence in document["licences"].items()]
    return [(name, value) for name, value in facts if value]
