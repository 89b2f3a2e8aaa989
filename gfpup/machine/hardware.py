"""What this machine has, and which of it a run is given."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gfpup.core.errors import GfpupError
from gfpup.core.plan import Decision, Device
from gfpup.machine import cgroups
from gfpup.machine.cpu import processor


@dataclass(frozen=True)
class Gpu:
    """A CUDA device: sizes in bytes; `free_bytes` is what others have left, and a `total_bytes` of 0 means "not known".

    `bfloat16`: whether it computes in bfloat16 by itself. `trouble` says why torch cannot use it.
    """

    name: str
    total_bytes: int
    free_bytes: int
    bfloat16: bool = False
    trouble: str | None = None


@dataclass(frozen=True)
class Machine:
    """The facts a plan is made from; tests fake it. Sizes in bytes, 0 where they are not known.

    `cores` and `memory_bytes` are this process's share: `limits` says in words what holds it below the whole machine.
    `omp_threads` is what OMP_NUM_THREADS asks for; `bfloat16`, whether the processor has instructions for it.
    """

    cores: int
    memory_bytes: int
    gpus: tuple[Gpu, ...] = ()
    mps: bool = False
    free_bytes: int = 0
    mps_bytes: int = 0
    bfloat16: bool = False
    omp_threads: int | None = None
    limits: tuple[str, ...] = ()


def probe() -> Machine:
    """Look at this machine: the cores and the memory that this process may use, CUDA devices, Apple's MPS."""
    import torch

    mps = torch.backends.mps.is_available()
    cores, core_limits = _cores()
    memory, free, memory_limits = _memory()
    return Machine(
        cores,
        memory,
        gpus=tuple(_gpu(i) for i in range(torch.cuda.device_count())) if torch.cuda.is_available() else (),
        mps=mps,
        free_bytes=free,
        mps_bytes=torch.mps.recommended_max_memory() if mps else 0,
        bfloat16=processor().bfloat16,
        omp_threads=_omp_threads(),
        limits=(*core_limits, *memory_limits),
    )


def _cores() -> tuple[int, tuple[str, ...]]:
    there = os.cpu_count() or 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else there
    limits = () if cores == there else (f"this process is bound to {cores} of {there} cores",)
    quota = cgroups.cpu_quota()
    if quota is None or quota >= cores:
        return cores, limits
    # Rounded down: a thread above the quota is put to sleep, and the others wait for it.
    return max(1, int(quota)), (*limits, f"this container may keep {quota:g} cores busy")


def _memory() -> tuple[int, int, tuple[str, ...]]:
    """All memory and what is free of it, in bytes."""
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    free = _available() or there
    limit, left = cgroups.memory_limit(), cgroups.memory_left()
    if limit is None or left is None or 0 < there <= limit:
        return there, free, ()
    return limit, min(free or left, left), (f"this container may hold {limit / 1e9:.1f} GB",)


def _available() -> int:
    """MemAvailable: what can be had without swapping, in bytes; 0 where nothing says it."""
    with suppress(OSError), Path("/proc/meminfo").open(encoding="ascii") as lines:
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), 0)
    return 0


def _omp_threads() -> int | None:
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # further numbers are for nested regions
    return int(first) if first.isdecimal() and int(first) > 0 else None


def _gpu(index: int) -> Gpu:
    """Ask device `index`; what it does not tell is not known, and no reason to stop."""
    import torch

    name = torch.cuda.get_device_name(index)
    capability = torch.cuda.get_device_capability(index)
    trouble = None
    # ROCm names its devices otherwise, and torch runs on what it lists there.
    if torch.version.hip is None and not runs_on(capability, torch.cuda.get_arch_list()):
        trouble = f"this torch holds no code for its compute capability {capability[0]}.{capability[1]}"
    bfloat16 = False
    try:
        with torch.cuda.device(index):
            bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        free, total = torch.cuda.mem_get_info(index)
    except RuntimeError as error:
        if trouble is None:
            trouble = str(error).strip().partition("\n")[0]
        free = total = 0
    return Gpu(name, total, free, bfloat16, trouble)


def runs_on(capability: tuple[int, int], built_for: list[str]) -> bool:
    """Whether a torch built for the architectures `built_for` ("sm_80", "compute_90", ...) runs on a device.

    Source: the CUDA C++ programming guide: code for x.y runs on x.z from z = y on, PTX on everything later.
    """
    for name in built_for:
        kind, _, digits = name.partition("_")
        digits = digits.rstrip("af")  # sm_90a: that architecture alone, which x.y says as well
        if not digits.isdecimal():
            continue
        major, minor = int(digits[:-1] or 0), int(digits[-1])
        if (major, minor) <= capability and (kind == "compute" or (kind == "sm" and major == capability[0])):
            return True
    return not built_for


def choose_device(request: str, machine: Machine) -> Decision[Device]:
    """Decide the device: "cpu", "cuda:N" or "mps"; raises GfpupError for one that is unknown, absent or unusable."""
    if request == "auto":
        return _best_device(machine)
    kind, _, index = request.partition(":")
    if request == "mps" and not machine.mps:
        raise GfpupError("device 'mps' was asked for, but torch finds no Apple GPU here; use --device cpu or auto.")
    if request in ("cpu", "mps"):
        return Decision("device", Device(request), "asked for")
    if kind != "cuda" or (index and not index.isdecimal()):
        raise GfpupError(f"there is no device {request!r}; use auto, cpu, cuda, cuda:N or mps.")
    number = int(index or 0)
    if number >= len(machine.gpus):
        there = f"has {len(machine.gpus)}" if machine.gpus else "has none that torch can use"
        raise GfpupError(f"device {request!r} was asked for, but this machine {there}; use --device cpu or auto.")
    gpu = machine.gpus[number]
    if gpu.trouble is not None:
        raise GfpupError(f"device {request!r} is {gpu.name}, but {gpu.trouble}; use --device cpu or auto.")
    return Decision("device", Device(f"cuda:{number}"), f"asked for; {gpu.name}")


def _best_device(machine: Machine) -> Decision[Device]:
    usable = [i for i, gpu in enumerate(machine.gpus) if gpu.trouble is None]
    if usable:
        best = max(usable, key=lambda i: machine.gpus[i].free_bytes)
        gpu = machine.gpus[best]
        known = f"{gpu.free_bytes / 1e9:.1f} GB free" if gpu.total_bytes else "memory that it does not tell"
        return Decision("device", Device(f"cuda:{best}"), f"{gpu.name} with {known}")
    if machine.mps:
        return Decision("device", Device("mps"), "an Apple GPU is there")
    found = "; ".join(f"{gpu.name}: {gpu.trouble}" for gpu in machine.gpus) or "no GPU was found"
    return Decision("device", Device("cpu"), f"{found}; {machine.cores} cores")
