"""One run, from its composed configuration to its exit status."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from omegaconf import DictConfig, OmegaConf

from gfpup.core.errors import GfpupError, PhotoError
from gfpup.core.files import one_line
from gfpup.core.versions import commit, versions
from gfpup.photos.opening import photo_sha256
from gfpup.planning import planner
from gfpup.planning.settings import ARGV_VARIABLE, read_settings
from gfpup.records.layout import DOCUMENT, LINES, PARTS
from gfpup.records.manifest import Manifest, check_folder
from gfpup.records.photo_record import PhotoRecord
from gfpup.records.run_record import RunRecord, find_record, read_lines, read_record
from gfpup.records.scores import TABLE, ScoreWriter, summarise
from gfpup.records.scores import read as read_scores
from gfpup.records.shards import merge
from gfpup.running import console
from gfpup.running.distributed.__main__ import follow
from gfpup.running.prepare import Prepared, prepare
from gfpup.running.process import Interrupted, interruptible, uncollected
from gfpup.running.sweep import Job, claim, key_of
from gfpup.tracking import session
from gfpup.weights.resolver import facts as supply_facts

if TYPE_CHECKING:
    from gfpup.evaluation.scorer import Scorer
    from gfpup.records.observer import Observer
    from gfpup.running.data import Task
    from gfpup.running.predict import PhotoRestorer


@dataclass(frozen=True)
class Ended:
    """How a run ended: `status` 0 all done, 1 some photos or faces failed; `objective` is what a sweeper is to optimise.

    `same_as` is the folder that has the results, where that is another job's. `rank` 0 speaks for all.
    """

    status: int
    same_as: Path | None = None
    objective: float | None = None
    rank: int = 0


def execute(config: DictConfig, *, job: Job | None = None) -> Ended:
    """Carry out one composed configuration, which is that of the multirun's `job` where one is given.

    Raises:
        GfpupError: refused before the first photo.
        OutputError: a result could not be written.
        Interrupted: by a signal; finished photos are on the disk and recorded.
    """
    began = time.monotonic()
    plain = cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))
    if job is not None:
        plain["output"] = str(job.output)
    settings = read_settings(plain)
    with uncollected():  # torch and Lightning are imported here
        prepared = prepare(settings, sweep=None if job is None else job.root, sweeping=job is not None)
    settings, rank = prepared.settings, prepared.rank.global_rank
    owner = settings.output if job is None else claim(job, key_of(_meaning(prepared)))
    if job is not None and owner != job.output:
        if not (settings.screen.quiet or settings.screen.json):
            print(f"gfpup: {job.output.name} means the same as {owner.name}, which does it.", file=sys.stderr)
        return Ended(0, same_as=owner, objective=objective_of(owner, settings.objective), rank=rank)
    if settings.dry_run and settings.screen.json:
        print(json.dumps({**prepared.plan.facts(), "photos": [str(task.path) for task in prepared.tasks]}))
    elif (settings.dry_run or (settings.screen.verbose and rank == 0)) and not (settings.screen.quiet or settings.screen.json):
        console.print_plan(prepared.plan, prepared.tasks, console=console.screen())
    if settings.dry_run:
        return Ended(0, rank=rank)
    if rank != 0:
        with interruptible():
            follow(prepared)
        return Ended(0, rank=rank)
    return Ended(_carry_out(prepared, began), objective=objective_of(owner, settings.objective))


def objective_of(folder: Path, objective: str | None) -> float | None:
    """The mean of the metric that a sweeper optimises ("psnr", "psnr/faces") in a folder's scores; None where there is none."""
    record = None if objective is None else find_record(folder)
    if objective is None or record is None:
        return None
    metric, _, level = objective.partition("/")
    try:
        return record.mean(metric, level or "photo")
    except GfpupError:
        return None


def _meaning(prepared: Prepared) -> list[Any]:
    """What two jobs of a sweep have in common that need not both be done."""
    settings = prepared.settings
    photos = [[str(task.path), task.name, str(task.reference)] for task in prepared.tasks]
    return [planner.fingerprint(prepared.plan), photos, settings.metrics.names, settings.metrics.require, settings.write.faces]


