"""The scores of a run on disk: `scores.csv`, a line a number, and `scores.json`, their means.

A photo's lines are written when it is done, so a killed run keeps them; a photo that is done again replaces its lines. The
columns are photo, face, metric, value, higher_is_better, missing_reason. A line without a face is about the whole photo, one
without a photo about the whole run.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gfpup.core.errors import GfpupError, OutputError
from gfpup.core.files import file_text, natural_key, write_atomic
from gfpup.core.types import RestoredPhoto, Score
from gfpup.evaluation.metrics import TO_INPUT

TABLE: Final = "scores.csv"
SUMMARY: Final = "scores.json"
COLUMNS: Final = ("photo", "face", "metric", "value", "higher_is_better", "missing_reason")
RUN: Final = ""
"""What stands for the photo in lines about the whole run."""


@dataclass(frozen=True)
class ScoreRow:
    """One line: `value` is None where `missing_reason` says why; `face` is None for the whole photo."""

    photo: str
    face: int | None
    metric: str
    value: float | None
    higher_is_better: bool
    missing_reason: str | None = None

    @property
    def level(self) -> str:
        """What was measured: "photo", "faces" or "run"."""
        return "run" if self.photo == RUN else "photo" if self.face is None else "faces"


def rows_of(photo: str, scores: Iterable[Score]) -> list[ScoreRow]:
    """The lines of one photo's scores (`RUN` for those of the run); a score with a `face` keeps it."""
    return [ScoreRow(photo, getattr(s, "face", None), s.metric, s.value, s.higher_is_better, s.missing_reason) for s in scores]


def as_csv(rows: Sequence[ScoreRow]) -> str:
    """The table as CSV, photos in natural order, those of the run last; numbers keep every digit."""
    ordered = sorted(
        enumerate(rows), key=lambda item: (item[1].photo == RUN, natural_key(item[1].photo), item[1].photo, item[0])
    )
    return _lines(row for _, row in ordered)


