"""A whole measurement: each backend's sides in turn, and everything that is to be known about how it was measured."""

from __future__ import annotations

import datetime
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gfpup.machine.cpu import processor
from gfpup.models import backends
from gfpup.tools.bench import machine
from gfpup.tools.bench.request import Request, Side, checked, opponent
from gfpup.tools.bench.weights import Weights
from gfpup.tools.bench.worker import Process

Say = Callable[[str], None]
Facts = dict[str, Any]


def bench(request: Request, *, say: Say = lambda line: None) -> Facts:
    """Measure every backend of `request`, one after another; `say` gets a line whenever something is known.

    Returns what `gfpup bench --json` prints: "speedup" (wall) and "speedup_cpu" are the medians of the rounds' ratios, of
    several backends their geometric mean, None where nothing was measured against anything; "sides" are in the order they were
    measured, with seconds, bytes and GFLOP/s; "warning" says how much others used the machine.

    Raises:
        GfpupError: what is asked for cannot be measured.
    """
    request = checked(request)
    found: Facts = {
        "what": "forward" if request.workload is None else "pipeline",
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine.facts(threads=request.threads, device=request.device),
        "repeat": request.repeat,
        "warmup": request.warmup,
        "workload": None if request.workload is None else asdict(request.workload),
        "ceiling": ceiling(request, say=say),
        "backends": [],
        "sides": [],
    }
    with tempfile.TemporaryDirectory(prefix="gfpup-bench-") as folder:
        weights = Weights(request, Path(folder), say=say)
        for backend in request.backends:
            row = _measure(backend, request, weights, found["ceiling"], Path(folder), say)
            found["sides"] += row.pop("sides")
            found["backends"].append(row)
    warnings = [row["warning"] for row in found["backends"] if row["warning"] is not None]
    found["warning"] = (
        warnings[0]
        if len(warnings) == 1
        else "; ".join(f"{row['backend']}: {row['warning']}" for row in found["backends"] if row["warning"] is not None) or None
    )
    found["quartiles"] = {
        f"{side['backend']}/{side['side']}": [side["wall"]["q1"], side["wall"]["median"], side["wall"]["q3"]]
        for side in found["sides"]
    }
    for key in ("speedup", "speedup_cpu"):
        known = [row[key] for row in found["backends"] if row[key] is not None]
        found[key] = statistics.geometric_mean(known) if known else None
    return found


def ceiling(request: Request, *, say: Say) -> Facts:
    """The most that this machine computes with these threads (`gfpup.tools.bench.machine.measure`), in a process of its own."""
    say("measuring what the machine can do at most")
    on_gpu = request.device.startswith("cuda")
    with Process("the ceiling", threads=request.threads) as process:
        # Without instructions for it bfloat16 is emulated, and one product would take longer than everything else.
        return process.ask(
            do="ceiling", threads=request.threads, device=request.device, bfloat16=on_gpu or processor().bfloat16
        )


