"""Charts put values where their axes say, mark the front and the means, and never make equal values look different."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gfpup.analysis.compare import Line
from gfpup.analysis.report.charts import BARS, BOTTOM, DOTS, HEIGHT, LANE, LEFT, RIGHT, TOP, WIDTH, distribution, front


def line(
    run: str, mean: float, *, metric: str = "ssim", on_front: bool = False, interval: tuple[float, float] | None = None
) -> Line:
    made = Line(metric, "photo", True, run, 12, mean, 1, interval=interval)
    return replace(made, on_front=on_front)


def seconds(**times: float) -> dict[str, Line]:
    return {run: line(run, took, metric="seconds") for run, took in times.items()}


def test_points_lie_where_their_values_do() -> None:
    quality = {
        "a": line("a", 0.5, on_front=True, interval=(0.4, 0.6)),
        "b": line("b", 0.7, on_front=True),
        "untimed": line("untimed", 0.9),
    }
    chart = front("t", quality, seconds(a=1.0, b=3.0, unscored=9.0), ["unscored", "b", "a", "untimed"])
    b, a = chart.points
    assert (b.run, a.run) == (1, 2) and [point.run for point in chart.front] == [2, 1]
    room = WIDTH - RIGHT - LEFT
    # A tenth of the range is left free on either side: 1 to 3 seconds on an axis from 0.8 to 3.2.
    assert (a.x, b.x) == (pytest.approx(LEFT + room / 12, abs=0.06), pytest.approx(WIDTH - RIGHT - room / 12, abs=0.06))
    assert TOP < b.y < a.y < HEIGHT - BOTTOM, "higher values stand higher"
    assert len(a.interval) == 2 and a.interval[0] > a.y > a.interval[1] and b.interval == []
    assert a.title == "a: 0.5 in 1 seconds, on the front" and "b: 0.7 in 3 seconds" in chart.label
    assert chart.caption == "seconds per photo" and (chart.height, chart.bottom) == (HEIGHT, HEIGHT - BOTTOM)
    assert [text for _, text in chart.across] == ["1", "2", "3"]
    assert [text for _, text in chart.up] == ["0.4", "0.5", "0.6", "0.7"]


def test_seconds_of_different_magnitudes_have_a_logarithmic_axis() -> None:
    quality = {run: line(run, 0.5) for run in "abc"}
    chart = front("t", quality, seconds(a=1.0, b=10.0, c=100.0), list("abc"))
    a, b, c = (point.x for point in chart.points)
    assert b - a == pytest.approx(c - b, abs=0.11) and chart.caption == "seconds per photo (logarithmic)"
    assert [text for _, text in chart.across] == ["1", "10", "100"]
    short = front("t", quality, seconds(a=1.0, b=5.0, c=20.0), list("abc"))
    assert [text for _, text in short.across] == ["1", "3", "10"]
    wide = front("t", quality, seconds(a=0.01, b=1.0, c=1000.0), list("abc"))
    assert [text for _, text in wide.across] == ["0.01", "0.1", "1", "10", "100", "1000"]
    assert front("t", quality, seconds(a=1.0, b=5.0, c=10.0), list("abc")).caption == "seconds per photo"
    assert front("t", quality, seconds(a=0.0, b=5.0, c=100.0), list("abc")).caption == "seconds per photo"


@pytest.mark.parametrize("value", [0.0, 0.5, -3.0])
def test_equal_values_lie_in_the_middle_of_their_axis(value: float) -> None:
    for other in (value, value * (1 + 1e-12)):
        chart = front("t", {"a": line("a", value), "b": line("b", other)}, seconds(a=2.0, b=2.0), ["a", "b"])
        for point in chart.points:
            assert point.x == pytest.approx((LEFT + WIDTH - RIGHT) / 2, abs=0.1)
            assert point.y == pytest.approx((TOP + HEIGHT - BOTTOM) / 2, abs=0.1)


def test_few_photos_are_dots_and_many_are_bars() -> None:
    few = {f"{i}.png": i / 10 for i in range(DOTS)}
    chart = distribution("t", {"a": few, "b": {"x.png": 1.0}, "none": {}}, ["none", "a", "b"])
    a, b = chart.lanes
    assert (a.run, b.run, len(a.dots), len(a.bars), len(b.dots)) == (1, 2, DOTS, 0, 1)
    assert (a.base, b.base) == (TOP + LANE - 5, TOP + 2 * LANE - 5)
    assert a.mean[1] == "mean 2.95" and b.dots[0][2] == "x.png: 1"
    assert a.mean[0] == pytest.approx(sum(x for x, _, _ in a.dots) / DOTS, abs=0.1)
    assert all(a.base - LANE < y < a.base + 5 for _, y, _ in a.dots) and len({y for _, y, _ in a.dots}) > DOTS / 2
    assert chart.bottom == TOP + 2 * LANE and chart.height > chart.bottom
    assert "a: 0 to 5.9" in chart.label and "b: 1 to 1" in chart.label

    many = {f"{i}.png": float(i % 10 == 0) for i in range(DOTS + 1)}
    (lane,) = distribution("t", {"a": many}, ["a"]).lanes
    assert lane.dots == () and [bar[4] for bar in lane.bars] == ["54 photos", "7 photos"]
    (low_x, low_y, width, low_tall, _), (high_x, high_y, _, high_tall, _) = lane.bars
    assert LEFT < low_x < high_x < WIDTH - RIGHT and low_tall == LANE - 8
    assert high_tall == pytest.approx((LANE - 8) * 7 / 54, abs=0.06)
    assert low_y == pytest.approx(lane.base - low_tall, abs=0.06) and high_y == pytest.approx(lane.base - high_tall, abs=0.06)
    assert width == pytest.approx((WIDTH - RIGHT - LEFT) / BARS - 1, abs=0.06)
