"""What a person sees: a progress bar on stderr while the run goes on, a closing table on stdout when it is over."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from gfpup.core.plan import Plan
from gfpup.core.types import RestoredPhoto
from gfpup.records.manifest import reused

FAILURES_SHOWN = 20
NOTES_SHOWN = 20
NAMES_SHOWN = 5


class ProgressBar:
    """Photos done of all, photos and faces a second, and the time left. An `Observer` and a context manager."""

    def __init__(self, total: int, *, quiet: bool) -> None:
        self._faces = 0
        self._began = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rates]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=quiet,
            transient=True,
        )
        self._task = self._bar.add_task("restoring", total=total, rates="")

    def __enter__(self) -> ProgressBar:
        self._began = time.monotonic()
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def photo_done(self, line: Mapping[str, Any], restored: RestoredPhoto | None) -> None:
        """Move the bar on, and say at once what went wrong with a photo."""
        self._faces += sum(face["restored"] for face in line["faces"])
        seconds = max(time.monotonic() - self._began, 1e-6)
        self._bar.advance(self._task)
        done = self._bar.tasks[self._task].completed
        self._bar.update(self._task, rates=f"{done / seconds:.2f} photos/s  {self._faces / seconds:.2f} faces/s")
        if line["error"] and not self._bar.disable:
            self._bar.console.print(f"[red]failed[/] {escape(line['error'])}", highlight=False, soft_wrap=True)

    def run_done(self, document: Mapping[str, Any]) -> None:
        """Nothing: the closing table is printed when the bar is gone."""


class Downloads:
    """A bar for each checkpoint while it is downloaded. Call it with a name, the bytes done and the bytes in all."""

    def __init__(self, *, quiet: bool) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=quiet,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Downloads:
        return self

    def __exit__(self, *_: object) -> None:
        if self._tasks:
            self._bar.stop()

    def __call__(self, name: str, done: int, total: int | None) -> None:
        """Show how far the download of `name` is, in bytes."""
        if name not in self._tasks:
            self._bar.start()
            self._tasks[name] = self._bar.add_task(f"downloading {name}", total=total)
        self._bar.update(self._tasks[name], completed=done, total=total)


def summary(document: Mapping[str, Any], *, skipped: int, seconds: float) -> dict[str, Any]:
    """The run in numbers, for people and for `--json`. `skipped` counts photos that an earlier run had done."""
    photos = document["photos"]
    faces = [face for photo in photos for face in photo["faces"]]
    stages: dict[str, list[float]] = {}
    for photo in photos:
        for stage, value in photo["seconds"].items():
            stages.setdefault(stage, []).append(value)
    return {
        "status": document["status"],
        "manifest": document["manifest"],
        "photos": len(photos),
        "skipped": skipped,
        "failed": sum(photo["error"] is not None for photo in photos),
        "without_faces": sum(photo["error"] is None and not photo["faces"] for photo in photos),
        "faces": len(faces),
        "faces_restored": sum(face["restored"] for face in faces),
        "faces_failed": sum(face["failed"] for face in faces),
        "faces_guarded": sum(face.get("guarded", False) for face in faces),
        "methods": dict(Counter(photo["method"] for photo in photos if photo.get("method")).most_common()),
        "seconds": round(seconds, 3),
        "reused": reused(photos),
        "median_seconds": {stage: round(statistics.median(values), 4) for stage, values in stages.items()},
    }


def headline(facts: Mapping[str, Any]) -> str:
    """How a run ended, in words: "8 of 9 photos restored, 1 failed"."""
    done = facts["photos"] - facts["failed"]
    ended = "" if facts["status"] in ("done", "failed") else f"{facts['status']}: "
    said = [f"{done} of {facts['photos']} photo{'s' * (facts['photos'] != 1)} restored"]
    said += [f"{facts['failed']} failed"] if facts["failed"] else []
    said += [f"{facts['faces_failed']} face{'s' * (facts['faces_failed'] != 1)} failed"] if facts["faces_failed"] else []
    return ended + ", ".join(said)


def _print_remarks(photos: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Print each warning once, with the names of the photos that it is about."""
    named: dict[str, list[str]] = {}
    for photo in photos:
        for warning in dict.fromkeys(photo.get("warnings", ())):
            named.setdefault(warning, []).append(photo["name"])
    for warning, names in list(named.items())[:NOTES_SHOWN]:
        console.print(f"{escape(_some(names))}: {escape(warning)}", highlight=False, soft_wrap=True)
    if len(named) > NOTES_SHOWN:
        console.print(f"and {len(named) - NOTES_SHOWN} more warnings: see the record", highlight=False)


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def print_summary(facts: Mapping[str, Any], photos: Sequence[Mapping[str, Any]], *, console: Console) -> None:
    """Print the closing table, and below it each failure with its reason."""
    table = Table(title=f"gfpup: {headline(facts)}", show_header=False, title_justify="left")
    left_alone = facts["faces"] - facts["faces_restored"] - facts["faces_failed"]
    table.add_row("photos", _count(facts["photos"], skipped=facts["skipped"], failed=facts["failed"]))
    counts = {"failed": facts["faces_failed"], "left_alone": left_alone, "guarded": facts["faces_guarded"]}
    table.add_row("faces restored", _count(facts["faces_restored"], **counts))
    table.add_row("photos without a face", str(facts["without_faces"]))
    if facts.get("methods"):
        table.add_row("methods", "  ".join(f"{method} {count}" for method, count in facts["methods"].items()))
    table.add_row("seconds", f"{facts['seconds']:.1f}")
    if facts["reused"]:
        shared = [f"{stage} {entry['photos']} of {entry['of']}" for stage, entry in facts["reused"].items()]
        table.add_row("reused", "  ".join(shared))
    medians = [f"{stage} {value:.2f}" for stage, value in facts["median_seconds"].items()]
    table.add_row("median seconds a photo", "  ".join(medians))
    table.add_row("record", escape(facts["manifest"]))
    console.print(table)
    if facts.get("scores"):
        console.print(_score_table(facts["scores"]))
    notes = [f"{photo['name']}: {note}" for photo in photos for note in photo.get("notes", ())]
    for note in notes[:NOTES_SHOWN]:
        console.print(escape(note), highlight=False, soft_wrap=True)
    if len(notes) > NOTES_SHOWN:
        console.print(f"and {len(notes) - NOTES_SHOWN} more: see the record", highlight=False)
    _print_remarks(photos, console)
    failures = [photo["error"] for photo in photos if photo["error"]]
    failures += [
        f"{photo['input']}: face {i}: {face['reason']}"
        for photo in photos
        for i, face in enumerate(photo["faces"])
        if face["failed"]
    ]
    for failure in failures[:FAILURES_SHOWN]:
        console.print(f"[red]failed[/] {escape(failure)}", highlight=False, soft_wrap=True)
    if len(failures) > FAILURES_SHOWN:
        console.print(f"and {len(failures) - FAILURES_SHOWN} more: see the record", highlight=False)


