"""A process that holds one side of a measurement and runs it once for each call.

Each side has its own process, because the official packages and others have modules of the same names, and because peak memory
is counted for a process. The side that waits takes no CPU. What is imported here must not load torch or numpy, which read the
environment that `start` sets.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from gfpup.core.errors import GfpupError

if TYPE_CHECKING:
    import torch

    from gfpup.tools.bench.request import Side
    from gfpup.tools.bench.sides import Run

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Process(ProcessPoolExecutor):
    """A worker process; `what` is its name in errors. Use it in a `with` statement."""

    def __init__(self, what: str, *, threads: int) -> None:
        super().__init__(1, mp_context=get_context("spawn"), initializer=start, initargs=(threads,))
        self._what = what

    def call(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Call a function of this module in the process, and wait for its result.

        Raises: GfpupError: the function raises it, or the process has ended.
        """
        try:
            return self.submit(function, *args, **options).result()
        except BrokenProcessPool:
            raise GfpupError(
                f"the process that measured {self._what} was killed, most likely for lack of memory: measure something smaller."
            ) from None


@dataclass
class _Held:
    side: Side
    run: Run
    output: torch.Tensor | None = None


_held: list[_Held] = []


def start(threads: int) -> None:
    """Prepare this process: its threads, and nothing on stdout but the parent's results."""
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Threads without work sleep at once; else the side that waits would take CPU time from the other.
    os.environ.update({name: str(threads) for name in THREAD_VARIABLES}, OMP_WAIT_POLICY="passive", KMP_BLOCKTIME="0")
    import cv2
    import torch

    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    # As `gfpup run` computes; also what makes the sides' float32 the same on a GPU.
    torch.backends.cudnn.allow_tf32 = False


def load(side: Side) -> float:
    """Load a side; returns the seconds it took."""
    from gfpup.machine.allocator import lasting_memory
    from gfpup.tools.bench.sides import run_of

    began = time.perf_counter()
    # As `gfpup run` loads; the other sides allocate memory as Python does.
    with lasting_memory() if side.name == "gfpup" else nullcontext():
        _held[:] = [_Held(side, run_of(side))]
    return time.perf_counter() - began


def once() -> dict[str, Any]:
    """Run the side once: "wall" and "cpu" seconds (CPU of all threads), and the wall seconds of its "stages"."""
    (held,) = _held
    held.output = None  # a run hands its results on before the next photo comes
    cpu, began = time.process_time(), time.perf_counter()
    output, stages = held.run()
    if held.side.device.startswith("cuda"):
        import torch

        torch.cuda.synchronize(held.side.device)
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    held.output = output
    return {"wall": wall, "cpu": cpu, "stages": dict(stages)}


def usage() -> dict[str, Any]:
    """The CPU seconds of this process so far, and its peak memory in bytes, also on its device."""
    from gfpup.machine.usage import device_peak_bytes, peak_bytes

    device_peak = device_peak_bytes(_held[0].side.device) if _held else None
    return {"cpu": time.process_time(), "peak": peak_bytes(), "device_peak": device_peak}


def output() -> Any:
    """The last output as a numpy array."""
    (held,) = _held
    assert held.output is not None
    return held.output.detach().cpu().numpy()


def gflop() -> float | None:
    """`sides.gflop` of the side."""
    from gfpup.tools.bench.sides import gflop

    return gflop(_held[0].side)


def codes() -> dict[str, Any] | None:
    """`sides.choices` of the side."""
    from gfpup.tools.bench.sides import choices

    return choices(_held[0].side)
