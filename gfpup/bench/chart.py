"""The plot of a scaling measurement: points, the line through them, and the growth that would be in proportion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

WIDTH, HEIGHT, MARGIN = 360, 260, 46
INK, MUTED, COLOUR = "#222", "#999", "#1f6fb2"
STYLE: Final = f'font-family="sans-serif" font-size="11" fill="{INK}"'


def svg(found: Mapping[str, Any]) -> str:
    """Two panels, seconds (on a CPU its own) over faces and over megapixels, as an SVG document of its own."""
    panels = [
        _panel(axis, found["points"][axis], found["fits"][axis], left=i * WIDTH) for i, axis in enumerate(found["points"])
    ]
    title = f"Cost of a photo with backend {found['backend']}: points, and the line through them"
    size = f'viewBox="0 0 {WIDTH * len(panels)} {HEIGHT}" width="{WIDTH * len(panels)}" height="{HEIGHT}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"><title>{escape(title)}</title>'
    return "\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', *panels, "</svg>", ""])


def _panel(axis: str, points: Sequence[Mapping[str, float]], line: Mapping[str, Any], *, left: int) -> str:
    far = max(point["x"] for point in points)
    # Headroom, so that the highest point does not sit on the frame.
    high: float = 1.1 * max(*(point[line["cost"]] for point in points), line["fixed"] + line["each"] * far)

    def x(value: float) -> float:
        return left + MARGIN + (WIDTH - 1.5 * MARGIN) * value / far

    def y(value: float) -> float:
        return HEIGHT - MARGIN - (HEIGHT - 1.5 * MARGIN) * value / high

    parts = [
        f'<path d="M{x(0):.1f} {y(high):.1f}V{y(0):.1f}H{x(far):.1f}" fill="none" stroke="{INK}"/>',
        f'<path d="M{x(0):.1f} {y(max(line["fixed"], 0)):.1f}L{x(far):.1f} {y(line["fixed"] + line["each"] * far):.1f}" '
        f'fill="none" stroke="{MUTED}" stroke-dasharray="4 3"/>',
    ]
    for point in points:
        said = f"{point['x']:g} {axis}: {point[line['cost']]:.3g} s"
        place = f'cx="{x(point["x"]):.1f}" cy="{y(point[line["cost"]]):.1f}"'
        parts.append(f'<circle {place} r="4" fill="{COLOUR}"><title>{escape(said)}</title></circle>')
        parts.append(
            f'<text x="{x(point["x"]):.1f}" y="{y(0) + 15:.1f}" text-anchor="middle" {STYLE}>{_mark(point, far)}</text>'
        )
    for share in (0.0, 0.5, 1.0):
        value = share * high / 1.1
        parts.append(f'<text x="{x(0) - 5:.1f}" y="{y(value) + 4:.1f}" text-anchor="end" {STYLE}>{value:.2g}</text>')
    label = f"{axis} (fit: {line['fixed']:.2g} s + {line['each']:.2g} s each, R² {line['r2']:.3f})"
    parts.append(f'<text x="{x(far / 2):.1f}" y="{HEIGHT - 8}" text-anchor="middle" {STYLE}>{escape(label)}</text>')
    parts.append(f'<text x="{left + 8}" y="14" {STYLE}>{line["cost"].replace("cpu_", "CPU ")}</text>')
    return "\n".join(parts)


def _mark(point: Mapping[str, float], far: float) -> str:
    """The label below a point; those near the left end would lie on each other."""
    return f"{point['x']:g}" if point["x"] >= 0.12 * far else ""
