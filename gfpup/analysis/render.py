"""A comparison as text, JSON, CSV, Markdown and LaTeX. Pure: each function returns the whole text, ending in a newline."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from gfpup.analysis.compare import Comparison, Line, verdict
from gfpup.analysis.flat import FIELDS, flat_lines, flat_published, flat_slice
from gfpup.analysis.forms import in_latex, in_markdown, latex_table, markdown_table
from gfpup.analysis.published import beside
from gfpup.analysis.shared import Key, named
from gfpup.analysis.statistics import Interval
from gfpup.evaluation.metrics import TO_INPUT

BOOTSTRAP: Final = "studentised bootstrap over photos, clipped to the metric's range"
"""How every interval is computed; every form of the table says so."""


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


def power_text(line: Line) -> str:
    """What so many photos could have shown, and how many would show the difference observed; "" where there were too few."""
    if line.detectable is None:
        return ""
    smallest = number(line.detectable, line.metric, digits=2)
    said = f"{line.n} photos can show a difference of {smallest} or more"
    if line.photos_needed is None:
        return f"{said}; no number of photos shows one of 0"
    return f"{said}; {line.photos_needed} would show the one observed"


POWER: Final = "power 0.8, two-sided 0.05, one comparison by itself"
"""What `power_text` speaks of."""


def slice_table(comparison: Comparison, by: str) -> list[list[str]]:
    """The cells of the differences within the slices of one fact, headings first."""
    ci = f"{100 * comparison.confidence:.4g}% CI"
    rows = [["metric", "run", by, "n", "difference", ci, "p (Holm)", "p of equal slices (Holm)"]]
    before: tuple[str, ...] = ()
    for line in (line for line in comparison.slices if line.by == by):
        name, first = named(line.metric, line.level), (line.metric, line.level, line.run) != before
        before = (line.metric, line.level, line.run)
        difference = number(line.difference, line.metric, signed=True)
        bounds = _interval(line.interval, line.metric, signed=True)
        equal = _p(line.interaction_p) if first else ""
        rows.append(
            [
                name if first else "",
                line.run if first else "",
                line.slice,
                str(line.n),
                difference,
                bounds,
                _p(line.p_value),
                equal,
            ]
        )
    return rows


def slices_explained(comparison: Comparison, by: str) -> str:
    """What the table of slices is, as a sentence."""
    return (
        f"Differences to {comparison.baseline} by {by}. The last column tests, by permuting Welch's statistic, whether the "
        "difference is the same in all slices; both p are corrected for all such tests"
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
            *(f"  {line.run}: {said} ({POWER})" for line in comparison.of(*key) if (said := power_text(line))),
        ]
    for by in _facts(comparison):
        parts += ["", slices_explained(comparison, by) + ":", aligned(slice_table(comparison, by), "  ")]
    return _joined([*parts, "", *(f"note: {note}." for note in comparison.notes)])


def as_markdown(comparison: Comparison, *, protocol: str | None = None) -> str:
    """The table for a report or an issue."""
    parts = [in_markdown(_headline(comparison)), ""]
    for key in comparison.metrics:
        parts += [f"**{in_markdown(_title(comparison, key))}**", "", *markdown_table(_cells(comparison, key)), ""]
        parts += [f"Published: {row}." for row in _published(key, protocol)]
        said = [f"- {line.run}: {power_text(line)} ({POWER})." for line in comparison.of(*key) if power_text(line)]
        parts += [*(in_markdown(text) for text in said), *([""] if said else [])]
    for by in _facts(comparison):
        parts += [
            f"**{in_markdown(slices_explained(comparison, by))}**",
            "",
            *markdown_table(slice_table(comparison, by)),
            "",
        ]
    return _joined([*parts, *(f"- {in_markdown(note)}." for note in comparison.notes)])


def as_latex(comparison: Comparison, *, protocol: str | None = None) -> str:
    """A table that needs the package booktabs: a row per run, a column per metric, the best mean in bold.

    Bootstrap intervals are not symmetric, so their bounds stand as distances below and above the mean.
    """
    head, rows = ["method"], [[in_latex(run)] for run in comparison.runs]
    for metric, level in comparison.metrics:
        name = metric if level == "photo" else f"{metric} ({level})"
        lines = comparison.by_run((metric, level))
        head.append(f"{in_latex(name)} $\\{'up' if next(iter(lines.values())).higher_is_better else 'down'}arrow$")
        for row, run in zip(rows, comparison.runs, strict=True):
            row.append(_latex_cell(lines.get(run)))
    notes = " ".join(f"{note}." for note in comparison.notes)
    beneath, sources = _latex_published(comparison, protocol)
    caption = f"{_headline(comparison)} Sub- and superscripts lead to the bounds of the CI. {sources} {notes}"
    tables = [latex_table([head, *rows, *beneath], caption=_tidy(caption), columns="l" + "r" * (len(head) - 1))]
    for by in _facts(comparison):
        cells = [[in_latex(cell) for cell in row] for row in slice_table(comparison, by)]
        tables.append(latex_table(cells, caption=_tidy(f"{slices_explained(comparison, by)}."), columns="lllrrrrr"))
    return "\n\n".join("\n".join(table) for table in tables) + "\n"


def as_csv(comparison: Comparison, *, protocol: str | None = None) -> str:
    """A line per run and metric, then per slice, then per published number; what does not apply is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    published = [flat_published(*row) for row in beside(protocol, {line.metric for line in comparison.lines})]
    for flat in (*flat_lines(comparison), *map(flat_slice, comparison.slices), *published):
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
        "lines": flat_lines(comparison),
        "ranking": {name: [line.run for line in lines] for name, lines in by_metric.items()},
        "pareto_front_against_seconds": {name: [line.run for line in lines if line.on_front] for name, lines in timed.items()},
        "published": [{"measured_as": name, **asdict(row)} for name, row in published],
        "slices": [asdict(line) for line in comparison.slices],
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


def _facts(comparison: Comparison) -> list[str]:
    """The facts that the photos were sliced by."""
    return list(dict.fromkeys(line.by for line in comparison.slices))


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
    return _p(line.p_value)


def _p(value: float | None) -> str:
    return "" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def _latex_cell(line: Line | None) -> str:
    if line is None:
        return ""
    mean = number(line.mean, line.metric)
    bold = rf"\mathbf{{{mean}}}" if line.rank == 1 else mean
    if line.interval is None:
        return f"${bold}$"
    low, high = (number(abs(bound - line.mean), line.metric, digits=2) for bound in line.interval)
    return f"${bold}_{{-{low}}}^{{+{high}}}$"


def _latex_published(comparison: Comparison, protocol: str | None) -> tuple[list[list[str]], str]:
    """The rows of published numbers beneath a rule, and a sentence with their sources; none and "" without any."""
    rows: dict[str, list[str]] = {}
    sources = dict[str, None]()
    for place, (metric, _) in enumerate(comparison.metrics, 1):
        for _, number_of in beside(protocol, {metric}):
            cells = rows.setdefault(number_of.method, [in_latex(number_of.method), *[""] * len(comparison.metrics)])
            cells[place] = f"${number_of.value:g}$"
            sources[number_of.source] = None
    said = f"Below the second rule, published numbers: {'; '.join(sources)}." if rows else ""
    return [[], *rows.values()] if rows else [], said


def _tidy(caption: str) -> str:
    return in_latex(" ".join(caption.split()))
