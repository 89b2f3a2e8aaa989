"""The machine: Python, devices and the tier they make, engines, folders."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gfpup.core.versions import __version__
from gfpup.models.engines import ENGINES, lacking_to_compile
from gfpup.tools.check import Check
from gfpup.tools.doctor.packages import version_of

if TYPE_CHECKING:
    from gfpup.machine.hardware import Gpu

PYTHONS: Final = ((3, 11), (3, 13))
LEAST_DISK: Final = 1e9
"""Bytes: three checkpoints of a default run are half of that."""


def check_python() -> Check:
    """Whether this Python is one that gfpup supports."""
    found = f"{'.'.join(map(str, sys.version_info[:3]))}, gfpup {__version__}"
    if PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        return Check("machine", "python", "ok", found)
    wanted = " to ".join(".".join(map(str, each)) for each in PYTHONS)
    return Check("machine", "python", "problem", found, f"use Python {wanted}")


def check_devices() -> Iterator[Check]:
    """Whether torch loads, and what it can compute on; the tier, and what it allows."""
    try:
        from gfpup.machine import hardware

        machine = hardware.probe()
    except (ImportError, OSError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        yield Check("machine", "torch", "problem", f"does not load: {reason}", "reinstall torch: pip install torch")
        return
    found = "; ".join([f"{machine.cores} cores, {machine.memory_bytes / 1e9:.3g} GB of memory", *machine.limits])
    yield Check("machine", "processor", "ok", found)
    yield from (_check_gpu(f"cuda:{i}", gpu) for i, gpu in enumerate(machine.gpus))
    if machine.mps:
        yield Check("machine", "mps", "ok", "an Apple GPU")
    if not machine.gpus and not machine.mps and shutil.which("nvidia-smi"):
        remedy = "install a CUDA build of torch, or check that nvidia-smi lists the GPU"
        yield Check("machine", "cuda", "warning", "nvidia-smi is installed, but torch finds no GPU", remedy)
    from gfpup.analysis.recommend.guide import fit, guide, hardware_of, title

    here = hardware_of(machine)
    tier = fit("gfpgan-1.4", here)[0]
    ways = {"whole": "on the GPU", "reduced": "in small pieces", "cpu": "on the CPU"}
    methods = ", ".join(f"{title(name)} {ways[fit(name, here)[1]]}" for name in guide()["methods"])
    yield Check("machine", "tier", "ok", f"{tier} ({guide()['tiers'][tier]['title']}): {methods}")


def _check_gpu(name: str, gpu: Gpu) -> Check:
    if gpu.trouble is not None:
        remedy = "install a torch build for it, or use --device cpu"
        return Check("machine", name, "warning", f"{gpu.name}: {gpu.trouble}", remedy)
    found = f"{gpu.name}, {gpu.free_bytes / 1e9:.3g} of {gpu.total_bytes / 1e9:.3g} GB free"
    if gpu.free_bytes < gpu.total_bytes / 2:
        return Check("machine", name, "warning", found, "other programs use it: end them")
    return Check("machine", name, "ok", found)


def check_engines() -> Iterator[Check]:
    """What can run the networks besides torch itself."""
    if lacking := lacking_to_compile():
        found = f"{' and '.join(lacking)} missing, so --compile stays eager"
        yield Check("engines", "compile", "warning", found, ENGINES["compile"].remedy)
    else:
        yield Check("engines", "compile", "ok", "a C++ compiler and Python's headers")
    for name, engine in ENGINES.items():
        missing = [package for package in engine.packages if version_of(package) is None]
        if engine.packages and not missing:
            yield Check("engines", name, "ok", ", ".join(f"{package} {version_of(package)}" for package in engine.packages))
        elif engine.packages and len(missing) == len(engine.packages):
            yield Check("engines", name, "ok", f"not installed (optional: {engine.remedy})")
        elif missing:  # an engine is optional, half of one is a warning
            yield Check("engines", name, "warning", f"{', '.join(missing)} missing", engine.remedy)


def check_folders(folders: Mapping[str, Path]) -> Iterator[Check]:
    """Whether a run could write to each folder, by name, and how much room there is. Nothing is left behind."""
    for name, folder in folders.items():
        there = next((each for each in (folder.absolute(), *folder.absolute().parents) if each.exists()), Path())
        if folder.exists() and not folder.is_dir():
            yield Check("folders", name, "problem", f"{folder} is a file", "give another folder, or move the file")
        elif not os.access(there, os.W_OK | os.X_OK) or not there.is_dir():
            yield Check("folders", name, "problem", f"{folder} is not writable", f"make {there} writable, or give another")
        elif (reason := _why_not_writable(there)) is not None:
            yield Check("folders", name, "problem", f"cannot write to the folder {folder}: {reason}", "give another folder")
        else:
            free = shutil.disk_usage(there).free
            low = free < LEAST_DISK
            found = f"{folder}, {free / 1e9:.3g} GB free"
            yield Check("folders", name, "warning" if low else "ok", found, "free some disk space" if low else "")


def _why_not_writable(there: Path) -> str | None:
    """Why nothing can be written to a folder whose permissions allow it, None if it can: /proc tells only when tried."""
    try:
        with tempfile.TemporaryDirectory(prefix=".gfpup-", dir=there):
            return None
    except OSError as error:
        return error.strerror or str(error)
