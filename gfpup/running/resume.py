"""A run that is asked for again when nothing of it is missing: its record stands, and nothing is loaded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gfpup.core.files import sha256_of
from gfpup.records import rescore
from gfpup.records.manifest import DOCUMENT, LINES, PARTS, Manifest, read_lines
from gfpup.records.scores import ScoreWriter
from gfpup.tracking import session

if TYPE_CHECKING:
    from gfpup.running.data import Task
    from gfpup.running.prepare import Prepared


def finished(prepared: Prepared, fingerprint: str) -> dict[str, Any] | None:
    """The document of the run in the output folder, where it is the one asked for, with all its photos, scores and tracking."""
    settings = prepared.settings
    try:
        document: dict[str, Any] = json.loads((settings.output / DOCUMENT).read_text(encoding="utf-8"))
        lines, end = read_lines(settings.output / LINES)
        whole = end == (settings.output / LINES).stat().st_size and not (settings.output / PARTS).exists()
        photos = {line["name"]: line for line in lines if "name" in line}
        same = document["fingerprint"] == fingerprint and document["status"] == "done"
    except (OSError, ValueError, KeyError, TypeError):
        return None
    names = [task.name for task in prepared.tasks]
    if not same or not whole or set(photos) != set(names):
        return None
    if settings.metrics:
        scores = ScoreWriter(settings.output)
        wanted = rescore.per_photo_metrics(settings.metrics)
        if not rescore.has_run_scores(settings.metrics, scores.earlier_run) or any(
            scores.lacks(name, wanted) for name in names
        ):
            return None
    sweeping, tracking = prepared.sweeping, document.get("tracking")
    if session.is_wanted(settings, sweeping=sweeping) and not session.is_there(settings, tracking, sweeping=sweeping):
        return None
    record = Manifest(settings.output, document, overwrite=False)
    record.photos = photos
    return document if all(is_done(task, record, faces=settings.save_faces) for task in prepared.tasks) else None


def is_done(task: Task, manifest: Manifest, *, faces: bool) -> bool:
    """Whether an earlier run restored this very photo, with its faces' files where those are wanted."""
    if not manifest.may_hold(task.name) or not task.path.is_file():
        return False
    return manifest.done(task.name, sha256_of(task.path), faces=faces)
