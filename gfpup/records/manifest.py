"""The record of a run: a line a photo while it runs (`manifest.jsonl`), one document when it ends (`manifest.json`).

A line is written after its photo has its final name, so a run killed anywhere can be resumed: what has a line and a file is
done, everything else is not.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import filelock

from gfpup.core.errors import GfpupError, OutputError
from gfpup.core.files import TEMPORARY_GLOB, write_atomic
from gfpup.core.types import FaceResult, RestoredPhoto
from gfpup.ops import geometry
from gfpup.records.changed_settings import changed_settings
from gfpup.records.layout import DOCUMENT, LINES, LOCK, PARTS
from gfpup.records.photo_record import PhotoRecord
from gfpup.records.run_record import read_lines
from gfpup.records.scores import grouped

SCHEMA_VERSION = 1
SCHEMA_FILE = Path(__file__).with_name("manifest.schema.json")


class Manifest:
    """The open record of one output folder. Use as a context manager: it holds the folder's lock.

    `header` is everything about the run but its photos; `header["fingerprint"]` says which results may lie together.
    """

    def __init__(self, folder: Path, header: Mapping[str, Any], *, overwrite: bool) -> None:
        self.folder = folder
        self.header = dict(header)
        self.overwrite = overwrite
        self.photos: dict[str, dict[str, Any]] = {}
        self.earlier: tuple[Mapping[str, Any], ...] = ()
        """The headers of the runs that wrote here before."""
        self._open = ExitStack()
        self._lines: Any = None

    def __enter__(self) -> Self:
        """Take the folder: read what is there, refuse to mix, and begin a new record of this run.

        Raises:
            GfpupError: another run writes here, or the folder holds results of another plan.
            OutputError: the folder cannot be written.
        """
        folder, path = self.folder, self.folder / LINES
        check_folder(folder, self.header["fingerprint"], self.header["plan"]["pixels"], overwrite=self.overwrite)
        with ExitStack() as stack:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                lock = take(folder, f"another run is writing to {folder}; wait for it, or give another --output.")
            except OSError as error:
                raise GfpupError(f"cannot write to the folder {folder}: {error.strerror}; give another --output.") from None
            stack.callback(lock.release)
            for part in sorted((folder / PARTS).glob("*")):  # of an earlier run, to be merged
                busy = f"rank {part.name} of an earlier run is still writing to {folder}; end it, or wait for it."
                take(part, busy).release()
            if self.overwrite:
                shutil.rmtree(folder / PARTS, ignore_errors=True)
            for torn in folder.rglob(TEMPORARY_GLOB):
                torn.unlink(missing_ok=True)  # left by a run that was killed while writing; nobody else writes now
            kept = None if self.overwrite else read_lines(path)
            self.photos, self.earlier = ({}, ()) if kept is None else (kept.photos, kept.headers)
            with writing(path):
                self._lines = stack.enter_context(path.open("r+b" if path.exists() else "w+b"))
                # A line cut short by a crash goes; with --overwrite all of them do.
                self._lines.truncate(0 if kept is None else kept.end)
                self._lines.seek(0, os.SEEK_END)
            append(self._lines, [{"run": self.header}], path=path)
            self._write_document("running")
            self._open = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def done(self, name: str, input_sha256: str, *, faces: bool) -> bool:
        """Whether `name` was restored from these very bytes and its files, those of its `faces` too if wanted, are there."""
        if name not in self.photos:
            return False
        photo = PhotoRecord.of(self.photos[name])
        lost = faces and not photo.face_files and any(face.affine for face in photo.faces)
        if photo.has_failed or lost or photo.input_sha256 != input_sha256:
            return False
        files = [self.folder / file for file in (name, *photo.face_files)]
        return all(file.is_file() for file in files) and photo.output_bytes in (None, files[0].stat().st_size)

    def forget_failures(self, names: Collection[str]) -> None:
        """Drop failed photos that are not among `names` any more: nothing of them is on disk."""
        self.photos = {n: line for n, line in self.photos.items() if n in names or line["error"] is None}

    def add(self, *lines: Mapping[str, Any]) -> None:
        """Record photos, in one step; their lines are on the disk when this returns."""
        append(self._lines, lines, path=self.folder / LINES)
        self.photos |= {line["name"]: dict(line) for line in lines}

    def close(self, status: str, **facts: Any) -> dict[str, Any]:
        """Write the document: `status` is "done", "failed", "interrupted" or "stopped". Returns it."""
        self.header.update(facts)
        return self._write_document(status)

    def _write_document(self, status: str) -> dict[str, Any]:
        photos = [self.photos[name] for name in sorted(self.photos)]
        document = {"schema_version": SCHEMA_VERSION, "status": status, **self.header}
        document |= {"reused": reused(list(map(PhotoRecord.of, photos))), "photos": photos}
        write_atomic(self.folder / DOCUMENT, (json.dumps(document, indent=1) + "\n").encode())
        return document


def take(folder: Path, complaint: str) -> filelock.FileLock:
    """The lock of a record's folder, held; where another process holds it, a GfpupError with this `complaint`."""
    lock = filelock.FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise GfpupError(complaint) from None
    return lock


