"""What a run stands on: the device, the precision, the batch and the tiles that fit the machine, found before it starts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from gfpup import backends, memory, tiers
from gfpup.arithmetic import methods_of, plan_dtype, plan_engine
from gfpup.errors import GfpupError
from gfpup.hardware import Machine
from gfpup.memory import TYPICAL_PHOTO_WIDTH_PX, Need, Network
from gfpup.settings import Settings
from gfpup.tiers import GB, TIERS
from gfpup.types import Reason

SMALL_TILE_PX = 128
"""Side of the smallest tiles, and of those of --memory-efficient: a quarter of the memory of 256."""

MPS_SHARE = 0.5
"""Share of an Apple machine's memory that its GPU is given where the system does not say; it says about two thirds."""

LEFT_TO_THE_PROCESSOR = ("restoreformerpp",)
"""Methods that GPUs under 4 GB leave to the processor. Source: the guide's advice for its lowest tier."""

NOT_MEASURED = "predicted from measurements on a CPU; no GPU was measured"


@dataclass(frozen=True)
class Footing:
    """The decisions, each with its reason; `upsampler.value` says whether an automatic background may be Real-ESRGAN."""

    tier: Reason
    device: Reason
    dtype: Reason
    engine: Reason
    face_batch: Reason
    tile_px: Reason
    upsampler: Reason
    memory: Reason
    warnings: tuple[str, ...] = ()

    @property
    def on_cpu(self) -> bool:
        """Whether the networks compute on the processor."""
        return bool(self.device.value == "cpu")


def find_footing(settings: Settings, machine: Machine, *, sweeping: bool) -> Footing:
    """Start from what the tier plans, and take back what is predicted not to fit; what the user asked for stays or is refused.

    Raises:
        GfpupError: a device, precision, engine, batch or tile that was asked for cannot be had.
    """
    tier, device = tiers.choose(settings, machine)
    if tier.value == "low" and settings.device == "auto" and (slow := _for_the_processor(settings)):
        why = f"{slow} is too much for a GPU under 4 GB, by the guide's advice; --device {device.value} tries it there"
        return _on_processor(settings, machine, tier, why, sweeping=sweeping)
    if device.value == "cpu":
        return _on_processor(settings, machine, tier, device.why, sweeping=sweeping)
    footing = _wish(settings, machine, tier, device, sweeping=sweeping)
    budget = _budget(settings, machine, str(tier.value), str(device.value))
    if budget is None:
        why = f"{tiers.gpu_of(device.value, machine).name} does not tell"  # type: ignore[union-attr]
        return replace(footing, memory=Reason("memory", _gb(_need(settings, footing)), f"{why} what it has; {NOT_MEASURED}"))
    for candidate in (footing, *_smaller(settings, footing)):
        need = _need(settings, candidate)
        if need.total <= budget:
            return replace(_explain(settings, footing, candidate, budget), memory=_memory(need, budget, candidate, machine))
        least = need
    _refuse_what_was_asked(settings, footing, budget)
    moves = settings.device == "auto" and settings.tier == "auto"
    lack = f"{settings.backend} needs {_gb(least)} even at its least, and {device.value} has {_gb(budget)} for it"
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
        return replace(footing, memory=Reason("memory", _gb(_need(settings, footing)), "the system does not tell what it has"))
    chosen, need = footing, _need(settings, footing)
    # --high-quality promises no tiles, and a processor can swap.
    for candidate in _smaller(settings, footing) if settings.mode != "high-quality" else ():
        if need.total <= budget:
            break
        chosen, need = candidate, _need(settings, candidate)
    warnings: tuple[str, ...] = ()
    free = machine.free_bytes or budget
    if need.total > free:
        warnings = (
            f"this run may need {_gb(need)} for a photo of 12 megapixels, and {_gb(free)} are free: "
            "it may be slow, or stopped by the system.",
        )
    explained = _explain(settings, footing, chosen, budget)
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
    asked = settings.face_batch
    if settings.mode == "memory-efficient":
        if (asked or 1) > 1:
            raise GfpupError(
                f"--memory-efficient restores one face at a time, and --face-batch is {asked}; leave out one of the two."
            )
        return Reason("face_batch", 1, "one face at a time, for memory")
    if on_cpu:
        why = "on a CPU batching buys nothing, and so a face's bytes do not depend on its neighbours"
        return Reason("face_batch", 1, why if (asked or 1) == 1 else f"{asked} were asked for; {why}")
    if asked is not None:
        return Reason("face_batch", asked, "asked for")
    several = TIERS[tier].face_batch
    why = "a GPU computes several faces at once" if several > 1 else "its memory holds one face at a time"
    return Reason("face_batch", several, f"what tier {tier} starts from: {why}")


