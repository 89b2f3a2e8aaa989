"""The folder of checkpoints: each is downloaded once, verified, and never present in part."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlsplit

import platformdirs
from filelock import FileLock

from gfpup.core.errors import CheckpointError, LicenceError, OutputError
from gfpup.core.files import sha256_of
from gfpup.weights import licences
from gfpup.weights.catalogue import CATALOGUE, Checkpoint, find
from gfpup.weights.digests import Digests, copy_verified
from gfpup.weights.download import DownloadError, Progress, discard, download, finish

FOLDER_VARIABLE = "GFPUP_WEIGHTS_DIR"
MIRRORS_VARIABLE = "GFPUP_WEIGHTS_URL"

State = Literal["absent", "verified", "pinned", "unverified", "differs"]


@dataclass(frozen=True)
class Stored:
    """What the folder holds of one checkpoint.

    "verified" means the published hash, "pinned" the one of the first download, "unverified" that there is no hash to
    compare with or that it was not computed yet; `expected` and `found` are SHA-256 digests.
    """

    checkpoint: Checkpoint
    path: Path | None
    state: State
    expected: str | None
    found: str | None


def default_folder() -> Path:
    """The weights folder: GFPUP_WEIGHTS_DIR, or a place in the platform's user cache."""
    return Path(os.environ.get(FOLDER_VARIABLE) or platformdirs.user_cache_path("gfpup") / "weights")


def mirrors_from_environment() -> tuple[str, ...]:
    """The base addresses in GFPUP_WEIGHTS_URL, separated by commas, in the order in which they are tried."""
    return tuple(part.strip() for part in os.environ.get(MIRRORS_VARIABLE, "").split(",") if part.strip())


