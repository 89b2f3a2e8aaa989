"""How the cost of a photo grows with its faces and with its pixels, and whether it grows faster than they do."""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from gfpup.core.errors import GfpupError
from gfpup.tools.bench import machine, worker
from gfpup.tools.bench.measure import Facts, Say, header
from gfpup.tools.bench.request import Request, Workload, checked
from gfpup.tools.bench.weights import Weights
from gfpup.tools.bench.worker import Process

FACES: Final = (1, 2, 4, 8, 16, 32)
MEGAPIXELS: Final = (0.25, 1.0, 4.0, 12.0, 25.0, 50.0)
FACE_PX: Final = 200
"""Small enough for 32 of them in the photo that holds them, and for one in the smallest photo."""

SLACK: Final = 1.15
"""What a step may cost beyond its share before growth counts as faster: two medians on a machine that others use."""


def size_of(megapixels: float) -> tuple[int, int]:
    """The size (w, h) in px of a 4:3 photo of so many megapixels."""
    h = (megapixels * 1e6 * 3 / 4) ** 0.5
    return round(h * 4 / 3), round(h)


def fit(points: Sequence[Mapping[str, Any]], cost: str = "cpu_seconds") -> Facts:
    """The `cost` of at least two points, sorted by "x", as "fixed" + "each" * x by least squares; "r2" says how well that fits.

    On a CPU the cost is CPU seconds, because other programs change the wall seconds from one photo to the next. "no_faster" is
    whether no step multiplied the cost by more than `SLACK` times what it multiplied x by.
    """
    x, y = np.array([point["x"] for point in points], float), np.array([point[cost] for point in points], float)
    each, fixed = np.polyfit(x, y, 1)
    total, rest = (float(((y - line) ** 2).sum()) for line in (y.mean(), fixed + each * x))
    steps = itertools.pairwise(zip(x, y, strict=True))
    no_faster = all(bool(after / before <= SLACK * more / less) for (less, before), (more, after) in steps)
    r2 = 1 - rest / total if total else 1.0
    return {"cost": cost, "fixed": float(fixed), "each": float(each), "r2": r2, "no_faster": no_faster}


def scaling(request: Request, *, say: Say = lambda line: None) -> Facts:
    """Measure gfpup's own pipeline over photos with more and more faces, and over larger and larger photos.

    "points" and "fits" are by "faces" and "megapixels"; a point has its "x", the median "seconds" and "cpu_seconds", and the
    "peak_memory_bytes" of its own process. "speedup" is None: nothing is compared.

    Raises: GfpupError: what is asked for cannot be measured.
    """
    request = checked(replace(request, against="none"))
    if len(request.backends) != 1:
        raise GfpupError("--scaling measures one backend: name one.")
    base = replace(request.workload or Workload(), face_px=FACE_PX)
    axes = {
        "faces": [(float(count), replace(base, faces=count)) for count in FACES],
        "megapixels": [(value, replace(base, faces=1, size_wh=size_of(value))) for value in MEGAPIXELS],
    }
    points: dict[str, list[Facts]] = {axis: [] for axis in axes}
    watch, own = machine.Watch(), -time.process_time()
    with tempfile.TemporaryDirectory(prefix="gfpup-bench-") as folder:
        weights = Weights(replace(request, workload=base), Path(folder), say=say)
        for axis, photos in axes.items():
            for x, load in photos:
                point, spent = _measure(replace(request, workload=load), weights, x)
                points[axis].append(point)
                own += spent
                say(f"{x:g} {axis}: {point['seconds']:.3f} s, {point['cpu_seconds']:.3f} CPU s")
    found = watch.load(own=own + time.process_time())
    cost = "seconds" if request.device.startswith("cuda") else "cpu_seconds"
    what = {"what": "scaling", "speedup": None, "backend": request.backends[0], "workload": asdict(base), "points": points}
    fits = {axis: fit(measured, cost) for axis, measured in points.items()}
    return {**header(request), **what, "fits": fits, "warning": None if found is None else found.warning}


def _measure(request: Request, weights: Weights, x: float) -> tuple[Facts, float]:
    """One point, and the CPU seconds that its process took from beginning to end."""
    (backend,) = request.backends
    side = request.side("gfpup", backend, weights.of(backend, "gfpup")[0])
    with Process(f"{backend} at {x:g}", threads=request.threads) as process:
        process.call(worker.load, side)
        rounds = [process.call(worker.once) for _ in range(request.warmup + request.repeat)][request.warmup :]
        usage = process.call(worker.usage)
    wall, cpu = (statistics.median(each[key] for each in rounds) for key in ("wall", "cpu"))
    return {"x": x, "seconds": wall, "cpu_seconds": cpu, "peak_memory_bytes": usage["peak"]}, usage["cpu"]
