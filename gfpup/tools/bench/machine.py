"""Which machine this is, and whether others used it while something was measured."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
import torch.nn.functional as F

from gfpup.core.versions import commit, versions
from gfpup.machine.cpu import processor
from gfpup.models.engines import ENGINES

VERSIONS_OF: Final = (
    *("torch", "numpy", "opencv-python-headless"),
    *(package for engine in ENGINES.values() for package in engine.packages),
    *("gfpgan", "facexlib", "basicsr"),
)
"""The flags by which Linux says that a processor multiplies in bfloat16: x86 with AVX-512 or AMX, and Arm."""

NOTICED: Final = 0.05
"""Share of the cores from which other programs are worth a warning: at less, the quartiles say more."""

TICK_SECONDS: Final = 0.2
"""Up to here nothing is said: the system counts in hundredths of a second on each core."""


@dataclass(frozen=True)
class Meanwhile:
    """CPU seconds while something was measured: `own`, `others`, and the `capacity` of the cores at hand."""

    own: float
    others: float
    capacity: float

    @property
    def share(self) -> float:
        """The part of the cores that others took, 0 to 1."""
        return self.others / self.capacity if self.capacity > 0 else 0.0

    @property
    def warning(self) -> str | None:
        """What is to be said about it; None where it is not worth a word."""
        if self.share < NOTICED or self.others < TICK_SECONDS:
            return None
        return (
            f"others used {self.share:.0%} of the cores meanwhile ({self.others:.1f} CPU seconds beside {self.own:.1f} of "
            "this measurement): trust the CPU seconds and their ratio, not the wall seconds"
        )


def busy_seconds(stat: str, cores: Collection[int], *, ticks: int = 100) -> float | None:
    """The CPU seconds that `cores` were busy since the start, by the text of /proc/stat; None where it does not tell.

    Time that a hypervisor gave to others counts as busy.

    Source: proc_stat(5): user nice system idle iowait irq softirq steal, in `ticks` a second; guests are within user.
    """
    busy, seen = 0, 0
    for line in stat.splitlines():
        name, *numbers = line.split() or [""]
        if name.startswith("cpu") and name[3:].isdecimal() and int(name[3:]) in cores and len(numbers) >= 8:
            values = [int(number) for number in numbers[:8]]
            busy += sum(values) - values[3] - values[4]
            seen += 1
    return busy / ticks if seen == len(cores) and busy else None


def meanwhile(before: float | None, after: float | None, *, own: float, wall: float, cores: int) -> Meanwhile | None:
    """What happened between two `busy_seconds`, `wall` seconds apart, of which `own` CPU seconds were this measurement's."""
    if before is None or after is None:
        return None
    return Meanwhile(own, max(0.0, after - before - own), wall * cores)


def cores_at_hand() -> tuple[int, ...]:
    """The numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def busy_now() -> float | None:
    """`busy_seconds` of the cores at hand, now; None where there is no /proc/stat."""
    try:
        stat = Path("/proc/stat").read_text(encoding="ascii")
    except OSError:
        return None
    return busy_seconds(stat, cores_at_hand(), ticks=os.sysconf("SC_CLK_TCK"))


def facts(*, threads: int, device: str) -> dict[str, Any]:
    """The machine and the program, for the record of a measurement."""
    own = processor()
    return {
        "processor": own.name,
        "bfloat16": own.bfloat16,
        "cores": len(cores_at_hand()),
        "threads": threads,
        "device": device,
        "system": f"{platform.system()} {platform.release()}",
        "commit": commit(mark_changes=True),
        "versions": versions(VERSIONS_OF),
    }


CHANNELS, SIDE_PX = 256, 128
"""A 3x3 convolution of these channels on these pixels: 19 GFLOP, as those in the middle of the restoring networks."""

MATRIX = 2048

SECONDS = 0.7
"""How long each is repeated: the best of several calls is what the machine can, the mean is what others left of it."""


def measure(device: str, *, bfloat16: bool, seconds: float = SECONDS) -> dict[str, dict[str, float]]:
    """The best call of each: "wall" in GFLOP a second, "cpu" in GFLOP a CPU second (empty on a GPU).

    Each is by "convolution_float32", "matmul_float32" and, where asked for, the same in bfloat16. What others leave of the
    cores lowers the first and hardly the second.
    """
    found: dict[str, dict[str, float]] = {"wall": {}, "cpu": {}}
    for dtype in (torch.float32, torch.bfloat16) if bfloat16 else (torch.float32,):
        x = torch.rand(1, CHANNELS, SIDE_PX, SIDE_PX, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
        weight = torch.rand(CHANNELS, CHANNELS, 3, 3, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
        a = torch.rand(MATRIX, MATRIX, device=device, dtype=dtype)
        works = {
            "convolution": (_convolve(x, weight), 2.0 * CHANNELS * CHANNELS * 9 * SIDE_PX * SIDE_PX),
            "matmul": (_multiply(a), 2.0 * MATRIX**3),
        }
        for kind, (call, operations) in works.items():
            name = f"{kind}_{str(dtype).removeprefix('torch.')}"
            wall, cpu = _best(call, seconds, device)
            found["wall"][name] = operations / wall / 1e9
            if device == "cpu":
                found["cpu"][name] = operations / cpu / 1e9
    return found


def _convolve(x: torch.Tensor, weight: torch.Tensor) -> Callable[[], torch.Tensor]:
    return lambda: F.conv2d(x, weight, padding=1)


def _multiply(a: torch.Tensor) -> Callable[[], torch.Tensor]:
    return lambda: a @ a


@torch.inference_mode()
def _best(call: Callable[[], torch.Tensor], seconds: float, device: str) -> tuple[float, float]:
    """The least wall and the least CPU seconds of a call."""
    call()
    walls: list[float] = []
    cpus: list[float] = []
    started = time.perf_counter()
    while not walls or time.perf_counter() - started < seconds:
        cpu, began = time.process_time(), time.perf_counter()
        call()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        walls.append(time.perf_counter() - began)
        cpus.append(time.process_time() - cpu)
    return min(walls), min(cpus)
