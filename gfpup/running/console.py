"""What a person sees: a progress bar on stderr while the run goes on, a closing table on stdout when it is over."""

from __future__ import annotations

import shlex
import statistics
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from rich import progress
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gfpup.analysis.render import missing, number
from gfpup.core.files import one_line
from gfpup.core.plan import Plan
from gfpup.core.types import RestoredPhoto
from gfpup.evaluation.metrics import TO_INPUT
from gfpup.records.manifest import reused
from gfpup.records.photo_record import PhotoRecord
from gfpup.records.scores import grouped

LINES_SHOWN = 20
NAMES_SHOWN = 5


class _Bar(progress.Progress):
    def __init__(self, *columns: progress.ProgressColumn, quiet: bool) -> None:
        columns = (progress.TextColumn("{task.description}"), progress.BarColumn(), *columns, progress.TimeRemainingColumn())
        super().__init__(*columns, console=Console(stderr=True), disable=quiet, transient=True)


class ProgressBar(_Bar):
    """Photos done of all, photos and faces a second, and the time left. An `Observer` and a context manager."""

    def __init__(self, total: int, *, quiet: bool) -> None:
        super().__init__(progress.MofNCompleteColumn(), progress.TextColumn("{task.fields[rates]}"), quiet=quiet)
        self._faces = 0
        self._restoring = self.add_task("restoring", total=total, rates="")

    def start(self) -> None:
        self._began = time.monotonic()
        super().start()

    def photo_done(self, line: Mapping[str, Any], restored: RestoredPhoto | None) -> None:
        """Move the bar on, and say at once what went wrong with a photo."""
        self._faces += sum(face["restored"] for face in line["faces"])
        seconds = max(time.monotonic() - self._began, 1e-6)
        self.advance(self._restoring)
        done = self.tasks[self._restoring].completed
        self.update(self._restoring, rates=f"{done / seconds:.2f} photos/s  {self._faces / seconds:.2f} faces/s")
        if line["error"] and not self.disable:
            self.console.print(f"[red]failed[/] {escape(one_line(line['error']))}", highlight=False, soft_wrap=True)

    def run_done(self, document: Mapping[str, Any]) -> None:
        """Nothing: the closing table is printed when the bar is gone."""


class Downloads(_Bar):
    """A bar for each checkpoint while it is downloaded. Call it with a name, the bytes done and the bytes in all."""

    def __init__(self, *, quiet: bool) -> None:
        super().__init__(progress.DownloadColumn(), progress.TransferSpeedColumn(), quiet=quiet)
        self._started: dict[str, progress.TaskID] = {}

    def __enter__(self) -> Self:
        return self  # the bar appears with the first download

    def __exit__(self, *_: object) -> None:
        if self._started:
            self.stop()

    def __call__(self, name: str, done: int, total: int | None) -> None:
        """Show how far the download of `name` is, in bytes."""
        if name not in self._started:
            self.start()
            self._started[name] = self.add_task(f"downloading {name}", total=total)
        self.update(self._started[name], completed=done, total=total)


def screen(*, stderr: bool = False) -> Console:
    """The terminal, or a wide page where there is none: a pipe has no width to fold a table into."""
    return Console(stderr=stderr, width=None if (sys.stderr if stderr else sys.stdout).isatty() else 160)


def summary(photos: Sequence[PhotoRecord], *, skipped: int, seconds: float) -> dict[str, Any]:
    """The photos of a run in numbers, for people and for `--json`; `skipped` counts those that an earlier run had done."""
    faces = [face for photo in photos for face in photo.faces]
    stages = grouped(item for photo in photos for item in photo.seconds.items())
    return {
        "photos": len(photos),
        "skipped": skipped,
        "failed": sum(photo.error is not None for photo in photos),
        "without_faces": sum(photo.error is None and not photo.faces for photo in photos),
        "faces": len(faces),
        "faces_restored": sum(face.restored for face in faces),
        "faces_failed": sum(face.failed for face in faces),
        "faces_guarded": sum(face.guarded for face in faces),
        "methods": dict(Counter(photo.method for photo in photos if photo.method).most_common()),
        "persons": dict(Counter(face.person or "nobody" for face in faces if face.similarity is not None).most_common()),
        "seconds": round(seconds, 3),
        "reused": reused(photos),
        "median_seconds": {stage: round(statistics.median(values), 4) for stage, values in stages.items()},
    }


def headline(facts: Mapping[str, Any]) -> str:
    """How a run ended, in words: "8 of 9 photos restored, 1 failed"."""
    photos, failed, faces = facts["photos"], facts["failed"], facts["faces_failed"]
    ended = "" if facts["status"] in ("done", "failed") else f"{facts['status']}: "
    said = f"{photos - failed} of {photos} photo{'s' * (photos != 1)} restored" + (f", {failed} failed" if failed else "")
    return ended + said + (f", {faces} face{'s' * (faces != 1)} failed" if faces else "")


