"""Finished runs and sweeps logged from their folders: after a tracking that failed, or for the first time.

No run is logged twice: each carries a tag that says which run of ours it is, and another when all of it is there. What is not a
finished run, or cannot be logged, is a TrackingError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gfpup.core.errors import GfpupError
from gfpup.records.layout import DOCUMENT
from gfpup.records.run_record import RunRecord, folders_with, read_record
from gfpup.records.scores import PEOPLE, PEOPLE_METRIC, summarise
from gfpup.tracking import facts
from gfpup.tracking.local_store import TrackingError
from gfpup.tracking.store import PARENT, end_sweep, opened, prepare_store, start_sweep
from gfpup.tracking.target import Target
from gfpup.tracking.tracker import Tracker
from gfpup.tracking.ui_view import SWEEP


@dataclass(frozen=True)
class Tracked:
    """MLflow's ids of the runs in a folder, by their folders, and of the sweep's own run where it is a sweep's folder."""

    runs: dict[Path, str]
    sweep: str | None = None


def track_folder(folder: Path, target: Target) -> Tracked:
    """Log the run in a folder, or all runs of a sweep's folder."""
    try:
        found = folders_with(DOCUMENT, [folder])
    except GfpupError:
        raise TrackingError(f"{folder} is neither a run nor a sweep: give a folder that gfpup run wrote.") from None
    sweep, ids = (None, [track(folder, target)]) if found == [folder] else track_sweep(folder, found, target)
    return Tracked(dict(zip(found, ids, strict=True)), sweep)


def track(folder: Path, target: Target) -> str:
    """Log a finished run from its folder; returns MLflow's id of the run.

    A run that is there already is left alone, and what an interrupted tracking left of it is replaced.
    """
    record = _finished(folder)
    experiment_id = target.experiment_id or prepare_store(target.uri, target.experiment)
    with opened(target.uri) as store:
        for run in _logged(store, experiment_id, record):
            if not run.data.tags.get(facts.COMPLETE):
                store.delete_run(run.info.run_id)
                continue
            if target.parent_run_id is not None and PARENT not in run.data.tags:
                for tag in (PARENT, SWEEP):
                    store.set_tag(run.info.run_id, tag, target.parent_run_id)
            _log_people(store, run.info.run_id, record)
            return str(run.info.run_id)
    tracker = Tracker(folder, target, names=[photo.name for photo in record.photos])
    tracker.start(record.document)
    tracker.run_done(record.document)
    if tracker.failure is not None or tracker.run_id is None:
        raise TrackingError(tracker.failure or f"{folder} was not tracked.")
    return tracker.run_id


def track_sweep(folder: Path, runs: Sequence[Path], target: Target) -> tuple[str, list[str]]:
    """Log the `runs` of a sweep's folder below the sweep's own run; returns its id and theirs."""
    records = [_finished(run) for run in runs]
    experiment_id = target.experiment_id or prepare_store(target.uri, target.experiment)
    with opened(target.uri) as store:
        logged = [run for record in records for run in _logged(store, experiment_id, record)]
    parent = next((run.data.tags[PARENT] for run in logged if PARENT in run.data.tags), None)
    if parent is None:
        argv = records[0].document["argv"]
        parent = start_sweep(target.uri, experiment_id, title=folder.absolute().name, argv=argv, output=folder)
    target = replace(target, experiment_id=experiment_id, parent_run_id=parent)
    ids = [track(run, target) for run in runs]
    statuses = [int(record.status != "done") for record in records]
    jobs = [{"output": str(record.folder), "status": status} for record, status in zip(records, statuses, strict=True)]
    end_sweep(target.uri, parent, jobs=jobs, status=max(statuses))
    return parent, ids


def _log_people(store: Any, run_id: str, record: RunRecord) -> None:
    """Add what people said of the photos since the run was logged."""
    rows = [row for row in record.scores if row.metric.startswith(PEOPLE_METRIC)]
    for fact in summarise(rows)["scores"]:
        if fact["mean"] is not None:
            store.log_metric(run_id, facts.key_of(f"mean_{fact['level']}/{fact['metric']}"), fact["mean"])
    if rows:
        store.log_artifact(run_id, str(record.folder / PEOPLE))


def _finished(folder: Path) -> RunRecord:
    try:
        record = read_record(folder).ended()
        facts.identity(record.document)
    except GfpupError as error:
        raise TrackingError(str(error)) from None
    except (KeyError, TypeError):
        raise TrackingError(f"{folder / DOCUMENT} is not the record of a run: give the --output folder of gfpup run.") from None
    return record


def _logged(store: Any, experiment_id: str, record: RunRecord) -> list[Any]:
    """What the store holds of this very run: whole, or what an interrupted tracking left."""
    return list(store.search_runs([experiment_id], f"tags.`{facts.IDENTITY}` = '{facts.identity(record.document)}'"))
