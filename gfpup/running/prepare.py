"""A run's request, as far as it can be decided before anything is loaded: its photos, its machine, its plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gfpup.core.errors import GfpupError
from gfpup.core.plan import Plan
from gfpup.machine import hardware
from gfpup.planning import planner
from gfpup.planning.method import Method
from gfpup.planning.missing import plan_or_name_missing
from gfpup.planning.settings import Settings
from gfpup.records.layout import LINES
from gfpup.records.run_record import read_lines
from gfpup.running import console
from gfpup.running.distributed import rank as ranks
from gfpup.running.distributed.rank import Rank
from gfpup.weights.resolver import Resolver


@dataclass(frozen=True, eq=False)
class Prepared:
    """A request that was not refused."""

    settings: Settings
    tasks: Sequence[Any]
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
    from gfpup.running.tasks import find_tasks

    if settings.objective is not None and settings.objective.partition("/")[0] not in settings.metrics.names:
        measured = ", ".join(settings.metrics.names) or "nothing"
        raise GfpupError(f"objective={settings.objective} is not measured, but {measured}; add it with --metrics.")
    given = rank is not None
    rank = rank or ranks.find_rank(settings)
    settings = ranks.adapt(settings, rank)
    waiting = given or (rank.global_rank != 0 and sweep is None)  # the jobs of a sweep are told apart by their photos
    tasks, notes = ([], ()) if waiting else find_tasks(settings, exclude=sweep or settings.output)
    machine = hardware.probe()
    earlier = read_lines(settings.output / LINES).pixels if settings.existing == "resume" else None
    with console.Downloads(quiet=settings.screen.quiet or settings.screen.json) as downloads:
        resolver = planner.open_resolver(settings, progress=downloads)
        resolver.warnings += notes
        share = ranks.share_of(machine, rank)
        plan, method = plan_or_name_missing(settings, share, resolver, sweeping=sweeping, earlier=earlier)
        plan = planner.decide(plan, settings, sweeping=sweeping)
    if settings.dry_run and settings.metrics.names:
        from gfpup.records.rescore import lacking_metrics

        plan = replace(plan, missing=(*plan.missing, *lacking_metrics(settings.metrics.names, resolver)))
    if rank.ddp:
        plan = replace(plan, reasons=(rank.decision, *plan.reasons))
    return Prepared(settings, tasks, machine, plan, method, resolver, rank, sweeping)
