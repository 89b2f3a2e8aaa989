"""What this machine has, and which of it a run is given."""

from __future__ import annotations

import ctypes
import os
import sys
from dataclasses import dataclass

from gfpup.errors import GfpupError
from gfpup.types import Reason


@dataclass(frozen=True)
class Gpu:
    """A CUDA device: sizes in bytes; `free_bytes` is what others have left."""

    name: str
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True)
class Machine:
    """The facts a plan is made from; tests fake it."""

    cores: int
    memory_bytes: int
    gpus: tuple[Gpu, ...] = ()
    mps: bool = False


def probe() -> Machine:
    """Look at this machine: cores this process may use, memory, CUDA devices, Apple's MPS."""
    import torch

    gpus = []
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(i)
            gpus.append(Gpu(torch.cuda.get_device_name(i), total, free))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    return Machine(cores, pages, tuple(gpus), torch.backends.mps.is_available())


def choose_device(request: str, machine: Machine) -> Reason:
    """Decide the device: "cpu", "cuda:N" or "mps".

    Raises:
        GfpupError: the device asked for is not there, or is no device's name.
    """
    if request == "auto":
        if machine.gpus:
            best = max(range(len(machine.gpus)), key=lambda i: machine.gpus[i].free_bytes)
            free_gb = machine.gpus[best].free_bytes / 2**30
            return Reason("device", f"cuda:{best}", f"{machine.gpus[best].name} with {free_gb:.1f} GiB free")
        if machine.mps:
            return Reason("device", "mps", "an Apple GPU is there")
        return Reason("device", "cpu", f"no GPU was found; {machine.cores} cores")
    kind, _, index = request.partition(":")
    if kind == "cpu" and not index:
        return Reason("device", "cpu", "asked for")
    if kind == "mps" and not index:
        if not machine.mps:
            raise GfpupError("device 'mps' was asked for, but torch finds no Apple GPU here; use --device cpu or auto.")
        return Reason("device", "mps", "asked for")
    if kind == "cuda" and (not index or index.isdecimal()):
        number = int(index or 0)
        if number >= len(machine.gpus):
            there = f"has {len(machine.gpus)}" if machine.gpus else "has none that torch can use"
            raise GfpupError(f"device {request!r} was asked for, but this machine {there}; use --device cpu or auto.")
        return Reason("device", f"cuda:{number}", f"asked for; {machine.gpus[number].name}")
    raise GfpupError(f"there is no device {request!r}; use auto, cpu, cuda, cuda:N or mps.")


def keep_freed_memory() -> bool:
    """Ask glibc to keep what a forward frees for the next one; returns whether it was asked. Changes no result.

    By default it maps and unmaps every tensor over 32 MB: 760,000 page faults a forward of GFPGAN.

    Source: mallopt(3): M_TRIM_THRESHOLD -1, M_TOP_PAD -2, M_MMAP_MAX -4.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return False
    return all(mallopt(option, value) for option, value in ((-1, 2**31 - 1), (-2, 256 * 2**20), (-4, 0)))
