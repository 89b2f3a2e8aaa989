"""SHA-256 of large files, computed once: remembered beside them while size and modification time stay the same."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from gfpup.core.disk_cache import replacing
from gfpup.core.errors import CheckpointError, OutputError
from gfpup.core.files import sha256_of
from gfpup.weights.memory import Memory


def copy_verified(source: Path, target: Path, expected: str) -> None:
    """Copy a file whose SHA-256 is `expected`; `target` gets its name when all of it is there and right.

    Raises CheckpointError where the source changed meanwhile, OutputError where it or the target cannot be read or written.
    """
    try:
        with replacing(target) as fresh:
            shutil.copyfile(source, fresh)
            if sha256_of(fresh) != expected:
                raise CheckpointError(f"{source} changed while it was copied: try again")
            with fresh.open("rb+") as file:
                os.fsync(file.fileno())
    except OSError as error:
        raise OutputError(
            f"{source} cannot be copied to {target} ({error.strerror}): make room or choose another --weights-dir"
        ) from error


class Digests:
    """The hashes remembered for the files of one folder, and those that were pinned at a first download.

    A file that is damaged is not dropped: with it would go the pins, which protect entries without a published hash.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "hashes.json"
        self._memory = Memory(self.file, "hashes", CheckpointError, "delete the file")

    def remembered(self, path: Path) -> str | None:
        """The remembered SHA-256 of a file, or None where it is not known or the file has changed since."""
        with suppress(OSError):
            stat = path.stat()
            entry = self._memory.table("files").get(self._key(path))
            if isinstance(entry, dict) and (entry.get("size"), entry.get("mtime_ns")) == (stat.st_size, stat.st_mtime_ns):
                digest = entry.get("sha256")
                return digest if isinstance(digest, str) else None
        return None

    def digest(self, path: Path) -> str:
        """The SHA-256 of a file, remembered or computed now; raises CheckpointError where it cannot be read."""
        return self.remembered(path) or self.recompute(path)

    def recompute(self, path: Path) -> str:
        """The SHA-256 of a file as it is now, remembered from now on; raises CheckpointError where it cannot be read."""
        try:
            before = path.stat()
            digest = sha256_of(path)
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read ({error.strerror}): check the path and its permissions") from error
        self.record(path, digest, stat=before)
        return digest

    def record(self, path: Path, digest: str, *, stat: os.stat_result | None = None) -> None:
        """Remember the SHA-256 of a file as it was at `stat`, by default now."""
        stat = stat or path.stat()
        self._update("files", self._key(path), {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": digest})

    def pinned(self, name: str) -> str | None:
        """The SHA-256 that the first download of a checkpoint was pinned to, or None."""
        pin = self._memory.table("pinned").get(name)
        return pin if isinstance(pin, str) else None

    def pin(self, name: str, digest: str) -> None:
        """Require these bytes of a checkpoint without a published hash from now on."""
        self._update("pinned", name, digest)
        if self.pinned(name) != digest:
            raise CheckpointError(
                f"the hash of {name} cannot be recorded in {self.file}: make the folder {self.folder} writable"
            )

    def _key(self, path: Path) -> str:
        whole = path.absolute()
        return whole.name if whole.parent == self.folder.absolute() else whole.as_posix()

    def _update(self, table: str, entry: str, value: object) -> None:
        with suppress(OSError):  # a folder that many share may be read-only: hashes are then computed at each start
            self._memory.update(table, entry, value)
