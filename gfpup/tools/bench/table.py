"""A measurement as Markdown: a row for each backend, the stages of a photo, the published seconds; of scaling also a plot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from gfpup.analysis import published
from gfpup.tools.bench import batches

Facts = Mapping[str, Any]

CLAIMS: Final = "seed-benchmarks"
CLAIMED_SIZE: Final = (512, 512)
CLAIMED_AS: Final = {"CodeFormer": "codeformer", "GFPGAN v1.4": "gfpgan", "RestoreFormer++": "restoreformerpp"}
"""The backends, by the name that the guide's table gives their default version, for photos of that size with background."""


def tables(found: Facts) -> str:
    """The tables of `measure.bench`'s result."""
    parts = [_backends(found)]
    if found["what"] == "pipeline":
        names = list(dict.fromkeys(stage for each in found["sides"] for stage in each["stages"]))
        rows = []
        for each in found["sides"]:
            seconds = (f"{each['stages'].get(name, 0.0):.3f}" for name in names)
            rows.append([f"{each['backend']} ({each['side']})", *seconds])
        parts.append("\n" + markdown(["seconds of", *names], rows))
    return "\n".join([*parts, "", *_remarks(found)])


def _backends(found: Facts) -> str:
    claims = claimed(found)
    heads = ["backend", "computed in", "seconds", "CPU s", "GFLOP/s (of ceiling)", "peak MB", "against", "seconds", "CPU s"]
    heads += ["peak MB", "speedup", "CPU", "difference", "codes changed", *(f"claimed, {place}" for place in claims)]
    sides = {(each["backend"], each["side"]): each for each in found["sides"]}
    rows = []
    for row in found["backends"]:
        own, other = sides[row["backend"], "gfpup"], sides.get((row["backend"], row["against"]))
        rows.append(
            [
                *(row["backend"], f"{own['precision']}, {own['engine']}", *_seconds(own), _speed(own), _megabytes(own)),
                *(row["against"] or "", *(("", "", "") if other is None else (*_seconds(other), _megabytes(other)))),
                *("" if row[key] is None else f"{row[key]:.2f}x" for key in ("speedup", "speedup_cpu")),
                *(_difference(row["difference"]), _codes(row["codes"])),
                *(str(seconds.get(row["backend"], "")) for seconds in claims.values()),
            ]
        )
    return markdown(heads, rows)


def _remarks(found: Facts) -> list[str]:
    machine, ceiling = found["machine"], found["ceiling"]["wall"]
    most = ", ".join(f"{name.replace('_', ' in ')} {value:.0f}" for name, value in ceiling.items())
    versions = ", ".join(f"{name} {value}" for name, value in machine["versions"].items())
    lines = [
        f"{machine['processor']}, {machine['device']}, threads: {machine['threads']}, cores: {machine['cores']}; "
        f"ceiling in GFLOP/s: {most}.",
        f"Median (quartiles) of the rounds, sides in turn; rounds: {found['repeat']}, warm-up: {found['warmup']}; "
        f"commit {machine['commit'] or 'unknown'}; {versions}; {found['date']}.",
    ]
    if any((each["of_ceiling"] or 0) > 1 for each in found["sides"]):
        lines.append("GFLOP are those of the official order of operations: above 100 %, fewer gave the same picture.")
    load = found["workload"]
    if load is not None:
        w, h = load["size_wh"]
        size = load["detect_size"]
        looks = "full size" if size == 0 else f"{size or '640 to 960'} px"
        upstream = any(each["side"] == "upstream" for each in found["sides"])
        lines.append(
            f"One photo of {w}x{h} px, faces: {load['faces']}, {load['upscale']:g}x, background {load['background']}, "
            f"mask {load['mask']}, {load['detector']} at {looks}."
            + (" Upstream detects on the whole photo and masks with ParseNet." if upstream else "")
        )
    made = sorted({each["backend"] for each in found["sides"] if "deterministic" in each["weights"].values()})
    if made:
        lines.append(f"Deterministic weights in {', '.join(made)}: speed does not depend on them, quality was not measured.")
    return lines + ([f"WARNING: {found['warning']}."] if found["warning"] else [])


