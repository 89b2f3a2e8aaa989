"""The results of an NTIRE challenge on disk: found, measured, judged, and written as scores."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from gfpup.core.errors import GfpupError
from gfpup.core.types import Float64, Score, UInt8
from gfpup.evaluation import ntire, protocols
from gfpup.evaluation.metrics import facts
from gfpup.evaluation.scorer import Scorer
from gfpup.photos import read_photo
from gfpup.records.scores import write
from gfpup.records.written import file_kind
from gfpup.weights.resolver import Resolver

METRICS: Final = (*ntire.MEASURED, "fid", "identity_adaface")
"""What must be loaded to judge: `identity_adaface` brings the network of the gate."""
POINTS: Final = tuple(
    f"{part}_{axis}" for part in ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right") for axis in ("x", "y")
)
_COLUMNS: Final = ("filename", "dataset", *POINTS)


@dataclass(frozen=True, eq=False)
class Entry:
    """One face of the challenge: the files of its result and of the degraded input, its set, its landmarks (5, 2) in pixels."""

    name: str
    restored: Path
    degraded: Path
    of_set: str
    landmarks_xy: Float64


def find_entries(restored: Path, degraded: Path, landmarks: Path) -> list[Entry]:
    """Every PNG below `restored` with its input below `degraded` and its line in the organisers' table of landmarks.

    Raises: GfpupError: a folder has no PNG, or a result has no input, no line, or shares its name with another.
    """
    known = read_landmarks(landmarks)
    inputs = _by_name(degraded, "--input")
    entries = []
    for name, path in sorted(_by_name(restored, "--restored").items()):
        if name not in known:
            raise GfpupError(f"{path} has no line in {landmarks}: only results of the challenge's test set can be judged")
        if name not in inputs:
            raise GfpupError(f"{path} has no input of its name below {degraded}")
        entries.append(Entry(str(path.relative_to(restored)), path, inputs[name], *known[name]))
    return entries


def _by_name(folder: Path, flag: str) -> dict[str, Path]:
    if not folder.is_dir():
        raise GfpupError(f"there is no folder {folder}: {flag} takes a folder of PNG files")
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.png")):
        if path.stem in found:
            raise GfpupError(f"{path} and {found[path.stem]} have one name, by which the challenge matches: keep one of them")
        found[path.stem] = path
    if not found:
        raise GfpupError(f"there is no PNG file below {folder}: the challenge takes results as PNG")
    return found


def read_landmarks(path: Path) -> dict[str, tuple[str, Float64]]:
    """The organisers' table: the name of each face to its set and its landmarks, (5, 2) float64.

    Raises: GfpupError: the file is missing, or a line is damaged.
    """
    found = {}
    for number, row in _rows(path, _COLUMNS):
        of_set = ntire.named_set(row["dataset"])
        try:
            points = np.array([float(row[column]) for column in POINTS]).reshape(5, 2)
        except (ValueError, TypeError) as error:
            raise GfpupError(f"line {number} of {path} is damaged: expected ten numbers for the landmarks") from error
        if of_set is None:
            raise GfpupError(f"line {number} of {path} names the set {row['dataset']!r}: expected {', '.join(ntire.COUNTS)}")
        found[row["filename"]] = of_set, points
    return found


def read_qalign(path: Path) -> dict[str, float]:
    """Q-Align's value of each result by its name without extension: a CSV with the columns Filename and QALIGN.

    That is what the challenge's own eval.py writes, so that Q-Align can be computed where there is a GPU for it.

    Raises: GfpupError: the file is missing, or a line is damaged.
    """
    found = {}
    for number, row in _rows(path, ("Filename", "QALIGN")):
        try:
            found[Path(row["Filename"]).stem] = float(row["QALIGN"])
        except (ValueError, TypeError) as error:
            raise GfpupError(f"line {number} of {path} is damaged: expected a number under QALIGN") from error
    return found


def _rows(path: Path, columns: Sequence[str]) -> Iterable[tuple[int, dict[str, str]]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise GfpupError(f"there is no table at {path}: expected a CSV with the columns {', '.join(columns)}") from error
    reader = csv.DictReader(lines)
    absent = [column for column in columns if column not in (reader.fieldnames or ())]
    if absent:
        raise GfpupError(f"{path} has no column {absent[0]}: expected {', '.join(columns)}")
    return enumerate(reader, start=2)


def measure(
    entries: Iterable[Entry], scorer: Scorer, *, qalign: Mapping[str, float] | None = None
) -> tuple[list[ntire.JudgedFace], list[Score]]:
    """What the terms and the gate need of each result, and the scores of each."""
    faces, scores = [], []
    for entry in entries:
        restored = read_photo(entry.restored).rgb8
        of: dict[str, Any] = {"photo": entry.name, "taken_from": file_kind(entry.restored)}
        found = [_scored(scorer, metric, restored, of) for metric in ntire.MEASURED]
        if qalign is not None:
            value = qalign.get(entry.restored.stem)
            reason = None if value is not None else "the table given with --qalign does not have this result"
            found.append(Score(ntire.QALIGN, value, higher_is_better=True, missing_reason=reason, **of))
        found.append(_identity(scorer, entry, restored, of))
        if scorer.sets is not None:
            scorer.sets.add_restored(restored, of=(entry.name, 0))
        values = {score.metric: float(score.value) for score in found[:-1] if score.value is not None}
        faces.append(ntire.JudgedFace(entry.name, entry.of_set, values, found[-1].value))
        scores += found
    return faces, scores


def _scored(scorer: Scorer, metric: str, restored: UInt8, of: Mapping[str, Any]) -> Score:
    if metric in scorer.missing:
        return Score(metric, None, facts(metric).higher_is_better, scorer.missing[metric], **of)
    found = scorer.loaded[metric].score(restored, None)
    return Score(metric, found.value, found.higher_is_better, found.missing_reason, **of)


def _identity(scorer: Scorer, entry: Entry, restored: UInt8, of: Mapping[str, Any]) -> Score:
    value, reason = None, scorer.missing.get("identity_adaface")
    if reason is None:
        value, reason = _likeness(scorer.loaded["identity_adaface"], entry, restored)
    return Score(ntire.IDENTITY, value, higher_is_better=True, missing_reason=reason, face=0, **of)


def _likeness(network: Any, entry: Entry, restored: UInt8) -> tuple[float | None, str | None]:
    from gfpup.evaluation.metrics.identity import cosine
    from gfpup.models.nets.adaface import adaface_crop

    crops = [adaface_crop(picture, entry.landmarks_xy) for picture in (read_photo(entry.degraded).rgb8, restored)]
    if any(crop is None for crop in crops):
        return None, "its landmarks fit no face"
    return cosine(*(network.embed_crop(crop) for crop in crops)), None


def judge_scores(
    challenge: ntire.Challenge, faces: Sequence[ntire.JudgedFace], scorer: Scorer, *, qalign: bool
) -> tuple[ntire.Judgement, list[Score]]:
    """The judgement, and the scores of the whole set: FID and the challenge's own."""
    (fid,) = [score for score in scorer.finish() if score.metric == "fid"]
    verdict = ntire.judge(challenge, faces, fid=fid.value, qalign=qalign)
    reason = None if verdict.total is not None else "; ".join(verdict.lacks)
    return verdict, [fid, Score(verdict.metric, verdict.total, higher_is_better=True, missing_reason=reason)]


