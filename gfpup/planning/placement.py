"""Where a run computes and how: the device, the precision, the batch and the tiles that fit the machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gfpup.core.errors import GfpupError
from gfpup.core.plan import Decision, Device
from gfpup.machine.hardware import Machine
from gfpup.models import backends
from gfpup.planning import memory_model, tiers
from gfpup.planning.fit import SMALL_TILE_PX, explain, first_that_fits, ladder, refuse_flag, shortage
from gfpup.planning.memory_model import Need
from gfpup.planning.precision import methods_of, plan_dtype, plan_engine
from gfpup.planning.resources import Placement, gb, need_of
from gfpup.planning.settings import Settings
from gfpup.planning.tiers import TIERS
from gfpup.restoration import detect

MPS_SHARE = 0.5
"""Share of an Apple machine's memory that its GPU is given where the system does not say; it says about two thirds."""

BETTER_ON_CPU = ("restoreformerpp",)
"""Methods that run on the processor rather than on a GPU under 4 GB. Source: the guide's advice for its lowest tier."""

AS_BEFORE = "as the results that are there"

NOT_MEASURED = "predicted from measurements on a CPU; no GPU was measured"

BATCH_TOLERANCE = "in float32 a face may then differ from itself alone by 1 of 255 levels"
"""The tolerance of a batch on a GPU. Source: tests/models/backends/test_batch_tolerance.py; only its CPU part was run."""


def place(settings: Settings, machine: Machine, *, sweeping: bool, earlier: Mapping[str, Any] | None = None) -> Placement:
    """Start from what the tier plans, and reduce what is predicted not to fit; what the user asked for is kept or refused.

    `earlier` is the recipe, as recorded, of results that are to be added to: the device and the tiles, which free memory alone
    could decide otherwise today, stay as they were then where they still fit.

    Raises:
        GfpupError: a device, precision, engine, batch or tile that was asked for is not available.
    """
    if settings.detect.name == "auto" and settings.detect.path is not None and not settings.restore.aligned:
        settings = settings.changed({"detect.name": detect.architecture_of(settings.detect.path)})
    found = _find(settings, machine, sweeping=sweeping)
    pinned = settings if earlier is None else _as_then(settings, earlier)
    if pinned == settings:
        return found
    try:
        before = _find(pinned, machine, sweeping=sweeping)
    except GfpupError:  # it does not fit today
        return found
    kept: dict[str, Any] = {}
    if before.device.value.kind != found.device.value.kind:
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


def _find(settings: Settings, machine: Machine, *, sweeping: bool) -> Placement:
    tier, device = tiers.choose(settings, machine)
    if tier.value == "low" and settings.hardware.device == "auto" and (slow := _for_the_processor(settings)):
        why = f"{slow} is too much for a GPU under 4 GB, by the guide's advice; --device {device.value} tries it there"
        return _on_processor(settings, machine, tier, why, sweeping=sweeping)
    if device.value == "cpu":
        return _on_processor(settings, machine, tier, device.why, sweeping=sweeping)
    start = _start(settings, machine, tier, device, sweeping=sweeping)
    budget = _budget(settings, machine, tier.value, device.value)
    if budget is None:
        why = f"the memory of {tiers.gpu_of(device.value, machine).name} is unknown"  # type: ignore[union-attr]
        return replace(start, memory=Decision("memory", gb(need_of(settings, start)), f"{why}; {NOT_MEASURED}"))
    steps = ladder(settings, start)
    chosen = first_that_fits(settings, steps, budget)
    if chosen is not None:
        chosen = explain(settings, steps, chosen, budget)
        memory = _memory(need_of(settings, chosen), budget, chosen, machine)
        return replace(chosen, memory=memory, warnings=_tiled_against_mode(settings, chosen))
    refuse_flag(settings, start, budget)
    lack = shortage(settings, steps[-1], budget)
    if settings.hardware.device != "auto" or settings.hardware.tier != "auto":
        raise GfpupError(f"{lack}; use --device cpu, or free its memory.")
    return _on_processor(settings, machine, tier, lack, sweeping=sweeping)


def _on_processor(settings: Settings, machine: Machine, tier: Decision[str], why: str, *, sweeping: bool) -> Placement:
    """On the processor only the tiles become smaller: a run that is too large for its memory is warned of, and swaps."""
    start = _start(settings, machine, tier, Decision("device", Device("cpu"), why), sweeping=sweeping)
    # All of it, not what is free just now: a plan that changed from hour to hour could not be resumed.
    budget = machine.memory_bytes
    if not budget:
        return replace(start, memory=Decision("memory", gb(need_of(settings, start)), "the memory of this machine is unknown"))
    # --high-quality promises no tiles, and a processor can swap.
    steps = ladder(settings, start) if settings.mode != "high-quality" else [start]
    chosen = explain(settings, steps, first_that_fits(settings, steps, budget) or steps[-1], budget)
    need = need_of(settings, chosen)
    warnings: tuple[str, ...] = ()
    free = machine.free_bytes or budget
    if need.total > free:
        warnings = (
            f"this run may need {gb(need)} for a photo of 12 megapixels, and {gb(free)} are free: "
            "it may be slow, or stopped by the system.",
        )
    return replace(chosen, memory=_memory(need, budget, chosen, machine), warnings=warnings)


