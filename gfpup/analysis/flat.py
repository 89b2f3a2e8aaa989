"""The lines of a comparison as plain rows, one value a field, for CSV and JSON."""

from __future__ import annotations

from typing import Any, Final

from gfpup.analysis.compare import Comparison, verdict
from gfpup.analysis.published import Published
from gfpup.analysis.slices import SliceLine

FIELDS: Final = (
    *("metric", "level", "higher_is_better", "run", "n", "mean", "low", "high", "rank"),
    *("difference", "difference_low", "difference_high", "p_value", "win_rate", "on_front", "verdict"),
    *("detectable", "photos_needed", "by", "slice", "interaction_p", "source"),
)


def flat_lines(comparison: Comparison) -> list[dict[str, Any]]:
    """Every line with the values of `FIELDS`, None where one does not apply."""
    rows = []
    for line in (line for key in comparison.metrics for line in comparison.of(*key)):
        row: dict[str, Any] = {name: getattr(line, name, None) for name in FIELDS} | {"verdict": verdict(line)}
        row["low"], row["high"] = line.interval or (None, None)
        row["difference_low"], row["difference_high"] = line.difference_interval or (None, None)
        rows.append(row)
    return rows


def flat_published(measured_as: str, row: Published) -> dict[str, Any]:
    facts = {"metric": measured_as, "level": "photo", "run": row.method, "mean": row.value, "source": row.source}
    return dict.fromkeys(FIELDS) | facts | {"verdict": "published"}


def flat_slice(line: SliceLine) -> dict[str, Any]:
    """A slice's line with the values of `FIELDS`, None where one does not apply."""
    row: dict[str, Any] = {name: getattr(line, name, None) for name in FIELDS}
    row["difference_low"], row["difference_high"] = line.interval or (None, None)
    return row
