"""A whole measurement: each backend's sides in turn, and how they were measured."""

from __future__ import annotations

import datetime
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gfpup.machine.cpu import processor
from gfpup.tools.bench import machine, worker
from gfpup.tools.bench.request import Request, Side, checked, opponent
from gfpup.tools.bench.weights import Weights
from gfpup.tools.bench.worker import Process

Say = Callable[[str], None]
Facts = dict[str, Any]
Sample = Mapping[str, Any]
"""The answer of `worker.once`."""


def bench(request: Request, *, say: Say = lambda line: None, weights_in: Path | None = None) -> Facts:
    """Measure every backend of `request`, one after another; `say` gets a line whenever something is known.

    Deterministic weights are made in the folder `weights_in`, where those made before are used; else in a temporary one.

    Returns what `gfpup bench --json` prints: "speedup" (wall) and "speedup_cpu" are the medians of the rounds' ratios, of
    several backends their geometric mean, None if nothing was compared; "sides" are in the order they were measured.

    Raises: GfpupError: what is asked for cannot be measured.
    """
    request = checked(request)
    found = header(request) | {
        "what": "pipeline" if request.workload is not None else "forward" if request.tile is None else "background",
        "workload": None if request.workload is None else asdict(request.workload),
        "tile": None if request.tile is None else asdict(request.tile),
        "ceiling": _ceiling(request, say),
        "backends": [],
        "sides": [],
    }
    with ExitStack() as stack:
        temporary = None if weights_in else stack.enter_context(tempfile.TemporaryDirectory(prefix="gfpup-bench-"))
        weights = Weights(request, weights_in or Path(str(temporary)), say=say)
        for backend in request.names:
            row, sides = _compare(backend, request, weights, found["ceiling"], say)
            found["backends"].append(row)
            found["sides"] += sides
    warned = {row["backend"]: row["warning"] for row in found["backends"] if row["warning"] is not None}
    found["warning"] = "; ".join(warned.values() if len(warned) == 1 else map(": ".join, warned.items())) or None
    found["quartiles"] = {
        f"{side['backend']}/{side['side']}": [side["wall"][key] for key in ("q1", "median", "q3")] for side in found["sides"]
    }
    for key in ("speedup", "speedup_cpu"):
        known = [row[key] for row in found["backends"] if row[key] is not None]
        found[key] = statistics.geometric_mean(known) if known else None
    return found


def header(request: Request) -> Facts:
    """When, where and with how many rounds something is measured."""
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    here = machine.facts(threads=request.threads, device=request.device)
    return {"date": date, "machine": here, "repeat": request.repeat, "warmup": request.warmup}


def _ceiling(request: Request, say: Say) -> Facts:
    say("measuring the most this machine can compute")
    # Without instructions for it bfloat16 is emulated, and one product would take longer than everything else.
    bfloat16 = request.device.startswith("cuda") or processor().bfloat16
    with Process("the ceiling", threads=request.threads) as process:
        found: Facts = process.call(machine.ceiling, request.device, bfloat16=bfloat16)
        return found


@dataclass
class _Loaded:
    side: Side
    process: Process
    facts: Facts
    samples: list[Sample] = field(default_factory=list)


def _compare(backend: str, request: Request, weights: Weights, ceiling: Facts, say: Say) -> tuple[Facts, list[Facts]]:
    """The row of a backend, and those of its sides."""
    other = opponent(backend, request)
    loaded: list[_Loaded] = []
    with ExitStack() as stack:
        for name in filter(None, (other, "gfpup")):
            paths, labels = weights.of(backend, name)
            side = request.side(name, backend, paths)
            process = stack.enter_context(Process(f"{backend} ({name})", threads=request.threads))
            loaded.append(_Loaded(side, process, {"weights": labels, "load_seconds": process.call(worker.load, side)}))
        found = _take_turns(backend, loaded, request, say)
        for each in loaded:
            usage = each.process.call(worker.usage)
            each.facts |= {"peak_memory_bytes": usage["peak"], "device_peak_memory_bytes": usage["device_peak"]}
        # The official pipeline pastes half a pixel off and by another mask: its photo is different by design.
        comparable = other is not None and (request.workload is None or other == "plain")
        apart = difference(*(each.process.call(worker.output) for each in loaded)) if comparable else None
        gflop = loaded[-1].process.call(worker.gflop) if request.workload is None else None
        codes = [each.process.call(worker.codes) for each in loaded] if request.workload is None else [None]
    row: Facts = {"backend": backend, "against": other, "speedup": None, "speedup_cpu": None, "speedup_quartiles": None}
    if other is not None:
        wall, cpu = (ratios(*([sample[key] for sample in each.samples] for each in loaded)) for key in ("wall", "cpu"))
        row |= {"speedup": wall["median"], "speedup_cpu": cpu["median"], "speedup_quartiles": [wall["q1"], wall["q3"]]}
    changed = changed_codes(codes[-1], None if other is None else codes[0])
    meanwhile = None if found is None else {**asdict(found), "share": found.share}
    row |= {"difference": apart, "codes": changed, "gflop": gflop, "meanwhile": meanwhile}
    row["warning"] = None if found is None else found.warning
    return row, [_side_facts(each, gflop, ceiling) for each in loaded]


