"""A comparison as text, JSON, CSV, Markdown and LaTeX. Pure: each returns the whole as a string that ends in a new line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Final

from gfpup.analysis.compare import Comparison, Line, verdict
from gfpup.analysis.published import Published, beside
from gfpup.analysis.statistics import Interval
from gfpup.evaluation.metrics import TO_INPUT

FIELDS: Final = (
    "metric",
    "level",
    "higher_is_better",
    "run",
    "n",
    "mean",
    "low",
    "high",
    "rank",
    "difference",
    "difference_low",
    "difference_high",
    "p_value",
    "win_rate",
    "on_front",
    "verdict",
)
_MARKDOWN: Final = {"|": r"\|", "*": r"\*", "_": r"\_"}
_UP, _DOWN = r"\uparrow", r"\downarrow"
_LATEX: Final = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def as_text(comparison: Comparison, *, protocol: str | None = None) -> str:
    """The table for a terminal, 110 columns or so, with what it was computed from and what may be said."""
    parts = [_headline(comparison)]
    for key in comparison.metrics:
        lines = comparison.of(*key)
        parts.append(_title(lines[0]))
        parts.append(_columns([_head(comparison), *(_cells(comparison, line) for line in lines)]))
        parts += [f"  published: {row.method} {row.value:g} ({row.source})" for row in _beside(protocol, lines[0])]
    parts += [f"note: {note}." for note in comparison.notes]
    return "\n".join(parts) + "\n"


def as_markdown(comparison: Comparison, *, protocol: str | None = None) -> str:
    """The table for a report or an issue."""
    parts = [_headline(comparison), ""]
    for key in comparison.metrics:
        lines = comparison.of(*key)
        parts += [f"**{_escaped(_title(lines[0]), _MARKDOWN)}**", ""]
        head = _head(comparison)
        parts += [_row(head), _row(["---"] * len(head))]
        parts += [_row([_escaped(cell, _MARKDOWN) for cell in _cells(comparison, line)]) for line in lines]
        parts += [""] + [f"Published: {row.method} {row.value:g} ({row.source})." for row in _beside(protocol, lines[0])]
    parts += [f"- {note}." for note in comparison.notes]
    return "\n".join(parts).rstrip("\n") + "\n"


def as_latex(comparison: Comparison) -> str:
    """A table that needs the package booktabs: a row a run, a column a metric, mean and half its interval, the best in bold."""
    keys = comparison.metrics
    titles = []
    for key in keys:
        line = comparison.of(*key)[0]
        name = key[0] if key[1] == "photo" else f"{key[0]} ({key[1]})"
        titles.append(f"{_escaped(name, _LATEX)} ${_UP if line.higher_is_better else _DOWN}$")
    rows = []
    for run in comparison.runs:
        cells = [_escaped(run, _LATEX)]
        for key in keys:
            line = next(line for line in comparison.of(*key) if line.run == run)
            half = "" if line.interval is None else f" \\pm {_number((line.interval[1] - line.interval[0]) / 2, 2)}"
            mean = _number(line.mean)
            cells.append(f"$\\mathbf{{{mean}}}{half}$" if line.rank == 1 else f"${mean}{half}$")
        rows.append(" & ".join(cells) + r" \\")
    caption = _escaped(_headline(comparison) + " " + " ".join(f"{note}." for note in comparison.notes), _LATEX)
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\begin{{tabular}}{{l{'r' * len(keys)}}}",
            r"\toprule",
            " & ".join(["method", *titles]) + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            rf"\caption{{{caption.strip()}}}",
            r"\end{table}",
            "",
        ]
    )


def as_csv(comparison: Comparison) -> str:
    """A line a run and metric; what does not apply is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    for key in comparison.metrics:
        for line in comparison.of(*key):
            flat = _flat(line)
            writer.writerow({name: "" if flat[name] is None else _plain(flat[name]) for name in FIELDS})
    return text.getvalue()


