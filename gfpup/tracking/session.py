"""Runs and sweeps in MLflow: whether, where, and what the jobs are told. A failure here is reported and stops nothing."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gfpup.planning.settings import Settings
from gfpup.records.manifest import Manifest
from gfpup.tracking.target import Target, shown

if TYPE_CHECKING:
    from gfpup.tracking.tracker import Tracker

VARIABLE = "GFPUP_TRACKED_SWEEP"
"""Carries the sweep's target to its jobs, also to those in other processes; empty where the sweep is not tracked."""


def begin_sweep(config: Mapping[str, Any], root: Path, *, argv: Sequence[str]) -> Target | None:
    """Make the store, the experiment and the sweep's run before the jobs start; None where the sweep is not tracked.

    A sweep that goes on in the folder of an earlier one goes on in its run.
    """
    os.environ[VARIABLE] = ""
    tracking = config["tracking"]
    if tracking["name"] not in ("auto", "mlflow") or config["dry_run"] is True:
        return None
    from gfpup.tracking.local_store import TrackingError
    from gfpup.tracking.store import prepare_store, start_sweep, store_uri

    try:
        uri, experiment = store_uri(tracking["uri"]), str(tracking["experiment"])
        experiment_id = prepare_store(uri, experiment)
        again = config["existing"] == "resume"
        run_id = start_sweep(uri, experiment_id, title=root.absolute().name, argv=argv, output=root, again=again)
    except TrackingError as error:
        _warn(f"{error} The sweep goes on untracked; gfpup track {shlex.quote(str(root))} logs it afterwards.")
        return None
    target = Target(uri, experiment, experiment_id, run_id)
    os.environ[VARIABLE] = json.dumps(astuple(target))
    return target


def end_sweep(sweep: Target, *, jobs: Sequence[Mapping[str, Any]], status: int, files: Sequence[Path]) -> None:
    """Close the sweep's run."""
    from gfpup.tracking import store
    from gfpup.tracking.local_store import TrackingError

    os.environ.pop(VARIABLE, None)
    try:
        store.end_sweep(sweep.uri, str(sweep.parent_run_id), jobs=jobs, status=status, files=files)
    except TrackingError as error:
        _warn(str(error))


def start_run(settings: Settings, manifest: Manifest, *, names: Sequence[str], sweeping: bool) -> Tracker | None:
    """Begin to track a run, where that is wanted; `names` are all photos of it.

    What earlier, unfinished runs of the manifest's folder logged in the same place is replaced.
    """
    if not is_wanted(settings, sweeping=sweeping):
        return None
    from gfpup.tracking.tracker import Tracker

    target = _target(settings, sweeping=sweeping)
    tracker = Tracker(settings.output, target, names=names)
    tracker.start(manifest.header)
    before = manifest.header.get("tracking")
    recorded = before["run_id"] if before is not None and _is_here(before, target) else None
    tracker.replace(recorded, manifest.earlier)
    return tracker


def is_wanted(settings: Settings, *, sweeping: bool) -> bool:
    """Whether a run is to be tracked: as asked for, and by default sweeps and what is scored."""
    if sweeping and os.environ.get(VARIABLE) == "":
        return False  # the sweep's own run could not be made, and that was reported
    return settings.tracking.name == "mlflow" or (
        settings.tracking.name == "auto" and (sweeping or bool(settings.metrics.names))
    )


def is_there(settings: Settings, tracking: Mapping[str, Any] | None, *, sweeping: bool) -> bool:
    """Whether a record's `tracking` says that the run is logged, whole, where it is to be."""
    target = _target(settings, sweeping=sweeping)
    return tracking is not None and _is_here(tracking, target) and tracking.get("failure") is None


def _target(settings: Settings, *, sweeping: bool) -> Target:
    """Where a run is tracked: where its sweep says, or, where it stands alone, as its settings say."""
    from gfpup.tracking.store import store_uri

    handed = os.environ.get(VARIABLE) if sweeping else None
    pictures: dict[str, Any] = {"max_images": settings.tracking.max_images, "image_px": settings.tracking.image_px}
    if handed:
        return replace(Target(*json.loads(handed)), **pictures)
    return Target(store_uri(settings.tracking.uri), settings.tracking.experiment, **pictures)


def _is_here(tracking: Mapping[str, Any] | None, target: Target) -> bool:
    if not tracking or tracking.get("run_id") is None:
        return False
    return tracking.get("uri") == shown(target.uri) and tracking.get("parent_run_id") == target.parent_run_id


def finish_run(tracker: Tracker, manifest: Manifest, document: Mapping[str, Any]) -> dict[str, Any]:
    """Log what is left and close the run, and record that in the manifest, or why it failed. Returns the document."""
    tracker.run_done(document)
    if tracker.failure is not None:
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
