"""A restored photo to its scores, of the whole photo and of each face. No files, no configuration.

Sizes, in one protocol: the degraded photo is brought to the size of the restored one by Lanczos (by area where it shrinks).
A reference keeps its size, for it is the truth, and the restored photo is brought to it, by area where it shrinks and by
Lanczos where it grows; `notes` says when that was done. Faces are cut out of every picture along the one
affine that the run recorded, so that they match whatever a detector would say of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from gfpup.core.errors import GfpupError
from gfpup.core.types import Float64, Pixels, RestoredPhoto, Score, UInt8
from gfpup.evaluation import metrics as catalogue
from gfpup.evaluation.metrics import TO_INPUT, Kind, Metric, MetricError, cost, facts
from gfpup.ops import geometry
from gfpup.ops.resize import resize

Find = Callable[[str], Path]
"""From a checkpoint's catalogue name to its verified file; raises GfpupError with the reason where there is none."""

ASPECT_TOLERANCE: Final = 0.02
"""Pictures whose aspects differ by more show different things; less is the rounding of small sizes."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """What one photo is scored from, all uint8 (h, w, 3) RGB: sizes may differ, aspects may not.

    `affines` are (2, 3) float64 by the number of the face in the manifest, from the degraded photo's pixels to its crop's.
    `stages` are the seconds of the photo, None where the run did not time them. The scores carry `photo`, the name of the
    result, and `taken_from`, which says where the restored pixels come from (see `Score`).
    """

    restored: UInt8
    degraded: UInt8 | None = None
    reference: UInt8 | None = None
    affines: Mapping[int, Float64] | None = None
    stages: Mapping[str, float] | None = None
    photo: str = ""
    taken_from: str = "memory"


class Scorer:
    """Metrics, loaded once. `missing` says of each metric that could not be loaded why."""

    def __init__(self, loaded: Mapping[str, Metric], missing: Mapping[str, str], names: Sequence[str], *, device: str) -> None:
        self.loaded = dict(loaded)
        self.missing = dict(missing)
        self.names = tuple(names)
        self.device = device
        self.sets: Any = None

    def __call__(self, pictures: Pictures) -> tuple[Score, ...]:
        """Score one photo, and remember its faces for the metrics of the whole set."""
        scores = score_photo(pictures, metrics=self.loaded, missing=self.missing, names=self.names)
        self.remember(pictures)
        return scores

    def remember(self, pictures: Pictures) -> None:
        """Take a photo's faces into the metrics of the whole set, where such were asked for."""
        if self.sets is None:
            return
        for face, affine in (pictures.affines or {}).items():
            restored, _, reference = _face_crops(pictures, affine)
            self.sets.add_restored(restored, of=(pictures.photo, face))
            if reference is not None:
                self.sets.add_reference(reference, of=(pictures.photo, face))

    def finish(self) -> tuple[Score, ...]:
        """The scores of the whole run: set-level metrics and peak memory."""
        scores: list[Score] = [] if self.sets is None else list(self.sets.scores())
        for name in self.names:
            row = facts(name)
            if row.level == "set" and name in self.missing:
                scores.append(Score(name, None, row.higher_is_better, self.missing[name]))
        if "peak_memory" in self.names:
            scores.append(cost.peak_memory(self.device))
        return tuple(scores)

    def unmeasured(self, photo: str, reason: str, *, referenced: bool) -> tuple[Score, ...]:
        """The scores of a photo that cannot be measured: each is there, with the reason."""
        found = []
        for name in self.names:
            row = facts(name)
            if row.level not in ("set", "run"):
                targets = [("", "")] if row.kind == "cost" else _targets(row.kind, name, referenced=referenced)
                found += [Score(f"{name}{suffix}", None, row.higher_is_better, reason, photo) for suffix, _ in targets]
        return tuple(found)


