"""A comparison as text, JSON, CSV, Markdown and LaTeX. Pure: each function returns the whole text, ending in a newline."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from gfpup.analysis.compare import Comparison, Line, verdict
from gfpup.analysis.published import beside
from gfpup.analysis.shared import Key, named
from gfpup.analysis.statistics import Interval
from gfpup.evaluation.metrics import TO_INPUT

BOOTSTRAP: Final = "studentised bootstrap over photos, clipped to the metric's range"
"""How every interval is computed; every form of the table says so."""
FIELDS: Final = (
    *("metric", "level", "higher_is_better", "run", "n", "mean", "low", "high", "rank"),
    *("difference", "difference_low", "difference_high", "p_value", "win_rate", "on_front", "verdict"),
)
_MARKDOWN: Final = str.maketrans({"|": r"\|", "*": r"\*", "_": r"\_"})
_LATEX: Final = str.maketrans(
    {letter: rf"\{letter}" for letter in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)


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
        Column("mean", lambda line: number(line.mean, line.metric), lambda line: line.mean),
        Column(ci, lambda line: interval_text(line), lambda line: (line.interval or (None,))[0]),
        Column("difference", _difference, lambda line: line.difference),
        Column(ci, _difference_interval, lambda line: (line.difference_interval or (None,))[0]),
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


def interval_text(line: Line) -> str:
    """The interval of a mean as [low, high]; "none" where there were too few photos for one."""
    return _interval(line.interval, line.metric)


def title(metric: str, level: str, *, higher_is_better: bool) -> str:
    """A metric in words, with which direction is better; against the input neither is."""
    meaning = "means less was changed, not better" if metric.endswith(TO_INPUT) else "is better"
    return f"{named(metric, level)}, {'higher' if higher_is_better else 'lower'} {meaning}"


def explanation(comparison: Comparison) -> str:
    """What the columns are and how they were computed, in sentences."""
    return (
        f"Differences are to {comparison.baseline}, paired by photo. {100 * comparison.confidence:.4g}% CI: {BOOTSTRAP}. "
        f"p (Holm): two-sided paired sign-flip test, corrected for {comparison.tests} "
        f"test{'s' * (comparison.tests != 1)}. Win rate: share of photos better than with {comparison.baseline}."
    )


def missing(means: Iterable[Mapping[str, Any]]) -> list[str]:
    """Why values are missing, of the `means` in scores.json: a line for each reason with the metrics it is about."""
    reasons: dict[str, dict[str, int]] = {}
    for row in means:
        for reason, count in row["missing"].items():
            of_reason = reasons.setdefault(reason, {})
            of_reason[row["metric"]] = max(count, of_reason.get(row["metric"], 0))
    lines = []
    for reason, counts in reasons.items():
        values = "-".join(map(str, sorted({min(counts.values()), max(counts.values())})))
        lines.append(f"{', '.join(counts)}: {values} missing: {reason}")
    return lines


def aligned(rows: Sequence[Sequence[str]], indent: str = "") -> str:
    """Rows of cells as lines whose columns stand below one another."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(indent + line for line in lines)


def markdown_cell(text: str) -> str:
    """Text as it stands in a cell or a line of Markdown."""
    return text.translate(_MARKDOWN)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown."""
    cells = [list(head), ["---"] * len(head), *([markdown_cell(cell) for cell in row] for row in rows)]
    return [f"| {' | '.join(row)} |" for row in cells]


def latex_table(head: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str) -> str:
    """A table in LaTeX that needs the package booktabs; all cells but the first of a row stand to the right."""
    lines = [" & ".join(cell.translate(_LATEX) for cell in row) + r" \\" for row in (head, *rows)]
    tabular = [rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}", r"\toprule", lines[0], r"\midrule", *lines[1:]]
    tabular += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join(
        [r"\begin{table}", r"\centering", *tabular, rf"\caption{{{caption.translate(_LATEX)}}}", r"\end{table}", ""]
    )


def as_text(comparison: Comparison, *, protocol: str | None = None) -> str:
    """The table for a terminal, about 120 columns wide, with how it was computed and what it supports."""
    parts = [_headline(comparison)]
    for key in comparison.metrics:
        rows = _cells(comparison, key)
        parts += [
            "",
            _title(comparison, key),
            aligned(rows, "  "),
            *(f"  published: {row}" for row in _published(key, protocol)),
        ]
    return _joined([*parts, "", *(f"note: {note}." for note in comparison.notes)])


def as_markdown(comparison: Comparison, *, protocol: str | None = None) -> str:
    """The table for a report or an issue."""
    parts = [_headline(comparison).translate(_MARKDOWN), ""]
    for key in comparison.metrics:
        head, *rows = _cells(comparison, key)
        parts += [f"**{_title(comparison, key).translate(_MARKDOWN)}**", "", *markdown_table(head, rows), ""]
        parts += [f"Published: {row}." for row in _published(key, protocol)]
    return _joined([*parts, *(f"- {note.translate(_MARKDOWN)}." for note in comparison.notes)])


def as_latex(comparison: Comparison, *, protocol: str | None = None) -> str:
    """A table that needs the package booktabs: a row per run, a column per metric, the best mean in bold.

    Bootstrap intervals are not symmetric, so their bounds stand as distances below and above the mean.
    """
    head, rows = ["method"], [[run.translate(_LATEX)] for run in comparison.runs]
    for metric, level in comparison.metrics:
        name = metric if level == "photo" else f"{metric} ({level})"
        lines = comparison.by_run((metric, level))
        head.append(f"{name.translate(_LATEX)} $\\{'up' if next(iter(lines.values())).higher_is_better else 'down'}arrow$")
        for row, run in zip(rows, comparison.runs, strict=True):
            row.append(_latex_cell(lines.get(run)))
    notes = " ".join(f"{note}." for note in comparison.notes)
    caption = f"{_headline(comparison)} Sub- and superscripts lead to the bounds of the CI. {notes}".strip().translate(_LATEX)
    body = [head, r"\midrule", *rows]
    tabular = [line if isinstance(line, str) else " & ".join(line) + r" \\" for line in body]
    tabular = [rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}", r"\toprule", *tabular, r"\bottomrule", r"\end{tabular}"]
    return "\n".join([r"\begin{table}", r"\centering", *tabular, rf"\caption{{{caption}}}", r"\end{table}", ""])


def as_csv(comparison: Comparison, *, protocol: str | None = None) -> str:
    """A line per run and metric; what does not apply is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    for flat in _flat(comparison):
        writer.writerow({name: str(value).lower() if isinstance(value, bool) else value for name, value in flat.items()})
    return text.getvalue()


