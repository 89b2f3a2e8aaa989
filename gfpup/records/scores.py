"""The scores of a run on disk: `scores.csv`, a line a number, and `scores.json`, their means.

A photo's lines are written when it is done, so a killed run keeps them; a photo that is done again replaces its lines. The
columns are photo, face, metric, value, higher_is_better, missing_reason, taken_from, protocol. A line without a face is about
the whole photo, one without a photo about the whole run. Tables of earlier versions, without the last one or two columns, are
read as well; a metric whose protocol has changed since gets the name that its protocol has now.
"""

from __future__ import annotations

import csv
import io
import json
import math
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, TypeVar

from gfpup.core.errors import GfpupError, OutputError
from gfpup.core.files import file_text, natural_key, write_atomic
from gfpup.core.types import IDENTICAL, RestoredPhoto, Score
from gfpup.evaluation import protocols
from gfpup.evaluation.metrics import TABLE as METRICS
from gfpup.evaluation.metrics import TO_INPUT
from gfpup.records.written import LOSSLESS_EXTENSIONS, MEMORY

if TYPE_CHECKING:
    from gfpup.evaluation.scorer import Scorer

K = TypeVar("K")
V = TypeVar("V")
TABLE: Final = "scores.csv"
SUMMARY: Final = "scores.json"
COLUMNS: Final = ("photo", "face", "metric", "value", "higher_is_better", "missing_reason", "taken_from", "protocol")
EARLIER: Final = (COLUMNS[:-1], COLUMNS[:-2])
"""The columns of tables that earlier versions wrote."""
PEOPLE: Final = "people.csv"
"""What people said of a run's photos (`gfpup vote`), in the form of `scores.csv`."""
PEOPLE_METRIC: Final = "people_"
"""How the metrics in `people.csv` begin."""
RUN: Final = ""
"""The photo in lines about the whole run."""


def pixels_of(score: Score) -> str:
    """On which pixels a photo was measured: "file", "memory", or "" where an earlier version did not record it."""
    if score.metric.startswith(PEOPLE_METRIC):
        return "file"
    # Files without loss hold the pixels that were in memory, so for them there is no difference.
    lossless = bool(score.photo) and PurePosixPath(score.photo).suffix.lower() in LOSSLESS_EXTENSIONS
    return score.taken_from if score.taken_from in ("", MEMORY) and not lossless else "file"


def is_cost(metric: str) -> bool:
    """Whether a metric tells what a result cost, and so does not depend on its pixels."""
    return metric in METRICS and METRICS[metric].kind == "cost"


def in_order(scores: Iterable[Score]) -> list[Score]:
    """Scores by photo in natural order, those of the run last; of each photo in the order given."""
    return sorted(scores, key=lambda score: (score.photo == RUN, natural_key(score.photo), score.photo))


def read(path: Path) -> list[Score]:
    """Read a `scores.csv`, but for a last line cut short by a crash; a GfpupError says what is missing or damaged."""
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape")  # a name in it may hold a carriage return
    except (OSError, UnicodeDecodeError) as error:
        command = f"gfpup score {shlex.quote(str(path.parent))}"
        raise GfpupError(f"no scores found at {path}: run with --metrics, or {command} first") from error
    text = text[: text.rfind("\n") + 1]
    reader = csv.reader(io.StringIO(text, newline=""))
    columns = tuple(next(reader, ()))
    if columns not in (COLUMNS, *EARLIER):
        raise GfpupError(f"{path} is not a table of scores: its first line must be {','.join(COLUMNS)}")
    scores = []
    for fields in reader:
        try:
            if len(fields) > len(columns):
                raise ValueError("more fields than columns")
            photo, face, metric, value, good, reason, *taken = fields[: len(COLUMNS) - 1]
            metric = metric if columns == COLUMNS else protocols.BEFORE.get(metric, metric)
            better = {"true": True, "false": False}[good]
            number = float(value) if value else None
            scores.append(Score(metric, number, better, reason or None, photo, int(face) if face else None, *taken))
        except (ValueError, KeyError, TypeError) as error:
            raise GfpupError(f"line {reader.line_num} of {path} is damaged: score that folder again") from error
    return scores


def read_all(folder: Path) -> list[Score]:
    """The scores in a folder, and what people said where they voted; empty where there is neither."""
    return [row for file in (TABLE, PEOPLE) if (folder / file).is_file() for row in read(folder / file)]


def summarise(scores: Iterable[Score]) -> dict[str, Any]:
    """Means of every metric and level, ready for JSON: n counts photos; of a photo's faces the mean is taken first.

    A mean never mixes numbers taken from memory with numbers taken from files: there are two lines then, and each says in
    `taken_from` what it is of. Infinite values (PSNR of identical pictures) do not enter a mean; they are counted as `infinite`
    and, like everything that is missing, in `missing` by their reason.
    """
    groups = grouped(((score.metric, score.level), score) for score in in_order(scores))
    return {"scores": [line for group in groups.values() for line in _means(group)]}


def _means(group: Sequence[Score]) -> list[dict[str, Any]]:
    """The summary of one metric at one level: one line, or one for each kind of pixels that it was taken from."""
    kinds = dict.fromkeys(pixels_of(score) for score in group if score.value is not None)
    earlier = not any(score.taken_from for score in group)  # a table of an earlier version: all of one kind, whichever it was
    if len(kinds) < 2 or earlier or is_cost(group[0].metric) or not group[0].photo:
        return [_mean(group)]
    parts = [[score for score in group if score.value is not None and pixels_of(score) == kind] for kind in kinds]
    parts[0] += [score for score in group if score.value is None]
    return [_mean(part) | {"taken_from": kind or "unknown"} for kind, part in zip(kinds, parts, strict=True)]


