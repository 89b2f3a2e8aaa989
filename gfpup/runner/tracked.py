"""Runs and sweeps in MLflow: whether, where, and what is handed to the jobs. Whatever fails here is said and stops nothing."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gfpup.observers.manifest import DOCUMENT, Manifest
from gfpup.settings import Settings

if TYPE_CHECKING:
    from gfpup.observers.tracking import Tracker

VARIABLE = "GFPUP_TRACKED_SWEEP"
"""Carries the sweep's store and run to its jobs, also to those in other processes; empty where the sweep is not tracked."""


@dataclass(frozen=True)
class TrackedSweep:
    """The run that stands for a sweep in a store."""

    uri: str
    experiment: str
    experiment_id: str
    run_id: str


def begin_sweep(config: Mapping[str, Any], root: Path, *, argv: Sequence[str]) -> TrackedSweep | None:
    """Make the store, the experiment and the sweep's run before the jobs start; None where the sweep is not tracked.

    A sweep that goes on in the folder of an earlier one goes on in its run.
    """
    os.environ[VARIABLE] = ""
    tracking = config["tracking"]
    if tracking["name"] not in ("auto", "mlflow") or config["dry_run"] is True:
        return None
    from gfpup.observers.tracking_store import TrackingError, prepare_store, start_sweep, store_uri

    try:
        uri, experiment = store_uri(tracking["uri"]), str(tracking["experiment"])
        experiment_id = prepare_store(uri, experiment)
        again = config["existing"] == "resume"
        run_id = start_sweep(uri, experiment_id, title=root.absolute().name, argv=argv, output=root, again=again)
    except TrackingError as error:
        _warn(f"{error} The sweep goes on untracked; gfpup track {root} logs it afterwards.")
        return None
    found = TrackedSweep(uri, experiment, experiment_id, run_id)
    os.environ[VARIABLE] = json.dumps([found.uri, found.experiment, found.experiment_id, found.run_id])
    return found


def end_sweep(sweep: TrackedSweep, *, jobs: Sequence[Mapping[str, Any]], status: int, files: Sequence[Path]) -> None:
    """Close the sweep's run."""
    from gfpup.observers import tracking_store

    os.environ.pop(VARIABLE, None)
    try:
        tracking_store.end_sweep(sweep.uri, sweep.run_id, jobs=jobs, status=status, files=files)
    except tracking_store.TrackingError as error:
        _warn(str(error))


def start_run(
    settings: Settings, header: Mapping[str, Any], *, names: Sequence[str], idle: bool, sweeping: bool
) -> Tracker | None:
    """Begin to track a run; None where it is not wanted, failed before it began, or is there already and has nothing to add.

    `header` is the manifest's, whose `tracking` says how the folder's runs were tracked before; `names` are all photos of the
    run, `idle` says that nothing is left to do.
    """
    if settings.tracking == "none" or (settings.tracking == "auto" and not (sweeping or settings.metrics)):
        return None
    handed = os.environ.get(VARIABLE) if sweeping else None
    if handed == "":
        return None
    from gfpup.observers.tracking import Target, Tracker
    from gfpup.observers.tracking_store import shown, store_uri

    uri, experiment, experiment_id, parent = json.loads(handed) if handed else (None, settings.tracking_experiment, None, None)
    uri = uri or store_uri(settings.tracking_uri)
    before = header.get("tracking") or {}
    there = before.get("uri") == shown(uri) and before.get("parent_run_id") == parent and before.get("run_id") is not None
    if idle and there and before.get("failure") is None:
        return None
    target = Target(
        uri,
        experiment,
        experiment_id=experiment_id,
        parent_run_id=parent,
        max_images=settings.tracking_images,
        image_px=settings.tracking_image_px,
    )
    tracker = Tracker(settings.output, target, names=names)
    tracker.start(header)
    if there:
        tracker.replace(before["run_id"])
    return tracker


def before(folder: Path) -> dict[str, Any] | None:
    """What the record in `folder` says of its tracking."""
    try:
        found = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))["tracking"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return dict(found) if isinstance(found, dict) else None


def finish_run(tracker: Tracker, manifest: Manifest, document: Mapping[str, Any]) -> dict[str, Any]:
    """Log what is left and close the run; a failure is said, and stands in the manifest. Returns the document."""
    tracker.run_done(document)
    if tracker.failure is None:
        return dict(document)
    _warn(tracker.failure)
    return manifest.close(str(document["status"]), tracking=tracker.record())


def without_password(recorded: Any) -> Any:
    """A command line or a configuration as it may be recorded: addresses without user and password."""
    if isinstance(recorded, str):
        return re.sub(r"://[^/@\s]+@", "://", recorded)
    if isinstance(recorded, Mapping):
        return {key: without_password(value) for key, value in recorded.items()}
    if isinstance(recorded, Sequence):
        return [without_password(value) for value in recorded]
    return recorded


def _warn(sentence: str) -> None:
    print(f"gfpup: {sentence}", file=sys.stderr)
