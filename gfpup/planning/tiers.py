"""Classes of machines by the memory of their GPU, and what each plans unless the user says otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from gfpup.core.errors import GfpupError
from gfpup.core.plan import Decision, Device
from gfpup.machine import hardware
from gfpup.machine.hardware import Gpu, Machine
from gfpup.models.engines import ENGINES
from gfpup.planning.settings import Settings

GB = 10**9
OTHERS_BYTES = 1 * GB
"""A GPU of which more than this is taken is shared, and what is free decides its tier; less is a desktop, and this process."""


@dataclass(frozen=True)
class Tier:
    """What a class of machines starts from; `face_batch`, `tile_px` and `background` fall back where they do not fit.

    `least_bytes` of a GPU's memory belong to it, and it plans for less than `ceiling_bytes` (None: no ceiling).
    """

    face_batch: int
    tile_px: int
    background: bool
    least_bytes: int = 0
    ceiling_bytes: int | None = None


TIERS: dict[str, Tier] = {
    # Eight faces: what a GPU needs to be busy was not measured yet. Tiles of 512 px compute 1.09 times the photo's pixels,
    # of 256 px 1.24 times (`gfpup.restoration.background`); those of 128 px take a quarter of the memory of 256.
    "high": Tier(face_batch=8, tile_px=512, background=True, least_bytes=8 * GB),
    "mid": Tier(face_batch=4, tile_px=256, background=True, least_bytes=4 * GB, ceiling_bytes=8 * GB),
    "low": Tier(face_batch=1, tile_px=128, background=False, ceiling_bytes=4 * GB),
    "cpu": Tier(face_batch=1, tile_px=256, background=False),
    "mps": Tier(face_batch=4, tile_px=256, background=True),
}
GPU_TIERS = ("high", "mid", "low")


def tier_of(gpu: Gpu) -> str:
    """The tier of a CUDA device; one that does not tell its memory is taken for a small one."""
    return next((name for name in GPU_TIERS if _size(gpu) >= TIERS[name].least_bytes), "low")


def _size(gpu: Gpu) -> int:
    return gpu.free_bytes if gpu.total_bytes - gpu.free_bytes > OTHERS_BYTES else gpu.total_bytes


def gpu_of(device: Device, machine: Machine) -> Gpu | None:
    """The CUDA device that "cuda:N" names, or None for another device."""
    return machine.gpus[device.number or 0] if device.kind == "cuda" else None


def choose(settings: Settings, machine: Machine) -> tuple[Decision[str], Decision[Device]]:
    """The tier and the device, before anything is known of what fits.

    Raises: GfpupError: a device that is not there, or one that is not of the tier asked for.
    """
    device, asked = _device(settings, machine), settings.hardware.tier
    gpu, kind = gpu_of(device.value, machine), device.value.kind
    if asked in GPU_TIERS:
        return _that_fits(asked, gpu, device), device
    if asked != "auto" and device.value != asked:
        clash = f"hardware={asked} does not go with --device {settings.hardware.device}"
        raise GfpupError(f"{clash}; leave out one of the two.")
    if asked != "auto":
        return Decision("tier", asked, "asked for"), device
    if gpu is not None:
        return Decision("tier", tier_of(gpu), _describe(gpu)), device
    why = "an Apple GPU, which shares the machine's memory" if kind == "mps" else "no GPU is used"
    return Decision("tier", kind, why), device


def _device(settings: Settings, machine: Machine) -> Decision[Device]:
    request, engine = settings.hardware.device, settings.hardware.engine
    if request == "auto" and settings.hardware.tier in ("cpu", "mps"):
        request = settings.hardware.tier
    on_processor = engine in ENGINES and ENGINES[engine].devices == ("cpu",)
    if request == "auto" and on_processor and settings.hardware.tier == "auto":
        return Decision("device", Device("cpu"), f"engine {engine} computes on the processor")
    device = hardware.choose_device(request, machine)
    if on_processor and device.value != "cpu":
        clash = f"engine {engine} computes on the processor, not on {device.value}"
        raise GfpupError(f"{clash}; use --device cpu or another --engine.")
    return device


def _that_fits(tier: str, gpu: Gpu | None, device: Decision[Device]) -> Decision[str]:
    """The tier that was asked for, or the largest below it that is here.

    A smaller tier than the GPU's own holds the run to less memory; a larger one would promise what is not there.
    """
    if gpu is None:
        why = f"{tier} was asked for, and no CUDA GPU is used here: it falls back to {device.value}"
        return Decision("tier", device.value.kind, why)
    if _size(gpu) < TIERS[tier].least_bytes:
        return Decision("tier", tier_of(gpu), f"{tier} was asked for, but {_describe(gpu)}: it falls back to {tier_of(gpu)}")
    return Decision("tier", tier, f"asked for; {_describe(gpu)}")


def _describe(gpu: Gpu) -> str:
    if not gpu.total_bytes:
        return f"{gpu.name} does not tell its memory and is taken for a small one"
    total, taken = gpu.total_bytes, gpu.total_bytes - gpu.free_bytes
    others = f", of which {taken / GB:.1f} are in use by others" if taken > OTHERS_BYTES else ""
    return f"{gpu.name} has {total / GB:.1f} GB{others}"
