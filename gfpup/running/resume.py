"""A run that is asked for again when nothing of it is missing: its record is kept, and nothing is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gfpup.core.errors import PhotoError
from gfpup.photos.opening import photo_sha256
from gfpup.records import rescore
from gfpup.records.layout import LINES, PARTS
from gfpup.records.manifest import Manifest
from gfpup.records.run_record import RunRecord, find_record, read_lines
from gfpup.records.scores import ScoreWriter
from gfpup.tracking import session

if TYPE_CHECKING:
    from gfpup.running.data import Task
    from gfpup.running.prepare import Prepared


def finished(prepared: Prepared, fingerprint: str) -> RunRecord | None:
    """The record in the output folder, where it is of the run asked for, with all its photos, scores and tracking."""
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
        if not rescore.has_run_scores(settings.metrics.names, scores.earlier_run) or any(
            scores.lacks(name, wanted) for name in names
        ):
            return None
    sweeping = prepared.sweeping
    if session.is_wanted(settings, sweeping=sweeping) and not session.is_there(settings, record.tracking, sweeping=sweeping):
        return None
    manifest = Manifest(settings.output, record.document, overwrite=False)
    manifest.photos = lines.photos
    return record if all(is_done(task, manifest, faces=settings.write.faces) for task in prepared.tasks) else None


def is_done(task: Task, manifest: Manifest, *, faces: bool) -> bool:
    """Whether an earlier run restored this very photo, with its faces' files where those are wanted."""
    if task.name not in manifest.photos:
        return False
    try:
        digest = photo_sha256(task.path)
    except PhotoError:
        return False  # its turn comes again, and the reason with it
    return manifest.done(task.name, digest, faces=faces)