def read(path: Path) -> list[ScoreRow]:
    """Read a `scores.csv`; a last line cut short by a crash is left out.

    Raises:
        GfpupError: the file is missing or is no table of scores; the message names the line.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except (OSError, UnicodeDecodeError) as error:
        raise GfpupError(
            f"there are no scores to read at {path}: run with --metrics, or gfpup score that folder first"
        ) from error
    text = text[: text.rfind("\n") + 1]
    reader = csv.reader(io.StringIO(text, newline=""))
    if tuple(next(reader, ())) != COLUMNS:
        raise GfpupError(f"{path} is no table of scores: its first line should be {','.join(COLUMNS)}")
    rows = []
    for fields in reader:
        try:
            photo, face, metric, value, better, reason = fields
            row = ScoreRow(
                photo,
                int(face) if face else None,
                metric,
                float(value) if value else None,
                {"true": True, "false": False}[better],
                reason or None,
            )
            if (row.value is None) == (row.missing_reason is None):
                raise ValueError
        except (ValueError, KeyError) as error:
            raise GfpupError(f"line {reader.line_num} of {path} is damaged: score that folder again") from error
        rows.append(row)
    return rows


def summarise(rows: Sequence[ScoreRow]) -> dict[str, Any]:
    """Means of every metric and level, ready for JSON: n counts photos, for faces of each photo their mean comes first.

    Values that are not finite (PSNR of equal pictures) do not enter a mean and are counted as `infinite`; what is missing is
    counted by reason.
    """
    groups: dict[tuple[str, str], list[ScoreRow]] = {}
    for row in rows:
        groups.setdefault((row.metric, row.level), []).append(row)
    summary = []
    for (metric, level), group in groups.items():
        missing: dict[str, int] = {}
        for row in group:
            if row.missing_reason is not None:
                missing[row.missing_reason] = missing.get(row.missing_reason, 0) + 1
        means = list(per_photo(group).values())
        summary.append(
            {
                "metric": metric,
                "level": level,
                "higher_is_better": group[0].higher_is_better,
                "mean": sum(means) / len(means) if means else None,
                "n": len(means),
                "infinite": sum(row.value is not None and not math.isfinite(row.value) for row in group),
                "missing": missing,
            }
        )
    return {"scores": summary}


def per_photo(rows: Iterable[ScoreRow]) -> dict[str, float]:
    """One finite value a photo: the mean of its lines that have one. Faces of a photo are not independent, photos are."""
    values: dict[str, list[float]] = {}
    for row in rows:
        if row.value is not None and math.isfinite(row.value):
            values.setdefault(row.photo, []).append(row.value)
    return {photo: sum(found) / len(found) for photo, found in values.items()}


def write(folder: Path, rows: Sequence[ScoreRow]) -> None:
    """Write `scores.csv` and `scores.json` into a folder, each in one step.

    Raises:
        OutputError: the folder cannot be written.
    """
    write_atomic(folder / TABLE, file_text(as_csv(rows)))
    write_atomic(folder / SUMMARY, (json.dumps(summarise(rows), indent=1) + "\n").encode())


class ScoreWriter:
    """The observer that keeps the scores which travel on the restored photos.

    Lines of an earlier, interrupted run in the same folder stay, but for the photos that are done again; with `fresh` they go.
    """

    def __init__(self, folder: Path, *, fresh: bool = False) -> None:
        self.folder = folder
        self.path = folder / TABLE
        self.rows: dict[str, list[ScoreRow]] = {}
        if self.path.exists() and not fresh:
            for row in read(self.path):
                self.rows.setdefault(row.photo, []).append(row)
        self.earlier_run = self.rows.pop(RUN, [])
        """The scores of the whole run as it was before; they hold where nothing is done again."""
        self._begun = False

    def photo_done(self, line: Mapping[str, Any], restored: RestoredPhoto | None) -> None:
        """Keep one photo's scores, and append them to the table at once."""
        self.keep(line["name"], rows_of(line["name"], restored.scores) if restored is not None else [])

    def keep(self, photo: str, rows: Sequence[ScoreRow]) -> None:
        """Keep the lines of one photo, however they were found."""
        self.rows[photo] = list(rows)
        self._append(rows)

    def lacks(self, photo: str, metrics: Iterable[str]) -> bool:
        """Whether a photo has no line of one of these metrics, be it against a reference or against the input."""
        found = {row.metric.removesuffix(TO_INPUT) for row in self.rows.get(photo, ())}
        return not found.issuperset(metrics)

    def run_scores(self, scores: Iterable[Score]) -> None:
        """Keep the scores of the whole run; call it before `run_done`."""
        self.rows[RUN] = rows_of(RUN, scores)

    def keep_run_scores(self) -> None:
        """Let the earlier scores of the whole run stand."""
        self.rows[RUN] = self.earlier_run

    def run_done(self, document: Mapping[str, Any]) -> None:
        """Write the table anew, in order and each photo once, and its summary."""
        write(self.folder, [row for rows in self.rows.values() for row in rows])

    def _append(self, rows: Sequence[ScoreRow]) -> None:
        if not self._begun:
            kept = [row for group in self.rows.values() for row in group]
            write_atomic(self.path, file_text(as_csv(kept)))
            self._begun = True
            return
        try:
            with self.path.open("a", encoding="utf-8", errors="surrogateescape", newline="") as file:
                file.write(_lines(rows, header=False))
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}; the run stops here and can be resumed.") from error


def _lines(rows: Iterable[ScoreRow], *, header: bool = True) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(COLUMNS)
    for row in rows:
        value = "" if row.value is None else repr(float(row.value))
        face = "" if row.face is None else row.face
        better = "true" if row.higher_is_better else "false"
        writer.writerow([row.photo, face, row.metric, value, better, row.missing_reason or ""])
    return text.getvalue()
