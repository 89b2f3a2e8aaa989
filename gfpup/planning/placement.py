"""What a run stands on: the device, the precision, the batch and the tiles that fit the machine, found before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gfpup.core.errors import GfpupError
from gfpup.core.types import Reason
from gfpup.machine.hardware import Machine
from gfpup.models import backends
from gfpup.planning import memory_model, tiers
from gfpup.planning.fit import (
    SMALL_TILE_PX,
    broken_promise,
    explain,
    grown,
    refuse_what_was_asked,
    smaller,
    with_what_was_asked,
)
from gfpup.planning.memory_model import Need
from gfpup.planning.precision import methods_of, plan_dtype, plan_engine
from gfpup.planning.resources import Footing, gb, need_of
from gfpup.planning.settings import Settings
from gfpup.planning.tiers import TIERS
from gfpup.restoration import detect

MPS_SHARE = 0.5
"""Share of an Apple machine's memory that its GPU is given where the system does not say; it says about two thirds."""

LEFT_TO_THE_PROCESSOR = ("restoreformerpp",)
"""Methods that GPUs under 4 GB leave to the processor. Source: the guide's advice for its lowest tier."""

AS_BEFORE = "as the results that are there"

NOT_MEASURED = "predicted from measurements on a CPU; no GPU was measured"

BATCH_TOLERANCE = "in float32 a face may then differ from itself alone by 1 of 255 levels"
"""What a batch on a GPU is held to. Source: tests/models/backends/test_batch_tolerance.py; only its CPU part was run."""


def find_footing(settings: Settings, machine: Machine, *, sweeping: bool, earlier: Mapping[str, Any] | None = None) -> Footing:
    """Start from what the tier plans, and take back what is predicted not to fit; what the user asked for stays or is refused.

    `earlier` are the plan's `pixels` of results that are to be added to: what free memory alone would decide otherwise
    today, device and tiles, stays as it was then where it still fits.

    Raises:
        GfpupError: a device, precision, engine, batch or tile that was asked for cannot be had.
    """
    if settings.detect.name == "auto" and settings.detect.path is not None and not settings.restore.aligned:
        settings = settings.changed({"detect.name": detect.architecture_of(settings.detect.path)})
    found = _find(settings, machine, sweeping=sweeping)
    same = settings if earlier is None else _as_then(settings, earlier)
    if same == settings:
        return found
    try:
        before = _find(same, machine, sweeping=sweeping)
    except GfpupError:  # it does not fit today
        return found
    kept: dict[str, Any] = {}
    if before.on_cpu != found.on_cpu or before.device.value.partition(":")[0] != found.device.value.partition(":")[0]:
        kept["device"] = replace(before.device, why=AS_BEFORE)
    if before.upsampler.value:
        kept["tile_px"] = replace(before.tile_px, why=AS_BEFORE)
        kept["upsampler"] = replace(before.upsampler, why=AS_BEFORE)
    return replace(before, **kept)


def _as_then(settings: Settings, earlier: Mapping[str, Any]) -> Settings:
    """The request with what it leaves open set to what `earlier` results have."""
    changes: dict[str, Any] = {}
    if (
        settings.hardware.device == "auto"
        and settings.hardware.tier == "auto"
        and earlier.get("device") in ("cpu", "cuda", "mps")
    ):
        changes["hardware.device"] = earlier["device"]
    tiles = earlier.get("tiles")
    if tiles and earlier.get("background") == "realesrgan" and settings.background.name in ("auto", "realesrgan"):
        changes["background.name"] = "realesrgan"
        changes["background.tile_px"] = tiles[0] if settings.background.tile_px is None else settings.background.tile_px
    return settings.changed(changes)


def _find(settings: Settings, machine: Machine, *, sweeping: bool) -> Footing:
    tier, device = tiers.choose(settings, machine)
    if tier.value == "low" and settings.hardware.device == "auto" and (slow := _for_the_processor(settings)):
        why = f"{slow} is too much for a GPU under 4 GB, by the guide's advice; --device {device.value} tries it there"
        return _on_processor(settings, machine, tier, why, sweeping=sweeping)
    if device.value == "cpu":
        return _on_processor(settings, machine, tier, device.why, sweeping=sweeping)
    footing = _wish(settings, machine, tier, device, sweeping=sweeping)
    budget = _budget(settings, machine, str(tier.value), str(device.value))
    if budget is None:
        why = f"{tiers.gpu_of(device.value, machine).name} does not tell"  # type: ignore[union-attr]
        return replace(footing, memory=Reason("memory", gb(need_of(settings, footing)), f"{why} what it has; {NOT_MEASURED}"))
    for candidate in (footing, *smaller(settings, footing)):
        if need_of(settings, candidate).total <= budget:
            chosen = grown(settings, footing, candidate, budget)
            explained = explain(settings, footing, chosen, budget)
            need = need_of(settings, chosen)
            return replace(
                explained, memory=_memory(need, budget, chosen, machine), warnings=broken_promise(settings, explained)
            )
        least = candidate
    refuse_what_was_asked(settings, footing, budget)
    moves = settings.hardware.device == "auto" and settings.hardware.tier == "auto"
    needs = f"{settings.backend.name}{with_what_was_asked(settings)} needs {gb(need_of(settings, least))} even at its least"
    lack = f"{needs}, and {device.value} has {gb(budget)} for it"
    if not moves:
        raise GfpupError(f"{lack}; use --device cpu, or free its memory.")
    return _on_processor(settings, machine, tier, lack, sweeping=sweeping)


