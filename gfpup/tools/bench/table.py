"""A measurement as tables for people: one row a backend, the stages of a photo, and what the guide once claimed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from gfpup.analysis import published

Facts = Mapping[str, Any]

CLAIMS: Final = "seed-benchmarks"
CLAIMED_SIZE: Final = (512, 512)
CLAIMED_AS: Final = {"codeformer": "CodeFormer", "gfpgan": "GFPGAN v1.4", "restoreformerpp": "RestoreFormer++"}
"""What the guide's table calls the default version of each backend, for photos of that size with their background."""


def tables(found: Facts) -> str:
    """The tables of `gfpup.tools.bench.bench`'s result, in Markdown that is read as it stands."""
    parts = [_backends(found)]
    if found["what"] == "pipeline":
        parts.append(_stages(found))
    return "\n".join([*parts, *_remarks(found)])


def _backends(found: Facts) -> str:
    claims = claimed(found)
    heads = [
        "backend",
        "computed in",
        "seconds",
        "CPU s",
        "GFLOP/s (of the most)",
        "peak MB",
        "against",
        "seconds",
        "CPU s",
        "peak MB",
    ]
    heads += ["speedup", "CPU", "difference", "codes changed"]
    rows = []
    for row in found["backends"]:
        own, other = side(found, row["backend"], "gfpup"), side(found, row["backend"], row["against"])
        assert own is not None
        cells = [row["backend"], f"{own['precision']}, {own['engine']}", _seconds(own), f"{own['cpu']['median']:.2f}"]
        cells += [_speed(own), _megabytes(own), row["against"] or ""]
        cells += ["", "", ""] if other is None else [_seconds(other), f"{other['cpu']['median']:.2f}", _megabytes(other)]
        cells += [_times(row["speedup"]), _times(row["speedup_cpu"]), _far(row["difference"]), _codes(row["codes"])]
        rows.append([*cells, *(f"{claims[place].get(row['backend'], ''):}" for place in claims)])
    return markdown([*heads, *(f"claimed, {place}" for place in claims)], rows)


def _stages(found: Facts) -> str:
    names = list(dict.fromkeys(stage for each in found["sides"] for stage in each["stages"]))
    rows = [
        [f"{each['backend']} ({each['side']})", *(f"{each['stages'].get(name, 0.0):.3f}" for name in names)]
        for each in found["sides"]
    ]
    return "\n" + markdown(["seconds of", *names], rows)


def _remarks(found: Facts) -> list[str]:
    machine, most = found["machine"], found["ceiling"]
    top = ", ".join(f"{name.replace('_', ' in ')} {value:.0f}" for name, value in most["wall"].items())
    versions = ", ".join(f"{name} {value}" for name, value in machine["versions"].items())
    lines = [
        "",
        f"{machine['processor']}, {machine['threads']} threads on {machine['cores']} cores, {machine['device']}; "
        f"most it can do, GFLOP/s: {top}.",
        f"Median (quartiles) of {found['repeat']} rounds after {found['warmup']} to warm up, sides in turn; "
        f"commit {machine['commit'] or 'unknown'}; {versions}; {found['date']}.",
    ]
    if any((each["of_ceiling"] or 0) > 1 for each in found["sides"]):
        lines.append(
            "GFLOP are those of the official order of operations: above 100 %, fewer were computed for the same picture."
        )
    load = found["workload"]
    if load is not None:
        w, h = load["size_wh"]
        lines.append(
            f"One photo of {w}x{h} px, faces: {load['faces']}, {load['upscale']:g}x, background {load['background']}, "
            f"mask {load['mask']}, {load['detector']} at {load['detect_size'] or 'full size'}."
        )
        if any(each["side"] == "upstream" for each in found["sides"]):
            lines[-1] += " Upstream detects on the whole photo and masks by ParseNet."
    made = sorted({each["backend"] for each in found["sides"] if "deterministic" in each["weights"].values()})
    if made:
        lines.append(f"Deterministic weights in {', '.join(made)}: speed does not depend on them, quality was not measured.")
    return [*lines, f"WARNING: {found['warning']}."] if found["warning"] else lines


