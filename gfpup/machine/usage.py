"""The peak memory of this process, and what it uses over time."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final


def peak_bytes() -> int | None:
    """The largest resident set of this process since it was started, in bytes; None where the system does not keep it.

    It never falls, though what Linux tells can, by a batch of pages: it adds up those of each processor now and then.
    On Linux a process inherits `ru_maxrss` from the one that started it, and does not inherit VmHWM.

    Source: proc(5), getrusage(2).
    """
    found = _peak_bytes()
    if found is None:
        return None
    # By process, because a fork takes this module along and begins to count again.
    _largest[os.getpid()] = max(found, _largest.get(os.getpid(), 0))
    return _largest[os.getpid()]


_largest: dict[int, int] = {}


def _peak_bytes() -> int | None:
    with suppress(OSError), Path("/proc/self/status").open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def device_peak_bytes(device: str) -> int | None:
    """The most bytes that torch's allocator held on the GPU `device`; None on a CPU."""
    if not device.startswith("cuda"):
        return None
    import torch

    return int(torch.cuda.max_memory_allocated(device))


SAMPLE_SECONDS: Final = 2.0


class Usage:
    """What this process took since it was asked before. `every` is the seconds below which nothing is said."""

    def __init__(self, *, every: float = SAMPLE_SECONDS) -> None:
        self._every, self._wall, self._busy = every, time.monotonic(), sum(os.times()[:4])

    def sample(self) -> dict[str, float]:
        """CPU in percent of one core since the last sample and memory in megabytes; nothing where that was just told."""
        wall, busy = time.monotonic(), sum(os.times()[:4])
        if wall - self._wall < self._every:
            return {}
        percent = 100 * (busy - self._busy) / (wall - self._wall)
        self._wall, self._busy = wall, busy
        found = {"system/process_cpu_percentage": percent}
        with suppress(OSError, ValueError, IndexError):  # not Linux
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
            found["system/process_memory_megabytes"] = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
        return found
