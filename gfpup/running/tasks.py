"""The photos of a run: found, named, matched with their references, and refused where that is known beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gfpup.core.errors import GfpupError, PhotoError
from gfpup.models.backends.precomputed import Precomputed
from gfpup.ops import degrade
from gfpup.ops.resize import output_size
from gfpup.photos import check_size, probe, sources
from gfpup.photos.formats import LARGE_PIXELS
from gfpup.photos.pairs import TEST_SETS, check_test_set, match_pairs
from gfpup.photos.sources import SourcePhoto
from gfpup.planning.settings import Settings
from gfpup.records import layout
from gfpup.records.run_record import recorded_names
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
    delivered, refusals = _delivered(settings, photos)
    damage = None if settings.source.kind != "synthetic" else (_protocol(settings), settings.source.seed)
    tasks = []
    for photo, name in zip(photos[: settings.source.limit], names, strict=False):
        size_hw = _size(photo.path)
        tasks.append(
            Task(
                photo.path,
                name.relative_to(settings.output).as_posix(),
                refusal=refusals.get(photo) or _too_large(photo.path, name, size_hw, settings),
                reference=references.get(photo),
                damage=damage,
                delivered=delivered.get(photo),
                large=size_hw is not None and size_hw[0] * size_hw[1] > LARGE_PIXELS,
            )
        )
    skipped = sources.left_out(settings.source.paths, recursive=settings.source.recursive, exclude=exclude)
    return tasks, (*notes, *(f"{sentence}." for sentence in skipped.sentences()))


def _references(settings: Settings, photos: list[SourcePhoto]) -> tuple[Mapping[SourcePhoto, Path], tuple[str, ...]]:
    """The reference of each photo, and the notes of a test set's check."""
    if settings.source.kind not in KINDS:
        raise GfpupError(f"invalid value {settings.source.kind!r} for source.kind: expected one of {', '.join(KINDS)}.")
    if settings.source.kind == "synthetic":
        if settings.source.reference is not None:
            raise GfpupError(
                "source=synthetic makes its degraded photos from the references themselves: leave out --reference."
            )
        return {}, ()
    if settings.source.kind == "paired" and settings.source.reference is None:
        raise GfpupError("source=paired needs the folder of references: give it with --reference.")
    found = (
        []
        if settings.source.reference is None
        else sources.expand([str(settings.source.reference)], recursive=settings.source.recursive)
    )
    notes = () if settings.source.kind not in TEST_SETS else check_test_set(settings.source.kind, photos, found or None)
    if not found:
        return {}, notes
    return {pair.degraded: pair.reference.path for pair in match_pairs(photos, found)}, notes


def _delivered(settings: Settings, photos: list[SourcePhoto]) -> tuple[Mapping[SourcePhoto, Path], Mapping[SourcePhoto, str]]:
    """Another tool's result of each photo, and why the others have none; all photos are matched, whatever the limit."""
    if settings.backend.name != "precomputed" or settings.precomputed.folder is None:
        return {}, {}
    results = Precomputed(settings.precomputed.folder, settings.precomputed.mapping)
    matches = results.match(photos)
    found = {each.photo: each.partner.path for each in matches if each.partner is not None}
    return found, {each.photo: results.refusal(each) for each in matches if each.partner is None}


def _protocol(settings: Settings) -> str:
    if settings.source.protocol not in degrade.PROTOCOLS:
        raise GfpupError(
            f"invalid value {settings.source.protocol!r} for source.protocol: expected one of {', '.join(degrade.PROTOCOLS)}."
        )
    return settings.source.protocol


def _size(path: Path) -> tuple[int, int] | None:
    """A photo's size by its header alone; None where it cannot be read, which is said in full when its turn comes."""
    try:
        return probe(path).size_hw
    except (PhotoError, OSError):
        return None


def _too_large(path: Path, output: Path, size_hw: tuple[int, int] | None, settings: Settings) -> str | None:
    """Why the result of a photo of this size cannot be held by its file format."""
    if settings.restore.aligned or size_hw is None:
        return None
    reason = check_size(output.suffix, output_size(size_hw, settings.restore.upscale))
    if reason is None:
        return None
    return f"{path} cannot be restored at this size: {reason}; use a smaller --upscale or another --ext."
