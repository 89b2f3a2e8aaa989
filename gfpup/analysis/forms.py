"""Cells as tables of Markdown, LaTeX and CSV. Pure: rows of texts under their headings become the lines of a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Final

_MARKDOWN: Final = str.maketrans({"|": r"\|", "*": r"\*", "_": r"\_"})
_LATEX: Final = str.maketrans(
    {letter: rf"\{letter}" for letter in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)
Rows = Sequence[Sequence[str]]


def in_markdown(text: str) -> str:
    """Text as Markdown shows it as it stands."""
    return text.translate(_MARKDOWN)


def in_latex(text: str) -> str:
    """Text as LaTeX prints it as it stands."""
    return text.translate(_LATEX)


def markdown_table(rows: Rows) -> list[str]:
    """The lines of a table; the first of `rows` are its headings."""
    head, *body = [[in_markdown(cell) for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body)]


def latex_table(rows: Rows, *, caption: str, columns: str) -> list[str]:
    """The lines of a table environment that needs the package booktabs; cells and caption are LaTeX already.

    The first of `rows` are the headings, an empty row is a rule, and `columns` is the argument of tabular.
    """
    head, *body = rows
    lines = [" & ".join(row) + r" \\" if row else r"\midrule" for row in (head, (), *body)]
    tabular = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", *lines, r"\bottomrule", r"\end{tabular}"]
    return [r"\begin{table}", r"\centering", *tabular, rf"\caption{{{caption}}}", r"\end{table}"]


def csv_table(rows: Rows) -> str:
    """The whole text of a CSV file; the first of `rows` are its headings."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
