"""Charts as inline SVG: quality against seconds with its Pareto front, and how the values of each run are spread."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

import numpy as np

from gfpup.analysis.compare import Line

WIDTH, HEIGHT = 380, 260
LEFT, RIGHT, TOP, BOTTOM = 58, 16, 14, 40
LANE: Final = 38
DOTS: Final = 60
"""Up to here a photo is a dot; beyond, dots hide one another and bars take their place."""
BARS: Final = 30
COLOURS: Final = 8
"""How many colours the style sheet has; runs are numbered too, so more of them stay apart."""


def number(value: float, metric: str = "", *, signed: bool = False) -> str:
    """A value to four significant digits, bytes in MB, without an exponent where that stays readable."""
    plus = "+" if signed else ""
    if metric == "peak_memory":
        return f"{value / 1e6:{plus}.0f} MB"
    text = f"{value:{plus}.4g}"
    return text if "e" not in text or abs(value) < 1e-4 else f"{value:{plus}.0f}"


def front(quality: Mapping[str, Line], seconds: Mapping[str, Line], runs: Sequence[str]) -> str:
    """Quality against seconds, a numbered point a run with the interval of its mean; the front is joined by a line."""
    shown = [run for run in runs if run in quality and run in seconds]
    times = [seconds[run].mean for run in shown]
    spread = [bound for run in shown for bound in (quality[run].interval or (quality[run].mean,))]
    logarithmic = min(times) > 0 and max(times) > 10 * min(times)
    low, high = _padded(times, logarithmic=logarithmic)
    across = _Axis(low, high, LEFT, WIDTH - RIGHT, logarithmic=logarithmic)
    up = _Axis(*_padded([*spread, *(quality[run].mean for run in shown)]), HEIGHT - BOTTOM, TOP)
    places = {run: (across(seconds[run].mean), up(quality[run].mean)) for run in shown}
    label = "seconds a photo" + (", logarithmic" if logarithmic else "")
    parts = [_grid(across, TOP, HEIGHT - BOTTOM), _scale(up), _caption(label)]
    ahead = sorted((places[run] for run in shown if quality[run].on_front), key=lambda place: place[0])
    if len(ahead) > 1:
        parts.append(f'<polyline class="front" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in ahead)}"/>')
    for run in shown:
        (x, y), line = places[run], quality[run]
        where = runs.index(run)
        mark = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="9"/><text x="{x:.1f}" y="{y + 4:.1f}">{where + 1}</text>'
        if line.interval is not None:
            mark = f'<path d="M{x:.1f} {up(line.interval[0]):.1f}V{up(line.interval[1]):.1f}"/>' + mark
        said = f"{run}: {number(line.mean)} in {number(seconds[run].mean)} seconds{', on the front' if line.on_front else ''}"
        kind = "point ahead" if line.on_front else "point"
        parts.append(f'<g class="{kind} colour-{where % COLOURS}"><title>{escape(said)}</title>{mark}</g>')
    names = [f"{run}{' (on the front)' if quality[run].on_front else ''}" for run in shown]
    return _svg(HEIGHT, f"Mean against seconds a photo of {', '.join(names)}", parts)


def spread(values: Mapping[str, Sequence[float]], runs: Sequence[str], names: Mapping[str, Sequence[str]]) -> str:
    """The values of each run on one axis: a dot a photo, bars where there are many; the stroke is the mean.

    `names` are those of the photos, in the order of the `values`.
    """
    shown = [run for run in runs if len(values.get(run, ()))]
    height = TOP + LANE * len(shown) + 22
    across = _Axis(*_padded([value for run in shown for value in values[run]]), LEFT, WIDTH - RIGHT)
    parts = [_grid(across, TOP, height - 22)]
    tallest = max((int(np.histogram(values[run], BARS, (across.low, across.high))[0].max()) for run in shown), default=1)
    for lane, run in enumerate(shown):
        where, base = runs.index(run), TOP + LANE * (lane + 1) - 5
        lane_parts = [f'<text class="lane" x="{LEFT - 10}" y="{base - LANE / 2 + 10:.1f}">{where + 1}</text>']
        if len(values[run]) <= DOTS:
            for i, (value, name) in enumerate(zip(values[run], names[run], strict=True)):
                y = base - LANE / 2 + 5 + 8 * math.sin(2.4 * i)  # spread by the golden angle, so that equal values show
                said = f"<title>{escape(f'{name}: {number(value)}')}</title>"
                lane_parts.append(f'<circle cx="{across(value):.1f}" cy="{y:.1f}" r="3.5">{said}</circle>')
        else:
            counts, edges = np.histogram(values[run], BARS, (across.low, across.high))
            step = across(float(edges[1])) - across(float(edges[0]))
            for count, edge in zip(counts.tolist(), edges.tolist(), strict=False):
                if count:
                    tall = max(1.0, (LANE - 8) * count / tallest)
                    place = f'x="{across(edge):.1f}" y="{base - tall:.1f}" width="{max(1, step - 1):.1f}" height="{tall:.1f}"'
                    lane_parts.append(f"<rect {place}><title>{count} photos</title></rect>")
        mean = float(np.mean(values[run]))
        x = across(mean)
        lane_parts.append(
            f'<path class="mean" d="M{x:.1f} {base - LANE + 10}V{base}"><title>mean {number(mean)}</title></path>'
        )
        parts.append(f'<g class="values colour-{where % COLOURS}">{"".join(lane_parts)}</g>')
    said = ", ".join(f"{run}: {number(min(values[run]))} to {number(max(values[run]))}" for run in shown)
    return _svg(height, f"Spread over photos: {said}", parts)


class _Axis:
    """Values to places, straight or by their logarithm."""

    def __init__(self, low: float, high: float, start: float, end: float, *, logarithmic: bool = False) -> None:
        self.low, self.high, self.start, self.end, self.logarithmic = low, high, start, end, logarithmic

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        if self.logarithmic:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    @property
    def ticks(self) -> list[float]:
        """About four round numbers; powers of ten and their fivefold where the axis is logarithmic."""
        if self.logarithmic:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            marks = [m * 10.0**power for power in range(first, last + 1) for m in ((1, 3) if last - first < 4 else (1,))]
            return [mark for mark in marks if self.low <= mark <= self.high]
        rough = (self.high - self.low) / 4
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
        first_step, last_step = math.ceil(self.low / step), math.floor(self.high / step)
        return [i * step for i in range(first_step, last_step + 1)]


def _padded(values: Sequence[float], *, logarithmic: bool = False) -> tuple[float, float]:
    low, high = min(values), max(values)
    if logarithmic:
        edge = (high / low) ** 0.1
        return low / edge, high * edge
    edge = 0.1 * (high - low) or abs(high) * 0.05 or 1.0
    # Rounding makes differences where there are none: equal values get a scale on which they are equal.
    edge = max(edge, 1e-6 * max(abs(low), abs(high)))
    return low - edge, high + edge


def _grid(across: _Axis, top: float, bottom: float) -> str:
    lines = [f"M{across(tick):.1f} {top}V{bottom}" for tick in across.ticks]
    texts = [f'<text class="below" x="{across(tick):.1f}" y="{bottom + 15}">{number(tick)}</text>' for tick in across.ticks]
    return f'<path class="grid" d="{"".join(lines)}"/>{"".join(texts)}'


def _scale(up: _Axis) -> str:
    lines = [f"M{LEFT} {up(tick):.1f}H{WIDTH - RIGHT}" for tick in up.ticks]
    texts = [f'<text class="beside" x="{LEFT - 6}" y="{up(tick) + 4:.1f}">{number(tick)}</text>' for tick in up.ticks]
    return f'<path class="grid" d="{"".join(lines)}"/>{"".join(texts)}'


def _caption(text: str) -> str:
    return f'<text class="below" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}">{escape(text)}</text>'


def _svg(height: float, label: str, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