def as_json(comparison: Comparison, *, protocol: str | None = None) -> str:
    """Everything, for a machine: one document with the lines, rankings and Pareto fronts."""
    by_metric = {"/".join(key): comparison.of(*key) for key in comparison.metrics}
    timed = {name: lines for name, lines in by_metric.items() if any(line.on_front is not None for line in lines)}
    published = beside(protocol, {line.metric for line in comparison.lines})
    document = {
        "baseline": comparison.baseline,
        "runs": list(comparison.runs),
        "photos": comparison.photos,
        "left_out": dict(comparison.left_out),
        "confidence": comparison.confidence,
        "interval": BOOTSTRAP,
        "test": f"paired sign-flip, two-sided, Holm over {comparison.tests} tests",
        "lines": _flat(comparison),
        "ranking": {name: [line.run for line in lines] for name, lines in by_metric.items()},
        "pareto_front_against_seconds": {name: [line.run for line in lines if line.on_front] for name, lines in timed.items()},
        "published": [{"measured_as": name, **asdict(row)} for name, row in published],
        "notes": list(comparison.notes),
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


FORMATS: Final[Mapping[str, Callable[..., str]]] = {
    "text": as_text,
    "json": as_json,
    "csv": as_csv,
    "markdown": as_markdown,
    "latex": as_latex,
}


def _joined(parts: Sequence[str]) -> str:
    return "\n".join(parts).rstrip("\n") + "\n"


def _headline(comparison: Comparison) -> str:
    return f"{len(comparison.runs)} runs on the {comparison.photos} photos they share. {explanation(comparison)}"


def _title(comparison: Comparison, key: Key) -> str:
    return title(*key, higher_is_better=comparison.of(*key)[0].higher_is_better)


def _cells(comparison: Comparison, key: Key) -> list[list[str]]:
    """The cells of a metric's table, headings first."""
    shown = columns(comparison.confidence)
    return [[column.heading for column in shown], *([column.text(line) for column in shown] for line in comparison.of(*key))]


def _published(key: Key, protocol: str | None) -> list[str]:
    return [f"{row.method} {row.value:g} ({row.source})" for _, row in beside(protocol, {key[0]})]


def _interval(interval: Interval | None, metric: str, *, signed: bool = False) -> str:
    return "none" if interval is None else f"[{', '.join(number(bound, metric, signed=signed) for bound in interval)}]"


def _difference(line: Line) -> str:
    return "" if line.difference is None else number(line.difference, line.metric, signed=True)


def _difference_interval(line: Line) -> str:
    return "" if line.difference is None else _interval(line.difference_interval, line.metric, signed=True)


def _p_value(line: Line) -> str:
    return "" if line.p_value is None else "<0.001" if line.p_value < 0.001 else f"{line.p_value:.3f}"


def _latex_cell(line: Line | None) -> str:
    if line is None:
        return ""
    mean = number(line.mean, line.metric)
    bold = rf"\mathbf{{{mean}}}" if line.rank == 1 else mean
    if line.interval is None:
        return f"${bold}$"
    low, high = (number(abs(bound - line.mean), line.metric, digits=2) for bound in line.interval)
    return f"${bold}_{{-{low}}}^{{+{high}}}$"


def _flat(comparison: Comparison) -> list[dict[str, Any]]:
    """Every line with the values of `FIELDS`, None where one does not apply."""
    rows = []
    for line in (line for key in comparison.metrics for line in comparison.of(*key)):
        row: dict[str, Any] = {name: getattr(line, name, None) for name in FIELDS} | {"verdict": verdict(line)}
        row["low"], row["high"] = line.interval or (None, None)
        row["difference_low"], row["difference_high"] = line.difference_interval or (None, None)
        rows.append(row)
    return rows