def _measure(backend: str, request: Request, weights: Weights, most: Facts, folder: Path, say: Say) -> Facts:
    other = opponent(backend, request)
    names = ["gfpup"] if other is None else [other, "gfpup"]
    sides: dict[str, Side] = {}
    loaded: dict[str, Facts] = {}
    with ExitStack() as stack:
        processes: dict[str, Process] = {}
        for name in names:
            paths, said = weights.of(backend, name)
            sides[name] = request.side(name, backend, paths)
            processes[name] = stack.enter_context(Process(f"{backend} ({name})", threads=request.threads))
            seconds = processes[name].ask(do="load", side=sides[name].to_json())["seconds"]
            loaded[name] = {"seconds": seconds, "weights": said}
        samples, first, happened = _rounds(backend, processes, request, say)
        usage = {name: process.ask(do="usage") for name, process in processes.items()}
        # The official pipeline pastes half a pixel off and by another mask: its photo is another by design.
        comparable = other is not None and (request.workload is None or other == "plain")
        distance = _distance(processes, folder) if comparable else None
        codes = _codes(processes, other) if request.workload is None else None
    gflop = backends.facts(backend).gflop if request.workload is None else None
    row: Facts = {
        "backend": backend,
        "against": other,
        "speedup": None,
        "speedup_cpu": None,
        "speedup_quartiles": None,
        "difference": distance,
        "codes": codes,
        "gflop": gflop,
        "meanwhile": None if happened is None else {**asdict(happened), "share": happened.share},
        "warning": None if happened is None else happened.warning,
        "sides": [_side(sides[name], samples[name], loaded[name], first[name], usage[name], gflop, most) for name in names],
    }
    if other is not None:
        wall = ratios([s.wall for s in samples[other]], [s.wall for s in samples["gfpup"]])
        cpu = ratios([s.cpu for s in samples[other]], [s.cpu for s in samples["gfpup"]])
        row |= {"speedup": _finite(wall.median), "speedup_cpu": _finite(cpu.median)}
        row["speedup_quartiles"] = [_finite(wall.q1), _finite(wall.q3)]
    return row


def _rounds(
    backend: str, processes: Mapping[str, Process], request: Request, say: Say
) -> tuple[dict[str, list[Sample]], dict[str, float], machine.Meanwhile | None]:
    """The samples that count, by side; each side's first call; and what else happened on the machine."""
    samples: dict[str, list[Sample]] = {name: [] for name in processes}
    first: dict[str, float] = {}
    before, began, own = machine.busy_now(), time.perf_counter(), _own_seconds(processes)
    calls = {name: _call(process) for name, process in processes.items()}
    for name, sample, counts in in_turn(calls, warmup=request.warmup, repeat=request.repeat):
        first.setdefault(name, sample.wall)
        if counts:
            samples[name].append(sample)
        note = "" if counts else " (warm-up)"
        say(f"{backend}: {name:<8} {sample.wall:8.3f} s, {sample.cpu:8.3f} CPU s{note}")
    wall, after = time.perf_counter() - began, machine.busy_now()
    spent = _own_seconds(processes) - own
    cores = len(machine.cores_at_hand())
    return samples, first, machine.meanwhile(before, after, own=spent, wall=wall, cores=cores)


def _call(process: Process) -> Callable[[], Sample]:
    def call() -> Sample:
        answer = process.ask(do="once")
        return Sample(answer["wall"], answer["cpu"], answer["stages"])

    return call


def _own_seconds(processes: Mapping[str, Process]) -> float:
    theirs: list[float] = [process.ask(do="usage")["cpu"] for process in processes.values()]
    return time.process_time() + sum(theirs)


def _side(
    side: Side, samples: Sequence[Sample], loaded: Facts, first: float, usage: Facts, gflop: float | None, most: Facts
) -> Facts:
    wall = spread([sample.wall for sample in samples])
    cpu = spread([sample.cpu for sample in samples])
    speed = None if not gflop else gflop * side.batch / wall.median
    return {
        "backend": side.backend,
        "side": side.name,
        "engine": side.engine,
        "precision": side.dtype,
        "batch": side.batch,
        "wall": asdict(wall),
        "cpu": asdict(cpu),
        "stages": stage_medians(samples),
        "faces_a_second": (side.batch if side.workload is None else side.workload.faces) / wall.median,
        "gflop_a_second": speed,
        "of_ceiling": _of_ceiling(side, gflop, wall.median, cpu.median, most),
        "peak_memory_bytes": usage["peak"],
        "device_peak_memory_bytes": usage["device_peak"],
        "load_seconds": loaded["seconds"],
        "first_seconds": first,
        "weights": loaded["weights"],
    }


def _of_ceiling(side: Side, gflop: float | None, wall: float, cpu: float, most: Facts) -> float | None:
    """The share of what the machine can do at most; on a CPU for each CPU second, whatever others leave of the cores."""
    name = f"convolution_{side.dtype}"
    top, seconds = (most["cpu"].get(name), cpu) if most["cpu"] else (most["wall"].get(name), wall)
    return None if not gflop or top is None else gflop * side.batch / seconds / top


