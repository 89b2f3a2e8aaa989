"""The machine: Python, devices and the tier they make, engines, folders."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from gfpup.core.versions import __version__
from gfpup.models.engines import ENGINES, Engine, lacking_to_compile
from gfpup.tools.doctor.check import Check
from gfpup.tools.doctor.packages import version_of

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
    from gfpup.analysis.recommend.guide import fit, guide, hardware_of, title

    try:
        from gfpup.machine import hardware

        machine = hardware.probe()
    except (ImportError, OSError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        yield Check("machine", "torch", "problem", f"does not load: {reason}", "install torch again: pip install torch")
        return
    memory = machine.memory_bytes / 1e9
    limits = "".join(f"; {limit}" for limit in machine.limits)
    yield Check("machine", "processor", "ok", f"{machine.cores} cores, {memory:.3g} GB of memory{limits}")
    for i, gpu in enumerate(machine.gpus):
        if gpu.trouble is not None:
            yield Check(
                "machine", f"cuda:{i}", "warning", f"{gpu.name}: {gpu.trouble}", "install a torch build for it, or --device cpu"
            )
            continue
        free = gpu.free_bytes / 1e9
        found = f"{gpu.name}, {free:.3g} of {gpu.total_bytes / 1e9:.3g} GB free"
        busy = gpu.free_bytes < gpu.total_bytes / 2
        yield Check("machine", f"cuda:{i}", "warning" if busy else "ok", found, "others use it; end them" if busy else "")
    if machine.mps:
        yield Check("machine", "mps", "ok", "an Apple GPU")
    if not machine.gpus and not machine.mps and shutil.which("nvidia-smi"):
        remedy = "install a CUDA build of torch, or look whether nvidia-smi lists the GPU"
        yield Check("machine", "cuda", "warning", "nvidia-smi is here and torch finds no GPU", remedy)
    here = hardware_of(machine)
    tier = fit("gfpgan-1.4", here)[0]
    ways = {"whole": "on the GPU", "reduced": "in small pieces", "cpu": "on the CPU"}
    holds = ", ".join(f"{title(name)} {ways[fit(name, here)[1]]}" for name in guide()["methods"])
    yield Check("machine", "tier", "ok", f"{tier} ({guide()['tiers'][tier]['title']}): {holds}")


def check_engines() -> Iterator[Check]:
    """What can run the networks besides torch itself."""
    if lacking := lacking_to_compile():
        found = f"{' and '.join(lacking)} missing, so --compile stays eager"
        yield Check("engines", "compile", "warning", found, ENGINES["compile"].remedy)
    else:
        yield Check("engines", "compile", "ok", "a C++ compiler and Python's headers")
    for name, engine in ENGINES.items():
        if engine.packages:
            yield _check_engine(name, engine)


def _check_engine(name: str, engine: Engine) -> Check:
    """Whether an engine of packages of its own is here; it is optional, and half of it is worth a word."""
    found = {package: version_of(package) for package in engine.packages}
    lacking = [package for package, version in found.items() if version is None]
    if not lacking:
        return Check("engines", name, "ok", ", ".join(f"{package} {version}" for package, version in found.items()))
    if len(lacking) == len(found):
        return Check("engines", name, "ok", f"not installed (optional: {engine.remedy})")
    return Check("engines", name, "warning", f"lacks {', '.join(lacking)}", engine.remedy)


def check_folders(folders: Mapping[str, Path]) -> Iterator[Check]:
    """Whether a run could write to each folder, by name, and how much room there is. Nothing is left there."""
    for name, folder in folders.items():
        there = folder.absolute()
        while not there.exists() and there != there.parent:
            there = there.parent
        if folder.exists() and not folder.is_dir():
            yield Check("folders", name, "problem", f"{folder} is a file", "give another folder, or move the file")
        elif not os.access(there, os.W_OK | os.X_OK) or not there.is_dir():
            yield Check("folders", name, "problem", f"{folder} cannot be written", f"make {there} writable, or give another")
        elif (refusal := _refusal(there)) is not None:
            yield Check("folders", name, "problem", f"cannot write to the folder {folder}: {refusal}", "give another folder")
        else:
            free = shutil.disk_usage(there).free
            low = free < LEAST_DISK
            found = f"{folder}, {free / 1e9:.3g} GB free"
            yield Check("folders", name, "warning" if low else "ok", found, "make room" if low else "")


def _refusal(there: Path) -> str | None:
    """Why nothing can be put into a folder whose permissions allow it, None where it can: /proc tells so only when asked.

    The folder that is made for it is gone again.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".gfpup-", dir=there):
            return None
    except OSError as error:
        return error.strerror or str(error)