def as_json(comparison: Comparison, *, protocol: str | None = None) -> str:
    """Everything, for a machine: one document with the lines, rankings and Pareto fronts."""
    ranking = {"/".join(key): [line.run for line in comparison.of(*key)] for key in comparison.metrics}
    front = {
        "/".join(key): [line.run for line in comparison.of(*key) if line.on_front]
        for key in comparison.metrics
        if any(line.on_front is not None for line in comparison.of(*key))
    }
    published = [
        {"measured_as": name, **asdict(row)} for name, row in beside(protocol, {line.metric for line in comparison.lines})
    ]
    document = {
        "baseline": comparison.baseline,
        "runs": list(comparison.runs),
        "photos": comparison.photos,
        "left_out": dict(comparison.left_out),
        "confidence": comparison.confidence,
        "interval": "studentised bootstrap over photos",
        "test": f"paired sign-flip, two-sided, Holm over {comparison.tests} tests",
        "lines": [_flat(line) for key in comparison.metrics for line in comparison.of(*key)],
        "ranking": ranking,
        "pareto_front_against_seconds": front,
        "published": published,
        "notes": list(comparison.notes),
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


FORMATS: Final[Mapping[str, Callable[[Comparison], str]]] = {
    "text": as_text,
    "json": as_json,
    "csv": as_csv,
    "markdown": as_markdown,
    "latex": as_latex,
}


def _headline(comparison: Comparison) -> str:
    rate = f"{comparison.confidence:.0%}"
    return (
        f"{len(comparison.runs)} runs on the {comparison.photos} photos they share; {rate} bootstrap intervals over photos; "
        f"differences to {comparison.baseline}, sign-flip p-values corrected for {comparison.tests} tests."
    )


def _title(line: Line) -> str:
    of = "" if line.level == "photo" else f" of {line.level}"
    better = "higher is better" if line.higher_is_better else "lower is better"
    if line.metric.endswith(TO_INPUT):
        better = f"{'higher' if line.higher_is_better else 'lower'} means less was changed, not better"
    return f"{line.metric}{of}, {better}, n = {line.n}"


def _head(comparison: Comparison) -> list[str]:
    return ["", "run", "mean", "interval", f"to {comparison.baseline}", "interval", "p", "wins", "so it is"]


def _cells(comparison: Comparison, line: Line) -> list[str]:
    verdict_text = verdict(line) + (", on the front" if line.on_front else "")
    return [
        f"{line.rank}.",
        line.run,
        _number(line.mean),
        _interval(line.interval),
        "" if line.difference is None else _number(line.difference, signed=True),
        "" if line.difference is None else _interval(line.difference_interval, signed=True),
        "" if line.p_value is None else "<0.001" if line.p_value < 0.001 else f"{line.p_value:.3f}",
        "" if line.win_rate is None else f"{line.win_rate:.0%}",
        verdict_text,
    ]


def _number(value: float, digits: int = 4, *, signed: bool = False) -> str:
    """A number to `digits` significant ones, without an exponent where that stays readable."""
    text = f"{value:{'+' if signed else ''}.{digits}g}"
    return text if "e" not in text or abs(value) < 1e-4 else f"{value:{'+' if signed else ''}.0f}"


def _interval(interval: Interval | None, *, signed: bool = False) -> str:
    return "none" if interval is None else f"[{_number(interval[0], signed=signed)}, {_number(interval[1], signed=signed)}]"


def _columns(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _escaped(text: str, table: Mapping[str, str]) -> str:
    return "".join(table.get(letter, letter) for letter in text)


def _beside(protocol: str | None, line: Line) -> list[Published]:
    return [row for _, row in beside(protocol, {line.metric})]


def _flat(line: Line) -> dict[str, object]:
    low, high = line.interval or (None, None)
    difference_low, difference_high = line.difference_interval or (None, None)
    flat: dict[str, object] = {name: getattr(line, name, None) for name in FIELDS if name != "verdict"}
    flat |= {"low": low, "high": high, "difference_low": difference_low, "difference_high": difference_high}
    return flat | {"verdict": verdict(line)}


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value) if isinstance(value, float) else str(value)