def _distance(processes: Mapping[str, Process], folder: Path) -> Facts | None:
    paths = [folder / f"{i}.npy" for i in range(len(processes))]
    for process, path in zip(processes.values(), paths, strict=True):
        process.ask(do="save", path=str(path))
    found = difference(*paths)
    for path in paths:
        path.unlink()
    return None if found is None else asdict(found)


def _codes(processes: Mapping[str, Process], other: str | None) -> Facts | None:
    found = {name: process.ask(do="codes")["found"] for name, process in processes.items()}
    return changed_codes(found["gfpup"], found.get(other or ""))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


Call = Callable[[], "Sample"]


@dataclass(frozen=True)
class Sample:
    """One call: `wall` and `cpu` seconds (CPU of all threads), and the wall seconds of its stages where it has any."""

    wall: float
    cpu: float
    stages: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Spread:
    """The middle of several numbers, the quarters below and above it, and the numbers in the order they were taken."""

    median: float
    q1: float
    q3: float
    values: tuple[float, ...]


def in_turn(sides: Mapping[str, Call], *, warmup: int, repeat: int) -> Iterator[tuple[str, Sample, bool]]:
    """Call the sides one after another (A B A B), so that what changes on the machine meets them alike.

    Yields the side's name, its sample, and whether it counts: the first `warmup` rounds do not.
    """
    for round_ in range(warmup + repeat):
        for name, call in sides.items():
            yield name, call(), round_ >= warmup


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles of `values`, at least one; quartiles by linear interpolation, as numpy's default."""
    if not values:
        raise ValueError("there is nothing to take a median of")
    q1, median, q3 = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return Spread(median, q1, q3, tuple(values))


def ratios(slow: Sequence[float], fast: Sequence[float]) -> Spread:
    """How many times `fast` goes into `slow`, round by round: a slow round slows both, and leaves their ratio."""
    return spread([a / b for a, b in zip(slow, fast, strict=True) if b > 0] or [float("nan")])


def stage_medians(samples: Sequence[Sample]) -> dict[str, float]:
    """The median seconds of each stage, in the order the stages come."""
    names = dict.fromkeys(name for sample in samples for name in sample.stages)
    return {name: statistics.median(sample.stages.get(name, 0.0) for sample in samples) for name in names}


@dataclass(frozen=True)
class Difference:
    """The largest difference in levels of 255, rounded to whole levels as a file would be, and the PSNR in dB before that.

    `psnr_db` is None for pictures that are equal to the bit, or not finite; `equal` says which.
    """

    levels: int
    psnr_db: float | None
    equal: bool


def difference(a_path: Path, b_path: Path) -> Difference | None:
    """Compare two .npy files of one shape, uint8 or float in [0, 1]; None where the shapes differ."""
    a, b = np.load(a_path, allow_pickle=False), np.load(b_path, allow_pickle=False)
    if a.shape != b.shape:
        return None
    x, y = (np.clip(v.astype(np.float32) * (1.0 if v.dtype == np.uint8 else 255.0), 0, 255) for v in (a, b))
    error = float(np.mean((x.astype(np.float64) - y) ** 2))
    psnr = 10 * math.log10(255**2 / error) if error > 0 and math.isfinite(error) else None
    levels = np.abs(np.rint(x) - np.rint(y)).max()
    return Difference(255 if not math.isfinite(levels) else int(levels), psnr, bool(np.array_equal(a, b)))


def changed_codes(own: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """How many of our codes differ from the other side's (None where that shows none), of how many, and our smallest margin."""
    if own is None:
        return None
    changed = None if other is None else sum(a != b for a, b in zip(own["codes"], other["codes"], strict=True))
    return {"changed": changed, "of": len(own["codes"]), "margin": own["margin"]}
