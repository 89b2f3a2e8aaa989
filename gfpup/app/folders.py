"""Where the page works, and which folders it may open."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import filelock

from gfpup.core.errors import GfpupError
from gfpup.core.files import natural_key
from gfpup.records.layout import DOCUMENT

UPLOADS, JOBS, LOCK = "uploads", "jobs", ".gfpup-app.lock"
REQUEST: Final = "request.json"
MOST_RUNS: Final = 500
DEEPEST: Final = 6
"""Runs are looked for so many folders deep, no deeper: the opened folder may be somebody's home."""


@dataclass
class Folders:
    """The page's own folder, with the uploads and the jobs in it, and the folders whose runs and pictures it may open.

    As a context manager it holds the folder against another page, and empties what it made there unless `keep`.
    """

    own: Path
    opened: tuple[Path, ...]
    keep: bool = False
    temporary: bool = False
    _lock: filelock.FileLock | None = None
    _numbering: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, given: Path | None, opened: Sequence[Path], *, keep: bool) -> Folders:
        """The folders of a command line; without a folder a temporary one is made.

        Raises: GfpupError: one of them is not there or cannot be written.
        """
        for folder in opened:
            if not folder.is_dir():
                raise GfpupError(f"there is no folder {folder}: give one that exists with --open.")
        try:
            own = Path(tempfile.mkdtemp(prefix="gfpup-app-")) if given is None else given.resolve()
            for name in (UPLOADS, JOBS):
                (own / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GfpupError(f"cannot write to the folder {given}: {error.strerror}; give another --folder.") from None
        return cls(own, tuple(folder.resolve() for folder in opened), keep, given is None)

    def __enter__(self) -> Folders:
        self._lock = filelock.FileLock(self.own / LOCK, timeout=0)
        try:
            self._lock.acquire()
        except filelock.Timeout:
            raise GfpupError(f"another gfpup app works in {self.own}; give another --folder.") from None
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            self._lock.release()
            (self.own / LOCK).unlink(missing_ok=True)
        if self.keep:
            return
        for name in (UPLOADS, JOBS):
            shutil.rmtree(self.own / name, ignore_errors=True)
        if self.temporary:
            shutil.rmtree(self.own, ignore_errors=True)

    @property
    def allowed(self) -> tuple[Path, ...]:
        """The folders that may be opened, with all that is below them."""
        return (self.own / JOBS, *self.opened)

    def inside(self, given: str | Path, refusal: str) -> Path:
        """The real path of something that may be opened; a GfpupError in the words of `refusal` for anything else."""
        path = Path(os.path.realpath(Path(given).expanduser()))
        if not any(path.is_relative_to(os.path.realpath(folder)) for folder in self.allowed):
            raise GfpupError(refusal.format(path=given, folders=", ".join(map(str, self.opened or self.allowed))))
        return path

    def is_inside(self, path: Path) -> bool:
        """Whether a path may be opened."""
        try:
            self.inside(path, "")
        except GfpupError:
            return False
        return True

    def new_job(self, photos: Sequence[Path]) -> tuple[Path, list[Path]]:
        """A folder for a job, and the photos in it, linked or copied under their own names; equal names get a number."""
        with self._numbering:
            taken = [int(path.name) for path in (self.own / JOBS).iterdir() if path.name.isdecimal()]
            folder = self.own / JOBS / f"{max(taken, default=0) + 1:04d}"
            (folder / "photos").mkdir(parents=True)
        placed = []
        for photo in photos:
            target, number = folder / "photos" / photo.name, 1
            while target.exists():
                number += 1
                target = folder / "photos" / f"{photo.stem}_{number}{photo.suffix}"
            try:
                os.link(photo, target)
            except OSError:
                shutil.copyfile(photo, target)
            placed.append(target)
        return folder, placed

    def runs(self) -> list[Path]:
        """The folders of the runs below what may be opened, the newest first."""
        found: dict[Path, float] = {}
        for root in self.allowed:
            for here, below, files in os.walk(root):
                below[:] = sorted((name for name in below if not name.startswith(".")), key=natural_key)
                if DOCUMENT in files and self.is_inside(Path(here)):
                    found.setdefault(Path(here), (Path(here) / DOCUMENT).stat().st_mtime)
                    below.clear()
                if len(found) >= MOST_RUNS:
                    break
                if len(Path(here).relative_to(root).parts) >= DEEPEST:
                    below.clear()
        return sorted(found, key=lambda path: -found[path])


def remember(job: Path, words: Sequence[str]) -> None:
    """Write down the words of a job's run, so that it can be resumed."""
    (job / REQUEST).write_text(json.dumps(list(words)), encoding="utf-8")


def remembered(output: Path) -> list[str] | None:
    """The words of the run in a job's output folder; None where the page did not begin it."""
    try:
        words = json.loads((output.parent / REQUEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return [str(word) for word in words]