class Store:
    """The checkpoints of one folder.

    `mirrors` are base addresses (http, https, file) or folders, tried before the official address. `offline` forbids
    downloads, `trust_first_download` allows entries without a published hash and pins them, `accepted` holds the
    licences consented to with this command.
    """

    def __init__(
        self,
        folder: Path,
        *,
        mirrors: tuple[str, ...] = (),
        offline: bool = False,
        trust_first_download: bool = False,
        accepted: Collection[str] = (),
    ) -> None:
        self.folder, self.mirrors = folder, tuple(_base_address(mirror) for mirror in mirrors)
        self.offline, self.trust_first_download, self.accepted = offline, trust_first_download, accepted
        self._digests = Digests(folder)

    def path(self, name: str) -> Path:
        """Where the file of a checkpoint lies or would lie."""
        return self.folder / find(name).file

    def present(self, name: str) -> Path | None:
        """The file of a checkpoint, unverified, or None where it is not there."""
        path = self.path(name)
        return path if path.is_file() else None

    def needs_trust(self, name: str) -> bool:
        """Whether nothing says what the file of a checkpoint should be, and nobody has said yet to trust the first one."""
        checkpoint = find(name)
        return self._expected(checkpoint) is None and not (checkpoint.sha256_starts or self.trust_first_download)

    def refusal(self, name: str) -> str | None:
        """Why `ensure` would refuse whatever a file or a server holds, in one sentence, or None. Fetches and hashes nothing."""
        checkpoint = find(name)
        try:
            licences.require(checkpoint, self.accepted)
            self._check_obtainable(checkpoint)
        except (CheckpointError, LicenceError) as error:
            return str(error)
        return None

    def missing(self, name: str) -> str | None:
        """Why `ensure` would download or refuse, in one sentence; None where the file is there. Fetches and hashes nothing."""
        absent = self.present(name) is None
        return self.refusal(name) or (self._by_hand(find(name), "is not there yet") if absent else None)

    def ensure(self, name: str, *, progress: Progress | None = None) -> Path:
        """The verified file of a checkpoint, downloaded where it is not there; concurrent processes download once.

        Raises LicenceError without the consent that the licence needs, OutputError where the folder cannot be written,
        CheckpointError for an unknown name, a failed download, or a hash other than the published or pinned one.
        """
        checkpoint = find(name)
        licences.require(checkpoint, self.accepted)
        path = self.folder / checkpoint.file
        if not path.is_file():
            self._check_obtainable(checkpoint)
            with self._locked(checkpoint):
                if not path.is_file():  # else another process was faster
                    self._fetch(checkpoint, path, progress)
                    return path
        self._compare(checkpoint, path, self._digests.digest(path))
        return path

    def verify(self, name: str) -> Stored:
        """Hash the file of a checkpoint anew and compare; raises CheckpointError for an unknown name or an unreadable file."""
        path = self.present(name)
        return self._stored(find(name), None if path is None else self._digests.recompute(path))

    def listing(self) -> tuple[Stored, ...]:
        """What is there of every checkpoint of the catalogue, by remembered hashes: nothing is hashed now."""
        return tuple(self._stored(c, self._digests.remembered(self.folder / c.file)) for c in CATALOGUE)

    def digest(self, path: Path) -> str:
        """The SHA-256 of any file, remembered while its size and time stay the same; raises CheckpointError if unreadable."""
        return self._digests.digest(path)

    def import_file(self, path: Path) -> Checkpoint:
        """Copy a file that the user got elsewhere into the folder, recognised by its hash whatever its name.

        An entry without a published hash is recognised by its file name and needs `trust_first_download`.

        Raises CheckpointError where the file cannot be read, is not in the catalogue or does not have the pinned hash,
        OutputError where the folder cannot be written.
        """
        found = self._digests.digest(path)
        checkpoint = next((c for c in CATALOGUE if found == self._expected(c)), None)
        if checkpoint is None:
            begins = (c for c in CATALOGUE if c.sha256_starts and found.startswith(c.sha256_starts))
            checkpoint = next(begins, None) or next((c for c in CATALOGUE if c.file == path.name), None)
            if checkpoint is None:
                raise CheckpointError(
                    f"{path} (SHA-256 {found}) is not a known checkpoint: "
                    "to use it unverified, name it with --model-path (a method), --detector-path, --mask-path, "
                    "--background-path or --identity-path; gfpup weights list shows the known ones"
                )
            self._compare(checkpoint, path, found)
        target = self.folder / checkpoint.file
        with self._locked(checkpoint):
            if not (target.exists() and target.samefile(path)):
                copy_verified(path, target, found)
                self._digests.record(target, found)
        return checkpoint

    def _expected(self, checkpoint: Checkpoint) -> str | None:
        """The published hash of a checkpoint, else the pinned one."""
        return checkpoint.sha256 or self._digests.pinned(checkpoint.name)

    def _stored(self, checkpoint: Checkpoint, found: str | None) -> Stored:
        path = self.present(checkpoint.name)
        expected = self._expected(checkpoint)
        state: State = "unverified"
        if path is None:
            state, found = "absent", None
        elif expected is not None and found is not None:
            state = "differs" if found != expected else "verified" if checkpoint.sha256 else "pinned"
        return Stored(checkpoint, path, state, expected, found)

    def _compare(self, checkpoint: Checkpoint, path: Path, found: str) -> None:
        expected = self._expected(checkpoint)
        if expected is None:
            if checkpoint.sha256_starts and not found.startswith(checkpoint.sha256_starts):
                raise CheckpointError(
                    f"{path} is not {checkpoint.name} as published: its SHA-256 is {found} and does not start with "
                    f"{checkpoint.sha256_starts}; get the file from {_address(checkpoint)}"
                )
            if self.needs_trust(checkpoint.name):
                raise CheckpointError(
                    f"{path} (SHA-256 {found}) cannot be verified, as no hash of {checkpoint.name} is published: "
                    "if you trust it, add --trust-first-download once"
                )
            self._digests.pin(checkpoint.name, found)
        elif found != expected:
            kind = "published" if checkpoint.sha256 else f"first trusted (recorded in {self._digests.file})"
            raise CheckpointError(
                f"{path} is not {checkpoint.name} as {kind}: its SHA-256 is {found} instead of {expected}; "
                "delete it to have it fetched again, or give it with --model-path to use it unverified"
            )

    def _check_obtainable(self, checkpoint: Checkpoint) -> None:
        if (self.folder / checkpoint.file).is_file():
            return
        if self.offline:
            raise CheckpointError(self._by_hand(checkpoint, "is not there and may not be downloaded (--no-download)"))
        if checkpoint.by_hand and not self.mirrors:
            raise CheckpointError(self._by_hand(checkpoint, "is not there, and its publisher's page is for people"))
        if self.needs_trust(checkpoint.name):
            raise CheckpointError(
                f"no hash of {checkpoint.name} is published, so a download from {checkpoint.url} cannot be verified: "
                "add --trust-first-download to trust the first one; later ones must have the same hash"
            )

    def _by_hand(self, checkpoint: Checkpoint, why: str) -> str:
        expected = self._expected(checkpoint)
        starts = checkpoint.sha256_starts
        no_hash = f"SHA-256 {starts}..." if starts else "no published hash, so with --trust-first-download"
        digest = f"SHA-256 {expected}" if expected else no_hash
        return (
            f"{checkpoint.file}, the weights of {checkpoint.name}, {why}: get it from {_address(checkpoint)} ({digest}) "
            f"and put it at {self.folder / checkpoint.file} (gfpup weights import {checkpoint.file} does that)"
        )

    @contextmanager
    def _locked(self, checkpoint: Checkpoint) -> Iterator[None]:
        """Let one process at a time write this checkpoint."""
        lock = FileLock(self.folder / f".{checkpoint.file}.lock")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except OSError as error:
            raise OutputError(
                f"the weights folder {self.folder} cannot be written ({error.strerror}): choose another with --weights-dir"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def _fetch(self, checkpoint: Checkpoint, path: Path, progress: Progress | None) -> None:
        expected = self._expected(checkpoint)
        part = path.with_name(path.name + ".part")
        self._refuse_full_disk(checkpoint, part)
        failures = []
        mirrored = [f"{base}/{quote(checkpoint.file)}" for base in self.mirrors]
        for url in mirrored if checkpoint.by_hand else (*mirrored, checkpoint.url):
            try:
                found = self._verified_part(url, part, checkpoint, expected, progress)
            except DownloadError as error:
                failures.append(f"{urlsplit(url).netloc or url} {error}")
                continue
            if expected is None:
                self._digests.pin(checkpoint.name, found)
            finish(part, path)
            self._digests.record(path, found)
            return
        raise CheckpointError(self._by_hand(checkpoint, f"could not be downloaded ({'; '.join(failures)})"))

    def _verified_part(
        self, url: str, part: Path, checkpoint: Checkpoint, expected: str | None, progress: Progress | None
    ) -> str:
        continued = part.exists()
        download(url, part, size_bytes=checkpoint.size_bytes, hash_known=expected is not None, progress=progress)
        found = sha256_of(part)
        if found == expected or (expected is None and found.startswith(checkpoint.sha256_starts)):
            return found
        with part.open("rb") as file:
            page = file.read(64).lstrip().lower().startswith((b"<!doctype", b"<html"))
        discard(part)
        if continued:  # its two pieces may come from different files: once more, from the start
            return self._verified_part(url, part, checkpoint, expected, progress)
        what = "a web page" if page else "other bytes"
        raise DownloadError(f"sent {what}: SHA-256 {found} instead of {expected or checkpoint.sha256_starts + '...'}")

    def _refuse_full_disk(self, checkpoint: Checkpoint, part: Path) -> None:
        needed = (checkpoint.size_bytes or 0) - (part.stat().st_size if part.exists() else 0)
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise OutputError(
                f"{checkpoint.file} needs {needed / 1e6:.0f} MB more and the disk of {self.folder} has {free / 1e6:.0f} MB: "
                "make room or choose another --weights-dir"
            )


def _base_address(mirror: str) -> str:
    scheme = urlsplit(mirror).scheme
    if scheme in ("http", "https", "file"):
        return mirror.rstrip("/")
    if "://" in mirror:
        raise CheckpointError(f"the mirror {mirror!r} has an unsupported scheme: use http, https, file or a folder")
    return Path(mirror).absolute().as_uri().rstrip("/")


def locate(name: str, store: Store) -> Path:
    """The verified file of a checkpoint; a metric's must be in the store's folder already, since scoring downloads none.

    Raises LicenceError and CheckpointError, as `Store.ensure`.
    """
    checkpoint = find(name)
    if checkpoint.metric:
        licences.require(checkpoint, store.accepted)
        path = store.folder / checkpoint.file
        if not path.is_file():
            last = f"gfpup weights import {checkpoint.file}" if checkpoint.by_hand else f"gfpup weights fetch {name}"
            raise CheckpointError(
                f"{checkpoint.file}, the weights of {name}, is not there: get it from {_address(checkpoint)} and put it at "
                f"{path}, or run {last}"
            )
    return store.ensure(name)


def _address(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.url} ({checkpoint.note})" if checkpoint.note else checkpoint.url
