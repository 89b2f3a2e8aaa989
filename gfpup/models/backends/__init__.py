"""The methods, by name: `gfpup.models.table` lists them, and a package may add its own (entry points `gfpup.backends`)."""

from __future__ import annotations

from gfpup.core import registry
from gfpup.core.errors import GfpupError
from gfpup.core.types import CROP_PX, Backend, BackendSpec, Float64
from gfpup.models.table import TABLE, TRAINED, BackendFacts
from gfpup.weights import catalogue

__all__ = ["TABLE", "BackendFacts", "canonical", "crop_px", "facts", "load", "published", "smooth_below_px", "template_xy"]


def canonical(name: str) -> str:
    """The name in the table for a name or an alias.

    Raises: GfpupError: no backend has that name.
    """
    for key, row in TABLE.items():
        if name == key or name in row.aliases:
            return key
    if name not in (plugins := registry.plugins("backend")):
        raise GfpupError(registry.unknown("backend", name, {**TABLE, **plugins}))
    return name


def facts(name: str) -> BackendFacts:
    """The facts of `name`; an installed plug-in's class states its own as `parameters`, `own_file` and `source_type`.

    Raises: GfpupError: no such backend.
    """
    if name in TABLE:
        return TABLE[name]
    cls = registry.resolve("backend", name, {key: row.entry for key, row in TABLE.items()})
    summary = (cls.__doc__ or name).strip().splitlines()[0]
    return BackendFacts(
        entry=registry.plugins("backend")[name],
        summary=summary,
        parameters=tuple(getattr(cls, "parameters", ())),
        own_file=bool(getattr(cls, "own_file", False)),
        source_type=str(getattr(cls, "source_type", TRAINED)),
    )


def published(name: str) -> catalogue.Checkpoint | None:
    """The checkpoint of the default version of `name`; None for a method without published weights."""
    row = facts(name)
    return catalogue.find(row.versions[row.default_version]) if row.versions else None


def load(spec: BackendSpec) -> Backend:
    """Load the backend `spec.name`, ready to restore."""
    cls = registry.resolve("backend", spec.name, {key: row.entry for key, row in TABLE.items()})
    return cls.load(spec)  # type: ignore[no-any-return]


def crop_px(backend: Backend) -> int:
    """The side of the crops that a loaded method takes, in px."""
    return int(getattr(backend, "crop_px", CROP_PX))


def template_xy(backend: Backend) -> Float64:
    """Where the landmarks (5, 2) lie in the crops that a loaded method takes, at 512 px."""
    from gfpup.ops.geometry import TEMPLATE_512_XY

    return getattr(backend, "template_xy", TEMPLATE_512_XY)


def smooth_below_px(backend: Backend) -> float:
    """The side in the photo below which a loaded method's faces are smoothed; 0 for most methods, which smooth none."""
    return float(getattr(backend, "smooth_below_px", 0.0))
