"""One run, from its composed configuration to its exit status."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from gfpup.errors import GfpupError
from gfpup.methods import Method
from gfpup.settings import Settings, read_settings
from gfpup.supply import Supply
from gfpup.supply import facts as supply_facts
from gfpup.types import Plan
from gfpup.weights import licences
from gfpup.weights.store import Store, default_folder, mirrors_from_environment

ARGV_VARIABLE = "GFPUP_ARGV"
"""Carries the command line as typed into the manifest, also of jobs in other processes."""


class Interrupted(BaseException):
    """Ctrl-C or a polite kill. Not KeyboardInterrupt: Lightning turns that into exit status 1."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A request that was not refused."""

    settings: Settings
    tasks: Sequence[Any]
    machine: Any
    plan: Plan
    method: Method
    supply: Supply


def execute(config: DictConfig, *, output: Path | None = None, sweep: Path | None = None) -> int:
    """Carry out one composed configuration; returns 0 (all done) or 1 (some photos or faces failed).

    `output` goes before the configuration's own; `sweep` is the folder of the multirun that this is a job of.

    Raises:
        GfpupError: refused before the first photo.
        OutputError: a result could not be written.
        Interrupted: Ctrl-C; what was done is on disk and recorded.
    """
    began = time.monotonic()
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    if output is not None:
        plain["output"] = str(output)
    prepared = _prepare(read_settings({str(key): value for key, value in plain.items()}), sweep=sweep)
    if prepared.settings.dry_run:
        _show_plan(prepared)
        return 0
    return _carry_out(prepared, began)


def _prepare(settings: Settings, *, sweep: Path | None) -> Prepared:
    """Find the photos and make the plan: whatever can be refused without loading anything is refused here."""
    from gfpup.runner.tasks import find_tasks

    tasks, notes = find_tasks(settings, exclude=sweep or settings.output)
    from gfpup import hardware, planner
    from gfpup.observers import progress

    machine = hardware.probe()
    with progress.Downloads(quiet=settings.quiet or settings.json) as downloads:
        supply = _supply(settings, downloads)
        supply.warnings += notes
        plan, method = planner.make_plan(settings, machine, supply, sweeping=sweep is not None)
    return Prepared(settings, tasks, machine, plan, method, supply)


def _supply(settings: Settings, downloads: Any) -> Supply:
    """The store that the settings describe; consents given with them are remembered, but for a dry run."""
    if not settings.dry_run:
        for licence in settings.accepted_licences:
            licences.accept(licence)
    store = Store(
        settings.weights_folder or default_folder(),
        mirrors=mirrors_from_environment(),
        offline=not settings.download,
        trust_first_download=settings.trust_first_download,
        accepted=settings.accepted_licences,
    )
    return Supply(
        store,
        accepted=settings.accepted_licences,
        dry_run=settings.dry_run,
        progress=downloads,
        files=settings.weights_files,
    )


def _show_plan(prepared: Prepared) -> None:
    from gfpup.observers import progress

    if prepared.settings.json:
        print(json.dumps({**_plan_facts(prepared.plan), "photos": [str(task.path) for task in prepared.tasks]}))
    elif not prepared.settings.quiet:
        progress.print_plan(prepared.plan, prepared.tasks, console=_console())


def _carry_out(prepared: Prepared, began: float) -> int:
    from gfpup import planner
    from gfpup.observers import Observer, progress
    from gfpup.observers.manifest import Manifest, check_folder
    from gfpup.observers.scores import ScoreWriter, summarise
    from gfpup.runner import parts

    settings, plan, tasks = prepared.settings, prepared.plan, prepared.tasks
    if not settings.quiet:
        for warning in plan.warnings:
            print(f"gfpup: {warning}", file=sys.stderr)
        prepared.supply.said()
    overwrite = settings.existing == "overwrite"
    fingerprint = planner.fingerprint(plan)
    check_folder(settings.output, fingerprint, plan.pixels, overwrite=overwrite)
    _refuse_strangers(settings.output, tasks, overwrite=overwrite)
    scorer = parts.load_metrics(settings, plan, prepared.supply)
    restorer = parts.load(settings, plan, prepared.method, prepared.supply)
    header = {
        "title": f"{settings.backend} at {settings.upscale:g}x",
        "started": _now(),
        "fingerprint": fingerprint,
        "argv": json.loads(os.environ.get(ARGV_VARIABLE, "null")) or sys.argv,
        "configuration": settings.resolved,
        "versions": parts.versions(),
        "commit": parts.commit(),
        "hardware": asdict(prepared.machine),
        "plan": _plan_facts(plan),
        **supply_facts(prepared.supply),
        "metrics": [] if scorer is None else parts.metrics_record(scorer),
    }
    with Manifest(settings.output, header, overwrite=overwrite) as manifest:
        manifest.forget_failures({task.name for task in tasks})
        scores = None if scorer is None else ScoreWriter(settings.output, fresh=overwrite)
        todo = [task for task in tasks if not parts.is_done(task, manifest, faces=settings.save_faces, scores=scores)]
        status = "stopped"
        try:
            with interruptible(), progress.ProgressBar(len(todo), quiet=settings.quiet or settings.json) as bar:
                if todo:
                    observers: list[Observer] = [bar] if scores is None else [scores, bar]
                    parts.predict(todo, restorer, scorer, prepared, manifest, observers)
            if scores is not None and scorer is not None:
                scores.run_scores(scorer.finish())
            lines = [manifest.photos[task.name] for task in tasks]
            failed = any(line["error"] or any(face["failed"] for face in line["faces"]) for line in lines)
            status = "failed" if failed else "done"
        except Interrupted:
            status = "interrupted"
            raise
        finally:
            document = manifest.close(status, finished=_now())
            if scores is not None:
                scores.run_done(document)
    document["manifest"] = str(manifest.path)
    names = {task.name for task in tasks}
    document["photos"] = [line for line in document["photos"] if line["name"] in names]
    facts = progress.summary(document, skipped=len(tasks) - len(todo), seconds=time.monotonic() - began)
    if scores is not None:
        facts |= summarise([row for rows in scores.rows.values() for row in rows])
    if settings.json:
        print(json.dumps(facts))
    elif not settings.quiet:
        progress.print_summary(facts, document["photos"], console=_console())
    return 1 if failed else 0


def _refuse_strangers(folder: Path, tasks: Sequence[Any], *, overwrite: bool) -> None:
    """Refuse to replace files that no run of gfpup made: a folder without a record holds somebody's own."""
    from gfpup.observers.manifest import LINES

    if overwrite or (folder / LINES).exists():
        return
    for task in tasks:
        if (folder / task.name).exists():
            raise GfpupError(
                f"{folder / task.name} is there already and no run of gfpup made it; give another --output, or --overwrite."
            )


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into `Interrupted` for the length of the block; only a main thread may."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signal_number: int, frame: Any) -> None:
        raise Interrupted

    handled = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, stop) for number in handled]
    try:
        yield
    finally:
        for number, handler in zip(handled, before, strict=True):
            signal.signal(number, handler)


def _plan_facts(plan: Plan) -> Mapping[str, Any]:
    return asdict(plan)


def _console() -> Console:
    # A pipe has no width to fold a table into.
    return Console() if sys.stdout.isatty() else Console(width=160)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