def claimed(found: Facts) -> dict[str, dict[str, float]]:
    """Seconds that the guide claimed, by machine and backend, where the very same was measured; else nothing."""
    load = found["workload"]
    if load is None or tuple(load["size_wh"]) != CLAIMED_SIZE or load["background"] == "none":
        return {}
    told: dict[str, dict[str, float]] = {}
    for row in published.rows():
        if row.protocol == CLAIMS:
            names = [name for name, method in CLAIMED_AS.items() if method == row.method]
            place = row.dataset.rpartition(", ")[2]
            told.setdefault(place, {}).update(dict.fromkeys(names, row.value))
    return told


def side(found: Facts, backend: str, name: str | None) -> Facts | None:
    """The measured side `name` of `backend`."""
    return next((each for each in found["sides"] if (each["backend"], each["side"]) == (backend, name)), None)


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table with aligned columns; columns that say nothing are left out."""
    table = [list(heads), *(list(row) for row in rows)]
    kept = [i for i in range(len(heads)) if any(row[i] for row in table[1:])]
    widths = [max(3, *(len(row[i]) for row in table)) for i in kept]
    lines = ["| " + " | ".join(row[i].ljust(width) for i, width in zip(kept, widths, strict=True)) + " |" for row in table]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _seconds(each: Facts) -> str:
    wall = each["wall"]
    return f"{wall['median']:.3g} ({wall['q1']:.3g} to {wall['q3']:.3g})"


def _speed(each: Facts) -> str:
    if each["gflop_a_second"] is None:
        return ""
    share = each["of_ceiling"]
    return f"{each['gflop_a_second']:.0f}" + ("" if share is None else f" ({share:.0%})")


def _megabytes(each: Facts) -> str:
    peak = each["device_peak_memory_bytes"] or each["peak_memory_bytes"]
    return "" if peak is None else f"{peak / 1e6:.0f}"


def _codes(found: Facts | None) -> str:
    if found is None:
        return ""
    changed = "" if found["changed"] is None else f"{found['changed']} of {found['of']}, "
    return f"{changed}margin {found['margin']:.1g}"


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}x"


def _far(distance: Facts | None) -> str:
    if distance is None:
        return ""
    if distance["equal"]:
        return "none"
    decibels = "not finite" if distance["psnr_db"] is None else f"{distance['psnr_db']:.0f} dB"
    return f"{distance['levels']} of 255, {decibels}"


_UNIT: Final = {"seconds": "Seconds", "cpu_seconds": "CPU seconds"}


def scaling_table(found: Facts) -> str:
    """The table of `gfpup.tools.bench.scaling.scaling`'s result, and what the lines through it say."""
    parts = []
    for axis, points in found["points"].items():
        rows = []
        for point in points:
            peak = point["peak_memory_bytes"]
            seconds = [f"{point['seconds']:.3f}", f"{point['cpu_seconds']:.3f}"]
            rows.append([f"{point['x']:g}", *seconds, "" if peak is None else f"{peak / 1e6:.0f}"])
        line = found["fits"][axis]
        grows = "no faster than" if line["no_faster"] else "FASTER than"
        parts += [
            markdown([axis, "seconds", "CPU s", "peak MB"], rows),
            f"\n{_UNIT[line['cost']]}: {line['fixed']:.3g} and {line['each']:.3g} for each, R² {line['r2']:.3f}: "
            f"the cost grows {grows} the {axis}.\n",
        ]
    machine = found["machine"]
    tail = (
        f"Backend {found['backend']}; {machine['processor']}, {machine['threads']} threads; "
        f"commit {machine['commit'] or 'unknown'}; {found['date']}."
    )
    return "\n".join([*parts, tail, *([f"WARNING: {found['warning']}."] if found["warning"] else [])])
