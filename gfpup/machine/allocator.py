"""Memory of networks: whether it ran out, what is given back, and what is kept."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran out: Python's, torch's on a GPU, or one of torch's bare RuntimeErrors."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # A CPU's allocator and Apple's have no class of their own.
    return isinstance(error, RuntimeError) and any(
        words in str(error) for words in ("can't allocate memory", "not enough memory", "MPS backend out of memory")
    )


def release_memory(device: str) -> None:
    """Give what torch keeps for later back to `device`, after an attempt that was too large."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device == "mps":
        torch.mps.empty_cache()


def trim_memory() -> None:
    """Give back what was freed, such as temporary copies that no later stage fits into. Source: malloc_trim(3)."""
    if sys.platform == "linux":
        with suppress(AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def lasting_memory() -> Iterator[None]:
    """Load what will last, and from then on keep what a forward frees (`keep_freed_memory`).

    While it is open, glibc gives every block over 64 KB pages of its own: networks leave no gaps between them, and what loading
    takes for a moment goes back at once.

    Source: mallopt(3): M_MMAP_THRESHOLD -3, M_MMAP_MAX -4.
    """
    _set_malloc((-3, 64 * 2**10), (-4, 2**16))
    try:
        yield
    finally:
        keep_freed_memory()


def keep_freed_memory() -> bool:
    """Ask glibc to keep what a forward frees for the next one; returns whether it was asked. Changes no result.

    By default it maps and unmaps every tensor over 32 MB: 760,000 page faults a forward of GFPGAN.

    Source: mallopt(3): M_TRIM_THRESHOLD -1, M_TOP_PAD -2, M_MMAP_MAX -4.
    """
    return _set_malloc((-1, 2**31 - 1), (-2, 256 * 2**20), (-4, 0))


def _set_malloc(*options: tuple[int, int]) -> bool:
    if sys.platform == "linux":
        with suppress(AttributeError):  # another C library
            mallopt = ctypes.CDLL(None).mallopt
            return all(mallopt(option, value) for option, value in options)
    return False
