"""How much of the machine a run takes, told now and then under the names that MLflow gives to system metrics.

MLflow's own monitor needs a package more and a thread that writes every ten seconds.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

SAMPLE_SECONDS: Final = 2.0


class Usage:
    """What this process took since it was asked before. `every` is the seconds below which nothing is said."""

    def __init__(self, *, every: float = SAMPLE_SECONDS) -> None:
        self._every = every
        self._wall = time.monotonic()
        self._busy = sum(os.times()[:4])

    def sample(self) -> dict[str, float]:
        """CPU in percent of one core since the last sample and memory in megabytes; nothing where that was just told."""
        wall, busy = time.monotonic(), sum(os.times()[:4])
        if wall - self._wall < self._every:
            return {}
        percent = 100 * (busy - self._busy) / (wall - self._wall)
        self._wall, self._busy = wall, busy
        found = {"system/process_cpu_percentage": percent}
        try:
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        except (OSError, ValueError, IndexError):  # not Linux
            return found
        return found | {"system/process_memory_megabytes": pages * os.sysconf("SC_PAGE_SIZE") / 1e6}