def _tile_px(settings: Settings, usual: int) -> Reason:
    if settings.tile_px is not None:
        return Reason("tiles", settings.tile_px, "asked for")
    if settings.mode == "high-quality":
        return Reason("tiles", 0, "the whole photo at once, for quality")
    if settings.mode == "memory-efficient":
        return Reason("tiles", SMALL_TILE_PX, "small ones, for memory")
    return Reason("tiles", usual, "bounds the memory")


def _upsampler(settings: Settings, start: tiers.Tier, dtype: str, *, on_cpu: bool, tier: str) -> Reason:
    if settings.background != "auto" or settings.aligned or backends.facts(settings.backend).whole_photos:
        return Reason("background", settings.background in ("realesrgan", "spandrel"), "asked for")
    if on_cpu:
        return Reason("background", False, "Lanczos: Real-ESRGAN takes minutes a photo on a CPU")
    if not start.background:
        return Reason("background", False, f"Lanczos: tier {tier} keeps its memory for the faces; --background realesrgan")
    if dtype == "float16":
        return Reason("background", False, "Lanczos: Real-ESRGAN does not run in float16")
    return Reason("background", True, "as a GPU is there")


def _smaller(settings: Settings, footing: Footing) -> Iterator[Footing]:
    """Ever smaller plans: each time half of what takes most, faces or tile, then no Real-ESRGAN; nothing that was asked for."""
    candidate = footing
    while True:
        need = _need(settings, candidate)
        faces = candidate.face_batch.value if settings.face_batch is None else 1
        tile_px = _smaller_tile(settings, candidate)
        if faces > 1 and (tile_px is None or need.faces >= need.background + need.photos):
            candidate = replace(candidate, face_batch=replace(candidate.face_batch, value=faces // 2))
        elif tile_px is not None:
            candidate = replace(candidate, tile_px=replace(candidate.tile_px, value=tile_px))
        else:
            break
        yield candidate
    if settings.background == "auto" and candidate.upsampler.value:
        yield replace(candidate, upsampler=replace(candidate.upsampler, value=False))


def _smaller_tile(settings: Settings, footing: Footing) -> int | None:
    """The next size below, or None; what another architecture takes for a tile is its own affair."""
    if settings.tile_px is not None or settings.background == "spandrel" or not footing.upsampler.value:
        return None
    now = footing.tile_px.value or TYPICAL_PHOTO_WIDTH_PX
    return next((size for size in (512, 256, SMALL_TILE_PX) if size < now), None)


def _explain(settings: Settings, wish: Footing, chosen: Footing, budget: int) -> Footing:
    """Give each step back its reason: what the first wish would have taken."""
    if chosen == wish:
        return wish
    why = f"would need {_gb(_need(settings, wish))} in all, and {wish.device.value} has {_gb(budget)} for it"
    changes: dict[str, Any] = {}
    if chosen.face_batch != wish.face_batch:
        changes["face_batch"] = replace(chosen.face_batch, why=f"{wish.face_batch.value} faces a forward {why}")
    if chosen.tile_px != wish.tile_px:
        first = f"tiles of {wish.tile_px.value} px" if wish.tile_px.value else "a photo of 12 megapixels in one piece"
        changes["tile_px"] = replace(chosen.tile_px, why=f"{first} {why}")
    if chosen.upsampler != wish.upsampler:
        changes["upsampler"] = replace(chosen.upsampler, why=f"Lanczos: Real-ESRGAN beside the faces {why}")
    return replace(chosen, **changes)


def _refuse_what_was_asked(settings: Settings, footing: Footing, budget: int) -> None:
    """Name the flag that stands in the way, where a smaller value of it would fit."""
    one = Reason("face_batch", 1, "")
    small = Reason("tiles", SMALL_TILE_PX, "")
    for flag, asked, smaller in (
        ("--face-batch", settings.face_batch, replace(footing, face_batch=one)),
        ("--tile", settings.tile_px, replace(footing, tile_px=small)),
        ("--face-batch", settings.face_batch, replace(footing, face_batch=one, tile_px=small)),
    ):
        if asked is None or _need(settings, smaller).total > budget:
            continue
        need = _gb(_need(settings, footing))
        raise GfpupError(
            f"{flag} {asked} needs {need} in all, and {footing.device.value} has {_gb(budget)} for it; give a smaller one."
        )


def _budget(settings: Settings, machine: Machine, tier: str, device: str) -> int | None:
    """Bytes that a plan may use of a GPU, or None where it does not tell."""
    gpu = tiers.gpu_of(device, machine)
    if gpu is None:
        room = machine.mps_bytes or round(machine.memory_bytes * MPS_SHARE)
        return round(room * (1 - memory.KEPT_FREE)) if room else None
    if not gpu.total_bytes:
        return None
    ceiling = TIERS[tier].ceiling_bytes if settings.tier == tier else None
    return round(min(gpu.free_bytes, ceiling or gpu.free_bytes) * (1 - memory.KEPT_FREE))


def _need(settings: Settings, footing: Footing) -> Need:
    return memory.predict(
        [_network(name, settings) for name in methods_of(settings)],
        dtype=footing.dtype.value,
        face_batch=footing.face_batch.value,
        aids=_aids(settings),
        background_scale=(2 if settings.upscale <= 2 else 4) if footing.upsampler.value else None,
        tile_px=footing.tile_px.value,
        upscale=settings.upscale,
        on_cpu=footing.on_cpu,
        redo=footing.dtype.value != "float32",
    )


def _network(name: str, settings: Settings) -> Network:
    if name == "upstream":
        return memory.METHODS["restoreformer" if settings.parameters.get("version") == "restoreformer" else "gfpgan"]
    if name in memory.METHODS:
        return memory.METHODS[name]
    if name in backends.TABLE and not backends.facts(name).own_file:
        return memory.NOTHING
    file = settings.model_path
    if file is None or not file.is_file():
        return memory.UNKNOWN
    return replace(memory.UNKNOWN, weights=dict.fromkeys(memory.UNKNOWN.weights, file.stat().st_size))


def _aids(settings: Settings) -> list[Network]:
    """The networks beside the method; which detector and parser can be had is not known yet, so the usual ones are taken."""
    names = []
    if not settings.aligned:
        names.append("retinaface-resnet50" if settings.detector == "auto" else settings.detector)
        names.append("bisenet" if settings.mask == "auto" else settings.mask)
    if settings.identity_min is not None:
        names.append("arcface-ir-se50")
    return [memory.AIDS[name] for name in names if name in memory.AIDS]


def _for_the_processor(settings: Settings) -> str | None:
    return next((name for name in methods_of(settings) if name in LEFT_TO_THE_PROCESSOR), None)


def _memory(need: Need, budget: int, footing: Footing, machine: Machine) -> Reason:
    if footing.on_cpu:
        free = f"{_gb(machine.free_bytes or budget)} of {_gb(budget)} are free"
        return Reason("memory", _gb(need), "; ".join((f"GB: {need}", free, *machine.limits)))
    return Reason("memory", _gb(need), f"GB: {need}; {_gb(budget)} of {footing.device.value} are for it; {NOT_MEASURED}")


def _gb(size: int | Need) -> str:
    return f"{(size if isinstance(size, int) else size.total) / GB:.1f} GB"
