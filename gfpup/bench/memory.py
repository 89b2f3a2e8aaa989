"""The most memory that this process ever held."""

from __future__ import annotations

import sys
from pathlib import Path


def peak_bytes() -> int | None:
    """The highest resident set of this process since it was started, in bytes; None where the system does not keep it.

    Linux's `ru_maxrss` goes on from the process that started this one; VmHWM does not.

    Source: proc(5), getrusage(2).
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        status = ""
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def device_peak_bytes(device: str) -> int | None:
    """The most that torch's allocator held on the GPU `device`; None on a CPU."""
    if not device.startswith("cuda"):
        return None
    import torch

    return int(torch.cuda.max_memory_allocated(device))
