"""A comparison as text, JSON, CSV, Markdown and LaTeX. Pure: each function returns the whole text, ending in a newline."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from gfpup.analysis.compare import Comparison, Line, verdict
from gfpup.analysis.published import Published, beside
from gfpup.analysis.statistics import Interval
from gfpup.evaluation.metrics import TABLE, TO_INPUT

BOOTSTRAP: Final = "studentised bootstrap over photos, clipped to the metric's range"
"""How every interval is computed; every form of the table says so."""
FIELDS: Final = (
    *("metric", "level", "higher_is_better", "run", "n", "mean", "low", "high", "rank"),
    *("difference", "difference_low", "difference_high", "p_value", "win_rate", "on_front", "verdict"),
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


@dataclass(frozen=True)
class Column:
    """A column of the comparison's table: `text` is what a line shows in it, `value` what it is sorted by."""

    heading: str
    text: Callable[[Line], str]
    value: Callable[[Line], float | str | None]


def columns(confidence: float) -> tuple[Column, ...]:
    """The columns of a metric's table, with intervals at the level `confidence` (0 to 1)."""
    ci = f"{100 * confidence:.4g}% CI"
    return (
        Column("rank", lambda line: str(line.rank), lambda line: line.rank),
        Column("run", lambda line: line.run, lambda line: line.run),
        Column("mean", lambda line: number(line.mean), lambda line: line.mean),
        Column(ci, lambda line: interval_text(mean_interval(line)), lambda line: _low(mean_interval(line))),
        Column("difference", _difference, lambda line: line.difference),
        Column(ci, _difference_interval, lambda line: _low(difference_interval(line))),
        Column("p (Holm)", _p_value, lambda line: line.p_value),
        Column("win rate", lambda line: "" if line.win_rate is None else f"{line.win_rate:.0%}", lambda line: line.win_rate),
        Column("n", lambda line: str(line.n), lambda line: line.n),
        Column("verdict", lambda line: verdict(line) + (", on the front" if line.on_front else ""), verdict),
    )


def number(value: float, metric: str = "", *, digits: int = 4, signed: bool = False) -> str:
    """A value to `digits` significant ones, bytes in MB, without an exponent where that stays readable."""
    plus = "+" if signed else ""
    if metric == "peak_memory":
        return f"{value / 1e6:{plus}.0f} MB"
    text = f"{value:{plus}.{digits}g}"
    return text if "e" not in text or abs(value) < 1e-4 else f"{value:{plus}.0f}"


def interval_text(interval: Interval | None, *, signed: bool = False) -> str:
    """An interval as [low, high]; "none" where there were too few photos for one."""
    return "none" if interval is None else f"[{number(interval[0], signed=signed)}, {number(interval[1], signed=signed)}]"


def mean_interval(line: Line) -> Interval | None:
    """The interval of the mean, clipped to the metric's range, which the studentised bootstrap may leave."""
    low, high = _bounds(line.metric)
    return _clipped(line.interval, low, high)


def difference_interval(line: Line) -> Interval | None:
    """The interval of the difference, clipped to what two values in the metric's range can differ by."""
    low, high = _bounds(line.metric)
    most = None if low is None or high is None else high - low
    return _clipped(line.difference_interval, None if most is None else -most, most)


def title(metric: str, level: str, *, higher_is_better: bool) -> str:
    """A metric in words, with which direction is better; against the input neither is."""
    of = "" if level == "photo" else f" of {level}"
    direction = "higher" if higher_is_better else "lower"
    if metric.endswith(TO_INPUT):
        return f"{metric}{of}, {direction} means less was changed, not better"
    return f"{metric}{of}, {direction} is better"


def explanation(comparison: Comparison) -> str:
    """What the columns are and how they were computed, in sentences."""
    return (
        f"Differences are to {comparison.baseline}, paired by photo. {100 * comparison.confidence:.4g}% CI: {BOOTSTRAP}. "
        f"p (Holm): two-sided paired sign-flip test, corrected for {comparison.tests} "
        f"test{'s' * (comparison.tests != 1)}. Win rate: share of photos better than with {comparison.baseline}."
    )


def as_text(comparison: Comparison, *, protocol: str | None = None) -> str:
    """The table for a terminal, about 120 columns wide, with how it was computed and what it supports."""
    parts = [_headline(comparison)]
    for rows, lines in _tables(comparison):
        parts += ["", _title(lines[0]), _aligned(rows)]
        parts += [f"  published: {row.method} {row.value:g} ({row.source})" for row in _beside(protocol, lines[0])]
    parts += [""] + [f"note: {note}." for note in comparison.notes]
    return "\n".join(parts).rstrip("\n") + "\n"


