"""Cells as Markdown, LaTeX and CSV show what was given, whatever letters it has."""

from __future__ import annotations

import csv
import io

from gfpup.analysis.forms import csv_table, in_latex, in_markdown, latex_table, markdown_table

ROWS = [["run", "a|b"], ["one_two", "*3*"], ["", "50 %"]]


def test_markdown_has_a_rule_beneath_its_headings_and_keeps_signs_as_text() -> None:
    assert markdown_table(ROWS) == [
        "| run | a\\|b |",
        "| --- | --- |",
        "| one\\_two | \\*3\\* |",
        "|  | 50 % |",
    ]
    assert in_markdown("plain & simple") == "plain & simple"


def test_latex_has_rules_above_between_and_below_and_an_empty_row_is_one_more() -> None:
    lines = latex_table([["a", "b"], ["1", "2"], [], ["3", "4"]], caption="What", columns="lr")
    assert lines == [
        r"\begin{table}",
        r"\centering",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"a & b \\",
        r"\midrule",
        r"1 & 2 \\",
        r"\midrule",
        r"3 & 4 \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\caption{What}",
        r"\end{table}",
    ]
    assert in_latex(r"50 % of a_b & {c} \ ~^") == (
        r"50 \% of a\_b \& \{c\} \textbackslash{} \textasciitilde{}\textasciicircum{}"
    )


def test_csv_is_read_back_as_it_was() -> None:
    rows = [["a", "b"], ['say "x"', "1,2"], ["two\nlines", ""]]
    assert list(csv.reader(io.StringIO(csv_table(rows), newline=""))) == rows and csv_table(rows).startswith("a,b\n")