def _carry_out(prepared: Prepared, began: float) -> int:
    """Restore what the output folder does not hold yet; returns the exit status."""
    from gfpup.running import components

    settings, plan, tasks = prepared.settings, prepared.plan, prepared.tasks
    if not settings.screen.quiet:
        for warning in plan.warnings:
            print(f"gfpup: {one_line(warning)}", file=sys.stderr)
        prepared.resolver.mark_warnings_shown()
    overwrite = settings.existing == "overwrite"
    fingerprint = planner.fingerprint(plan)
    check_folder(settings.output, fingerprint, plan.recipe.facts(), overwrite=overwrite)
    strange = [] if overwrite or (settings.output / LINES).exists() else [settings.output / task.name for task in tasks]
    for path in strange:
        if path.exists():
            raise GfpupError(f"{path} exists and no run of gfpup made it: give another --output, or --overwrite.")
    before = None if overwrite or prepared.rank.external else _finished(prepared, fingerprint)
    if before is not None:
        return _summarise(prepared, dict(before.document), skipped=len(tasks), began=began)
    people = components.load_people(settings, plan, prepared.resolver)
    for sentence in () if people is None or settings.screen.quiet else people.sentences():
        print(f"gfpup: {one_line(sentence)}", file=sys.stderr)
    scorer = components.load_metrics(settings, plan, prepared.resolver, people=people)
    restorer = components.load(settings, plan, prepared.method, prepared.resolver, people=people)
    header = _header(prepared, fingerprint, [] if scorer is None else components.metrics_record(scorer))
    if people is not None:
        header["people"] = people.facts()
    with Manifest(settings.output, header, overwrite=overwrite) as manifest:
        document, skipped = _restore(prepared, manifest, restorer, scorer)
    return _summarise(prepared, document, skipped=skipped, began=began)


def _finished(prepared: Prepared, fingerprint: str) -> RunRecord | None:
    """The record in the output folder, where it is of the run asked for, with all its photos, scores and tracking."""
    from gfpup.records import rescore

    settings = prepared.settings
    record = find_record(settings.output)
    if record is None or record.status != "done" or record.document.get("fingerprint") != fingerprint:
        return None
    lines = read_lines(settings.output / LINES)
    names = [task.name for task in prepared.tasks]
    torn = not lines.photos or lines.end != (settings.output / LINES).stat().st_size or (settings.output / PARTS).exists()
    if torn or set(lines.photos) != set(names):
        return None
    if settings.metrics.names:
        scores = ScoreWriter(settings.output)
        wanted = rescore.per_photo_metrics(settings.metrics.names)
        lacking = any(scores.lacks(name, wanted) for name in names)
        if lacking or not rescore.has_run_scores(settings.metrics.names, scores.earlier_run):
            return None
    sweeping = prepared.sweeping
    if session.is_wanted(settings, sweeping=sweeping) and not session.is_there(settings, record.tracking, sweeping=sweeping):
        return None
    manifest = Manifest(settings.output, record.document, overwrite=False)
    manifest.photos = lines.photos
    return record if all(_is_done(task, manifest, faces=settings.write.faces) for task in prepared.tasks) else None


def _is_done(task: Task, manifest: Manifest, *, faces: bool) -> bool:
    """Whether an earlier run restored this very photo, with its faces' files where those are wanted."""
    if task.name not in manifest.photos:
        return False
    try:
        digest = photo_sha256(task.path)
    except PhotoError:
        return False  # its turn comes again, and the reason with it
    return manifest.done(task.name, digest, faces=faces)


