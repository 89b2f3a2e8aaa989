"""A run's request, as far as it can be decided before anything is loaded: its photos, its machine, its plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gfpup.core.errors import GfpupError, PhotoError
from gfpup.core.plan import Plan
from gfpup.evaluation.metrics import GALLERY
from gfpup.machine import hardware
from gfpup.models.backends.precomputed import Precomputed
from gfpup.ops import degrade
from gfpup.ops.resize import output_size
from gfpup.photos import check_size, probe, sources
from gfpup.photos.formats import LARGE_PIXELS
from gfpup.photos.pairs import TEST_SETS, check_test_set, match_pairs
from gfpup.photos.people import also_among, find_people
from gfpup.photos.sources import SourcePhoto
from gfpup.planning import planner
from gfpup.planning.method import Method
from gfpup.planning.missing import plan_or_name_missing
from gfpup.planning.settings import Settings, invalid
from gfpup.records import layout
from gfpup.records.run_record import read_lines, recorded_names
from gfpup.running import console
from gfpup.running.distributed import rank as ranks
from gfpup.running.distributed.rank import Rank
from gfpup.weights.resolver import Resolver

if TYPE_CHECKING:
    from gfpup.running.data import Task


KINDS = ("folder", "paired", "synthetic", *TEST_SETS)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A request that was not refused."""

    settings: Settings
    tasks: Sequence[Task]
    machine: hardware.Machine
    plan: Plan
    method: Method
    resolver: Resolver
    rank: Rank = field(default_factory=Rank)
    sweeping: bool = False

    @property
    def referenced(self) -> bool:
        """Whether results are scored against references."""
        return self.settings.source.reference is not None or self.settings.source.kind == "synthetic"


def prepare(settings: Settings, *, sweep: Path | None, sweeping: bool, rank: Rank | None = None) -> Prepared:
    """Find the photos and make the plan: whatever can be refused without loading anything is refused here.

    `sweep` is the folder of a multirun's results. `rank` is given to a process that gfpup started; its photos come later.
    """
    if settings.objective is not None and settings.objective.partition("/")[0] not in settings.metrics.names:
        measured = ", ".join(settings.metrics.names) or "nothing"
        raise GfpupError(f"objective={settings.objective} is not measured, but {measured}; add it with --metrics.")
    if not settings.people.folder and set(GALLERY) & set(settings.metrics.names):
        raise GfpupError("the metric identity_gallery compares with photos of the persons: give their folder with --people.")
    given = rank is not None
    rank = rank or ranks.find_rank(settings)
    settings = ranks.adapt(settings, rank)
    waiting = given or (rank.global_rank != 0 and sweep is None)  # the jobs of a sweep are told apart by their photos
    tasks, notes = ([], ()) if waiting else find_tasks(settings, exclude=sweep or settings.output)
    machine = hardware.probe()
    earlier = read_lines(settings.output / layout.LINES).pixels if settings.existing == "resume" else None
    with console.Downloads(quiet=settings.screen.quiet or settings.screen.json) as downloads:
        resolver = planner.open_resolver(settings, progress=downloads)
        resolver.warnings += notes
        share = ranks.share_of(machine, rank)
        plan, method = plan_or_name_missing(settings, share, resolver, sweeping=sweeping, earlier=earlier)
        if plan.recipe.people is not None:
            plan = replace(plan, warnings=(*plan.warnings, *_said_of_people(settings, tasks)))
        plan = planner.decide(plan, settings, sweeping=sweeping)
    if settings.dry_run and settings.metrics.names:
        from gfpup.records.rescore import lacking_metrics

        plan = replace(plan, missing=(*plan.missing, *lacking_metrics(settings.metrics.names, resolver)))
    if rank.ddp:
        plan = replace(plan, reasons=(rank.decision, *plan.reasons))
    return Prepared(settings, tasks, machine, plan, method, resolver, rank, sweeping)


def _said_of_people(settings: Settings, tasks: Sequence[Task]) -> list[str]:
    """That photos of --people are restored too, if so: a face would be compared with its own photo."""
    assert settings.people.folder is not None
    both = also_among(find_people(settings.people.folder), [task.path for task in tasks])
    if not both:
        return []
    named = sources.some([str(path) for path in both])
    return [f"photos of --people are restored too, and a face compared with its own photo says little: take out {named}."]


def find_tasks(settings: Settings, *, exclude: Path) -> tuple[list[Task], tuple[str, ...]]:
    """The tasks of a run in their order, and what has to be said about its source. Below `exclude` nothing is taken as input.

    Raises: GfpupError: no photos, references that do not match, a test set that is not whole, names that cannot be written.
    """
    from gfpup.running.data import Task

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
    references = _references(settings, photos)
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
    return tasks, tuple(f"{sentence}." for sentence in skipped)


def _references(settings: Settings, photos: list[SourcePhoto]) -> Mapping[SourcePhoto, Path]:
    source = settings.source
    if source.kind not in KINDS:
        raise invalid("source.kind", source.kind, f"one of {', '.join(KINDS)}")
    if source.kind == "synthetic":
        if source.reference is not None:
            raise GfpupError("--source synthetic damages the references themselves: leave out --reference.")
        return {}
    if source.kind == "paired" and source.reference is None:
        raise GfpupError("--source paired needs the folder of references: give it with --reference.")
    found = [] if source.reference is None else sources.expand([str(source.reference)], recursive=source.recursive)
    if source.kind in TEST_SETS:
        check_test_set(source.kind, photos, found or None)
    return {pair.degraded: pair.reference.path for pair in match_pairs(photos, found)} if found else {}


def _delivered(settings: Settings, photos: list[SourcePhoto]) -> tuple[Mapping[SourcePhoto, Path], Mapping[SourcePhoto, str]]:
    """Another tool's result of each photo, and why the others have none; all photos are matched, whatever the limit."""
    if settings.backend.name != "precomputed" or settings.precomputed.folder is None:
        return {}, {}
    results = Precomputed(settings.precomputed.folder, settings.precomputed.mapping)
    matches = results.match(photos)
    found = {each.photo: each.partner.path for each in matches if each.partner is not None}
    return found, {each.photo: results.refusal(each) for each in matches if each.partner is None}
