"""The checkpoints of one run: the user's own files, the store's, or downloads; in a dry run only what would be missing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gfpup.core.errors import CheckpointError, GfpupError
from gfpup.weights import catalogue, licences
from gfpup.weights.store import Store, default_folder, mirrors_from_environment

Progress = Callable[[str, int, int | None], None]
"""Called with a checkpoint's name, the bytes done and the bytes in all (None if the server does not say)."""


@dataclass
class Resolver:
    """Finds a run's checkpoints. `paths` and `digests` (SHA-256) are by role: "backend", "detector", "mask", ..."""

    store: Store
    accepted: Collection[str] = ()
    dry_run: bool = False
    progress: Progress | None = None
    files: Mapping[str, Path] = field(default_factory=dict)
    """The user's own files in place of published checkpoints, by catalogue name."""
    paths: dict[str, Path] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    missing_names: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    consents: dict[str, str] = field(default_factory=dict)
    not_yet_shown: list[catalogue.Checkpoint] = field(default_factory=list)

    def use_file(self, role: str, path: Path) -> None:
        """Use the user's own file for `role`, unverified: the record has its hash. Raises CheckpointError if it is absent."""
        if not path.is_file():
            raise CheckpointError(f"the checkpoint {path} is not there; check its path.")
        self.paths[role], self.digests[role] = path, self.store.digest(path)

    def use_published(self, role: str, name: str) -> None:
        """Use the published checkpoint `name` for `role`, downloaded if necessary; raises LicenceError or CheckpointError."""
        checkpoint = catalogue.find(name)
        if name in self.files:
            self.consent(checkpoint)
            self.use_file(role, self.files[name])
            self.warnings.append(f"{self.files[name].name} is unverified: it was not checked to be {name}.")
            return
        if self.dry_run and not self._is_present(role, checkpoint):
            self.digests[role] = checkpoint.sha256 or "unknown"
            return
        self.consent(checkpoint)
        progress = self.progress
        path = self.store.ensure(name, progress=None if progress is None else lambda done, total: progress(name, done, total))
        self.paths[role], self.digests[role] = path, self.store.digest(path)

    def _is_present(self, role: str, checkpoint: catalogue.Checkpoint) -> bool:
        """Whether a verified file is there; otherwise `missing` gets the reason."""
        reason = self.store.refusal(checkpoint.name)
        if reason is None and self.store.present(checkpoint.name) is None:
            reason = f"{checkpoint.name} is not in {self.store.folder}; a run would download it from {checkpoint.url}"
        if reason is None:
            try:
                self.store.ensure(checkpoint.name)
            except CheckpointError as error:  # it is there, and cannot be verified
                if role.startswith("backend."):
                    raise  # one of several methods: it is left out, as in a run
                reason = str(error)
        if reason is not None:
            self.missing.append(reason)
            self.missing_names.append(checkpoint.name)
        return reason is None

    def use(self, role: str, name: str, path: Path | None) -> None:
        """Use the user's own file for `role` if one is given, else the published checkpoint `name`."""
        if path is None:
            self.use_published(role, name)
        else:
            self.use_file(role, path)

    def try_published(self, role: str, name: str) -> str | None:
        """Like `use_published`, but returns the reason if it is not available, None if it is used."""
        reason = self.store.refusal(name) if self.dry_run and name not in self.files else None
        if reason is not None:
            return reason
        try:
            self.use_published(role, name)
        except GfpupError as error:
            return str(error)
        return None

    def consent(self, checkpoint: catalogue.Checkpoint) -> None:
        """Require the consent that the licence needs, and warn once of a contested or unknown licence."""
        licences.require(checkpoint, self.accepted)
        how = licences.how_accepted(checkpoint.licence_id, self.accepted)
        if how is not None:
            self.consents[checkpoint.licence_id] = how
        warning = licences.warning_for(checkpoint)
        if warning is not None and warning not in self.warnings:
            self.warnings.append(warning)
            self.not_yet_shown.append(checkpoint)

    def mark_warnings_shown(self) -> None:
        """Remember that the user has seen the warnings about licences; until then they are repeated."""
        for checkpoint in self.not_yet_shown:
            licences.warn_once(checkpoint)
        self.not_yet_shown.clear()


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


def facts(resolver: Resolver) -> Mapping[str, object]:
    """What the manifest records of it."""
    return {
        "checkpoints": {role: {"file": path.name, "sha256": resolver.digests[role]} for role, path in resolver.paths.items()},
        "licences": dict(resolver.consents),
    }
