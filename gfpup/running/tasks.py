"""The photos of a run: found, named, matched with their references, and refused where that is known beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from gfpup.core.errors import GfpupError, PhotoError
from gfpup.models.backends.precomputed import Precomputed
from gfpup.ops import degrade
from gfpup.ops.resize import output_size
from gfpup.photos import check_size, probe, sources
from gfpup.photos.formats import LARGE_PIXELS
from gfpup.photos.pairs import TEST_SETS, check_test_set, match_pairs
from gfpup.photos.sources import SourcePhoto
from gfpup.planning.settings import Settings, invalid
from gfpup.records import layout
from gfpup.records.run_record import recorded_names
from gfpup.running.data import Task

KINDS = ("folder", "paired", "synthetic", *TEST_SETS)


def find_tasks(settings: Settings, *, exclude: Path) -> tuple[list[Task], tuple[str, ...]]:
    """The tasks of a run in their order, and what has to be said about its source. Below `exclude` nothing is taken as input.

    Raises:
        GfpupError: no photos, references that do not match, a test set that is not whole, names that cannot be written.
    """
    source, write = settings.source, settings.write
    photos = sources.expand(source.paths, recursive=source.recursive, exclude=exclude)
    recorded = {} if settings.existing == "overwrite" else recorded_names(settings.output)
    root = settings.output
    if write.layout == "gfpgan":
        root = root / layout.RESTORED
        begin = f"{layout.RESTORED}/"
        recorded = {path: name.removeprefix(begin) for path, name in recorded.items() if name.startswith(begin)}
    files = sources.plan_outputs(photos, output=root, ext=write.ext, suffix=write.suffix, recorded=recorded)
    names = [file.relative_to(settings.output).as_posix() for file in files]
    if write.layout == "gfpgan":
        layout.refuse_shared_bases(names, suffix=write.suffix)
    references, notes = _references(settings, photos)
    delivered, refusals = _delivered(settings, photos)
    damage = None
    if source.kind == "synthetic":
        if source.protocol not in degrade.PROTOCOLS:
            raise invalid("source.protocol", source.protocol, f"one of {', '.join(degrade.PROTOCOLS)}")
        damage = (source.protocol, source.seed)
    tasks = []
    for photo, file, name in zip(photos[: source.limit], files, names, strict=False):
        size_hw: tuple[int, int] | None = None
        refusal = refusals.get(photo)
        with suppress(PhotoError, OSError):  # it is refused in full when its turn comes
            size_hw = probe(photo.path).size_hw
        if size_hw is not None and not settings.restore.aligned and refusal is None:
            reason = check_size(file.suffix, output_size(size_hw, settings.restore.upscale))
            if reason is not None:
                refusal = f"{photo.path} cannot be restored at this size: {reason}; use a smaller --upscale or another --ext."
        large = size_hw is not None and size_hw[0] * size_hw[1] > LARGE_PIXELS
        tasks.append(Task(photo.path, name, refusal, references.get(photo), damage, delivered.get(photo), large))
    skipped = sources.left_out(source.paths, recursive=source.recursive, exclude=exclude)
    return tasks, (*notes, *(f"{sentence}." for sentence in skipped.sentences()))


def _references(settings: Settings, photos: list[SourcePhoto]) -> tuple[Mapping[SourcePhoto, Path], tuple[str, ...]]:
    """The reference of each photo, and the notes of a test set's check."""
    source = settings.source
    if source.kind not in KINDS:
        raise invalid("source.kind", source.kind, f"one of {', '.join(KINDS)}")
    if source.kind == "synthetic":
        if source.reference is not None:
            raise GfpupError("--source synthetic damages the references themselves: leave out --reference.")
        return {}, ()
    if source.kind == "paired" and source.reference is None:
        raise GfpupError("--source paired needs the folder of references: give it with --reference.")
    found = [] if source.reference is None else sources.expand([str(source.reference)], recursive=source.recursive)
    notes = () if source.kind not in TEST_SETS else check_test_set(source.kind, photos, found or None)
    return {pair.degraded: pair.reference.path for pair in match_pairs(photos, found)} if found else {}, notes


def _delivered(settings: Settings, photos: list[SourcePhoto]) -> tuple[Mapping[SourcePhoto, Path], Mapping[SourcePhoto, str]]:
    """Another tool's result of each photo, and why the others have none; all photos are matched, whatever the limit."""
    if settings.backend.name != "precomputed" or settings.precomputed.folder is None:
        return {}, {}
    results = Precomputed(settings.precomputed.folder, settings.precomputed.mapping)
    matches = results.match(photos)
    found = {each.photo: each.partner.path for each in matches if each.partner is not None}
    return found, {each.photo: results.refusal(each) for each in matches if each.partner is None}
