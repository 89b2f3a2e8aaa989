"""Which machine this is, and whether others used it while something was measured."""

from __future__ import annotations

import os
import platform
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gfpup.engines import ENGINES
from gfpup.processor import processor
from gfpup.provenance import commit, versions

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
