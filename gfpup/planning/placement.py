"""Where and how a run computes: what the tier and the user ask for, reduced step by step until it fits the memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gfpup.core.errors import GfpupError
from gfpup.core.plan import Decision, Device
from gfpup.machine.hardware import Machine
from gfpup.models import backends
from gfpup.planning import memory_model, tiers
from gfpup.planning.memory_model import Placement, gb, need_of
from gfpup.planning.precision import methods_of, plan_dtype, plan_engine
from gfpup.planning.settings import Settings
from gfpup.planning.tiers import TIERS
from gfpup.restoration import detect

MPS_SHARE = 0.5
"""Share of an Apple machine's memory that its GPU is given where the system does not say; it says about two thirds."""
SMALL_TILE_PX = 128
"""Side of the smallest tiles, and of those of --memory-efficient: a quarter of the memory of 256."""
TILE_SIDES_PX = (512, 256, SMALL_TILE_PX)
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

    Raises: GfpupError: a device, precision, engine, batch or tile that was asked for is not available.
    """
    if settings.detect.name == "auto" and settings.detect.path is not None and not settings.restore.aligned:
        settings = settings.changed({"detect.name": detect.architecture_of(settings.detect.path)})
    found = _find(settings, machine, sweeping=sweeping)
    pinned = settings.changed(_as_then(settings, earlier or {}))
    if pinned == settings:
        return found
    try:
        before = _find(pinned, machine, sweeping=sweeping)
    except GfpupError:  # it does not fit today
        return found
    kept = ["device"] if before.device.value.kind != found.device.value.kind else []
    kept += ["tile_px", "upsampler"] if before.upsampler.value else []
    return replace(before, **{name: replace(getattr(before, name), why=AS_BEFORE) for name in kept})


def _as_then(settings: Settings, earlier: Mapping[str, Any]) -> dict[str, Any]:
    """What the request leaves open, set to what `earlier` results have."""
    changes: dict[str, Any] = {}
    open_device = settings.hardware.device == settings.hardware.tier == "auto"
    if open_device and earlier.get("device") in ("cpu", "cuda", "mps"):
        changes["hardware.device"] = earlier["device"]
    tiles, asked = earlier.get("tiles"), settings.background.tile_px
    if tiles and earlier.get("background") == "realesrgan" and settings.background.name in ("auto", "realesrgan"):
        changes |= {"background.name": "realesrgan", "background.tile_px": tiles[0] if asked is None else asked}
    return changes


def _find(settings: Settings, machine: Machine, *, sweeping: bool) -> Placement:
    tier, device = tiers.choose(settings, machine)
    slow = next((name for name in methods_of(settings) if name in BETTER_ON_CPU), None)
    if tier.value == "low" and settings.hardware.device == "auto" and slow:
        why = f"{slow} is too much for a GPU under 4 GB, by the guide's advice; --device {device.value} tries it there"
        return _on_processor(settings, machine, tier, why, sweeping=sweeping)
    if device.value == "cpu":
        return _on_processor(settings, machine, tier, device.why, sweeping=sweeping)
    start = _start(settings, machine, tier, device, sweeping=sweeping)
    budget = _budget(settings, machine, tier.value, device.value)
    if budget is None:
        gpu = tiers.gpu_of(device.value, machine)
        why = f"the memory of {gpu.name if gpu else device.value} is unknown; {NOT_MEASURED}"
        return replace(start, memory=Decision("memory", gb(need_of(settings, start)), why))
    steps = _steps(settings, start)
    chosen = _first_that_fits(settings, steps, budget)
    if chosen is not None:
        chosen = _explain(settings, steps, chosen, budget)
        need = need_of(settings, chosen)
        memory = Decision("memory", gb(need), f"GB: {need}; {gb(budget)} of {device.value} are for it; {NOT_MEASURED}")
        warnings: tuple[str, ...] = ()
        tile_px, whole = chosen.tile_px, settings.mode == "high-quality" and not settings.background.tile_px
        if whole and chosen.upsampler.value and tile_px.value:
            warnings = (f"--high-quality has to enlarge the background in tiles of {tile_px.value} px: {tile_px.why}.",)
        return replace(chosen, memory=memory, warnings=warnings)
    _refuse_flag(settings, start, budget)
    lack = _shortage(settings, steps[-1], budget)
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
    steps = _steps(settings, start) if settings.mode != "high-quality" else [start]
    chosen = _explain(settings, steps, _first_that_fits(settings, steps, budget) or steps[-1], budget)
    need, free = need_of(settings, chosen), machine.free_bytes or budget
    room = (f"GB: {need}", f"{gb(free)} of {gb(budget)} are free", *machine.limits)
    lack = f"this run may need {gb(need)} for a photo of 12 megapixels, and {gb(free)} are free"
    warnings: tuple[str, ...] = (f"{lack}: it may be slow, or stopped by the system.",) if need.total > free else ()
    if "pmrf" in methods_of(settings) and settings.restore.parameters.get("steps", 1) > 0:
        warnings += ("pmrf takes minutes a face on a processor; fewer --steps take less.",)
    return replace(chosen, memory=Decision("memory", gb(need), "; ".join(room)), warnings=warnings)


def _start(settings: Settings, machine: Machine, tier: Decision[str], device: Decision[Device], *, sweeping: bool) -> Placement:
    """What the tier and the user ask for, whether or not it fits."""
    on_cpu = device.value == "cpu"
    usual = TIERS["cpu" if on_cpu else tier.value]
    dtype = plan_dtype(settings, machine, device.value, sweeping=sweeping)
    return Placement(
        tier=tier,
        device=device,
        dtype=dtype,
        engine=plan_engine(settings, device.value, dtype=dtype.value, sweeping=sweeping),
        face_batch=_face_batch(settings, tier.value, on_cpu=on_cpu),
        tile_px=_tile_px(settings, usual.tile_px),
        upsampler=_upsampler(settings, usual, dtype.value, on_cpu=on_cpu, tier=tier.value),
        memory=Decision("memory", "", ""),
    )


def _face_batch(settings: Settings, tier: str, *, on_cpu: bool) -> Decision[int]:
    asked, several = settings.hardware.face_batch, TIERS[tier].face_batch
    if settings.mode == "memory-efficient":
        if (asked or 1) > 1:
            clash = f"--memory-efficient restores one face at a time, and --face-batch is {asked}"
            raise GfpupError(f"{clash}; leave out one of the two.")
        return Decision("face_batch", 1, "one face at a time, for memory")
    if settings.backend.name == "upstream" or on_cpu:
        why = "on a CPU batching buys nothing, and so a face's bytes do not depend on its neighbours"
        why = "the official path restores one face after another" if settings.backend.name == "upstream" else why
        return Decision("face_batch", 1, why if (asked or 1) == 1 else f"{asked} were asked for; {why}")
    if asked is not None:
        return Decision("face_batch", asked, "asked for")
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
    else:
        ceiling = TIERS[tier].ceiling_bytes if settings.hardware.tier == tier else None
        room = min(gpu.free_bytes, ceiling or gpu.free_bytes)
    known = room if gpu is None else gpu.total_bytes
    return round(room * (1 - memory_model.KEPT_FREE)) if known else None


def _steps(settings: Settings, start: Placement) -> list[Placement]:
    """The placements to try, best first: the largest tiles with the most faces, then Lanczos. What the user asked for stays.

    The numbers are predictions, and a run halves its batch where they were wrong; so the steps are coarse.
    """
    faces, tiles = [start.face_batch.value], [start.tile_px.value]
    while settings.hardware.face_batch is None and faces[-1] > 1:
        faces.append(faces[-1] // 2)
    if settings.background.tile_px is None and settings.background.name != "spandrel" and start.upsampler.value:
        widest = start.tile_px.value or memory_model.TYPICAL_PHOTO_WIDTH_PX
        tiles += [side for side in TILE_SIDES_PX if side < widest]
    steps = [_changed(start, tile_px=side, face_batch=count) for side in tiles for count in faces]
    if settings.background.name == "auto" and start.upsampler.value:
        steps += [_changed(start, upsampler=False, face_batch=count) for count in faces]
    return steps


def _changed(placement: Placement, **values: Any) -> Placement:
    return replace(placement, **{name: replace(getattr(placement, name), value=value) for name, value in values.items()})


def _first_that_fits(settings: Settings, steps: list[Placement], budget: int) -> Placement | None:
    return next((step for step in steps if need_of(settings, step).total <= budget), None)


def _explain(settings: Settings, steps: list[Placement], chosen: Placement, budget: int) -> Placement:
    """Give what differs from the first of `steps` its reason: what that would have taken, all else as chosen."""
    start = steps[0]

    def reason(first: str, kept: Placement, *names: str) -> str:
        need = gb(need_of(settings, replace(chosen, **{name: getattr(kept, name) for name in names})))
        return f"{first} would need {need} in all, and {start.device.value} has {gb(budget)} for it"

    reasons: dict[str, str] = {}
    if chosen.face_batch != start.face_batch:
        reasons["face_batch"] = reason(f"{start.face_batch.value} faces a forward", start, "face_batch")
    if chosen.tile_px != start.tile_px:
        first = f"tiles of {start.tile_px.value} px" if start.tile_px.value else "a photo of 12 megapixels in one piece"
        reasons["tile_px"] = reason(first, start, "tile_px")
    if chosen.upsampler != start.upsampler:
        least = [step for step in steps if step.upsampler.value][-1]
        first = "Lanczos: Real-ESRGAN beside the faces, both at their least,"
        reasons["upsampler"] = reason(first, least, "upsampler", "face_batch", "tile_px")
    return replace(chosen, **{name: replace(getattr(chosen, name), why=why) for name, why in reasons.items()})


def _refuse_flag(settings: Settings, start: Placement, budget: int) -> None:
    """Name the flag that is in the way, where a smaller value of it would fit."""
    batch, tile_px = settings.hardware.face_batch, settings.background.tile_px
    for flag, asked, less in (
        ("--face-batch", batch, {"face_batch": 1}),
        ("--tile", tile_px, {"tile_px": SMALL_TILE_PX}),
        ("--face-batch", batch, {"face_batch": 1, "tile_px": SMALL_TILE_PX}),
    ):
        if asked is not None and _first_that_fits(settings, [_changed(start, **less)], budget) is not None:
            needs = f"{flag} {asked} needs {gb(need_of(settings, start))} in all"
            raise GfpupError(f"{needs}, and {start.device.value} has {gb(budget)} for it; give a smaller one.")


def _shortage(settings: Settings, least: Placement, budget: int) -> str:
    """Say that not even the last step fits, with the flags that kept it from being smaller."""
    background, batch = settings.background, settings.hardware.face_batch
    flags = []
    if background.name == "realesrgan":
        flags = ["--background realesrgan", *([] if background.tile_px is None else [f"--tile {background.tile_px}"])]
    flags += [f"--face-batch {batch}"] if (batch or 1) > 1 else []
    asked = f" with {' and '.join(flags)}, as asked for," if flags else ""
    need = gb(need_of(settings, least))
    return f"{settings.backend.name}{asked} needs {need} even at its least, and {least.device.value} has {gb(budget)} for it"