def _tiled_against_mode(settings: Settings, chosen: Placement) -> tuple[str, ...]:
    """A warning where --high-quality cannot enlarge a photo in one piece, as it promises."""
    if settings.mode != "high-quality" or not chosen.upsampler.value or not chosen.tile_px.value or settings.background.tile_px:
        return ()
    return (f"--high-quality has to enlarge the background in tiles of {chosen.tile_px.value} px: {chosen.tile_px.why}.",)


def _start(settings: Settings, machine: Machine, tier: Decision[str], device: Decision[Device], *, sweeping: bool) -> Placement:
    """What the tier and the user ask for, whether or not it fits."""
    usual = TIERS["cpu" if device.value == "cpu" else tier.value]
    dtype = plan_dtype(settings, machine, device.value, sweeping=sweeping)
    return Placement(
        tier=tier,
        device=device,
        dtype=dtype,
        engine=plan_engine(settings, device.value, dtype=dtype.value, sweeping=sweeping),
        face_batch=_face_batch(settings, tier.value, on_cpu=device.value == "cpu"),
        tile_px=_tile_px(settings, usual.tile_px),
        upsampler=_upsampler(settings, usual, dtype.value, on_cpu=device.value == "cpu", tier=tier.value),
        memory=Decision("memory", "", ""),
    )


def _face_batch(settings: Settings, tier: str, *, on_cpu: bool) -> Decision[int]:
    asked = settings.hardware.face_batch
    if settings.mode == "memory-efficient":
        if (asked or 1) > 1:
            raise GfpupError(
                f"--memory-efficient restores one face at a time, and --face-batch is {asked}; leave out one of the two."
            )
        return Decision("face_batch", 1, "one face at a time, for memory")
    if settings.backend.name == "upstream":
        why = "the official path restores one face after another"
        return Decision("face_batch", 1, why if (asked or 1) == 1 else f"{asked} were asked for; {why}")
    if on_cpu:
        why = "on a CPU batching buys nothing, and so a face's bytes do not depend on its neighbours"
        return Decision("face_batch", 1, why if (asked or 1) == 1 else f"{asked} were asked for; {why}")
    if asked is not None:
        return Decision("face_batch", asked, "asked for")
    several = TIERS[tier].face_batch
    why = f"a GPU computes several faces at once; {BATCH_TOLERANCE}" if several > 1 else "its memory holds one face at a time"
    return Decision("face_batch", several, f"what tier {tier} starts from: {why}")


def _tile_px(settings: Settings, usual: int) -> Decision[int]:
    if settings.background.tile_px is not None:
        return Decision("tiles", settings.background.tile_px, "asked for")
    if settings.mode == "high-quality":
        return Decision("tiles", 0, "the whole photo at once, for quality")
    if settings.mode == "memory-efficient":
        return Decision("tiles", SMALL_TILE_PX, "small ones, for memory")
    return Decision("tiles", usual, "bounds the memory")


def _upsampler(settings: Settings, start: tiers.Tier, dtype: str, *, on_cpu: bool, tier: str) -> Decision[bool]:
    if settings.background.name != "auto" or settings.restore.aligned or backends.facts(settings.backend.name).whole_photos:
        return Decision("background", settings.background.name in ("realesrgan", "spandrel"), "asked for")
    if on_cpu:
        return Decision("background", False, "Lanczos: Real-ESRGAN takes minutes a photo on a CPU")
    if not start.background:
        return Decision("background", False, f"Lanczos: tier {tier} keeps its memory for the faces; --background realesrgan")
    if dtype == "float16":
        return Decision("background", False, "Lanczos: Real-ESRGAN does not run in float16")
    return Decision("background", True, "as a GPU is there")


def _budget(settings: Settings, machine: Machine, tier: str, device: Device) -> int | None:
    """Bytes of a GPU that a plan may use; None where its memory is unknown."""
    gpu = tiers.gpu_of(device, machine)
    if gpu is None:
        room = machine.mps_bytes or round(machine.memory_bytes * MPS_SHARE)
        return round(room * (1 - memory_model.KEPT_FREE)) if room else None
    if not gpu.total_bytes:
        return None
    ceiling = TIERS[tier].ceiling_bytes if settings.hardware.tier == tier else None
    return round(min(gpu.free_bytes, ceiling or gpu.free_bytes) * (1 - memory_model.KEPT_FREE))


def _for_the_processor(settings: Settings) -> str | None:
    return next((name for name in methods_of(settings) if name in BETTER_ON_CPU), None)


def _memory(need: Need, budget: int, placement: Placement, machine: Machine) -> Decision[str]:
    if placement.on_cpu:
        free = f"{gb(machine.free_bytes or budget)} of {gb(budget)} are free"
        return Decision("memory", gb(need), "; ".join((f"GB: {need}", free, *machine.limits)))
    return Decision("memory", gb(need), f"GB: {need}; {gb(budget)} of {placement.device.value} are for it; {NOT_MEASURED}")
