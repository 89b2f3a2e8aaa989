"""What the processor says of itself, where Linux passes it on."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

MULTIPLIES_BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Flags of processors that multiply bfloat16 by themselves; elsewhere it is emulated, and slower than float32."""


@dataclass(frozen=True)
class Processor:
    """Its name, which of a family it is (ARM's "CPU part", else empty), and what it can do, in the kernel's words."""

    name: str
    part: str
    flags: frozenset[str]

    @property
    def bfloat16(self) -> bool:
        """Whether it multiplies bfloat16 by itself."""
        return not MULTIPLIES_BFLOAT16.isdisjoint(self.flags)


def processor(*, file: Path = Path("/proc/cpuinfo")) -> Processor:
    """The first processor that `file` describes; where there is none, its name alone.

    Source: proc(5); x86 lists "flags", ARM "Features".
    """
    said: dict[str, str] = {}
    with suppress(OSError), file.open(encoding="utf-8", errors="replace") as lines:
        for line in takewhile(str.strip, lines):
            key, _, value = line.partition(":")
            said[key.strip().lower()] = value.strip()
    name = said.get("model name") or platform.processor() or platform.machine()
    return Processor(name, said.get("cpu part", ""), frozenset((said.get("flags") or said.get("features") or "").split()))


@contextmanager
def one_thread(wanted: bool = True) -> Iterator[None]:
    """Compute on one thread in the block, where `wanted`: for many forwards of a few milliseconds each.

    Threads wait for each other between their layers, and where other programs use the cores longer than they compute: ten
    times the CPU seconds were seen.
    """
    import torch

    threads = torch.get_num_threads()
    if wanted and threads > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if wanted and threads > 1:
            torch.set_num_threads(threads)
