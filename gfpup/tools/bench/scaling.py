"""How the cost of a photo grows with its faces and with its pixels, and whether it grows faster than they do."""

from __future__ import annotations

import datetime
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from html import escape
from pathlib import Path
from typing import Any, Final

import numpy as np

from gfpup.core.errors import GfpupError
from gfpup.tools.bench import machine
from gfpup.tools.bench.request import Request, Workload, checked
from gfpup.tools.bench.weights import Weights
from gfpup.tools.bench.worker import Process

FACES: Final = (1, 2, 4, 8, 16, 32)
MEGAPIXELS: Final = (0.25, 1.0, 4.0, 12.0, 25.0, 50.0)
FACE_PX: Final = 200
"""Small enough for 32 of them in the photo that holds them, and for one in the smallest photo."""

SHAPE: Final = (4, 3)
SLACK: Final = 1.15
"""What a step may cost beyond its share before growth counts as faster: two medians on a machine that others use."""


@dataclass(frozen=True)
class Point:
    """One photo: `x` faces or megapixels, the median wall and CPU seconds, and the highest memory of its process in bytes."""

    x: float
    seconds: float
    cpu_seconds: float
    peak_memory_bytes: int | None


@dataclass(frozen=True)
class Line:
    """The `cost` ("cpu_seconds", on a GPU "seconds") as `fixed` + `each` * x by least squares; `r2` says how well that fits.

    CPU seconds are the cost on a CPU, as others change the wall seconds from one photo to the next. `no_faster` is whether no
    step multiplied the cost by more than the `SLACK`-fold of what it multiplied x by.
    """

    cost: str
    fixed: float
    each: float
    r2: float
    no_faster: bool


def size_of(megapixels: float) -> tuple[int, int]:
    """The size (w, h) in px of a 4:3 photo of so many megapixels."""
    h = (megapixels * 1e6 * SHAPE[1] / SHAPE[0]) ** 0.5
    return round(h * SHAPE[0] / SHAPE[1]), round(h)


def fit(points: Sequence[Point], cost: str = "cpu_seconds") -> Line:
    """Lay a straight line through the `cost` of at least two points, sorted by x."""
    x, y = np.array([p.x for p in points]), np.array([getattr(p, cost) for p in points], np.float64)
    each, fixed = np.polyfit(x, y, 1)
    total = float(((y - y.mean()) ** 2).sum())
    rest = float(((y - (fixed + each * x)) ** 2).sum())
    steps = itertools.pairwise(zip(x, y, strict=True))
    no_faster = all(after / before <= SLACK * more / less for (less, before), (more, after) in steps)
    return Line(cost, float(fixed), float(each), 1 - rest / total if total else 1.0, no_faster)


