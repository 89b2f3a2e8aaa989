"""Caches on disk: entries that can be made again, each whole or absent, the least recently used ones removed first.

An entry is a file or a folder, named by a digest of everything that decides its bytes, so that it may be missing and is never
wrong. Its modification time says when it was last used, because file systems seldom keep the time of reading.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import platformdirs

FOLDER_VARIABLE: Final = "GFPUP_CACHE_DIR"
LEFT_OVER_SECONDS: Final = 24 * 3600.0
"""A temporary file or lock that is older was left by a process that was killed."""


@dataclass(frozen=True, order=True)
class Entry:
    """An entry as it lies on disk: `used` is seconds since 1970."""

    used: float
    size_bytes: int
    path: Path


def cache_folder(part: str = "") -> Path:
    """GFPUP_CACHE_DIR, or the user's cache of gfpup; `part` is a folder in it."""
    return Path(os.environ.get(FOLDER_VARIABLE) or platformdirs.user_cache_path("gfpup")) / part


def key_of(facts: Any) -> str:
    """The name of an entry, 64 hexadecimal digits, from all that decides its bytes, ready for JSON."""
    return blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=32).hexdigest()


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A free place beside `path` for a new file or folder, which takes its name at the end; after an error nothing is left."""
    fresh = path.with_name(f"{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        yield fresh
        if path.is_dir():
            shutil.rmtree(path)
        fresh.replace(path)
    finally:
        remove(fresh)


def remove(path: Path) -> bool:
    """Remove a file or a folder; returns whether it is gone."""
    with contextlib.suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        return True
    return False


def mark_used(path: Path) -> None:
    """Count an entry as used now, where its folder can be written."""
    with contextlib.suppress(OSError):
        os.utime(path)


def files_in(folder: Path, *, suffix: str) -> Iterator[Entry]:
    """The entries of a folder that are files ending in `suffix`; what killed processes left is removed on the way."""
    with contextlib.suppress(OSError), os.scandir(folder) as listed:
        for item in listed:
            with contextlib.suppress(OSError):  # another process removed it
                facts = item.stat()
                if item.name.endswith(suffix):
                    yield Entry(facts.st_mtime, facts.st_size, Path(item.path))
                elif item.name.endswith((".lock", ".tmp")) and time.time() - facts.st_mtime > LEFT_OVER_SECONDS:
                    remove(Path(item.path))


def evict(
    entries: Iterable[Entry], goal: int, *, size: Callable[[int], int] = int, drop: Callable[[Path], bool] = remove
) -> int:
    """Let `drop` remove entries, the least recently used first, until the rest takes `goal` bytes; returns what the rest takes.

    `size` turns a file's bytes into what they take on disk; `drop` returns False for an entry that must stay.
    """
    found = sorted(entries)
    total = sum(size(entry.size_bytes) for entry in found)
    for entry in found:
        if total <= goal:
            break
        if drop(entry.path):
            total -= size(entry.size_bytes)
    return total