def _on_processor(settings: Settings, machine: Machine, tier: Reason, why: str, *, sweeping: bool) -> Footing:
    """On the processor nothing is taken back but the tiles: what is too much for its memory is said, and swaps."""
    device = Reason("device", "cpu", why)
    footing = _wish(settings, machine, tier, device, sweeping=sweeping)
    # All of it, not what is free just now: a plan that changed from hour to hour could not be resumed.
    budget = machine.memory_bytes
    if not budget:
        return replace(footing, memory=Reason("memory", gb(need_of(settings, footing)), "the system does not tell what it has"))
    chosen, need = footing, need_of(settings, footing)
    # --high-quality promises no tiles, and a processor can swap.
    for candidate in smaller(settings, footing) if settings.mode != "high-quality" else ():
        if need.total <= budget:
            break
        chosen, need = candidate, need_of(settings, candidate)
    warnings: tuple[str, ...] = ()
    free = machine.free_bytes or budget
    if need.total > free:
        warnings = (
            f"this run may need {gb(need)} for a photo of 12 megapixels, and {gb(free)} are free: "
            "it may be slow, or stopped by the system.",
        )
    explained = explain(settings, footing, chosen, budget)
    return replace(explained, memory=_memory(need, budget, chosen, machine), warnings=warnings)


def _wish(settings: Settings, machine: Machine, tier: Reason, device: Reason, *, sweeping: bool) -> Footing:
    """What the tier and the user want, before anybody asked whether it fits."""
    start = TIERS["cpu" if device.value == "cpu" else str(tier.value)]
    dtype = plan_dtype(settings, machine, device.value, sweeping=sweeping)
    return Footing(
        tier=tier,
        device=device,
        dtype=dtype,
        engine=plan_engine(settings, device.value, dtype=dtype.value, sweeping=sweeping),
        face_batch=_face_batch(settings, str(tier.value), on_cpu=device.value == "cpu"),
        tile_px=_tile_px(settings, start.tile_px),
        upsampler=_upsampler(settings, start, dtype.value, on_cpu=device.value == "cpu", tier=str(tier.value)),
        memory=Reason("memory", None, ""),
    )


def _face_batch(settings: Settings, tier: str, *, on_cpu: bool) -> Reason:
    asked = settings.hardware.face_batch
    if settings.mode == "memory-efficient":
        if (asked or 1) > 1:
            raise GfpupError(
                f"--memory-efficient restores one face at a time, and --face-batch is {asked}; leave out one of the two."
            )
        return Reason("face_batch", 1, "one face at a time, for memory")
    if settings.backend.name == "upstream":
        why = "the official path restores one face after another"
        return Reason("face_batch", 1, why if (asked or 1) == 1 else f"{asked} were asked for; {why}")
    if on_cpu:
        why = "on a CPU batching buys nothing, and so a face's bytes do not depend on its neighbours"
        return Reason("face_batch", 1, why if (asked or 1) == 1 else f"{asked} were asked for; {why}")
    if asked is not None:
        return Reason("face_batch", asked, "asked for")
    several = TIERS[tier].face_batch
    why = f"a GPU computes several faces at once; {BATCH_TOLERANCE}" if several > 1 else "its memory holds one face at a time"
    return Reason("face_batch", several, f"what tier {tier} starts from: {why}")


def _tile_px(settings: Settings, usual: int) -> Reason:
    if settings.background.tile_px is not None:
        return Reason("tiles", settings.background.tile_px, "asked for")
    if settings.mode == "high-quality":
        return Reason("tiles", 0, "the whole photo at once, for quality")
    if settings.mode == "memory-efficient":
        return Reason("tiles", SMALL_TILE_PX, "small ones, for memory")
    return Reason("tiles", usual, "bounds the memory")


def _upsampler(settings: Settings, start: tiers.Tier, dtype: str, *, on_cpu: bool, tier: str) -> Reason:
    if settings.background.name != "auto" or settings.restore.aligned or backends.facts(settings.backend.name).whole_photos:
        return Reason("background", settings.background.name in ("realesrgan", "spandrel"), "asked for")
    if on_cpu:
        return Reason("background", False, "Lanczos: Real-ESRGAN takes minutes a photo on a CPU")
    if not start.background:
        return Reason("background", False, f"Lanczos: tier {tier} keeps its memory for the faces; --background realesrgan")
    if dtype == "float16":
        return Reason("background", False, "Lanczos: Real-ESRGAN does not run in float16")
    return Reason("background", True, "as a GPU is there")


def _budget(settings: Settings, machine: Machine, tier: str, device: str) -> int | None:
    """Bytes that a plan may use of a GPU, or None where it does not tell."""
    gpu = tiers.gpu_of(device, machine)
    if gpu is None:
        room = machine.mps_bytes or round(machine.memory_bytes * MPS_SHARE)
        return round(room * (1 - memory_model.KEPT_FREE)) if room else None
    if not gpu.total_bytes:
        return None
    ceiling = TIERS[tier].ceiling_bytes if settings.hardware.tier == tier else None
    return round(min(gpu.free_bytes, ceiling or gpu.free_bytes) * (1 - memory_model.KEPT_FREE))


def _for_the_processor(settings: Settings) -> str | None:
    return next((name for name in methods_of(settings) if name in LEFT_TO_THE_PROCESSOR), None)


def _memory(need: Need, budget: int, footing: Footing, machine: Machine) -> Reason:
    if footing.on_cpu:
        free = f"{gb(machine.free_bytes or budget)} of {gb(budget)} are free"
        return Reason("memory", gb(need), "; ".join((f"GB: {need}", free, *machine.limits)))
    return Reason("memory", gb(need), f"GB: {need}; {gb(budget)} of {footing.device.value} are for it; {NOT_MEASURED}")