def append(file: Any, lines: Iterable[Mapping[str, Any]], *, path: Path) -> None:
    """Write lines to the open record `path`, all the way to the disk; an OutputError where that fails."""
    with writing(path):
        file.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an operating system's refusal into the OutputError that stops a run."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; the run stops here and can be resumed.") from None


def check_folder(folder: Path, fingerprint: str, pixels: Mapping[str, Any], *, overwrite: bool) -> None:
    """Refuse, with a GfpupError, a folder that holds results of another plan than that of this `fingerprint` and `pixels`."""
    if folder.exists() and not folder.is_dir():
        raise GfpupError(f"--output {folder} is a file; give a folder.")
    if overwrite:
        return
    lines = read_lines(folder / LINES)
    if lines.header is None or lines.header.get("fingerprint") == fingerprint:
        return
    why = "; ".join(changed_settings(lines.pixels or {}, pixels)) or "an older version of gfpup made them"
    raise GfpupError(
        f"{folder} holds results of other settings ({why}): give another --output, or --overwrite to replace them."
    )


def photo_line(
    name: str,
    *,
    input_path: Path,
    input_sha256: str | None,
    output: Path | None,
    restored: RestoredPhoto | None,
    seconds: Mapping[str, float],
    warnings: tuple[str, ...] = (),
    error: str | None = None,
    face_files: tuple[str, ...] = (),
) -> dict[str, Any]:
    """The record of one photo, ready for JSON."""
    return {
        "name": name,
        "input": str(input_path.absolute()),
        "input_sha256": input_sha256,
        "output": None if output is None else str(output.absolute()),
        "output_bytes": output.stat().st_size if output is not None and output.is_file() else None,
        "faces": [] if restored is None else [_face(result) for result in restored.faces],
        "face_files": list(face_files),
        "seconds": {stage: round(value, 4) for stage, value in seconds.items()},
        "reused": {} if restored is None else {stage: round(value, 4) for stage, value in restored.reused.items()},
        "turned": 0 if restored is None else restored.turned,
        "method": None if restored is None else restored.method,
        "notes": [] if restored is None else list(restored.notes),
        "warnings": list(warnings),
        "error": error,
    }


def reused(photos: Collection[PhotoRecord]) -> dict[str, dict[str, Any]]:
    """By stage, for how many photos it was not computed but read, of how many that went through it, and the seconds saved."""
    saved = grouped(item for photo in photos for item in photo.reused.items())
    of = {stage: sum(stage in photo.seconds for photo in photos) for stage in saved}
    return {stage: {"photos": len(each), "of": of[stage], "seconds": round(sum(each), 4)} for stage, each in saved.items()}


def _face(result: FaceResult) -> dict[str, Any]:
    crop, shown = result.crop, result.face.recognition
    found: dict[str, Any] = {
        "box_xyxy": [round(v, 3) for v in result.face.box_xyxy],
        "score": round(result.face.score, 6),
        "landmarks_xy": [[round(float(x), 3), round(float(y), 3)] for x, y in result.face.landmarks_xy],
        "affine": None if crop is None else geometry.to_standard_crop(crop).round(6).tolist(),
        "restored": result.restored,
        "failed": result.failed,
        "reason": result.reason,
        "identity": None if result.identity is None else round(result.identity, 6),
        "guarded": result.guarded,
    }
    if shown is not None:
        found |= {"person": shown.person, "nearest_person": shown.nearest, "similarity": round(shown.similarity, 6)}
    return found
