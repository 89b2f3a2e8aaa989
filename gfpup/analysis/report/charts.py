"""Charts as positions, which a template draws as SVG: quality against seconds with its Pareto front, and distributions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gfpup.analysis.compare import Line
from gfpup.analysis.render import number

WIDTH, HEIGHT = 380, 260
LEFT, RIGHT, TOP, BOTTOM = 58, 16, 14, 40
LANE: Final = 38
DOTS: Final = 60
"""With more photos than this, dots hide one another and a histogram replaces them."""
BARS: Final = 30

Tick = tuple[float, str]
"""A position on an axis and the number there."""


@dataclass(frozen=True)
class Point:
    """A run: its number from 0, the centre of its mark, the ends of its interval (y, y), and its tooltip."""

    run: int
    x: float
    y: float
    interval: list[float]
    title: str
    on_front: bool


@dataclass(frozen=True)
class Lane:
    """The values of a run: dots (x, y, tooltip) or bars (x, y, width, height, tooltip) above `base`, and the mean's x."""

    run: int
    base: float
    dots: Sequence[tuple[float, float, str]]
    bars: Sequence[tuple[float, float, float, float, str]]
    mean: tuple[float, str]


@dataclass(frozen=True)
class Chart:
    """One chart in units of its SVG view box, `WIDTH` wide; `label` is its text alternative."""

    title: str
    label: str
    height: int
    bottom: int
    across: Sequence[Tick]
    up: Sequence[Tick] = ()
    caption: str = ""
    points: Sequence[Point] = ()
    lanes: Sequence[Lane] = ()

    @property
    def front(self) -> list[Point]:
        """The points on the Pareto front from left to right."""
        return sorted((point for point in self.points if point.on_front), key=lambda point: point.x)


def front(title: str, quality: Mapping[str, Line], seconds: Mapping[str, Line], runs: Sequence[str]) -> Chart:
    """Quality against seconds: a numbered point for each run with the interval of its mean."""
    lines = {run: (quality[run], seconds[run].mean) for run in runs if run in quality and run in seconds}
    times = [took for _, took in lines.values()]
    logarithmic = min(times) > 0 and max(times) > 10 * min(times)
    across = _Axis(times, LEFT, WIDTH - RIGHT, logarithmic=logarithmic)
    up = _Axis([v for line, _ in lines.values() for v in (line.mean, *(line.interval or ()))], HEIGHT - BOTTOM, TOP)
    points = []
    for run, (line, took) in lines.items():
        tooltip = (
            f"{run}: {number(line.mean, line.metric)} in {number(took)} seconds{', on the front' if line.on_front else ''}"
        )
        ends = [up(bound) for bound in line.interval or ()]
        points.append(Point(runs.index(run), across(took), up(line.mean), ends, tooltip, bool(line.on_front)))
    label = f"Mean against seconds per photo: {'; '.join(point.title for point in points)}"
    caption = "seconds per photo" + (" (logarithmic)" if logarithmic else "")
    return Chart(title, label, HEIGHT, HEIGHT - BOTTOM, across.ticks, up.ticks, caption, points)


def distribution(title: str, values: Mapping[str, Mapping[str, float]], runs: Sequence[str]) -> Chart:
    """The values of each run, by the name of the photo, on one axis: a dot per photo, or a histogram of many.

    A stroke marks the mean.
    """
    shown = {run: list(values[run].values()) for run in runs if values.get(run)}
    bottom = TOP + LANE * len(shown)
    across = _Axis([value for found in shown.values() for value in found], LEFT, WIDTH - RIGHT)
    histograms = {run: np.histogram(found, BARS, (across.low, across.high)) for run, found in shown.items()}
    tallest = max((int(counts.max()) for counts, _ in histograms.values()), default=1)
    lanes = []
    for at, (run, found) in enumerate(shown.items()):
        base, mean, few = TOP + LANE * (at + 1) - 5, float(np.mean(found)), len(found) <= DOTS
        dots = _dots(values[run], across, base - LANE / 2 + 5) if few else ()
        bars = () if few else _bars(*histograms[run], across, base, tallest)
        lanes.append(Lane(runs.index(run), base, dots, bars, (across(mean), f"mean {number(mean)}")))
    ranges = ", ".join(f"{run}: {number(min(found))} to {number(max(found))}" for run, found in shown.items())
    return Chart(title, f"Distribution over photos: {ranges}", bottom + 22, bottom, across.ticks, lanes=lanes)


def _dots(values: Mapping[str, float], across: _Axis, middle: float) -> list[tuple[float, float, str]]:
    # Heights follow the golden angle, so that dots of equal values do not hide one another.
    return [
        (across(value), round(middle + 8 * math.sin(2.4 * i), 1), f"{name}: {number(value)}")
        for i, (name, value) in enumerate(values.items())
    ]


def _bars(
    counts: np.ndarray, edges: np.ndarray, across: _Axis, base: float, tallest: int
) -> list[tuple[float, float, float, float, str]]:
    width = round(max(1.0, (across.end - across.start) / BARS - 1), 1)
    heights = [round(max(1.0, (LANE - 8) * count / tallest), 1) for count in counts.tolist()]
    return [
        (across(edge), round(base - tall, 1), width, tall, f"{count} photos")
        for count, edge, tall in zip(counts.tolist(), edges.tolist()[:-1], heights, strict=True)
        if count
    ]


class _Axis:
    """Maps values to positions along an axis from `start` to `end`, linearly or by their logarithm, with a margin."""

    def __init__(self, values: Sequence[float], start: float, end: float, *, logarithmic: bool = False) -> None:
        low, high = min(values), max(values)
        if logarithmic:
            edge = (high / low) ** 0.1
            self.low, self.high = low / edge, high * edge
        else:
            edge = 0.1 * (high - low) or abs(high) * 0.05 or 1.0
            # Values that differ by rounding alone must not look different.
            edge = max(edge, 1e-6 * max(abs(low), abs(high)))
            self.low, self.high = low - edge, high + edge
        self.start, self.end, self.logarithmic = start, end, logarithmic

    def __call__(self, value: float) -> float:
        value, low, high = (math.log(v) if self.logarithmic else v for v in (value, self.low, self.high))
        return round(self.start + (value - low) / (high - low) * (self.end - self.start), 1)

    @property
    def ticks(self) -> list[Tick]:
        """About four round numbers; powers of ten, on a short logarithmic axis three times those too."""
        if self.logarithmic:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            marks = [m * 10.0**power for power in range(first, last + 1) for m in ((1, 3) if last - first < 4 else (1,))]
        else:
            rough = (self.high - self.low) / 4
            power = 10.0 ** math.floor(math.log10(rough))
            step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
            marks = [i * step for i in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]
        return [(self(mark), number(mark)) for mark in marks if self.low <= mark <= self.high]