def load_scorer(
    names: Sequence[str], *, find: Find, device: str = "cpu", allow: Callable[[str, str], None] | None = None
) -> Scorer:
    """Load the metrics `names` (presets allowed), each once; what cannot be loaded is missing with its reason.

    `allow(licence_id, what)` raises GfpupError where the licence of an installed package needs a consent that was not given.

    Raises:
        MetricError: no metric has one of the names.
    """
    loaded: dict[str, Metric] = {}
    missing: dict[str, str] = {}
    wanted = catalogue.expand(names)
    in_sets = tuple(name for name in wanted if facts(name).level == "set")
    sets = None
    for name in wanted:
        row = facts(name)
        if not row.entry or (row.level == "set" and sets is not None):
            continue
        try:
            if allow is not None and row.licence_id == catalogue.POLYFORM:
                allow(row.licence_id, f"the metric {name} and its package pyiqa")
            metric: Any = catalogue.load(name, {weight: find(weight) for weight in row.weights}, device=device)
        except GfpupError as error:
            missing[name] = str(error)
            continue
        if row.level == "set":
            from gfpup.evaluation.metrics.set_level import FaceSets

            sets = FaceSets(metric, in_sets)
        else:
            loaded[name] = metric
    scorer = Scorer(loaded, missing, wanted, device=device)
    scorer.sets = sets
    return scorer


def require(scorer: Scorer) -> None:
    """Refuse to begin where a metric that was asked for cannot be computed (`--require-metrics`).

    Raises:
        MetricError: it names each of them with its reason.
    """
    if scorer.missing:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in scorer.missing.items())
        raise MetricError(f"--require-metrics asks for all of them and {len(scorer.missing)} cannot be computed: {reasons}")


def score_photo(
    pictures: Pictures, *, metrics: Mapping[str, Metric], missing: Mapping[str, str], names: Sequence[str]
) -> tuple[Score, ...]:
    """Score a photo and its faces with the loaded `metrics`; `names` gives the order, `missing` the reasons of the others.

    Without a reference, full-reference metrics and `deg` are taken against the degraded photo and called `<name>_to_input`;
    `identity` is taken against both where there are both. Never is one put in the other's place. A pair of different
    aspect is missing with that reason.
    """
    scores: list[Score] = []
    whole = _whole_pairs(pictures)
    crops = {face: _face_crops(pictures, affine) for face, affine in (pictures.affines or {}).items()}
    of, taken = pictures.photo, pictures.taken_from
    for name in names:
        row = facts(name)
        if row.kind == "cost":
            if name == "seconds":
                known = name not in missing
                timed = cost.seconds(pictures.stages or {}) if known else Score(name, None, False, missing[name])
                scores.append(replace(timed, photo=of))
            continue
        if row.level == "set":
            continue
        for suffix, against in _targets(row.kind, name, referenced=pictures.reference is not None):
            called = f"{name}{suffix}"
            photo, other = whole.get(against, (pictures.restored, None))
            if name in missing or isinstance(other, str):  # stated once, of the whole photo
                reason = missing.get(name) or str(other)
                scores.append(Score(called, None, row.higher_is_better, reason, of, taken_from=taken))
                continue
            of_photo = None
            if row.level == "photo and faces":
                of_photo = metrics[name].score(photo, other)
                scores.append(replace(of_photo, metric=called, photo=of, taken_from=taken))
            elif not crops:
                reason = "no face of this photo was restored"
                scores.append(Score(called, None, row.higher_is_better, reason, of, taken_from=taken))
            for face, (crop, degraded, reference) in crops.items():
                partner = {"input": degraded, "reference": reference}.get(against)
                # An aligned photo is its own face: the same pixels need no second pass through a network.
                again = of_photo is not None and _equal(crop, photo) and _equal(partner, other)
                score = of_photo if again and of_photo is not None else metrics[name].score(crop, partner)
                scores.append(replace(score, metric=called, photo=of, face=face, taken_from=taken))
    return tuple(scores)


