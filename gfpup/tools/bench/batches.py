"""A method over batches of several sizes: loaded once, its speed and the memory of its device for each number of faces."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from gfpup.core.errors import GfpupError
from gfpup.core.types import Backend
from gfpup.machine.allocator import is_out_of_memory, release_memory
from gfpup.machine.usage import device_peak_bytes
from gfpup.tools.bench import sides
from gfpup.tools.bench.measure import Facts, Say, header, spread
from gfpup.tools.bench.request import Request, Side, checked
from gfpup.tools.bench.weights import Weights
from gfpup.tools.bench.worker import Process


def batches(request: Request, counts: Sequence[int], *, say: Say = lambda line: None) -> Facts:
    """Measure gfpup's own side of each backend over batches of `counts` faces; "rows" are those of `sweep`.

    Raises: GfpupError: what is asked for cannot be measured.
    """
    request = checked(replace(request, against="none"))
    if request.workload is not None:
        raise GfpupError("--batch with several numbers measures the networks alone: leave out --pipeline.")
    rows: list[Facts] = []
    with tempfile.TemporaryDirectory(prefix="gfpup-bench-") as folder:
        weights = Weights(request, Path(folder), say=say)
        for backend in request.backends:
            side = request.side("gfpup", backend, weights.of(backend, "gfpup")[0])
            with Process(f"{backend}", threads=request.threads) as process:
                found = process.call(swept, side, counts, repeat=request.repeat, warmup=request.warmup)
            for row in found:
                said = row["error"] or f"{row['wall']['median']:8.3f} s, {row['faces_a_second']:.1f} faces a second"
                say(f"{backend}: batch {row['batch']:>3} {said}")
            rows += found
    return {**header(request), "what": "batches", "speedup": None, "rows": rows}


def swept(side: Side, counts: Sequence[int], *, repeat: int, warmup: int) -> list[Facts]:
    """The rows of `sweep`, for a process of its own."""
    return list(sweep(side, counts, repeat=repeat, warmup=warmup))


def sweep(
    side: Side, counts: Sequence[int], *, repeat: int = 5, warmup: int = 1, until: float | None = None
) -> Iterator[Facts]:
    """Load `side` and measure it with each of `counts` faces, in order; stops at `until`, a time of the monotonic clock.

    A row has "wall" seconds of a forward and "queued", those after which the program could go on, as `measure.spread` has them,
    "first_seconds", "faces_a_second", and bytes of the device: "held" by the weights, "device_peak" in a forward. A batch that
    does not fit has its "error", and larger ones are not tried.
    """
    kinds = {"backend": side.backend, "side": side.name, "engine": side.engine, "precision": side.dtype, "device": side.device}
    before = _allocated(side.device)
    backend = sides.backend_of(side)
    held = None if before is None else (_allocated(side.device) or 0) - before
    for count in counts:
        if until is not None and time.monotonic() > until:
            return
        row = {**kinds, "batch": count, "held": held, "error": None}
        try:
            x = sides.faces(replace(side, batch=count))
            yield row | _timed(backend, x, repeat=repeat, warmup=warmup, until=until)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            row |= {"error": f"out of memory on {side.device}", "wall": None, "faces_a_second": None, "device_peak": None}
        if row["error"] is not None:
            release_memory(side.device)  # not in the handler: the error holds on to what did not fit
            yield row
            return


def _timed(backend: Backend, x: torch.Tensor, *, repeat: int, warmup: int, until: float | None) -> Facts:
    device = str(x.device)
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
    times = []
    for _ in range(warmup + repeat):
        times.append(_once(backend, x))
        if len(times) > warmup and until is not None and time.monotonic() > until:
            break
    walls, queues = zip(*times[warmup:], strict=True)
    found: Facts = {"wall": spread(walls), "queued": spread(queues), "first_seconds": times[0][0]}
    return found | {"faces_a_second": len(x) / found["wall"]["median"], "device_peak": device_peak_bytes(device)}


def _once(backend: Backend, x: torch.Tensor) -> tuple[float, float]:
    """The seconds of a forward, and those until the call came back, while a GPU may still compute."""
    _wait(x.device)
    began = time.perf_counter()
    output = backend.restore(x)
    queued = time.perf_counter() - began
    _wait(output.device)
    return time.perf_counter() - began, queued


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _allocated(device: str) -> int | None:
    """The bytes of tensors on a GPU; None on a CPU."""
    with suppress(RuntimeError):
        return int(torch.cuda.memory_allocated(device)) if device.startswith("cuda") else None
    return None


def rows_of(found: Facts) -> list[list[str]]:
    """The cells of a table of `batches`' result."""
    cells = []
    for row in found["rows"]:
        named = [row["backend"], f"{row['precision']}, {row['engine']}", str(row["batch"])]
        if row["error"] is not None:
            cells.append([*named, row["error"], "", "", ""])
            continue
        wall, peak = row["wall"], row["device_peak"]
        seconds = f"{wall['median']:.3g} ({wall['q1']:.3g} to {wall['q3']:.3g})"
        cells.append([*named, seconds, f"{row['queued']['median']:.3g}", f"{row['faces_a_second']:.1f}", _megabytes(peak)])
    return cells


def _megabytes(size: Any) -> str:
    return "" if size is None else f"{size / 1e6:.0f}"


HEADS = ("backend", "computed in", "batch", "seconds", "queued", "faces a second", "peak MB of the device")
