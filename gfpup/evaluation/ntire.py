"""The NTIRE challenges "Real-World Face Restoration", 2025 and 2026: one number from six terms, and a gate of identity.

Pure: what was measured of each face goes in, the judgement comes out. Each metric is the mean of the five sets' means, weighted
by fixed counts; FID takes all results as one set. A result fails whose faces have too often lost their identity.

Source: eval.py, fid.py and face_alignment/inference.py of github.com/zhengchen1999/NTIRE2025_RealWorld_Face_Restoration and
github.com/jkwang28/NTIRE2026_RealWorld_Face_Restoration. The 2026 README states 0.30 as the threshold of WIDER-Test and
WebPhoto-Test; its eval.py, which is followed here, uses 0.20 and 0.25.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

COUNTS: Final[Mapping[str, int]] = {
    "CelebA": 100, "LFW-Test": 100, "CelebChild-Test": 50, "WebPhoto-Test": 100, "WIDER-Test": 100,
}  # fmt: skip
"""The sets and how many faces each has: the weights of their means."""
MEASURED: Final = ("clipiqa", "maniqa", "musiq", "niqe_pyiqa")
"""gfpup's metrics that the terms are made from, besides `fid` and Q-Align."""
QALIGN: Final = "qalign"
IDENTITY: Final = "identity_ntire"
"""The metric of the gate: cosine between the degraded input and the result, by AdaFace, cut by the organisers' landmarks."""
ALLOWED: Final = 10
"""So many faces may lie below the threshold of their set."""


@dataclass(frozen=True)
class Challenge:
    """One year: its name, and the lowest cosine of each set that is still the same person."""

    name: str
    thresholds: Mapping[str, float]

    @property
    def metric(self) -> str:
        """The name of its score of six terms."""
        return self.name.replace("-", "_")


def _thresholds(celeba: float, lfw: float, child: float, wider: float, web: float) -> dict[str, float]:
    return {"CelebA": celeba, "LFW-Test": lfw, "CelebChild-Test": child, "WIDER-Test": wider, "WebPhoto-Test": web}


CHALLENGES: Final = {
    "ntire-2025": Challenge("ntire-2025", _thresholds(0.5, 0.6, 0.6, 0.3, 0.3)),
    "ntire-2026": Challenge("ntire-2026", _thresholds(0.5, 0.6, 0.6, 0.2, 0.25)),
}
FIVE_TERMS: Final = "_five_terms"
NAMES: Final = (IDENTITY, *(f"{it.metric}{ending}" for it in CHALLENGES.values() for ending in ("", FIVE_TERMS)))
"""The metrics of a challenge's scores. The score of five terms, without Q-Align, is another metric than that of six."""


@dataclass(frozen=True)
class JudgedFace:
    """What was measured of one result: `values` by metric, those that are missing left out; `identity` None where missing."""

    name: str
    of_set: str
    values: Mapping[str, float]
    identity: float | None


@dataclass(frozen=True)
class Judgement:
    """What a challenge says of a set of results.

    `total` is the score, None where it cannot be given, and `lacks` says why. `means` are the weighted means, `set_means` those
    of each set, `terms` what each adds to the score. `fallen` are the faces below the threshold of their set. `passed` is None
    while faces are missing and it is still open.
    """

    challenge: Challenge
    metric: str
    total: float | None
    terms: Mapping[str, float]
    means: Mapping[str, float]
    set_means: Mapping[str, Mapping[str, float]]
    fallen: tuple[JudgedFace, ...]
    passed: bool | None
    lacks: tuple[str, ...] = field(default=())


def named_set(text: str) -> str | None:
    """The set that a table calls `text`, in any case (the organisers write Wider-Test); None for an unknown one."""
    return next((name for name in COUNTS if name.lower() == text.strip().lower()), None)


def term(metric: str, mean: float) -> float:
    """What the weighted mean of a metric adds to the score."""
    if metric == "fid":
        return max(0.0, (100 - mean) / 100)
    if metric == "niqe_pyiqa":
        return max(0.0, (10 - mean) / 10)
    return mean / {"musiq": 100, QALIGN: 5}.get(metric, 1)


def judge(challenge: Challenge, faces: Sequence[JudgedFace], *, fid: float | None, qalign: bool = False) -> Judgement:
    """Judge results by the rules of `challenge`. With `qalign` the score has six terms, otherwise five and another name."""
    metrics = (*MEASURED, QALIGN) if qalign else MEASURED
    lacks = [f"{name} has {n} of its {COUNTS[name]} faces" for name, n in _counts(faces).items() if n != COUNTS[name]]
    set_means: dict[str, dict[str, float]] = {name: {} for name in COUNTS}
    for metric in metrics:
        without = [face.name for face in faces if metric not in face.values]
        if without:
            lacks.append(f"{metric} is missing for {len(without)} faces (first {without[0]})")
        for name in COUNTS:
            values = [face.values[metric] for face in faces if face.of_set == name and metric in face.values]
            if values:
                set_means[name][metric] = math.fsum(values) / len(values)
    if fid is None:
        lacks.append("fid is missing")
    complete = {metric for metric in metrics if all(metric in means for means in set_means.values())}
    means = {metric: _weighted(set_means, metric) for metric in metrics if metric in complete}
    if fid is not None:
        means["fid"] = fid
    terms = {metric: term(metric, mean) for metric, mean in means.items()}
    fallen = tuple(face for face in faces if face.identity is not None and face.identity < challenge.thresholds[face.of_set])
    unknown = sum(face.identity is None for face in faces) + sum(COUNTS.values()) - len(faces)
    passed = False if len(fallen) > ALLOWED else True if unknown <= 0 else None
    metric = challenge.metric + ("" if qalign else FIVE_TERMS)
    total = None if lacks else math.fsum(terms.values())
    return Judgement(challenge, metric, total, terms, means, set_means, fallen, passed, tuple(lacks))


def _counts(faces: Sequence[JudgedFace]) -> dict[str, int]:
    return {name: sum(face.of_set == name for face in faces) for name in COUNTS}


def _weighted(set_means: Mapping[str, Mapping[str, float]], metric: str) -> float:
    return math.fsum(set_means[name][metric] * count for name, count in COUNTS.items()) / sum(COUNTS.values())
