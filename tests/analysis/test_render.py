"""Tables print what a comparison holds under the field's headings, with intervals that stay in their metric's range."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace

import pytest

from gfpup.analysis import render
from gfpup.analysis.compare import Comparison, Line, clipped

HEADINGS = ["rank", "run", "mean", "95% CI", "difference", "95% CI", "p (Holm)", "win rate", "n", "verdict"]


@pytest.fixture
def comparison() -> Comparison:
    """Two runs by SSIM, whose studentised intervals leave its range of -1 to 1 on both sides."""
    base = Line("ssim", "photo", True, "old_1", 12, 0.927, 2, interval=clipped((0.851, 1.003), "ssim"))
    other = replace(
        base, run="new", mean=0.95, rank=1, interval=(0.93, 0.98), difference=0.023,
        difference_interval=clipped((-2.4, 0.05), "ssim", difference=True), p_value=0.0004, win_rate=0.75,
    )  # fmt: skip
    return Comparison(("old_1", "new"), "old_1", 12, {}, 0.95, 1, (base, other), ("a note",))


def test_headings_are_those_of_the_field(comparison: Comparison) -> None:
    assert [column.heading for column in render.columns(0.95)] == HEADINGS
    assert render.columns(0.9)[3].heading == "90% CI"
    text = next(line for line in render.as_text(comparison).splitlines() if line.lstrip().startswith("rank"))
    assert re.split(r"\s{2,}", text.strip()) == HEADINGS
    assert "| " + " | ".join(HEADINGS) + " |" in render.as_markdown(comparison)


def test_an_interval_never_leaves_the_range_of_its_metric(comparison: Comparison) -> None:
    assert "[0.851, 1]" in render.as_text(comparison) and "[-2, +0.05]" in render.as_text(comparison)
    (_, line) = json.loads(render.as_json(comparison))["lines"]
    assert (line["low"], line["high"]) == (0.851, 1)
    rows = list(csv.DictReader(io.StringIO(render.as_csv(comparison))))
    assert [float(row["high"]) for row in rows] == [0.98, 1]
    for metric, interval, kept in (
        ("psnr", (-1.0, 70.0), (0, 70)),
        ("ssim_to_input", (-1.5, 1.5), (-1, 1)),
        ("of another tool", (-9.0, 9.0), (-9, 9)),
    ):
        assert clipped(interval, metric) == kept
    assert clipped(None, "ssim") is None


def test_every_form_says_how_its_intervals_were_computed(comparison: Comparison) -> None:
    for form in (render.as_text, render.as_markdown, render.as_latex, render.as_json):
        assert "studentised bootstrap over photos" in form(comparison)


def test_latex_prints_asymmetric_intervals_as_such(comparison: Comparison) -> None:
    latex = render.as_latex(comparison)
    assert r"$\mathbf{0.95}_{-0.02}^{+0.03}$" in latex and "$0.927_{-0.076}^{+0.073}$" in latex
    assert r"\pm" not in latex and r"old\_1" in latex


@pytest.mark.parametrize(
    ("value", "text"), [(0.123456, "0.1235"), (12345.6, "12346"), (0.00001, "1e-05"), (0.0, "0"), (-3.0, "-3")]
)
def test_numbers_have_four_digits_and_no_exponent_where_that_stays_readable(value: float, text: str) -> None:
    assert render.number(value) == text
    assert render.number(5e6, "peak_memory") == "5 MB" and render.number(0.5, signed=True) == "+0.5"
