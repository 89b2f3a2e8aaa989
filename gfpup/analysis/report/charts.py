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
    interval: tuple[float, float] | None
    title: str
    on_front: bool


@dataclass(frozen=True)
class Lane:
    """The values of a run: dots (x, y, tooltip) or bars (x, y, width, height, tooltip) above `base`, and the mean's x."""

    run: int
    base: float
    dots: tuple[tuple[float, float, str], ...]
    bars: tuple[tuple[float, float, float, float, str], ...]
    mean: tuple[float, str]


@dataclass(frozen=True)
class Chart:
    """One chart in units of its SVG view box, `WIDTH` wide; `label` is its text alternative."""

    title: str
    label: str
    height: int
    bottom: int
    across: tuple[Tick, ...]
    up: tuple[Tick, ...] = ()
    caption: str = ""
    points: tuple[Point, ...] = ()
    lanes: tuple[Lane, ...] = ()

    @property
    def front(self) -> list[Point]:
        """The points on the Pareto front from left to right."""
        return sorted((point for point in self.points if point.on_front), key=lambda point: point.x)


def front(title: str, quality: Mapping[str, Line], seconds: Mapping[str, Line], runs: Sequence[str]) -> Chart:
    """Quality against seconds: a numbered point for each run with the interval of its mean."""
    shown = [run for run in runs if run in quality and run in seconds]
    times = [seconds[run].mean for run in shown]
    spans = [bound for run in shown for bound in (quality[run].interval or ())]
    logarithmic = min(times) > 0 and max(times) > 10 * min(times)
    across = _Axis(*_padded(times, logarithmic=logarithmic), LEFT, WIDTH - RIGHT, logarithmic=logarithmic)
    up = _Axis(*_padded([*spans, *(quality[run].mean for run in shown)]), HEIGHT - BOTTOM, TOP)
    points = []
    for run in shown:
        line, interval = quality[run], quality[run].interval
        ends = None if interval is None else (round(up(interval[0]), 1), round(up(interval[1]), 1))
        tooltip = (
            f"{run}: {number(line.mean)} in {number(seconds[run].mean)} seconds{', on the front' if line.on_front else ''}"
        )
        x, y = round(across(seconds[run].mean), 1), round(up(line.mean), 1)
        points.append(Point(runs.index(run), x, y, ends, tooltip, bool(line.on_front)))
    return Chart(
        title=title,
        label=f"Mean against seconds per photo: {'; '.join(point.title for point in points)}",
        height=HEIGHT,
        bottom=HEIGHT - BOTTOM,
        across=across.ticks,
        up=up.ticks,
        caption="seconds per photo" + (" (logarithmic)" if logarithmic else ""),
        points=tuple(points),
    )


def distribution(
    title: str, values: Mapping[str, Sequence[float]], runs: Sequence[str], names: Mapping[str, Sequence[str]]
) -> Chart:
    """The values of each run on one axis: a dot per photo, or a histogram of many; a stroke marks the mean.

    `names` are those of the photos, in the order of the `values`.
    """
    shown = [run for run in runs if len(values.get(run, ()))]
    bottom = TOP + LANE * len(shown)
    across = _Axis(*_padded([value for run in shown for value in values[run]]), LEFT, WIDTH - RIGHT)
    tallest = max((int(_histogram(values[run], across)[0].max()) for run in shown), default=1)
    lanes = []
    for at, run in enumerate(shown):
        base, mean = TOP + LANE * (at + 1) - 5, float(np.mean(values[run]))
        few = len(values[run]) <= DOTS
        dots = _dots(values[run], names[run], across, base - LANE / 2 + 5) if few else ()
        bars = () if few else _bars(values[run], across, base, tallest)
        lanes.append(Lane(runs.index(run), base, dots, bars, (round(across(mean), 1), f"mean {number(mean)}")))
    ranges = ", ".join(f"{run}: {number(min(values[run]))} to {number(max(values[run]))}" for run in shown)
    return Chart(title, f"Distribution over photos: {ranges}", bottom + 22, bottom, across.ticks, lanes=tuple(lanes))


def _dots(values: Sequence[float], names: Sequence[str], across: _Axis, middle: float) -> tuple[tuple[float, float, str], ...]:
    # Heights follow the golden angle, so that dots of equal values do not hide one another.
    return tuple(
        (round(across(value), 1), round(middle + 8 * math.sin(2.4 * i), 1), f"{name}: {number(value)}")
        for i, (value, name) in enumerate(zip(values, names, strict=True))
    )


def _bars(
    values: Sequence[float], across: _Axis, base: float, tallest: int
) -> tuple[tuple[float, float, float, float, str], ...]:
    counts, edges = _histogram(values, across)
    width = max(1, across(float(edges[1])) - across(float(edges[0])) - 1)
    heights = [max(1.0, (LANE - 8) * count / tallest) for count in counts.tolist()]
    return tuple(
        (round(across(edge), 1), round(base - tall, 1), round(width, 1), round(tall, 1), f"{count} photos")
        for count, edge, tall in zip(counts.tolist(), edges.tolist(), heights, strict=False)
        if count
    )


def _histogram(values: Sequence[float], across: _Axis) -> tuple[np.ndarray, np.ndarray]:
    return np.histogram(values, BARS, (across.low, across.high))


class _Axis:
    """Maps values to positions along an axis, linearly or by their logarithm."""

    def __init__(self, low: float, high: float, start: float, end: float, *, logarithmic: bool = False) -> None:
        self.low, self.high, self.start, self.end, self.logarithmic = low, high, start, end, logarithmic

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        if self.logarithmic:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    @property
    def marks(self) -> list[float]:
        """About four round numbers; powers of ten, on a short logarithmic axis three times those too."""
        if self.logarithmic:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            marks = [m * 10.0**power for power in range(first, last + 1) for m in ((1, 3) if last - first < 4 else (1,))]
            return [mark for mark in marks if self.low <= mark <= self.high]
        rough = (self.high - self.low) / 4
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
        first_step, last_step = math.ceil(self.low / step), math.floor(self.high / step)
        return [i * step for i in range(first_step, last_step + 1)]

    @property
    def ticks(self) -> tuple[Tick, ...]:
        return tuple((round(self(mark), 1), number(mark)) for mark in self.marks)


def _padded(values: Sequence[float], *, logarithmic: bool = False) -> tuple[float, float]:
    low, high = min(values), max(values)
    if logarithmic:
        edge = (high / low) ** 0.1
        return low / edge, high * edge
    edge = 0.1 * (high - low) or abs(high) * 0.05 or 1.0
    # Values that differ by rounding alone must not look different.
    edge = max(edge, 1e-6 * max(abs(low), abs(high)))
    return low - edge, high + edge
