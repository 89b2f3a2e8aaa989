"""The methods, by name. This table is read without importing any of them; a package may add rows (`gfpup.backends`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gfpup import registry
from gfpup.errors import GfpupError
from gfpup.types import Backend, BackendSpec


@dataclass(frozen=True)
class BackendFacts:
    """What is known of a method before it is loaded.

    `entry` is "module:Class"; the class has `load(spec)` and finds its checkpoint under the role "backend". `parameters` are
    the keys of the `restore` node it understands.
    """

    entry: str
    summary: str
    parameters: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    """Published versions and the catalogue's name of each one's checkpoint; one without a version has the key ""."""
    default_version: str = ""
    aliases: tuple[str, ...] = ()


TABLE: dict[str, BackendFacts] = {
    "identity": BackendFacts(
        entry="gfpup.backends.identity:Identity",
        summary="returns its input: the zero of every comparison",
    ),
    "classical": BackendFacts(
        entry="gfpup.backends.classical:Classical",
        summary="denoises, deblurs and sharpens without weights: the baseline every learned method must beat",
    ),
    "gfpgan": BackendFacts(
        entry="gfpup.backends.gfpgan:GFPGAN",
        summary="a generative face prior, steered by what is left of the face",
        parameters=("version",),
        versions={"1.2": "gfpgan-v1.2", "1.3": "gfpgan-v1.3", "1.4": "gfpgan-v1.4"},
        default_version="1.4",
    ),
}


def canonical(name: str) -> str:
    """The name in the table for a name or an alias.

    Raises:
        GfpupError: nothing is called so.
    """
    for key, row in TABLE.items():
        if name == key or name in row.aliases:
            return key
    if name not in (plugins := registry.plugins("backend")):
        raise GfpupError(registry.unknown("backend", name, {**TABLE, **plugins}))
    return name


def facts(name: str) -> BackendFacts:
    """The facts of `name`, an installed plug-in's included.

    Raises:
        GfpupError: no such backend.
    """
    if name in TABLE:
        return TABLE[name]
    cls = registry.resolve("backend", name, {key: row.entry for key, row in TABLE.items()})
    summary = (cls.__doc__ or name).strip().splitlines()[0]
    return BackendFacts(registry.plugins("backend")[name], summary, tuple(getattr(cls, "parameters", ())))


def load(spec: BackendSpec) -> Backend:
    """Load the backend `spec.name`, ready to restore."""
    cls = registry.resolve("backend", spec.name, {key: row.entry for key, row in TABLE.items()})
    return cls.load(spec)  # type: ignore[no-any-return]
