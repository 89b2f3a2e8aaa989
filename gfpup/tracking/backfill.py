"""Finished runs and sweeps logged from their folders: after a tracking that failed, or for the first time.

No run is logged twice: each carries a tag that says which run of ours it is, and another when all of it is there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gfpup.records.manifest import DOCUMENT
from gfpup.tracking import facts
from gfpup.tracking.store import PARENT, TrackingError, end_sweep, opened, prepare_store, start_sweep
from gfpup.tracking.tracker import Target, Tracker
from gfpup.tracking.ui_view import SWEEP


def track(folder: Path, target: Target) -> str:
    """Log a finished run again from its folder; returns MLflow's id of the run. A run that is there already is left alone.

    What a tracking that failed left of it is replaced.

    Raises:
        TrackingError: the folder holds no finished run, or the store cannot be used.
    """
    document = _finished_document(folder)
    experiment_id = target.experiment_id or prepare_store(target.uri, target.experiment)
    with opened(target.uri) as store:
        for run in _logged(store, experiment_id, document):
            if run.data.tags.get(facts.COMPLETE):
                if target.parent_run_id is not None and PARENT not in run.data.tags:
                    store.set_tag(run.info.run_id, PARENT, target.parent_run_id)
                    store.set_tag(run.info.run_id, SWEEP, target.parent_run_id)
                return str(run.info.run_id)
            store.delete_run(run.info.run_id)
    tracker = Tracker(folder, target, names=[line["name"] for line in document["photos"]])
    tracker.start(document)
    tracker.run_done(document)
    if tracker.failure is not None or tracker.run_id is None:
        raise TrackingError(tracker.failure or f"{folder} was not tracked.")
    return tracker.run_id


def track_sweep(folder: Path, runs: Sequence[Path], target: Target) -> tuple[str, list[str]]:
    """Log the `runs` of a sweep's folder again, below the sweep's own run; returns its id and theirs.

    Raises:
        TrackingError: one of them is no finished run, or the store cannot be used.
    """
    documents = [_finished_document(run) for run in runs]
    experiment_id = target.experiment_id or prepare_store(target.uri, target.experiment)
    with opened(target.uri) as store:
        logged = [run for document in documents for run in _logged(store, experiment_id, document)]
    parent = next((run.data.tags[PARENT] for run in logged if PARENT in run.data.tags), None)
    if parent is None:
        argv = documents[0]["argv"]
        parent = start_sweep(target.uri, experiment_id, title=folder.absolute().name, argv=argv, output=folder)
    target = replace(target, experiment_id=experiment_id, parent_run_id=parent)
    ids = [track(run, target) for run in runs]
    statuses = [int(document["status"] != "done") for document in documents]
    jobs = [{"output": str(run), "status": status} for run, status in zip(runs, statuses, strict=True)]
    end_sweep(target.uri, parent, jobs=jobs, status=max(statuses))
    return parent, ids


def _finished_document(folder: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
        facts.identity(document)
    except (OSError, ValueError, KeyError, TypeError):
        raise TrackingError(f"{folder / DOCUMENT} is no record of a run; give the --output folder of gfpup run.") from None
    if document["status"] == "running":
        raise TrackingError(f"the run in {folder} has not ended; wait for it, or give its command again, which resumes it.")
    return document


def _logged(store: Any, experiment_id: str, document: Mapping[str, Any]) -> list[Any]:
    """What the store holds of this very run: whole, or what a tracking that failed left."""
    this = facts.identity(document)
    return list(store.search_runs([experiment_id], f"tags.`{facts.IDENTITY}` = '{this}'"))
