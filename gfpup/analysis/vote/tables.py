"""The result of a vote as text, JSON, CSV, Markdown and LaTeX. Pure: each function returns the whole text."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

from gfpup.analysis import render
from gfpup.analysis.shared import named
from gfpup.analysis.statistics import Interval
from gfpup.analysis.vote.result import MetricLine, PairLine, QuestionResult, RaterLine, Result, Strength
from gfpup.core.files import one_line

METHOD: Final = (
    "strengths are natural logarithms that sum to 0, of Bradley and Terry's model with ties as Davidson (1970): a difference "
    "of 1 means preferred 2.7 times as often. Intervals are by bootstrap over raters and over photos (variances combined as "
    "Cameron, Gelbach and Miller 2011 do, Student's distribution), tau's by percentiles; p is corrected by Holm. Repeated "
    "pairs only count for the raters' consistency"
)
Table = tuple[str, list[str], list[list[str]]]
"""A title, headings, and rows of cells."""


def as_text(result: Result) -> str:
    """Tables for a terminal."""
    parts = []
    for title, head, rows in tables(result):
        parts += [title, render.aligned([head, *rows], "  "), ""]
    return "\n".join([*parts, *(f"note: {note}." for note in notes(result))]) + "\n"


def as_markdown(result: Result) -> str:
    """Tables for a report or an issue."""
    parts = []
    for title, head, rows in tables(result):
        parts += [f"**{render.markdown_cell(title)}**", "", *render.markdown_table(head, rows), ""]
    return "\n".join([*parts, *(f"- {render.markdown_cell(note)}." for note in notes(result))]) + "\n"


def as_latex(result: Result) -> str:
    """Tables that need the package booktabs."""
    found = tables(result)
    parts = [render.latex_table(head, rows, caption=f"{title}.") for title, head, rows in found]
    return "".join([*parts, *(f"% {one_line(note)}.\n" for note in notes(result))])


def as_csv(result: Result) -> str:
    """A line for each strength, pair, metric and rater, its kind in `table`; what does not apply is empty."""
    rows = [
        {"question": about.question, "table": kind, **_flat(one)}
        for about in result.questions
        for kind, lines in (("strength", about.strengths), ("pair", about.pairs), ("metric", about.metrics))
        for one in lines
    ]
    rows += [{"table": "rater", **_flat(rater)} for rater in result.raters]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_json(result: Result) -> str:
    """Everything, for a machine."""
    document = {**asdict(result), "method": METHOD, "notes": notes(result)}
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


FORMATS: Final[Mapping[str, Callable[[Result], str]]] = {
    "text": as_text,
    "json": as_json,
    "csv": as_csv,
    "markdown": as_markdown,
    "latex": as_latex,
}


def tables(result: Result) -> list[Table]:
    """All tables in their order."""
    ci = f"{100 * result.confidence:.4g}% CI"
    return [*(table for about in result.questions for table in _of_question(about, ci)), _raters(result)]


def notes(result: Result) -> list[str]:
    """How it was computed, and what has to be known of the votes."""
    of_questions = [f"{about.question}: {note}" for about in result.questions for note in about.notes]
    return [METHOD, *result.notes, *of_questions]


def _of_question(about: QuestionResult, ci: str) -> list[Table]:
    asked = f"{about.question}: {about.votes} votes of {about.raters} rater{'s' * (about.raters != 1)} on {about.photos} photos"
    title = f"{asked}; equally strong methods tie in {about.tie_share:.0%}"
    strengths = [
        [str(one.rank), one.method, f"{one.strength:+.2f}", _range(one.interval), str(one.votes)] for one in about.strengths
    ]
    pairs = [
        [
            *(pair.method, pair.other, str(pair.preferred), str(pair.ties), str(pair.other_preferred)),
            *(f"{pair.difference:+.2f}", _range(pair.interval), _p(pair.p_value), pair.verdict),
        ]
        for pair in about.pairs
    ]
    metrics = [
        [
            *(named(one.metric, one.level), f"{one.share:.0%}", _range(one.share_interval, "{:.0%}"), str(one.votes)),
            *("none" if one.tau is None else f"{one.tau:+.2f}", _range(one.tau_interval)),
        ]
        for one in about.metrics
    ]
    heads = ["method", "other", "preferred", "tie", "other preferred", "difference", ci, "p (Holm)", "verdict"]
    found: list[Table] = [(title, ["rank", "method", "strength", ci, "votes"], strengths)]
    found.append((f"{about.question}: pairs of methods", heads, pairs))
    if metrics:
        head = ["metric", "agrees", ci, "votes", "Kendall's tau", ci]
        found.append((f"{about.question}: how often metrics agree with people", head, metrics))
    return found


def _raters(result: Result) -> Table:
    rows = [
        [
            *(one.rater, str(one.votes), f"{one.same} of {one.repeated}", "none" if one.kappa is None else f"{one.kappa:+.2f}"),
            *("none" if one.left is None else f"{one.left:.0%}", f"{one.seconds:.1f}"),
        ]
        for one in result.raters
    ]
    head = ["rater", "votes", "repeated alike", "Cohen's kappa", "took the left", "median seconds"]
    return "Consistency of raters, kappa beyond chance", head, rows


def _range(interval: Interval | None, form: str = "{:+.2f}") -> str:
    return "none" if interval is None else f"[{', '.join(form.format(bound) for bound in interval)}]"


def _p(p_value: float | None) -> str:
    return "none" if p_value is None else "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _flat(line: Strength | PairLine | MetricLine | RaterLine) -> dict[str, Any]:
    """The fields of a line, an interval as its two bounds."""
    found: dict[str, Any] = {}
    for name, value in asdict(line).items():
        if name.endswith("interval"):
            low, high = value or (None, None)
            found |= {name.replace("interval", "low"): low, name.replace("interval", "high"): high}
        else:
            found[name] = value
    return found
