"""Results of stages on disk, so that the jobs of a sweep compute once what does not depend on their method.

An entry is named by everything that decides its bytes: a damaged, foreign or missing one is computed again, and a folder that
cannot be written costs time and stops nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import filelock
import numpy as np
import numpy.typing as npt

from gfpup.core import disk_cache

Arrays = dict[str, npt.NDArray[Any]]

FORMAT: Final = 1
"""Part of every key: entries of another layout are never read."""

SHARES: Final = {"detect": 1 / 8, "align": 3 / 8, "background": 1 / 2}
"""Of the limit, for each stage: else a few large backgrounds would drive out all faces (4 kB a photo) and crops (0.8 MB)."""

LOCK_SECONDS: Final = 600.0
"""Longest wait for another job that computes the same; then this one does it too. A killed one's lock is free at once."""

_BLOCK: Final = 4096  # what a file takes on disk at least
_SUFFIX: Final = ".npz"
_DAMAGE: Final = (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What NumPy and zipfile raise at files that are not theirs, or not any more (NotImplementedError is a RuntimeError)."""


@dataclass(eq=False)
class Reuse:
    """What one photo got from the cache: by stage the seconds that computing it took, and what has to be said about it."""

    seconds: dict[str, float] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


_current: ContextVar[Reuse | None] = ContextVar("gfpup_reuse", default=None)


@contextmanager
def noting(reuse: Reuse) -> Iterator[None]:
    """Let every cache that is asked inside the block tell `reuse` what it had."""
    token = _current.set(reuse)
    try:
        yield
    finally:
        _current.reset(token)


def default_folder() -> Path:
    """Where entries lie unless told otherwise: `GFPUP_CACHE_DIR`, or `stages` in the user's cache."""
    return disk_cache.cache_folder("" if os.environ.get(disk_cache.FOLDER_VARIABLE) else "stages")


def digest_of(pixels: npt.NDArray[Any]) -> str:
    """The BLAKE2 digest of an array: its shape, its dtype and its bytes."""
    digest = hashlib.blake2b(f"{pixels.shape} {pixels.dtype.str} ".encode(), digest_size=32)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


class StageCache:
    """Entries of named arrays below `folder`, at most `limit_bytes` of them, least recently used out first.

    What this instance stored or used stays: of photos that take more than the limit the first are kept, where plain "least
    recently used" would lose each one just before the next job asks for it. `warn` is called once if the folder cannot be
    written, and once for each stage that has no room left.
    """

    def __init__(self, folder: Path, *, limit_bytes: int, warn: Callable[[str], None] | None = None) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        self._warn = warn
        self._writable = True
        self._used: set[str] = set()
        self._full: set[str] = set()
        self._crowded: set[str] = set()
        self._room: dict[str, int] = {}
        self._since_look: dict[str, int] = defaultdict(int)

    def get(self, stage: str, facts: Mapping[str, Any], compute: Callable[[], Arrays]) -> Arrays:
        """The arrays of a stage (one of `SHARES`), read if they were computed before, else computed and kept.

        `facts` are all that decides their bytes, ready for JSON. Of several processes that ask at once, one computes and the
        others wait and read. The arrays are the caller's own, to be written to.
        """
        key = disk_cache.key_of([FORMAT, stage, facts])
        path = self.folder / stage / f"{key}{_SUFFIX}"
        found = self._read(stage, path, key)
        if found is not None:
            return found
        with self._locked(stage, path) as locked:
            found = self._read(stage, path, key) if locked else None
            if found is not None:
                return found
            began = time.perf_counter()
            arrays = compute()
            self._keep(stage, path, key, arrays, seconds=time.perf_counter() - began)
            return arrays

    def _read(self, stage: str, path: Path, key: str) -> Arrays | None:
        try:
            arrays: Arrays = {}
            with zipfile.ZipFile(path) as members:
                if members.testzip() is not None:  # the checksums, before anything is made of it
                    return None
                for name in members.namelist():
                    with members.open(name) as member:
                        arrays[name.removesuffix(".npy")] = np.lib.format.read_array(member, allow_pickle=False)
            facts = json.loads(str(arrays.pop("facts")))
            if facts["key"] != key:
                return None
            seconds = float(facts["seconds"])
        except (*_DAMAGE, TypeError):
            return None
        disk_cache.mark_used(path)
        self._used.add(path.name)
        reuse = _current.get()
        if reuse is not None:
            reuse.seconds[stage] = reuse.seconds.get(stage, 0.0) + seconds
        return arrays

    @contextmanager
    def _locked(self, stage: str, path: Path) -> Iterator[bool]:
        """Hold the lock of one entry; False if it is not available or nothing would be kept anyway."""
        lock = filelock.FileLock(path.with_suffix(".lock"), timeout=LOCK_SECONDS)
        if self._writable and stage not in self._full:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with suppress(filelock.Timeout):
                    lock.acquire()
            except OSError as error:
                self._give_up(error)
        held = lock.is_locked
        try:
            yield held
        finally:
            if held:
                # Removed before it is released: who comes now finds the entry, and who waits looks for it again.
                with suppress(OSError):
                    Path(lock.lock_file).unlink()
                with suppress(OSError):
                    lock.release()

    def _keep(self, stage: str, path: Path, key: str, arrays: Arrays, *, seconds: float) -> None:
        size = _on_disk(sum(array.nbytes for array in arrays.values()) + _BLOCK)
        if not self._writable or not self._make_room(stage, path.parent, size):
            return
        facts = np.array(json.dumps({"key": key, "stage": stage, "seconds": seconds}))
        try:
            with disk_cache.replacing(path) as fresh, fresh.open("xb") as file, zipfile.ZipFile(file, "w") as members:
                for name, array in {**arrays, "facts": facts}.items():
                    with members.open(f"{name}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, array, allow_pickle=False)
        except OSError as error:
            self._give_up(error)
            return
        self._used.add(path.name)

    def _make_room(self, stage: str, folder: Path, size: int) -> bool:
        """Whether `size` bytes more may lie in the folder of a stage, after the least recently used entries are gone."""
        share = int(self.limit_bytes * SHARES[stage])
        if stage in self._full:
            return False
        # Other jobs write too, so the folder is looked at again whenever this one has written a little.
        room = self._room.get(stage, 0)
        if size <= share and (size > room or self._since_look[stage] > share // 64):
            room = share - self._trim(folder, share - size)
            self._since_look[stage] = 0
            if size > room:
                self._full.add(stage)
        if size <= room:
            self._room[stage] = room - size
            self._since_look[stage] += size
            return True
        if stage not in self._crowded:
            self._crowded.add(stage)
            what = f"has no room for more than {share / 1e9:.3g} GB of the stage {stage}: what does not fit is computed again"
            self._say(f"the stage cache {self.folder} {what}; raise cache.max_gb")
        return False

    def _trim(self, folder: Path, goal: int) -> int:
        """Remove old entries until the rest takes `goal` bytes, if that can be reached; returns what it takes."""
        entries = list(disk_cache.files_in(folder, suffix=_SUFFIX))
        total = sum(_on_disk(entry.size_bytes) for entry in entries)
        if total <= goal:
            return total
        # With some to spare, so that not every entry asks for another look.
        return disk_cache.evict(
            entries, int(goal * 0.9), size=_on_disk, drop=lambda path: path.name not in self._used and disk_cache.remove(path)
        )

    def _give_up(self, error: OSError) -> None:
        """Read what is there and write no more."""
        self._writable = False
        self._say(f"the stage cache {self.folder} cannot be written ({error.strerror or error}): stages are computed again")

    def _say(self, said: str) -> None:
        reuse = _current.get()
        if reuse is not None:
            reuse.remarks.append(said)
        if self._warn is not None:
            self._warn(said)


def _on_disk(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
