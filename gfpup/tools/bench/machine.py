"""Which machine this is, the most it can compute, and how much other programs used it during a measurement."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
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

NOTICED: Final = 0.05
"""Share of the cores that other programs must use for a warning; below it, the quartiles say more."""

TICK_SECONDS: Final = 0.2
"""Less is not reported: the system counts in hundredths of a second on each core."""


@dataclass(frozen=True)
class Load:
    """CPU seconds during a measurement: its `own`, those of `others`, and the `capacity` of the available cores."""

    own: float
    others: float
    capacity: float

    @property
    def share(self) -> float:
        """The part of the cores that others used, 0 to 1."""
        return self.others / self.capacity if self.capacity > 0 else 0.0

    @property
    def warning(self) -> str | None:
        """The warning about other programs; None if they used little."""
        if self.share < NOTICED or self.others < TICK_SECONDS:
            return None
        return (
            f"other programs used {self.share:.0%} of the cores during the measurement ({self.others:.1f} CPU seconds, and the "
            f"measurement {self.own:.1f}): trust the CPU seconds and their ratio, not the wall seconds"
        )


class Watch:
    """Watches the available cores from when it is made."""

    def __init__(self) -> None:
        self._busy, self._began = busy_now(), time.perf_counter()

    def load(self, *, own: float) -> Load | None:
        """The load since then, of which `own` CPU seconds were the measurement's; None if the system does not tell."""
        return load(self._busy, busy_now(), own=own, capacity=(time.perf_counter() - self._began) * len(available_cores()))


def load(before: float | None, after: float | None, *, own: float, capacity: float) -> Load | None:
    """The load between two `busy_seconds`, of which `own` CPU seconds were the measurement's."""
    return None if before is None or after is None else Load(own, max(0.0, after - before - own), capacity)


def busy_seconds(stat: str, cores: Collection[int], *, ticks: int = 100) -> float | None:
    """The CPU seconds that `cores` were busy since boot, from the text of /proc/stat; None if it does not tell.

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


def busy_now() -> float | None:
    """`busy_seconds` of the available cores, now; None without /proc/stat."""
    with suppress(OSError):
        return busy_seconds(Path("/proc/stat").read_text("ascii"), available_cores(), ticks=os.sysconf("SC_CLK_TCK"))
    return None


def available_cores() -> tuple[int, ...]:
    """The numbers of the cores that this process may use."""
    return tuple(sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1))


def facts(*, threads: int, device: str) -> dict[str, Any]:
    """The machine and the program, for the record of a measurement."""
    own, system = processor(), f"{platform.system()} {platform.release()}"
    cpu = {"processor": own.name, "bfloat16": own.bfloat16, "cores": len(available_cores()), "threads": threads}
    return {**cpu, "device": device, "system": system, "commit": commit(mark_changes=True), "versions": versions(VERSIONS_OF)}


CHANNELS, SIDE_PX = 256, 128
"""A 3x3 convolution of these channels on these pixels: 19 GFLOP, as those in the middle of the restoring networks."""

MATRIX = 2048

SECONDS = 0.7
"""How long each is repeated: the best of several calls is the machine's limit, the mean is what others left of it."""


def ceiling(device: str, *, bfloat16: bool, seconds: float = SECONDS) -> dict[str, dict[str, float]]:
    """The best call of each operation: "wall" in GFLOP a second, "cpu" in GFLOP a CPU second (empty on a GPU).

    Each has "convolution_float32", "matmul_float32" and, with `bfloat16`, the same in bfloat16. What other programs use of the
    cores lowers the first and hardly the second.
    """
    found: dict[str, dict[str, float]] = {"wall": {}, "cpu": {}}
    for dtype in (torch.float32, torch.bfloat16) if bfloat16 else (torch.float32,):
        x = torch.rand(1, CHANNELS, SIDE_PX, SIDE_PX, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
        weight = torch.rand(CHANNELS, CHANNELS, 3, 3, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
        a = torch.rand(MATRIX, MATRIX, device=device, dtype=dtype)
        works: tuple[tuple[str, float, Callable[[], torch.Tensor]], ...] = (
            ("convolution", 18.0 * (CHANNELS * SIDE_PX) ** 2, partial(F.conv2d, x, weight, padding=1)),
            ("matmul", 2.0 * MATRIX**3, partial(torch.matmul, a, a)),
        )
        for kind, operations, call in works:
            wall, cpu = _best(call, seconds, device)
            name = f"{kind}_{str(dtype).removeprefix('torch.')}"
            found["wall"][name] = operations / wall / 1e9
            if device == "cpu":
                found["cpu"][name] = operations / cpu / 1e9
    return found


@torch.inference_mode()
def _best(call: Callable[[], torch.Tensor], seconds: float, device: str) -> tuple[float, float]:
    """The least wall and the least CPU seconds of a call."""
    call()
    spent: list[tuple[float, float]] = []
    started = time.perf_counter()
    while not spent or time.perf_counter() - started < seconds:
        cpu, began = time.process_time(), time.perf_counter()
        call()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        spent.append((time.perf_counter() - began, time.process_time() - cpu))
    walls, cpus = zip(*spent, strict=True)
    return min(walls), min(cpus)
