"""The checkpoints of one run: from the user's file, from the store, by download; in a dry run only what would be lacking."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gfpup.core.errors import CheckpointError, GfpupError
from gfpup.weights import catalogue, licences
from gfpup.weights.store import Store, default_folder, mirrors_from_environment

Progress = Callable[[str, int, int | None], None]
"""Called with a checkpoint's name, the bytes done and the bytes in all (None where the server does not say)."""


@dataclass
class Supply:
    """Collects what the parts of a run need. `paths` and `digests` (SHA-256) are by role: "backend", "detector", "mask", ..."""

    store: Store
    accepted: Collection[str] = ()
    dry_run: bool = False
    progress: Progress | None = None
    files: Mapping[str, Path] = field(default_factory=dict)
    """The user's own files in place of published checkpoints, by catalogue name."""
    paths: dict[str, Path] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    consents: dict[str, str] = field(default_factory=dict)
    unsaid: list[catalogue.Checkpoint] = field(default_factory=list)

    def given(self, role: str, path: Path) -> None:
        """Take the user's own file for `role`; nothing vouches for it, and the record says so by its hash.

        Raises:
            CheckpointError: there is no such file.
        """
        if not path.is_file():
            raise CheckpointError(f"the checkpoint {path} is not there; check its path.")
        self.paths[role] = path
        self.digests[role] = self.store.digest(path)

    def named(self, role: str, name: str) -> None:
        """Take the published checkpoint `name` for `role`, downloaded if need be.

        Raises:
            LicenceError: its licence needs a consent that was not given.
            CheckpointError: it cannot be had.
        """
        checkpoint = catalogue.find(name)
        if name in self.files:
            self.consent(checkpoint)
            self.given(role, self.files[name])
            self.warnings.append(f"{self.files[name].name} is unverified: nothing says that it holds {name}.")
            return
        if self.dry_run:
            lack = self.store.missing(name)
            if lack is not None:
                if self.store.could_download(name):
                    lack = f"{name} is not in {self.store.folder}; a run would download it from {checkpoint.url}"
                self.missing.append(lack)
                self.digests[role] = checkpoint.sha256 or "unknown"
                return
            try:
                self.store.ensure(name)
            except CheckpointError as error:  # it is there, and cannot be verified
                if role.startswith("backend."):
                    raise  # one of several methods: it is left out, as in a run
                self.missing.append(str(error))
                self.digests[role] = checkpoint.sha256 or "unknown"
                return
        self.consent(checkpoint)
        progress = self.progress
        path = self.store.ensure(name, progress=None if progress is None else lambda done, total: progress(name, done, total))
        self.paths[role] = path
        self.digests[role] = self.store.digest(path)

    def take(self, role: str, name: str, path: Path | None) -> None:
        """Take the user's own file for `role` if one is given, else the published checkpoint `name`."""
        if path is None:
            self.named(role, name)
        else:
            self.given(role, path)

    def try_named(self, role: str, name: str) -> str | None:
        """Like `named`, but where it cannot be had the reason is returned instead of raised (None: it was taken)."""
        lack = self.store.missing(name) if self.dry_run and name not in self.files else None
        if lack is not None and not self.store.could_download(name):
            return lack
        try:
            self.named(role, name)
        except GfpupError as error:
            return str(error)
        return None

    def consent(self, checkpoint: catalogue.Checkpoint) -> None:
        """Hold the licence's gate, and say once what is contested or unknown about it."""
        licences.require(checkpoint, self.accepted)
        how = licences.how_accepted(checkpoint.licence_id, self.accepted)
        if how is not None:
            self.consents[checkpoint.licence_id] = how
        warning = licences.warning_for(checkpoint)
        if warning is not None and warning not in self.warnings:
            self.warnings.append(warning)
            self.unsaid.append(checkpoint)

    def said(self) -> None:
        """Remember that the warnings about licences were shown to the user; until then they come again."""
        for checkpoint in self.unsaid:
            licences.warn_once(checkpoint)
        self.unsaid.clear()


def open_store(
    folder: Path | None,
    *,
    accept: Sequence[str] = (),
    remember: bool = True,
    offline: bool = False,
    trust_first_download: bool = False,
) -> Store:
    """The store that a command line names: `folder` or the user's cache, the environment's mirrors, the licences it accepts.

    Consents hold for later commands too, unless `remember` is False.
    """
    for licence in accept if remember else ():
        licences.accept(licence)
    return Store(
        folder or default_folder(),
        mirrors=mirrors_from_environment(),
        offline=offline,
        trust_first_download=trust_first_download,
        accepted=tuple(accept),
    )


def facts(supply: Supply) -> Mapping[str, object]:
    """What the manifest keeps of it."""
    return {
        "checkpoints": {role: {"file": path.name, "sha256": supply.digests[role]} for role, path in supply.paths.items()},
        "licences": dict(supply.consents),
    }
