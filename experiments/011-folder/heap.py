"""How much the process grows in forwards of GFPGAN after it was loaded, in MB; Linux only.

[GLIBC_TUNABLES=glibc.malloc.tcache_count=0] python experiments/011-folder/heap.py GFPGAN.pth
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

from gfpup.core.types import BackendSpec
from gfpup.machine.allocator import lasting_memory
from gfpup.models import backends


def held() -> int:
    """The resident set, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 2**20


def main(path: str) -> None:
    """Restore one face three times."""
    torch.set_num_threads(2)
    with lasting_memory():
        backend = backends.load(BackendSpec("gfpgan", checkpoints={"gfpgan": Path(path)}, device="cpu"))
    face, loaded = torch.rand(1, 3, 512, 512), held()
    grown = []
    for _ in range(3):
        backend.restore(face)
        grown.append(held() - loaded)
    print(f"loaded {loaded}, grown by {', '.join(map(str, grown))} after each forward")


if __name__ == "__main__":
    main(sys.argv[1])