def as_markdown(comparison: Comparison, *, protocol: str | None = None) -> str:
    """The table for a report or an issue."""
    parts = [_escaped(_headline(comparison), _MARKDOWN), ""]
    for (head, *rows), lines in _tables(comparison):
        parts += [f"**{_escaped(_title(lines[0]), _MARKDOWN)}**", "", _row(head), _row(["---"] * len(head))]
        parts += [_row([_escaped(cell, _MARKDOWN) for cell in row]) for row in rows]
        parts += [""] + [f"Published: {row.method} {row.value:g} ({row.source})." for row in _beside(protocol, lines[0])]
    parts += [f"- {_escaped(note, _MARKDOWN)}." for note in comparison.notes]
    return "\n".join(parts).rstrip("\n") + "\n"


def as_latex(comparison: Comparison) -> str:
    """A table that needs the package booktabs: a row per run, a column per metric, the best mean in bold.

    Bootstrap intervals are not symmetric, so their bounds stand as distances below and above the mean.
    """
    keys = comparison.metrics
    titles = []
    for key in keys:
        line = comparison.of(*key)[0]
        name = key[0] if key[1] == "photo" else f"{key[0]} ({key[1]})"
        titles.append(f"{_escaped(name, _LATEX)} ${_UP if line.higher_is_better else _DOWN}$")
    rows = []
    for run in comparison.runs:
        of_run = [next(line for line in comparison.of(*key) if line.run == run) for key in keys]
        rows.append(" & ".join([_escaped(run, _LATEX), *(_latex_cell(line) for line in of_run)]) + r" \\")
    notes = " ".join(f"{note}." for note in comparison.notes)
    caption = _escaped(f"{_headline(comparison)} Sub- and superscripts lead to the bounds of the CI. {notes}".strip(), _LATEX)
    tabular = [rf"\begin{{tabular}}{{l{'r' * len(keys)}}}", r"\toprule", " & ".join(["method", *titles]) + r" \\", r"\midrule"]
    tabular += [*rows, r"\bottomrule", r"\end{tabular}"]
    return "\n".join([r"\begin{table}", r"\centering", *tabular, rf"\caption{{{caption}}}", r"\end{table}", ""])


def as_csv(comparison: Comparison) -> str:
    """A line per run and metric; what does not apply is empty."""
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
        "interval": BOOTSTRAP,
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
    return f"{len(comparison.runs)} runs on the {comparison.photos} photos they share. {explanation(comparison)}"


def _title(line: Line) -> str:
    return title(line.metric, line.level, higher_is_better=line.higher_is_better)


def _tables(comparison: Comparison) -> list[tuple[list[list[str]], list[Line]]]:
    """For each metric the cells of its table, headings first, and its lines."""
    shown = columns(comparison.confidence)
    found = []
    for key in comparison.metrics:
        lines = comparison.of(*key)
        found.append(([[c.heading for c in shown], *([c.text(line) for c in shown] for line in lines)], lines))
    return found


def _difference(line: Line) -> str:
    return "" if line.difference is None else number(line.difference, signed=True)


def _difference_interval(line: Line) -> str:
    return "" if line.difference is None else interval_text(difference_interval(line), signed=True)


def _p_value(line: Line) -> str:
    return "" if line.p_value is None else "<0.001" if line.p_value < 0.001 else f"{line.p_value:.3f}"


def _latex_cell(line: Line) -> str:
    mean = number(line.mean)
    bold = rf"\mathbf{{{mean}}}" if line.rank == 1 else mean
    bounds = mean_interval(line)
    if bounds is None:
        return f"${bold}$"
    low, high = (number(abs(bound - line.mean), digits=2) for bound in bounds)
    return f"${bold}_{{-{low}}}^{{+{high}}}$"


def _bounds(metric: str) -> tuple[float | None, float | None]:
    facts = TABLE.get(metric.removesuffix(TO_INPUT))
    return (None, None) if facts is None else facts.bounds


def _clipped(interval: Interval | None, low: float | None, high: float | None) -> Interval | None:
    if interval is None:
        return None
    first, last = (
        bound if low is None else max(low, bound) for bound in (v if high is None else min(high, v) for v in interval)
    )
    return first, last


def _low(interval: Interval | None) -> float | None:
    return None if interval is None else interval[0]


def _aligned(rows: Sequence[Sequence[str]]) -> str:
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
    low, high = mean_interval(line) or (None, None)
    difference_low, difference_high = difference_interval(line) or (None, None)
    flat: dict[str, object] = {name: getattr(line, name, None) for name in FIELDS if name != "verdict"}
    flat |= {"low": low, "high": high, "difference_low": difference_low, "difference_high": difference_high}
    return flat | {"verdict": verdict(line)}


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value) if isinstance(value, float) else str(value)