def write_judgement(
    folder: Path, verdict: ntire.Judgement, scores: Sequence[Score], *, resolver: Resolver, origin: Mapping[str, Path]
) -> dict[str, Any]:
    """Write `scores.csv` and `scores.json`, which holds the judgement under `challenge`; returns that."""
    from gfpup.records.rescore import computed_by

    computed = {metric: computed_by(metric, resolver) for metric in METRICS if protocols.of(metric)}
    told = judgement_facts(verdict)
    paths = {name: str(path.resolve()) for name, path in origin.items()}
    write(folder, scores, restored=paths.get("restored"), computed=computed, challenge=told | {"files": paths})
    return told


def judgement_facts(verdict: ntire.Judgement) -> dict[str, Any]:
    """The judgement, ready for JSON."""
    return {
        "challenge": asdict(verdict.challenge),
        "metric": verdict.metric,
        "total": verdict.total,
        "lacks": list(verdict.lacks),
        "terms": dict(verdict.terms),
        "means": dict(verdict.means),
        "sets": {name: dict(means) for name, means in verdict.set_means.items()},
        "passed": verdict.passed,
        "allowed": ntire.ALLOWED,
        "fallen": [
            {"photo": it.name, "set": it.of_set, "identity": it.identity, "threshold": verdict.challenge.thresholds[it.of_set]}
            for it in verdict.fallen
        ],
    }
