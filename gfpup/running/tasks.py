"""The photos of a run: found, named, matched with their references, and refused where that is known beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gfpup.core.errors import GfpupError, PhotoError
from gfpup.ops import degrade
from gfpup.ops.resize import output_size
from gfpup.photos import check_size, probe, sources
from gfpup.photos.pairs import TEST_SETS, by_name, check_test_set, find_reference, match_pairs
from gfpup.photos.sources import SourcePhoto
from gfpup.planning.settings import Settings
from gfpup.records import layout
from gfpup.records.manifest import recorded_names
from gfpup.running.data import Task

KINDS = ("folder", "paired", "synthetic", *TEST_SETS)


def find_tasks(settings: Settings, *, exclude: Path) -> tuple[list[Task], tuple[str, ...]]:
    """The tasks of a run in their order, and what has to be said about its source. Below `exclude` nothing is taken as input.

    Raises:
        GfpupError: no photos, references that do not match, a test set that is not whole, names that cannot be written.
    """
    photos = sources.expand(settings.source.paths, recursive=settings.source.recursive, exclude=exclude)
    recorded = {} if settings.existing == "overwrite" else recorded_names(settings.output)
    root = settings.output
    if settings.write.layout == "gfpgan":
        root = root / layout.RESTORED
        begin = f"{layout.RESTORED}/"
        recorded = {path: name.removeprefix(begin) for path, name in recorded.items() if name.startswith(begin)}
    names = sources.plan_outputs(photos, output=root, ext=settings.write.ext, suffix=settings.write.suffix, recorded=recorded)
    if settings.write.layout == "gfpgan":
        layout.refuse_shared_bases(
            [name.relative_to(settings.output).as_posix() for name in names], suffix=settings.write.suffix
        )
    references, notes = _references(settings, photos)
    damage = None if settings.source.kind != "synthetic" else (_protocol(settings), settings.source.seed)
    tasks = []
    for photo, name in zip(photos[: settings.source.limit], names, strict=False):
        reference = find_reference(photo, references)
        tasks.append(
            Task(
                photo.path,
                name.relative_to(settings.output).as_posix(),
                refusal=_too_large(photo.path, name, settings),
                reference=None if reference is None else reference.path,
                damage=damage,
            )
        )
    return tasks, notes


def _references(settings: Settings, photos: list[SourcePhoto]) -> tuple[Mapping[str, SourcePhoto], tuple[str, ...]]:
    """The references by name, and the notes of a test set's check."""
    if settings.source.kind not in KINDS:
        raise GfpupError(f"source.kind={settings.source.kind!r} means nothing; it takes one of {', '.join(KINDS)}.")
    if settings.source.kind == "synthetic":
        if settings.source.reference is not None:
            raise GfpupError(
                "source=synthetic makes its degraded photos from the references themselves; leave out --reference."
            )
        return {}, ()
    if settings.source.kind == "paired" and settings.source.reference is None:
        raise GfpupError("source=paired needs the folder of references; give it with --reference.")
    found = (
        []
        if settings.source.reference is None
        else sources.expand([str(settings.source.reference)], recursive=settings.source.recursive)
    )
    notes = () if settings.source.kind not in TEST_SETS else check_test_set(settings.source.kind, photos, found or None)
    if not found:
        return {}, notes
    match_pairs(photos, found)
    return by_name(found, what="reference"), notes


def _protocol(settings: Settings) -> str:
    if settings.source.protocol not in degrade.PROTOCOLS:
        raise GfpupError(
            f"source.protocol={settings.source.protocol!r} means nothing; it takes one of {', '.join(degrade.PROTOCOLS)}."
        )
    return settings.source.protocol


def _too_large(path: Path, output: Path, settings: Settings) -> str | None:
    """Why the result of a photo cannot be held by its file format, known from the header alone."""
    if settings.restore.aligned:
        return None
    try:
        size_hw = probe(path).size_hw
    except (PhotoError, OSError):
        return None  # said in full when its turn to be read comes
    reason = check_size(output.suffix, output_size(size_hw, settings.restore.upscale))
    if reason is None:
        return None
    return f"{path} cannot be restored at this size: {reason}; use a smaller --upscale or another --ext."
