"""Where a difference becomes a claim, and what stands beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gfpup.analysis.compare import Line, clipped, compare, verdict
from gfpup.analysis.power import photos_to_show, smallest_difference
from gfpup.analysis.render import number, power_text, slice_table
from gfpup.analysis.shared import SharedScores
from gfpup.core.types import Score
from gfpup.records.run_record import RunRecord

LINE = Line("ssim", "photo", True, "b", 10, 0.6, 1, difference=0.1, p_value=0.05)


def run(name: str, *metrics: tuple[str, dict[str, float]]) -> RunRecord:
    rows = [Score(metric, value, True, photo=photo) for metric, values in metrics for photo, value in values.items()]
    return RunRecord(Path(name), {}, tuple(rows), name)


def test_a_claim_needs_ten_photos_and_a_p_value_of_five_percent() -> None:
    assert verdict(LINE) == "better" and verdict(replace(LINE, difference=-0.1)) == "worse"
    assert verdict(replace(LINE, p_value=0.0501)) == "no difference shown"
    assert verdict(replace(LINE, n=9)) == "too few" and verdict(replace(LINE, n=9, difference=None)) == "baseline"
    assert verdict(replace(LINE, higher_is_better=False)) == "worse"
    near = replace(LINE, metric="lpips_to_input", higher_is_better=False)
    assert verdict(near) == "farther from the input" and verdict(replace(near, difference=-0.1)) == "nearer the input"


def test_intervals_stay_in_the_range_of_their_metric_and_differences_in_twice_that() -> None:
    assert clipped((0.2, 1.3), "ssim") == (0.2, 1.0)
    low, high = clipped((-99.0, 99.0), "ssim") or (0, 0)
    assert clipped((-99.0, 99.0), "ssim", difference=True) == (low - high, high - low)
    assert clipped((-5.0, 99.0), "ssim_to_input") == (low, high), "against the input the range is the metric's"
    assert clipped((-5.0, 99.0), "people_better") == (-5.0, 99.0) and clipped(None, "ssim") is None
    assert clipped((0.2, 0.3), "ssim") == (0.2, 0.3)


def test_each_line_says_what_so_many_photos_could_have_shown() -> None:
    base = np.random.default_rng(0).normal(0.5, 0.02, 20)
    other = base + np.random.default_rng(1).normal(0.01, 0.02, 20)
    a, b = (run(name, ("ssim", {f"{i}.png": float(v) for i, v in enumerate(of)})) for name, of in (("a", base), ("b", other)))
    lines = {line.run: line for line in compare([a, b]).lines}
    assert (lines["a"].detectable, lines["a"].photos_needed, power_text(lines["a"])) == (None, None, "")
    smallest, needed = smallest_difference(other - base), photos_to_show(other - base)
    assert smallest is not None and lines["b"].detectable == pytest.approx(smallest) and lines["b"].photos_needed == needed
    assert power_text(lines["b"]) == (
        f"20 photos can show a difference of {number(smallest, digits=2)} or more; {needed} would show the one observed"
    )
    assert power_text(replace(lines["b"], photos_needed=None)).endswith("no number of photos shows one of 0")


def test_seconds_are_averaged_over_the_photos_that_all_timed_runs_have() -> None:
    photos = {f"{i}.png": 0.5 for i in range(4)}
    timed = [
        run("a", ("ssim", photos), ("seconds", {f"{i}.png": 1.0 + i for i in range(3)})),
        run("b", ("ssim", photos), ("seconds", {f"{i}.png": 10.0 * i for i in range(1, 4)})),
    ]
    assert SharedScores([*timed, run("c", ("ssim", photos))]).mean_seconds() == {"a": 2.5, "b": 15.0}
    assert SharedScores([timed[0], run("c", ("ssim", photos))]).mean_seconds() == {"a": 2.0}
    assert SharedScores([run("c", ("ssim", photos)), run("d", ("ssim", photos))]).mean_seconds() == {}


def test_a_cost_is_compared_where_two_runs_have_it_and_a_quality_where_all_do() -> None:
    photos = {f"{i}.png": float(i) for i in range(3)}
    runs = [
        run("a", ("ssim", photos), ("psnr", photos), ("seconds", photos)),
        run("b", ("ssim", photos), ("psnr", photos), ("seconds", photos)),
        run("c", ("ssim", photos)),
    ]
    assert SharedScores(runs).keys == [("ssim", "photo"), ("seconds", "photo")]
    assert SharedScores([runs[0], runs[2]]).keys == [("ssim", "photo")]


def test_a_table_of_slices_names_each_run_and_metric_once() -> None:
    def scores(shift: float) -> dict[str, float]:
        return {f"{i}.png": i / 50 + shift * (i % 2) for i in range(20)}

    runs = [
        run(name, ("ssim", scores(shift)), ("psnr", scores(2 * shift))) for name, shift in (("a", 0.0), ("b", 0.1), ("c", 0.2))
    ]
    facts = {"parity": {str(i): ("odd" if i % 2 else "even") for i in range(20)}}
    head, *rows = slice_table(compare(runs, by=facts), "parity")
    assert head[:4] == ["metric", "run", "parity", "n"]
    assert [row[:4] for row in rows] == [
        [metric if part == "even" else "", run if part == "even" else "", part, "10"]
        for metric in ("ssim", "psnr") for run in ("b", "c") for part in ("even", "odd")
    ]  # fmt: skip
    assert [row[4] for row in rows[:4]] == ["+0", "+0.1", "+0", "+0.2"]
    assert all((row[7] == "") == (row[2] == "odd") for row in rows)
