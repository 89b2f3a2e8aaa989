"""The checkpoints that a run needs and that are not here: named all at once, with the command that fetches them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gfpup.core.errors import CheckpointError, GfpupError
from gfpup.core.plan import Plan
from gfpup.machine.hardware import Machine
from gfpup.planning.method import Method
from gfpup.planning.planner import make_plan
from gfpup.planning.settings import Settings
from gfpup.weights import catalogue
from gfpup.weights.resolver import Resolver, open_store


def missing_checkpoints(settings: Settings, machine: Machine) -> list[catalogue.Checkpoint]:
    """What a run of `settings` would download if it could, in the order in which it needs them. Fetches nothing.

    Raises: GfpupError: the request cannot be carried out for another reason.
    """
    store = open_store(settings.weights.dir, remember=False, trust_first_download=True)
    resolver = Resolver(store, accepted=settings.weights.accept_licences, dry_run=True, files=settings.weights.files)
    make_plan(settings.changed({"dry_run": True, "weights.download": True}), machine, resolver)
    return [catalogue.find(name) for name in dict.fromkeys(resolver.missing_names)]


def plan_or_name_missing(settings: Settings, machine: Machine, resolver: Resolver, **known: Any) -> tuple[Plan, Method]:
    """`planner.make_plan`, whose refusal for one absent checkpoint names all that the run needs.

    Raises: GfpupError: the request cannot be carried out, with what to change.
    """
    try:
        return make_plan(settings, machine, resolver, **known)
    except CheckpointError as error:
        try:
            missing = missing_checkpoints(settings, machine)
        except GfpupError:
            raise error from None
        if not missing:
            raise
        raise CheckpointError(f"{str(error).rstrip('.')}. {_advice(missing, resolver)}") from None


def total_size(checkpoints: Sequence[catalogue.Checkpoint]) -> str:
    """The sum of their sizes as " (511 MB)"; "" where one is not known."""
    sizes = [checkpoint.size_bytes for checkpoint in checkpoints]
    return f" ({sum(size or 0 for size in sizes) / 1e6:.0f} MB)" if all(sizes) else ""


def _advice(missing: Sequence[catalogue.Checkpoint], resolver: Resolver) -> str:
    names = [checkpoint.name for checkpoint in missing]
    these = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return (
        f"This run lacks {these} in {resolver.store.folder}{total_size(missing)}: "
        f"gfpup weights fetch {' '.join(names)} downloads all; "
        "offline, copy the files from another machine and take them in with gfpup weights import FILE ...; "
        "--backend classical needs no weights."
    )