def claimed(found: Facts) -> dict[str, dict[str, float]]:
    """Seconds that the guide claimed, by machine and backend, if exactly that was measured; else nothing."""
    load = found["workload"]
    if load is None or tuple(load["size_wh"]) != CLAIMED_SIZE or load["background"] == "none":
        return {}
    claims: dict[str, dict[str, float]] = {}
    for row in (row for row in published.rows() if row.protocol == CLAIMS):
        seconds = claims.setdefault(row.dataset.rpartition(", ")[2], {})
        if row.method in CLAIMED_AS:
            seconds[CLAIMED_AS[row.method]] = row.value
    return claims


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table with aligned columns; empty columns are left out."""
    columns = [column for column in zip(heads, *rows, strict=True) if any(column[1:])]
    widths = [max(3, *map(len, column)) for column in columns]
    padded = [[cell.ljust(width) for cell in column] for column, width in zip(columns, widths, strict=True)]
    head, *body = ("| " + " | ".join(row) + " |" for row in zip(*padded, strict=True))
    return "\n".join([head, "|" + "|".join("-" * (width + 2) for width in widths) + "|", *body])


def _seconds(each: Facts) -> tuple[str, str]:
    wall = each["wall"]
    return f"{wall['median']:.3g} ({wall['q1']:.3g} to {wall['q3']:.3g})", f"{each['cpu']['median']:.2f}"


def _speed(each: Facts) -> str:
    speed, share = each["gflop_a_second"], each["of_ceiling"]
    return "" if speed is None else f"{speed:.0f}" + ("" if share is None else f" ({share:.0%})")


def _megabytes(each: Facts) -> str:
    peak = each.get("device_peak_memory_bytes") or each["peak_memory_bytes"]
    return "" if peak is None else f"{peak / 1e6:.0f}"


def _codes(found: Facts | None) -> str:
    if found is None:
        return ""
    changed = "" if found["changed"] is None else f"{found['changed']} of {found['of']}, "
    return f"{changed}margin {found['margin']:.1g}"


def _difference(found: Facts | None) -> str:
    if found is None or found["equal"]:
        return "" if found is None else "none"
    decibels = "not finite" if found["psnr_db"] is None else f"{found['psnr_db']:.0f} dB"
    return f"{found['levels']} of 255, {decibels}"


def batches_table(found: Facts) -> str:
    """The table of `batches.batches`' result."""
    machine = found["machine"]
    commit = f"commit {machine['commit'] or 'unknown'}; {found['date']}."
    facts = f"{machine['processor']}, {machine['device']}, threads: {machine['threads']}; {commit}"
    return "\n".join([markdown(batches.HEADS, batches.rows_of(dict(found))), "", facts])


def scaling_table(found: Facts) -> str:
    """The table of `scaling.scaling`'s result, and what the lines through it say."""
    parts = []
    for axis, points in found["points"].items():
        rows = [[f"{p['x']:g}", f"{p['seconds']:.3f}", f"{p['cpu_seconds']:.3f}", _megabytes(p)] for p in points]
        line = found["fits"][axis]
        unit = {"seconds": "Seconds", "cpu_seconds": "CPU seconds"}[line["cost"]]
        parts += [
            markdown([axis, "seconds", "CPU s", "peak MB"], rows),
            f"\n{unit}: {line['fixed']:.3g} and {line['each']:.3g} for each, R² {line['r2']:.3f}: "
            f"the cost grows {'no faster than' if line['no_faster'] else 'FASTER than'} the {axis}.\n",
        ]
    machine = found["machine"]
    commit = f"commit {machine['commit'] or 'unknown'}; {found['date']}."
    parts.append(f"Backend {found['backend']}; {machine['processor']}, threads: {machine['threads']}; {commit}")
    return "\n".join(parts + ([f"WARNING: {found['warning']}."] if found["warning"] else []))


SVG: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{ 360 * fits|length }} 260" width="{{ 360 * fits|length }}" height="260"
 role="img" font-family="sans-serif" font-size="11" fill="#222"><title>Cost of a photo with backend {{ backend }}</title>
<rect width="100%" height="100%" fill="#fff"/>
{%- for axis, line in fits.items() %}
{%- set far = points[axis]|map(attribute="x")|max %}
{%- set high = [points[axis]|map(attribute=line.cost)|max, line.fixed + line.each * far]|max * 1.1 %}
{%- set right, up = 291 / far, 190 / high %}
<g transform="translate({{ 360 * loop.index0 + 46 }} 214)">
<path d="M0 -190V0H291" fill="none" stroke="#222"/>
<path d="M0 {{ ([line.fixed, 0]|max) * -up }}L291 {{ -(line.fixed + line.each * far) * up }}" stroke="#999"
 stroke-dasharray="4 3"/>
{%- for point in points[axis] %}
<circle cx="{{ point.x * right }}" cy="{{ -point[line.cost] * up }}" r="4" fill="#1f6fb2">
<title>{{ "%g %s: %.3g s"|format(point.x, axis, point[line.cost]) }}</title></circle>
{%- if point.x >= 0.12 * far %}
<text x="{{ point.x * right }}" y="15" text-anchor="middle">{{ "%g"|format(point.x) }}</text>
{%- endif %}
{%- endfor %}
{%- for share in (0, 0.5, 1) %}
<text x="-5" y="{{ 4 - share * 190 / 1.1 }}" text-anchor="end">{{ "%.2g"|format(share * high / 1.1) }}</text>
{%- endfor %}
<text x="145" y="38" text-anchor="middle">
{{- "%s (fit: %.2g s + %.2g s each, R² %.3f)"|format(axis, line.fixed, line.each, line.r2) }}</text>
<text x="-38" y="-200">{{ line.cost|replace("cpu_", "CPU ") }}</text></g>
{%- endfor %}
</svg>
"""


def svg(found: Facts) -> str:
    """A panel for faces and one for megapixels, each with its points and the line through them, as an SVG document."""
    from jinja2 import Environment

    return Environment(autoescape=True).from_string(SVG).render(found)