def _print_lines(lines: Sequence[str], console: Console, *, mark: str = "", of: str = "") -> None:
    """The first of these lines, and how many more the record has."""
    for line in lines[:LINES_SHOWN]:
        console.print(mark + escape(one_line(line)), highlight=False, soft_wrap=True)
    if len(lines) > LINES_SHOWN:
        console.print(f"and {len(lines) - LINES_SHOWN} more{of}: see the record", highlight=False)


def _warnings(photos: Sequence[PhotoRecord]) -> list[str]:
    """Each warning once, with the names of the photos that it is about."""
    named = grouped((warning, photo.name) for photo in photos for warning in dict.fromkeys(photo.warnings))
    return [f"{_some(names)}: {warning}" for warning, names in named.items()]


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], **column: Any) -> Table:
    table = Table(title=title, title_justify="left", show_header=bool(headings))
    for heading in headings:
        table.add_column(heading, **column)
    for row in rows:
        table.add_row(*("\n".join(escape(one_line(line)) for line in cell.split("\n")) for cell in row))
    return table


def print_summary(facts: Mapping[str, Any], photos: Sequence[PhotoRecord], *, console: Console) -> None:
    """Print the closing table, and below it each failure with its reason."""
    left_alone = facts["faces"] - facts["faces_restored"] - facts["faces_failed"]
    faces = {"failed": facts["faces_failed"], "left alone": left_alone, "guarded": facts["faces_guarded"]}
    rows = {
        "photos": _count(facts["photos"], {"skipped": facts["skipped"], "failed": facts["failed"]}),
        "faces restored": _count(facts["faces_restored"], faces),
        "photos without a face": str(facts["without_faces"]),
        "methods": "  ".join(f"{method} {count}" for method, count in facts.get("methods", {}).items()),
        "persons": "  ".join(f"{person} {count}" for person, count in facts.get("persons", {}).items()),
        "seconds": f"{facts['seconds']:.1f}",
        "reused": "  ".join(f"{stage} {entry['photos']} of {entry['of']}" for stage, entry in facts["reused"].items()),
        "median seconds a photo": "  ".join(f"{stage} {value:.2f}" for stage, value in facts["median_seconds"].items()),
        "record": facts["manifest"],
        "report": f"gfpup report {shlex.quote(str(Path(facts['manifest']).parent))}",
    }
    shown = [(name, value) for name, value in rows.items() if value or name not in ("methods", "persons", "reused")]
    console.print(_table(f"gfpup: {headline(facts)}", (), shown))
    if facts.get("scores"):
        console.print(score_table(facts["scores"]))
        _print_lines(missing(facts["scores"]), console)
    _print_lines([f"{photo.name}: {note}" for photo in photos for note in photo.notes], console)
    _print_lines(_warnings(photos), console, of=" warnings")
    failures = [photo.error for photo in photos if photo.error]
    for photo in photos:
        failures += [f"{photo.input}: face {i}: {face.reason}" for i, face in enumerate(photo.faces) if face.failed]
    _print_lines(failures, console, mark="[red]failed[/] ")


def score_table(scores: Sequence[Mapping[str, Any]]) -> Table:
    """The means of a run, as `scores.json` has them."""
    rows = []
    for row in scores:
        mean = "" if row["mean"] is None else number(row["mean"], row["metric"], digits=5)
        better = "higher" if row["higher_is_better"] else "lower"
        better += ": less was changed" if row["metric"].endswith(TO_INPUT) else ""
        rows.append((row["metric"], row["level"], mean, better, str(row["n"])))
    return _table("scores", ("metric", "of", "mean", "better", "photos"), rows, no_wrap=True)


def print_failed_jobs(failed: Mapping[str, Sequence[str]], *, jobs: int, console: Console) -> None:
    """Print which of the jobs of a sweep that were begun failed, by the reason that they share."""
    title = f"{sum(map(len, failed.values()))} of the {jobs} jobs begun failed; the same command does only what is missing"
    rows = [(f"all {jobs}" if len(names) == jobs > 1 else "\n".join(names), reason) for reason, names in failed.items()]
    console.print(_table(title, ("job", "because"), rows, overflow="fold"))


def print_plan(plan: Plan, photos: Sequence[Any], *, console: Console) -> None:
    """Print what a run would do, with the reason for each decision."""
    made = [(reason.setting, reason.value, reason.why) for reason in plan.reasons]
    asked = [(key, getattr(plan.recipe, key), "asked for, or the default") for key in ("backend", "parameters", "upscale")]
    made += [row for row in asked if row[1] and row[0] not in {reason.setting for reason in plan.reasons}]
    rows = [(setting, str(list(value) if isinstance(value, tuple) else value), why) for setting, value, why in made]
    title = f"plan for {len(photos)} photo{'s' * (len(photos) != 1)}"
    console.print(_table(title, ("setting", "value", "because"), rows, overflow="fold"))
    for mark, lines in (("red]refused", [task.refusal for task in photos if task.refusal]), ("yellow]missing", plan.missing)):
        for line in lines:
            console.print(f"[{mark}[/] {escape(one_line(line))}", highlight=False, soft_wrap=True)


def _count(number: int, parts: Mapping[str, int]) -> str:
    said = [f"{value} {name}" for name, value in parts.items() if value]
    return f"{number}" + (f"  ({', '.join(said)})" if said else "")