def _header(prepared: Prepared, fingerprint: str, metrics: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Everything about a run but its photos, as its record begins."""
    from gfpup.running.components import VERSIONS_OF

    settings = prepared.settings
    earlier = None if settings.existing == "overwrite" else find_record(settings.output)
    return {
        "title": f"{settings.backend.name} at {settings.restore.upscale:g}x",
        "started": _now(),
        "fingerprint": fingerprint,
        "argv": session.without_password(json.loads(os.environ.get(ARGV_VARIABLE, "null")) or sys.argv),
        "cwd": str(Path.cwd()),
        "configuration": session.without_password(settings.resolved),
        "versions": versions(VERSIONS_OF),
        "commit": commit(),
        "hardware": asdict(prepared.machine),
        "plan": prepared.plan.facts(),
        **supply_facts(prepared.resolver),
        "metrics": metrics,
        "tracking": None if earlier is None else earlier.tracking,
    }


def _restore(
    prepared: Prepared, manifest: Manifest, restorer: PhotoRestorer, scorer: Scorer | None
) -> tuple[dict[str, Any], int]:
    """Restore the photos that the open record lacks and close it; returns the document and how many were there already."""
    settings, tasks = prepared.settings, prepared.tasks
    scores = None
    if scorer is not None:
        fresh = settings.existing == "overwrite"
        scores = ScoreWriter(settings.output, fresh=fresh, scorer=scorer, referenced=prepared.referenced)
    merge(manifest, scores)
    names = [task.name for task in tasks]
    manifest.forget_failures(set(names))
    todo = [task for task in tasks if not _is_done(task, manifest, faces=settings.write.faces)]
    tracker = session.start_run(settings, manifest, names=names, sweeping=prepared.sweeping)
    status = "stopped"
    done: Sequence[Any] = []
    try:
        done = _predict(prepared, manifest, restorer, scorer, todo, [scores, tracker])
        merge(manifest, scores)
        status = "failed" if any(PhotoRecord.of(manifest.photos[name]).has_failed for name in names) else "done"
    except Interrupted:
        status = "interrupted"
        raise
    finally:
        if status in ("stopped", "interrupted"):
            merge(manifest, scores)
        record = manifest.header["tracking"] if tracker is None else tracker.record()
        document = manifest.close(status, finished=_now(), tracking=record)
        if scores is not None and scorer is not None:
            if status in ("done", "failed"):
                _score_run(prepared, scorer, scores, done)
            scores.run_done(document)
        if tracker is not None:
            document = session.finish_run(tracker, manifest, document)
    return document, len(tasks) - len(todo)


def _predict(
    prepared: Prepared,
    manifest: Manifest,
    restorer: PhotoRestorer,
    scorer: Scorer | None,
    todo: Sequence[Any],
    observers: Sequence[Observer | None],
) -> Sequence[Any]:
    """Restore `todo` and record it; returns the photos that this process restored, not those of other ranks."""
    from gfpup.running.predict import predict

    screen = prepared.settings.screen
    bar = console.ProgressBar(len(todo), quiet=screen.quiet or screen.json)
    with interruptible(), bar:
        if not todo and not prepared.rank.external:
            return []
        # Ranks that others started are waiting to hear that there is nothing.
        present: list[Observer] = [observer for observer in (observers[0], bar, *observers[1:]) if observer is not None]
        return predict(todo, restorer, scorer, prepared, manifest, present)


def _summarise(prepared: Prepared, document: dict[str, Any], *, skipped: int, began: float) -> int:
    """Print how the run ended, over the photos that were asked for; returns its exit status."""
    settings = prepared.settings
    names = {task.name for task in prepared.tasks}
    photos = [PhotoRecord.of(line) for line in document["photos"] if line["name"] in names]
    facts = {"status": document["status"], "manifest": str(settings.output / DOCUMENT)}
    facts |= console.summary(photos, skipped=skipped, seconds=time.monotonic() - began)
    table = settings.output / TABLE
    if settings.metrics.names and table.exists():
        facts |= summarise(read_scores(table))
    if settings.screen.json:
        print(json.dumps(facts))
    elif not settings.screen.quiet:
        console.print_summary(facts, photos, console=console.screen())
    return int(any(photo.has_failed for photo in photos))


def _score_run(prepared: Prepared, scorer: Scorer, scores: ScoreWriter, done: Sequence[Any]) -> None:
    """What is left to score when all photos are there: those of an earlier run that lack a metric, and the whole set.

    `done` are the photos of this process; those of other ranks, like those of an earlier run, are taken from their files.
    """
    from gfpup.records import rescore

    wanted = rescore.per_photo_metrics(scorer.names)
    seen = {task.name for task in done}
    lacking = {task.name for task in prepared.tasks if task.name not in seen and scores.lacks(task.name, wanted)}
    try:
        late = rescore.score_earlier(scorer, read_record(prepared.settings.output), seen=seen, lacking=lacking)
    except GfpupError as error:
        scores.run_scores([replace(score, value=None, missing_reason=str(error)) for score in scorer.finish()])
        return
    for photo, rows in late.items():
        scores.keep(photo, rows)
    scores.run_scores(scorer.finish())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