def scaling(request: Request, *, say: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Measure gfpup's own pipeline over photos with more and more faces, and over larger and larger photos.

    Each photo has a process of its own. "points" and "fits" are by "faces" and "megapixels"; "speedup" is None, as nothing is
    measured against anything.

    Raises:
        GfpupError: what is asked for cannot be measured.
    """
    request = checked(replace(request, against="none"))
    if len(request.backends) != 1:
        raise GfpupError("--scaling measures one backend; name one.")
    base = replace(request.workload or Workload(), face_px=FACE_PX)
    axes = {
        "faces": [(float(count), replace(base, faces=count)) for count in FACES],
        "megapixels": [(value, replace(base, faces=1, size_wh=size_of(value))) for value in MEGAPIXELS],
    }
    points: dict[str, list[Point]] = {}
    cost = "seconds" if request.device.startswith("cuda") else "cpu_seconds"
    spent = 0.0
    before, began = machine.busy_now(), time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="gfpup-bench-") as folder:
        weights = Weights(replace(request, workload=base), Path(folder), say=say)
        for axis, photos in axes.items():
            points[axis] = []
            for x, load in photos:
                point, own = _measure(replace(request, workload=load), weights, x)
                points[axis].append(point)
                spent += own
                say(f"{x:g} {axis}: {point.seconds:.3f} s, {point.cpu_seconds:.3f} CPU s")
    wall, cores = time.perf_counter() - began, len(machine.cores_at_hand())
    happened = machine.meanwhile(before, machine.busy_now(), own=spent + time.process_time(), wall=wall, cores=cores)
    return {
        "what": "scaling",
        "speedup": None,
        "backend": request.backends[0],
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine.facts(threads=request.threads, device=request.device),
        "repeat": request.repeat,
        "warmup": request.warmup,
        "workload": asdict(base),
        "points": {axis: [asdict(point) for point in found] for axis, found in points.items()},
        "fits": {axis: asdict(fit(found, cost)) for axis, found in points.items()},
        "warning": None if happened is None else happened.warning,
    }


def _measure(request: Request, weights: Weights, x: float) -> tuple[Point, float]:
    """One point, and the CPU seconds that its process took from beginning to end."""
    (backend,) = request.backends
    side = request.side("gfpup", backend, weights.of(backend, "gfpup")[0])
    with Process(f"{backend} at {x:g}", threads=request.threads) as process:
        process.ask(do="load", side=side.to_json())
        rounds = [process.ask(do="once") for _ in range(request.warmup + request.repeat)][request.warmup :]
        usage = process.ask(do="usage")
    wall, cpu = (statistics.median(round_[key] for round_ in rounds) for key in ("wall", "cpu"))
    return Point(x, wall, cpu, usage["peak"]), usage["cpu"]


WIDTH, HEIGHT, MARGIN = 360, 260, 46

INK, MUTED, COLOUR = "#222", "#999", "#1f6fb2"

STYLE: Final = f'font-family="sans-serif" font-size="11" fill="{INK}"'


def svg(found: Mapping[str, Any]) -> str:
    """Two panels, seconds (on a CPU its own) over faces and over megapixels, as an SVG document of its own."""
    panels = [
        _panel(axis, found["points"][axis], found["fits"][axis], left=i * WIDTH) for i, axis in enumerate(found["points"])
    ]
    title = f"Cost of a photo with backend {found['backend']}: points, and the line through them"
    size = f'viewBox="0 0 {WIDTH * len(panels)} {HEIGHT}" width="{WIDTH * len(panels)}" height="{HEIGHT}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"><title>{escape(title)}</title>'
    return "\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', *panels, "</svg>", ""])


def _panel(axis: str, points: Sequence[Mapping[str, float]], line: Mapping[str, Any], *, left: int) -> str:
    far = max(point["x"] for point in points)
    # Headroom, so that the highest point does not sit on the frame.
    high: float = 1.1 * max(*(point[line["cost"]] for point in points), line["fixed"] + line["each"] * far)

    def x(value: float) -> float:
        return left + MARGIN + (WIDTH - 1.5 * MARGIN) * value / far

    def y(value: float) -> float:
        return HEIGHT - MARGIN - (HEIGHT - 1.5 * MARGIN) * value / high

    parts = [
        f'<path d="M{x(0):.1f} {y(high):.1f}V{y(0):.1f}H{x(far):.1f}" fill="none" stroke="{INK}"/>',
        f'<path d="M{x(0):.1f} {y(max(line["fixed"], 0)):.1f}L{x(far):.1f} {y(line["fixed"] + line["each"] * far):.1f}" '
        f'fill="none" stroke="{MUTED}" stroke-dasharray="4 3"/>',
    ]
    for point in points:
        said = f"{point['x']:g} {axis}: {point[line['cost']]:.3g} s"
        place = f'cx="{x(point["x"]):.1f}" cy="{y(point[line["cost"]]):.1f}"'
        parts.append(f'<circle {place} r="4" fill="{COLOUR}"><title>{escape(said)}</title></circle>')
        parts.append(
            f'<text x="{x(point["x"]):.1f}" y="{y(0) + 15:.1f}" text-anchor="middle" {STYLE}>{_mark(point, far)}</text>'
        )
    for share in (0.0, 0.5, 1.0):
        value = share * high / 1.1
        parts.append(f'<text x="{x(0) - 5:.1f}" y="{y(value) + 4:.1f}" text-anchor="end" {STYLE}>{value:.2g}</text>')
    label = f"{axis} (fit: {line['fixed']:.2g} s + {line['each']:.2g} s each, R² {line['r2']:.3f})"
    parts.append(f'<text x="{x(far / 2):.1f}" y="{HEIGHT - 8}" text-anchor="middle" {STYLE}>{escape(label)}</text>')
    parts.append(f'<text x="{left + 8}" y="14" {STYLE}>{line["cost"].replace("cpu_", "CPU ")}</text>')
    return "\n".join(parts)


def _mark(point: Mapping[str, float], far: float) -> str:
    """The label below a point; those near the left end would lie on each other."""
    return f"{point['x']:g}" if point["x"] >= 0.12 * far else ""
