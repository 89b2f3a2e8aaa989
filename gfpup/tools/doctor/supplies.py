"""Checkpoints, consents, and the connection to the checkpoints' host."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from gfpup.core.errors import GfpupError
from gfpup.tools.check import Check, Status
from gfpup.weights import licences, packaged
from gfpup.weights.catalogue import find
from gfpup.weights.store import Store, Stored

NETWORK_SECONDS: Final = 2.0
DEFAULT_CHECKPOINT: Final = "gfpgan-v1.4"
USED_BY_DEFAULT: Final = (DEFAULT_CHECKPOINT, "retinaface-resnet50", "bisenet")
"""What `gfpup run --input photo.jpg` uses; without the last two it falls back, and says so."""


def check_weights(store: Store) -> Iterator[Check]:
    """Which checkpoints are here; a hash is compared only if it was computed before."""
    try:
        listing = store.listing()
    except GfpupError as error:
        found, _, remedy = str(error).partition(": ")
        yield Check("weights", "hashes", "problem", found, remedy)
        return
    yield from map(_check_checkpoint, listing)


def _check_checkpoint(stored: Stored) -> Check:
    checkpoint, path, name = stored.checkpoint, stored.path, stored.checkpoint.name
    if path is None and name not in USED_BY_DEFAULT:
        return Check("weights", name, "ok", "is not here")
    if path is None:
        remedy = "it is downloaded when first needed, or gfpup weights import FILE"
        return Check("weights", name, "warning", "is not here, and a default run uses it", remedy)
    bad: Status = "problem" if name == DEFAULT_CHECKPOINT else "warning"
    if stored.state == "differs":
        return Check("weights", name, bad, f"the hash of {path} is not the published one", "delete it")
    if checkpoint.size_bytes not in (None, size := path.stat().st_size):
        remedy = f"delete {path}; it is downloaded again"
        return Check("weights", name, bad, f"{size} of {checkpoint.size_bytes} bytes", remedy)
    state = {"verified": "verified", "pinned": "as first trusted"}.get(stored.state, "not hashed yet: its first use does that")
    return Check("weights", name, "ok", f"here, {state}")


def check_mtcnn() -> Check:
    """Whether the networks of the detector MTCNN, which a package carries, are here and the published ones."""
    if packaged.mtcnn_folder() is None:
        found = "is not here; without RetinaFace's checkpoint it finds more faces than the cascade"
        return Check("weights", "mtcnn", "ok", f"{found}: {packaged.MTCNN_INSTALL}")
    fault = packaged.mtcnn_fault()
    if fault is None:
        return Check("weights", "mtcnn", "ok", f"here, verified: it comes with {packaged.MTCNN_PACKAGE}")
    found, _, remedy = fault.rpartition(": ")
    return Check("weights", "mtcnn", "warning", found, remedy)


def check_licences() -> Iterator[Check]:
    """Which licences need consent, and whether it was given."""
    for identifier in licences.needing_consent():
        covers = licences.known()[identifier].covers
        try:
            how = licences.how_accepted(identifier)
        except GfpupError as error:
            found, _, remedy = str(error).partition(": ")
            yield Check("licences", "consents", "problem", found, remedy)
            return
        found = f"non-commercial, for {covers}: consent {how}" if how else f"no consent, so without {covers}"
        yield Check("licences", identifier, "ok", found)


def check_network(store: Store, *, offline: bool = False) -> Check:
    """Whether the checkpoints' host can be reached: never a problem by itself, because files can be imported."""
    if offline:
        return _network_check(store, [], "not tried")
    failures = []
    for address in [*store.mirrors, find(DEFAULT_CHECKPOINT).url]:
        parts, began = urlsplit(address), time.monotonic()
        if parts.scheme == "file":
            if Path(parts.path).is_dir():
                return _network_check(store, [], f"the mirror {parts.path} answers")
            failures.append(f"there is no folder {parts.path}")
        elif (reason := _unreachable(address)) is None:
            return _network_check(store, [], f"{parts.hostname} answers in {time.monotonic() - began:.2g} s")
        else:
            failures.append(f"{parts.hostname} does not answer: {reason}")
    return _network_check(store, failures)


def check_default_run(store: Store, network: Check) -> Check:
    """Whether `gfpup run --input photo.jpg` could start: its method's checkpoint must be here, or its host must answer."""
    command = "gfpup run --input photo.jpg"
    if store.present(DEFAULT_CHECKPOINT) is not None:
        return Check("default run", command, "ok", f"{DEFAULT_CHECKPOINT} is here")
    if network.status == "ok" and "answers" in network.found:
        return Check("default run", command, "ok", f"{DEFAULT_CHECKPOINT} will be downloaded")
    untried = "not tried" in network.found
    found = f"{DEFAULT_CHECKPOINT} is not here and {'would' if untried else 'cannot'} be downloaded"
    remedy = f"gfpup weights import FILE, or a method without weights: {command} --backend classical"
    return Check("default run", command, "warning" if untried else "problem", found, remedy)


def _network_check(store: Store, failures: list[str], answered: str = "") -> Check:
    """The check from what was tried; without `failures`, `answered` says who answered."""
    missing = [name for name in USED_BY_DEFAULT if store.present(name) is None]
    need = f"needed for {', '.join(missing)}" if missing else "not needed: what a default run uses is here"
    if not failures:
        return Check("network", "checkpoints", "ok", f"{answered}; {need}")
    remedy = "download the files elsewhere and gfpup weights import FILE, or name a mirror in GFPUP_WEIGHTS_URL"
    return Check("network", "checkpoints", "warning" if missing else "ok", f"{'; '.join(failures)}; {need}", remedy)


class Reaching:
    """A connection that is tried in the background, so that the other checks need not wait for it."""

    def __init__(self, store: Store, *, offline: bool) -> None:
        self._answer: list[Check] = []
        self._store = store
        # A daemon, because a name server that does not answer must not hold up the exit.
        self._thread = threading.Thread(target=lambda: self._answer.append(check_network(store, offline=offline)), daemon=True)
        self._thread.start()
        self._until = time.monotonic() + NETWORK_SECONDS + 0.5

    def result(self) -> Check:
        """The check of the network, after at most half a second more than `NETWORK_SECONDS`."""
        self._thread.join(max(0.0, self._until - time.monotonic()))
        return self._answer[0] if self._answer else _network_check(self._store, [f"no answer in {NETWORK_SECONDS:g} s"])


def _unreachable(address: str) -> str | None:
    """Why the host of an address does not answer, None if it does, whatever it answers; proxies are used as for downloads."""
    parts = urlsplit(address)
    try:
        with urlopen(Request(f"{parts.scheme}://{parts.netloc}/", method="HEAD"), timeout=NETWORK_SECONDS):
            return None
    except HTTPError:
        return None
    except (URLError, OSError, ValueError) as error:
        return str(getattr(error, "reason", error))