def notes(pictures: Pictures) -> tuple[str, ...]:
    """What was done to sizes before comparing, in words; nothing where reference and result are of one size."""
    if pictures.reference is None or pictures.reference.shape == pictures.restored.shape:
        return ()
    (h, w), (to_h, to_w) = pictures.restored.shape[:2], pictures.reference.shape[:2]
    return (f"the result of {w}x{h} pixels was resized to the reference's {to_w}x{to_h} before they were compared",)


def affines_of(restored: RestoredPhoto) -> dict[int, Float64]:
    """The affines of the faces that were restored, by their number, rounded as a manifest keeps them: both score alike."""
    faces = enumerate(restored.faces)
    return {i: face.crop.affine.round(6) for i, face in faces if (face.restored or face.guarded) and face.crop is not None}


def affines_of_line(line: Mapping[str, Any]) -> dict[int, Float64]:
    """The same of a photo's line in a manifest."""
    return {
        i: np.asarray(face["affine"], np.float64)
        for i, face in enumerate(line["faces"])
        if (face["restored"] or face.get("guarded")) and face["affine"] is not None
    }


def as_8_bit(pixels: Pixels) -> UInt8:
    """Pixels of 8 or 16 bits a channel as uint8; 16-bit values are rounded, not cut."""
    if pixels.dtype == np.uint8:
        return pixels  # type: ignore[return-value]
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _targets(kind: Kind, name: str, *, referenced: bool) -> list[tuple[str, str]]:
    """The suffixes of a metric's names and the pictures that it is taken against: "reference", "input" or none."""
    if kind == "no_reference":
        return [("", "")]
    if name == "identity":
        return [("", "reference"), (TO_INPUT, "input")] if referenced else [(TO_INPUT, "input")]
    return [("", "reference")] if referenced else [(TO_INPUT, "input")]


def _whole_pairs(pictures: Pictures) -> dict[str, tuple[UInt8, UInt8 | str]]:
    """The whole photo against reference and input, brought to one size, or the reason why they cannot be."""
    pairs: dict[str, tuple[UInt8, UInt8 | str]] = {}
    size = _size(pictures.restored)
    for against, other in (("reference", pictures.reference), ("input", pictures.degraded)):
        if other is None:
            continue
        if not _same_aspect(size, _size(other)):
            have, want = (f"{w}x{h}" for h, w in (size, _size(other)))
            pairs[against] = pictures.restored, f"the result is {have} and the {against} {want}: they are of different shape"
        elif against == "reference":
            pairs[against] = _resize(pictures.restored, _size(other)), other
        else:
            pairs[against] = pictures.restored, _resize(other, size)
    return pairs


def _face_crops(pictures: Pictures, affine: Float64) -> tuple[UInt8, UInt8 | None, UInt8 | None]:
    """One face of the restored, the degraded and the reference photo, (512, 512, 3) uint8 each."""
    base = pictures.degraded if pictures.degraded is not None else pictures.restored
    crops = [
        None if picture is None else _crop(picture, affine, _size(base))
        for picture in (pictures.restored, pictures.degraded, pictures.reference)
    ]
    assert crops[0] is not None
    return crops[0], crops[1], crops[2]


def _crop(picture: UInt8, affine: Float64, base_hw: tuple[int, int]) -> UInt8:
    side = geometry.CROP_PX
    to_base = geometry.resize_affine(_size(picture), base_hw)
    return np.asarray(geometry.warp(picture, geometry.compose(affine, to_base), (side, side)), np.uint8)


def _resize(picture: UInt8, to_hw: tuple[int, int]) -> UInt8:
    return picture if _size(picture) == to_hw else np.asarray(resize(picture, to_hw), np.uint8)


def _equal(a: UInt8 | None, b: UInt8 | None) -> bool:
    return (a is None and b is None) or (a is not None and b is not None and np.array_equal(a, b))


def _same_aspect(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return abs(a[0] * b[1] / (a[1] * b[0]) - 1) <= ASPECT_TOLERANCE


def _size(picture: UInt8) -> tuple[int, int]:
    return picture.shape[0], picture.shape[1]