def _mean(group: Sequence[Score]) -> dict[str, Any]:
    missing = Counter(score.missing_reason for score in group if score.missing_reason is not None)
    means = list(per_photo(group).values())
    return {
        "metric": group[0].metric,
        "level": group[0].level,
        "higher_is_better": group[0].higher_is_better,
        "mean": math.fsum(means) / len(means) if means else None,
        "n": len(means),
        "infinite": missing[IDENTICAL],
        "missing": dict(missing),
    }


def per_photo(scores: Iterable[Score]) -> dict[str, float]:
    """One finite value a photo: the mean of its lines that have one. Faces of a photo are not independent, photos are."""
    values = grouped((score.photo, float(score.value or 0.0)) for score in scores if score.is_finite)
    # fsum: the order, which is another after a resume, does not change the last digit.
    return {photo: math.fsum(found) / len(found) for photo, found in values.items()}


def write(folder: Path, scores: Sequence[Score], **facts: Any) -> dict[str, Any]:
    """Write `scores.csv` and `scores.json` (means, the protocol of each metric, `facts`) into a folder; returns the latter."""
    records = {name: protocols.record(name) for name in sorted({score.metric for score in scores})}
    summary = summarise(scores) | {"protocols": {name: it for name, it in records.items() if it is not None}} | facts
    write_atomic(folder / TABLE, file_text(as_csv(in_order(scores))))
    write_atomic(folder / SUMMARY, (json.dumps(summary, indent=1) + "\n").encode())
    return summary


def read_summary(folder: Path) -> dict[str, Any]:
    """What `scores.json` of a folder says; empty where there is none that can be read."""
    with suppress(OSError, ValueError, TypeError):
        return dict(json.loads((folder / SUMMARY).read_text(encoding="utf-8")))
    return {}


class ScoreWriter:
    """The observer that keeps the scores which travel on the restored photos.

    Lines of an earlier, interrupted run in the same folder stay, but for the photos that are done again; with `fresh` they go.
    With the run's `scorer`, a photo that failed has a line a metric, with the reason; `referenced` says whether the metrics
    would have been taken against a reference.
    """

    def __init__(self, folder: Path, *, fresh: bool = False, scorer: Scorer | None = None, referenced: bool = False) -> None:
        self.folder = folder
        self.path = folder / TABLE
        self.scorer = scorer
        self.referenced = referenced
        if fresh:
            (folder / PEOPLE).unlink(missing_ok=True)  # they voted on other pictures
        self.rows = {} if fresh or not self.path.exists() else by_photo(read(self.path))
        self.earlier_run = self.rows.pop(RUN, [])
        """The scores of the whole run as it was before; they hold where nothing is done again."""
        self._begun = False

    def photo_done(self, line: Mapping[str, Any], restored: RestoredPhoto | None) -> None:
        """Keep one photo's scores, and append them to the table at once."""
        scores: Sequence[Score] = () if restored is None else restored.scores
        if restored is None and self.scorer is not None:
            reason = str(line.get("error") or "it was not restored")
            scores = self.scorer.unmeasured(line["name"], reason, referenced=self.referenced)
        self.keep(line["name"], scores)

    def keep(self, photo: str, scores: Sequence[Score]) -> None:
        """Keep the lines of one photo, however they were found."""
        self.rows[photo] = [replace(score, photo=photo) for score in scores]
        if not self._begun:
            write_atomic(self.path, file_text(as_csv(in_order(row for group in self.rows.values() for row in group))))
            self._begun = True
            return
        try:
            with self.path.open("a", encoding="utf-8", errors="surrogateescape", newline="") as file:
                file.write(as_csv(self.rows[photo], header=False))
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}; the run stops here and can be resumed.") from error

    def lacks(self, photo: str, metrics: Iterable[str]) -> bool:
        """Whether a photo has no line of one of these metrics, or one that was not taken from the file that was written."""
        rows = self.rows.get(photo, ())
        if any(row.is_finite and not is_cost(row.metric) and pixels_of(row) != "file" for row in rows):
            return True
        return not {row.metric.removesuffix(TO_INPUT) for row in rows}.issuperset(metrics)

    def run_scores(self, scores: Iterable[Score]) -> None:
        """Keep the scores of the whole run; call it before `run_done`."""
        self.rows[RUN] = list(scores)

    def run_done(self, document: Mapping[str, Any]) -> None:
        """Write the table anew, in order and each photo once, and its summary."""
        write(self.folder, [row for rows in self.rows.values() for row in rows])


def by_photo(scores: Iterable[Score]) -> dict[str, list[Score]]:
    """Scores by the name of their photo."""
    return grouped((score.photo, score) for score in scores)


def grouped(items: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    """All values of each key, keys and values in the order given."""
    found: dict[K, list[V]] = {}
    for key, value in items:
        found.setdefault(key, []).append(value)
    return found


def as_csv(scores: Iterable[Score], *, header: bool = True) -> str:
    """The table as CSV, in the order given; numbers keep every digit."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(COLUMNS)
    for row in scores:
        value = None if row.value is None else repr(float(row.value))
        better = str(bool(row.higher_is_better)).lower()
        protocol = protocols.name_of(row.metric)
        writer.writerow([row.photo, row.face, row.metric, value, better, row.missing_reason, row.taken_from, protocol])
    return text.getvalue()