def _take_turns(backend: str, loaded: Sequence[_Loaded], request: Request, say: Say) -> machine.Load | None:
    """Fill in the samples, the sides in turn (A B A B), so that what changes on the machine affects them alike."""
    watch, began = machine.Watch(), _spent(loaded)
    for number in range(request.warmup + request.repeat):
        for each in loaded:
            sample = each.process.call(worker.once)
            each.facts.setdefault("first_seconds", sample["wall"])
            if number >= request.warmup:
                each.samples.append(sample)
            note = "" if number >= request.warmup else " (warm-up)"
            say(f"{backend}: {each.side.name:<8} {sample['wall']:8.3f} s, {sample['cpu']:8.3f} CPU s{note}")
    return watch.load(own=_spent(loaded) - began)


def _spent(loaded: Sequence[_Loaded]) -> float:
    """The CPU seconds of this process and the sides' so far."""
    return time.process_time() + math.fsum(each.process.call(worker.usage)["cpu"] for each in loaded)


def _side_facts(loaded: _Loaded, gflop: float | None, ceiling: Facts) -> Facts:
    side, samples = loaded.side, loaded.samples
    wall, cpu = (spread([sample[key] for sample in samples]) for key in ("wall", "cpu"))
    # The share of the ceiling: on a CPU for each CPU second, whatever others use of the cores.
    kind, seconds = ("cpu", cpu["median"]) if ceiling["cpu"] else ("wall", wall["median"])
    top = ceiling[kind].get(f"convolution_{side.dtype}")
    faces = side.batch if side.workload is None else side.workload.faces
    named = {"backend": side.backend, "side": side.name, "engine": side.engine, "precision": side.dtype, "batch": side.batch}
    times = {"wall": wall, "cpu": cpu, "stages": stage_medians(samples), "faces_a_second": faces / wall["median"]}
    speed = gflop * side.batch / wall["median"] if gflop else None
    share = gflop * side.batch / seconds / top if gflop and top is not None else None
    return {**loaded.facts, **named, **times, "gflop_a_second": speed, "of_ceiling": share}


def spread(values: Sequence[float]) -> Facts:
    """The "median", "q1" and "q3" of at least one value, by linear interpolation, and the "values" in their order."""
    q1, median, q3 = (float(each) for each in np.quantile(values, [0.25, 0.5, 0.75]))
    return {"median": median, "q1": q1, "q3": q3, "values": list(values)}


def ratios(slow: Sequence[float], fast: Sequence[float]) -> Facts:
    """The `spread` of slow / fast, round by round, as a slow round slows both; None for what no clock could tell."""
    known = [a / b for a, b in zip(slow, fast, strict=True) if b > 0]
    return spread(known) if known else {"median": None, "q1": None, "q3": None, "values": []}


def stage_medians(samples: Sequence[Sample]) -> dict[str, float]:
    """The median seconds of each stage, in the order of the stages."""
    names = dict.fromkeys(name for sample in samples for name in sample["stages"])
    return {name: statistics.median(sample["stages"].get(name, 0.0) for sample in samples) for name in names}


def difference(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> Facts | None:
    """Compare two arrays of one shape, uint8 or float in [0, 1]; None if the shapes differ.

    "levels" is the largest difference in levels of 255, rounded to whole levels as a file would be, "psnr_db" the PSNR before
    that: None for pictures that are equal to the bit, or not finite; "equal" says which.
    """
    if a.shape != b.shape:
        return None
    x, y = (np.clip(v.astype(np.float32) * (1.0 if v.dtype == np.uint8 else 255.0), 0, 255) for v in (a, b))
    error = float(np.mean((x.astype(np.float64) - y) ** 2))
    psnr = 10 * math.log10(255**2 / error) if error > 0 and math.isfinite(error) else None
    levels = np.abs(np.rint(x) - np.rint(y)).max()
    return {"levels": int(levels) if math.isfinite(levels) else 255, "psnr_db": psnr, "equal": bool(np.array_equal(a, b))}


def changed_codes(own: Facts | None, other: Facts | None) -> Facts | None:
    """How many of our codes differ from the other side's (None if unknown), of how many, and our smallest margin."""
    if own is None:
        return None
    changed = None if other is None else sum(a != b for a, b in zip(own["codes"], other["codes"], strict=True))
    return {"changed": changed, "of": len(own["codes"]), "margin": own["margin"]}