def _score_table(scores: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title="scores", title_justify="left")
    for heading in ("metric", "of", "mean", "better", "photos", "missing because"):
        table.add_column(heading, no_wrap=True, max_width=72)  # the whole reason stands in the record
    for row in scores:
        mean = "" if row["mean"] is None else f"{row['mean']:.4g}"
        reasons = "; ".join(f"{reason} ({count})" for reason, count in row["missing"].items())
        better = "higher" if row["higher_is_better"] else "lower"
        table.add_row(row["metric"], row["level"], mean, better, str(row["n"]), escape(reasons))
    return table


def print_failed_jobs(failed: Sequence[tuple[Sequence[str], str]], *, jobs: int, console: Console) -> None:
    """Print which of the jobs of a sweep that were begun failed, and why: those with one reason together."""
    count = sum(len(names) for names, _ in failed)
    title = f"{count} of the {jobs} jobs begun failed; the same command does only what is missing"
    table = Table(title=title, title_justify="left")
    table.add_column("job", overflow="fold")
    table.add_column("because", overflow="fold")
    for names, reason in failed:
        every = len(names) == jobs > 1
        table.add_row(escape(f"all {jobs}" if every else "\n".join(names)), escape(reason))
    console.print(table)


def print_plan(plan: Plan, photos: Sequence[Any], *, console: Console) -> None:
    """Print what a run would do, with the reason for each decision."""
    table = Table(title=f"plan for {len(photos)} photo{'s' * (len(photos) != 1)}", title_justify="left")
    for heading in ("setting", "value", "because"):
        table.add_column(heading, overflow="fold")
    for reason in plan.reasons:
        value = list(reason.value) if isinstance(reason.value, tuple) else reason.value
        table.add_row(reason.setting, escape(str(value)), escape(reason.why))
    explained = {reason.setting for reason in plan.reasons}
    for setting in ("backend", "parameters", "upscale"):
        if setting not in explained and getattr(plan.recipe, setting):
            table.add_row(setting, escape(str(getattr(plan.recipe, setting))), "asked for, or the default")
    console.print(table)
    for task in photos:
        if task.refusal:
            console.print(f"[red]refused[/] {escape(task.refusal)}", highlight=False, soft_wrap=True)
    for lack in plan.missing:
        console.print(f"[yellow]missing[/] {escape(lack)}", highlight=False, soft_wrap=True)


def _count(number: int, **parts: int) -> str:
    said = [f"{value} {name.replace('_', ' ')}" for name, value in parts.items() if value]
    return f"{number}" + (f"  ({', '.join(said)})" if said else "")
