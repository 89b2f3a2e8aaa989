"""SHA-256 of large files, computed once: remembered in a side-car while size and modification time stay the same."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from filelock import FileLock

from gfpup.core.errors import CheckpointError, OutputError
from gfpup.core.files import sha256_of

SIDE_CAR = "hashes.json"


def copy_verified(source: Path, target: Path, expected: str) -> None:
    """Copy a file whose SHA-256 is `expected`; `target` gets its name when all of it is there and right.

    Raises:
        CheckpointError: the source changed meanwhile.
        OutputError: the source cannot be read, or the target cannot be written.
    """
    try:
        with (
            source.open("rb") as reader,
            tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as writer,
        ):
            fresh = Path(writer.name)
            try:
                digest = hashlib.sha256()
                while chunk := reader.read(1 << 20):
                    digest.update(chunk)
                    writer.write(chunk)
                if digest.hexdigest() != expected:
                    raise CheckpointError(f"{source} changed while it was copied: try again")
                writer.flush()
                os.fsync(writer.fileno())
                fresh.chmod(0o644)  # temporary files are private, and a weights folder may be shared
                fresh.replace(target)
            except BaseException:
                fresh.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise OutputError(
            f"{source} cannot be copied to {target} ({error.strerror}): make room or choose another --weights-dir"
        ) from error


class Digests:
    """The hashes remembered for the files of one folder, and those that were pinned at a first download."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / SIDE_CAR

    def remembered(self, path: Path) -> str | None:
        """The remembered SHA-256 of a file, or None where it is not known or the file has changed since."""
        try:
            stat = path.stat()
        except OSError:
            return None
        entry = self._read()["files"].get(self._key(path))
        if not isinstance(entry, dict) or (entry.get("size"), entry.get("mtime_ns")) != (stat.st_size, stat.st_mtime_ns):
            return None
        digest = entry.get("sha256")
        return digest if isinstance(digest, str) else None

    def digest(self, path: Path) -> str:
        """The SHA-256 of a file: remembered, or computed and remembered.

        Raises:
            CheckpointError: the file cannot be read.
        """
        return self.remembered(path) or self.recompute(path)

    def recompute(self, path: Path) -> str:
        """The SHA-256 of a file as it is now, remembered for the next time.

        Raises:
            CheckpointError: the file cannot be read.
        """
        try:
            before = path.stat()
            digest = sha256_of(path)
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read ({error.strerror}): check the path and its permissions") from error
        self._record(path, digest, size=before.st_size, mtime_ns=before.st_mtime_ns)
        return digest

    def record(self, path: Path, digest: str) -> None:
        """Remember the SHA-256 of a file that was just written and hashed on the way."""
        stat = path.stat()
        self._record(path, digest, size=stat.st_size, mtime_ns=stat.st_mtime_ns)

    def pinned(self, name: str) -> str | None:
        """The SHA-256 that the first download of a checkpoint was pinned to, or None."""
        pin = self._read()["pinned"].get(name)
        return pin if isinstance(pin, str) else None

    def pin(self, name: str, digest: str) -> None:
        """Hold a checkpoint without a published hash to these bytes from now on."""
        self._write("pinned", name, digest)
        if self.pinned(name) != digest:
            raise CheckpointError(
                f"the hash of {name} cannot be recorded in {self.file}: make the folder {self.folder} writable"
            )

    def _record(self, path: Path, digest: str, *, size: int, mtime_ns: int) -> None:
        self._write("files", self._key(path), {"size": size, "mtime_ns": mtime_ns, "sha256": digest})

    def _key(self, path: Path) -> str:
        whole = path.absolute()
        return whole.name if whole.parent == self.folder.absolute() else whole.as_posix()

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            content = json.loads(self.file.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            content = {}
        except (OSError, ValueError) as error:
            # Dropping it would drop the pins, and with them what protects an entry without a published hash.
            raise CheckpointError(f"the remembered hashes in {self.file} cannot be read: delete the file") from error
        parts = {part: content.get(part, {}) for part in ("files", "pinned")} if isinstance(content, dict) else {}
        if not parts or not all(isinstance(part, dict) for part in parts.values()):
            raise CheckpointError(f"the remembered hashes in {self.file} are damaged: delete the file")
        return parts

    def _write(self, part: str, entry: str, value: object) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / f".{SIDE_CAR}.lock"):
                content = self._read()
                content[part][entry] = value
                fresh = self.file.with_suffix(".new")
                fresh.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
                fresh.replace(self.file)
        except OSError:
            return  # a weights folder that many share may be read-only: hashes are then computed at each start
