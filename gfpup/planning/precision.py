"""In which numbers a run computes, and by which engine."""

from __future__ import annotations

from gfpup.core import registry
from gfpup.core.errors import GfpupError
from gfpup.core.plan import Decision, Device
from gfpup.machine.hardware import Machine
from gfpup.models import backends, engines
from gfpup.planning.settings import Settings
from gfpup.planning.tiers import gpu_of

DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
WITHOUT_NETWORK = ("identity", "classical")
"""They compute alike in whatever precision is asked for: there is nothing to lower."""
USUAL = ("float32", "bfloat16")
"""What every network here runs in. float16 ends at 65,504; a plug-in whose class lists it as one of its `precisions` may."""
OVERFLOWS = ("gfpgan", "codeformer")
"""Known to exceed float16. Source: the official repositories' reports of black and NaN faces in half precision."""


REDONE = "a face whose output is not finite is redone in float32"


def methods_of(settings: Settings) -> list[str]:
    """The backend's name, or those of an ensemble's members, or of the methods that `auto` may choose (`planner` adds them)."""
    if settings.backend.name in ("ensemble", "auto"):
        return [backends.canonical(name) for name in settings.ensemble.backends]
    return [settings.backend.name]


def plan_dtype(settings: Settings, machine: Machine, device: Device, *, sweeping: bool) -> Decision[str]:
    """The precision of the networks that restore and enlarge; detectors and parsers always compute in float32.

    Raises: GfpupError: the precision asked for is not available.
    """
    name, asked = settings.backend.name, settings.hardware.precision
    facts = backends.facts(name)
    if facts.whole_photos:
        if asked not in ("auto", "fp32") and not sweeping:
            flag = f"--precision {asked}"
            raise GfpupError(f"{flag} does not apply to backend {name!r}, which delivers whole photos; leave it out.")
        if settings.mode != "standard":
            return Decision("dtype", "float32", f"{settings.mode} changes nothing of {name}, which delivers whole photos")
        return Decision("dtype", "float32", f"{name} delivers whole photos and computes as it was made to")
    if settings.mode == "high-quality":
        if asked not in ("auto", "fp32"):
            raise GfpupError(f"--high-quality computes in float32, not in {asked}; leave out one of the two.")
        return Decision("dtype", "float32", "for quality; each face is also restored mirrored, and the two are averaged")
    if asked != "auto":
        return _asked(settings, machine, device)
    if device == "cpu":
        return Decision("dtype", "float32", "exact")
    gpu = gpu_of(device, machine)
    if gpu is None:
        return Decision("dtype", "float32", "bfloat16 was not tried on Apple's GPUs")
    if not gpu.bfloat16:
        return Decision("dtype", "float32", f"{gpu.name} does not compute in bfloat16")
    if "spandrel" in (*methods_of(settings), settings.background.name):
        return Decision("dtype", "float32", "not every architecture that spandrel opens computes in bfloat16")
    if not all("bfloat16" in precisions(method) for method in methods_of(settings)):
        return Decision("dtype", "float32", f"{name} does not compute in bfloat16")
    saved = "for memory; " if settings.mode == "memory-efficient" else ""
    return Decision("dtype", "bfloat16", f"{saved}{gpu.name} computes in it; {_lowered(settings)}")


def _lowered(settings: Settings) -> str:
    """What a lower precision does to the method."""
    if all(name in WITHOUT_NETWORK for name in methods_of(settings)):
        return f"{settings.backend.name} has no network that it would lower"
    return REDONE


def _asked(settings: Settings, machine: Machine, device: Device) -> Decision[str]:
    asked = settings.hardware.precision
    dtype = DTYPES[asked]
    for name in methods_of(settings):
        if dtype not in precisions(name):
            why = ""
            if asked == "fp16" and name in backends.TABLE:
                whose = "its values exceed" if name in OVERFLOWS else "networks of its kind exceed"
                why = f": float16 ends at 65,504, which {whose}"
            flags = " or ".join(flag for flag, known in DTYPES.items() if known in precisions(name))
            raise GfpupError(f"backend {name!r} does not compute in {asked}{why}; use --precision {flags}.")
    if dtype == "float16" and settings.background.name in ("realesrgan", "spandrel"):
        raise GfpupError(f"--background {settings.background.name} does not run in float16; use --precision bf16 or fp32.")
    if dtype == "float32":
        return Decision("dtype", dtype, "asked for; exact")
    gpu, lowered = gpu_of(device, machine), _lowered(settings)
    native = dtype == "float16" or device == "mps" or (machine.bfloat16 if gpu is None else gpu.bfloat16)
    if not native and lowered == REDONE:
        lowered += "; this processor only imitates it, slowly" if gpu is None else f"; {gpu.name} only imitates it"
    return Decision("dtype", dtype, f"asked for; {lowered}")


def precisions(name: str) -> tuple[str, ...]:
    """The precisions that the backend `name` computes in; a plug-in's class may state its own as `precisions`."""
    if name in WITHOUT_NETWORK:
        return tuple(DTYPES.values())
    if name in backends.TABLE:
        return USUAL
    return tuple(getattr(registry.resolve("backend", name, {}), "precisions", USUAL))


def plan_engine(settings: Settings, device: Device, *, dtype: str, sweeping: bool) -> Decision[str]:
    """What runs the networks: torch as it is ("eager"), unless another engine is asked for and is available.

    `--compile` asks for "compile" where that works, and says why where it does not; `--engine` is taken at its word.

    Raises: GfpupError: the engine asked for is not available, with what to install.
    """
    asked = settings.hardware.engine
    if settings.hardware.compile and asked not in ("auto", "compile"):
        raise GfpupError(f"--compile and --engine {asked} exclude each other; give one of them.")
    wanted = "compile" if settings.hardware.compile else asked
    if wanted in ("auto", "eager"):
        return Decision("engine", "eager", "torch as it is" if wanted == "auto" else "asked for")
    networks = [name for name in methods_of(settings) if name in backends.TABLE and backends.facts(name).versions]
    if not networks or backends.facts(settings.backend.name).whole_photos:
        lack = f"{settings.backend.name} runs no network of gfpup's"
        if settings.hardware.compile or sweeping:
            return Decision("engine", "eager", f"{wanted} has no effect: {lack}")
        raise GfpupError(f"--engine {wanted} has no effect, as {lack}; leave it out.")
    without = next((name for name in networks if not backends.facts(name).engines), None)
    if without is not None:
        if settings.hardware.compile or sweeping:
            return Decision("engine", "eager", f"{wanted} has no effect: {without} runs in eager alone")
        raise GfpupError(f"--engine {wanted} does not apply to backend {without!r}, which runs in eager alone; leave it out.")
    missing = engines.available(wanted, device=device, dtype=dtype)
    if missing is None:
        return Decision("engine", wanted, f"asked for; {engines.difference(wanted, dtype=dtype)}")
    if settings.hardware.compile:
        return Decision("engine", "eager", f"networks cannot be compiled here: {missing}")
    raise GfpupError(f"--engine {wanted} is not available: {missing.rstrip('.')}; leave it out for eager.")
