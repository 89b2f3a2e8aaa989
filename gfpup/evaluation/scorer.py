"""A restored photo to its scores, of the whole photo and of each face. No files, no configuration.

Sizes, in one protocol: the degraded photo is brought to the size of the restored one by Lanczos (by area where it shrinks).
A reference keeps its size, for it is the truth, and the restored photo is brought to it, by area where it shrinks and by
Lanczos where it grows; `notes` says when that was done. Faces are cut out of every picture along the one
affine that the run recorded, so that they match whatever a detector would say of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gfpup.core.errors import GfpupError
from gfpup.core.types import Float64, RestoredPhoto, Score, UInt8
from gfpup.evaluation import metrics as catalogue
from gfpup.evaluation.metrics import TO_INPUT, Kind, Metric, MetricError, cost, facts
from gfpup.ops import geometry
from gfpup.ops.resize import resize

if TYPE_CHECKING:
    from gfpup.evaluation.metrics.set_level import FaceSets
    from gfpup.evaluation.metrics.statistics import Statistics
    from gfpup.models.recognition import People

Find = Callable[[str], Path]
"""From a checkpoint's catalogue name to its verified file; raises GfpupError with the reason where there is none."""

ASPECT_TOLERANCE: Final = 0.02
"""Pictures whose aspects differ by more show different things; less is the rounding of small sizes."""


Pair = tuple[UInt8, UInt8 | str | None]
"""The restored photo and what it is compared with, or why it cannot be."""
Crops = tuple[UInt8, UInt8 | None, UInt8 | None]


@dataclass(frozen=True, eq=False)
class Pictures:
    """What one photo is scored from, all uint8 (h, w, 3) RGB: sizes may differ, aspects may not.

    `affines` are (2, 3) float64 by the number of the face in the manifest, from the degraded photo's pixels to its crop's.
    `stages` are the seconds of the photo, None where the run did not time them. `posterior_mean` is the prediction that IndRMSE
    compares the restored photo with. The scores carry `photo`, the name of the
    result, and `taken_from`, which says where the restored pixels come from (see `Score`).
    """

    restored: UInt8
    degraded: UInt8 | None = None
    reference: UInt8 | None = None
    affines: Mapping[int, Float64] | None = None
    stages: Mapping[str, float] | None = None
    photo: str = ""
    taken_from: str = "memory"
    posterior_mean: UInt8 | None = None


class Scorer:
    """Metrics, loaded once: `names` gives their order, and `missing` says of each that could not be loaded why.

    `sets` gathers what the metrics of the whole set need, None where no such metric was loaded.
    """

    def __init__(self, loaded: Mapping[str, Metric], missing: Mapping[str, str], names: Sequence[str], *, device: str) -> None:
        self.loaded, self.missing, self.names = dict(loaded), dict(missing), tuple(names)
        self.device = device
        self.sets: FaceSets | None = None

    def __call__(self, pictures: Pictures) -> tuple[Score, ...]:
        """Score one photo and its faces, and remember the faces for the metrics of the whole set.

        Without a reference, full-reference metrics and `deg` are taken against the degraded photo and called
        `<name>_to_input`; `identity` is taken against both where there are both. Never is one put in the other's place. A pair
        of different aspect is missing with that reason. Of `identity_gallery` the degraded face says whose photos count.
        """
        whole = _whole_pairs(pictures)
        crops = {face: _face_crops(pictures, affine) for face, affine in (pictures.affines or {}).items()}
        scores = tuple(score for name in self.names for score in self._scores(name, pictures, whole, crops))
        self.remember(pictures)
        return scores

    def _scores(self, name: str, pictures: Pictures, whole: Mapping[str, Pair], crops: Mapping[int, Crops]) -> Iterator[Score]:
        """The scores of one metric; those of the set and of the run come at the end."""
        row, lack = facts(name), self.missing.get(name)
        if name == "seconds":
            timed = cost.seconds(pictures.stages or {}) if lack is None else Score(name, None, False, lack)
            yield replace(timed, photo=pictures.photo)
        if row.kind == "cost" or row.level == "set":
            return
        for suffix, against in _targets(row.kind, name, referenced=pictures.reference is not None):
            of: dict[str, Any] = {"metric": f"{name}{suffix}", "photo": pictures.photo, "taken_from": pictures.taken_from}
            photo, other = whole.get(against, (pictures.restored, None))
            absent = partial(Score, value=None, higher_is_better=row.higher_is_better, **of)
            of_photo = None
            if lack is not None or isinstance(other, str):  # stated once, of the whole photo
                yield absent(missing_reason=lack or str(other))
                continue
            if row.level == "photo and faces":
                of_photo = self.loaded[name].score(photo, other)
                yield replace(of_photo, **of)
            elif not crops:
                yield absent(missing_reason="no face of this photo was restored")
            for face, (crop, degraded, reference) in crops.items():
                partner = {"input": degraded, "reference": reference}.get(against)
                # An aligned photo is its own face: the same pixels need no second pass through a network.
                again = of_photo is not None and _equal(crop, photo) and _equal(partner, other)
                score = of_photo if again and of_photo is not None else self.loaded[name].score(crop, partner)
                yield replace(score, **of, face=face)

    def remember(self, pictures: Pictures) -> None:
        """Take a photo's faces into the metrics of the whole set, where such were asked for."""
        if self.sets is None:
            return
        for face, affine in (pictures.affines or {}).items():
            restored, _, reference = _face_crops(pictures, affine)
            self.sets.add_restored(restored, of=(pictures.photo, face))
            if reference is not None:
                self.sets.add_reference(reference, of=(pictures.photo, face))
        mean = pictures.posterior_mean
        if mean is not None and mean.shape == pictures.restored.shape:
            self.sets.add_posterior_mean(pictures.restored, mean, of=pictures.photo)

    def finish(self) -> tuple[Score, ...]:
        """The scores of the whole run: set-level metrics and peak memory."""
        scores = [] if self.sets is None else list(self.sets.scores())
        lacking = [facts(name) for name in self.names if name in self.missing]
        scores += [Score(row.name, None, row.higher_is_better, self.missing[row.name]) for row in lacking if row.level == "set"]
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
    names: Sequence[str],
    *,
    find: Find,
    device: str = "cpu",
    allow: Callable[[str, str], None] | None = None,
    statistics: Mapping[str, Statistics] | None = None,
    people: People | None = None,
) -> Scorer:
    """Load the metrics `names` (presets allowed), each once; what cannot be loaded is missing with its reason.

    `statistics`, by the protocol of their features, take the place of the reference faces; `people` are what `identity_gallery`
    compares with. `allow(licence_id, what)` raises
    GfpupError where the licence of an installed package needs a consent that was not given. Raises MetricError for a name that
    no metric has.
    """
    scorer = Scorer({}, {}, catalogue.expand(names), device=device)
    extractors: dict[str, Any] = {}
    if people is not None:
        scorer.loaded |= _of_gallery(scorer.names, people)
    for name in scorer.names:
        row = facts(name)
        if not row.entry or name in scorer.loaded:
            continue
        try:
            if allow is not None and row.licence_id == catalogue.POLYFORM:
                allow(row.licence_id, f"the metric {name} and its package pyiqa")
            files = {weight: find(weight) for weight in row.weights if row.kind != "gallery"}
            metric: Any = extractors.get(row.entry) or catalogue.load(name, files, device=device)
        except GfpupError as error:
            scorer.missing[name] = str(error)
            continue
        if row.level == "set":
            from gfpup.evaluation.metrics.set_level import FaceSets

            scorer.sets = scorer.sets or FaceSets(statistics=statistics)
            scorer.sets.extractors[name] = extractors.setdefault(row.entry, metric)
        else:
            scorer.loaded[name] = metric
    return scorer


def _of_gallery(names: Sequence[str], people: People) -> dict[str, Metric]:
    """Those of the metrics that compare with `people`, who bring the network along."""
    from gfpup.evaluation.metrics import identity_gallery

    compare = identity_gallery.Comparison(people)
    kinds = (identity_gallery.IdentityGallery, identity_gallery.IdentityGalleryMean, identity_gallery.IdentityGalleryMargin)
    return {kind.name: kind(compare) for kind in kinds if kind.name in names}


def require(scorer: Scorer) -> None:
    """Refuse by MetricError, with each reason, where a metric that was asked for cannot be computed (`--require-metrics`)."""
    if scorer.missing:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in scorer.missing.items())
        raise MetricError(f"--require-metrics asks for all of them and {len(scorer.missing)} cannot be computed: {reasons}")


def notes(pictures: Pictures) -> tuple[str, ...]:
    """What was done to sizes before comparing, in words; nothing where reference and result are of one size."""
    if pictures.reference is None or pictures.reference.shape == pictures.restored.shape:
        return ()
    (h, w), (to_h, to_w) = pictures.restored.shape[:2], pictures.reference.shape[:2]
    return (f"the result of {w}x{h} pixels was resized to the reference's {to_w}x{to_h} before they were compared",)


def affines_of(restored: RestoredPhoto) -> dict[int, Float64]:
    """The affines of the faces that were restored, by their number, rounded as a manifest keeps them: both score alike."""
    faces = enumerate(restored.faces)
    return {
        i: geometry.to_standard_crop(face.crop).round(6)
        for i, face in faces
        if (face.restored or face.guarded) and face.crop is not None
    }


def _targets(kind: Kind, name: str, *, referenced: bool) -> list[tuple[str, str]]:
    """The suffixes of a metric's names and the pictures that it is taken against: "reference", "input" or none."""
    if kind == "no_reference":
        return [("", "")]
    if kind == "gallery":
        return [("", "input")]
    to_input = [(TO_INPUT, "input")] if name.startswith("identity") or not referenced else []
    return [("", "reference"), *to_input] if referenced else to_input


def _whole_pairs(pictures: Pictures) -> dict[str, Pair]:
    """The whole photo against reference and input, brought to one size, or the reason why they cannot be."""
    pairs: dict[str, Pair] = {}
    (h, w), restored = _size(pictures.restored), pictures.restored
    for against, other in (("reference", pictures.reference), ("input", pictures.degraded)):
        if other is None:
            continue
        to_h, to_w = _size(other)
        if abs(h * to_w / (w * to_h) - 1) > ASPECT_TOLERANCE:
            reason = f"the result is {w}x{h} and the {against} {to_w}x{to_h}: they are of different shape"
            pairs[against] = restored, reason
        elif against == "reference":
            pairs[against] = _resize(restored, (to_h, to_w)), other
        else:
            pairs[against] = restored, _resize(other, (h, w))
    return pairs


def _face_crops(pictures: Pictures, affine: Float64) -> Crops:
    """One face of the restored, the degraded and the reference photo, (512, 512, 3) uint8 each."""
    base_hw = _size(pictures.restored if pictures.degraded is None else pictures.degraded)

    def crop(picture: UInt8) -> UInt8:
        whole = geometry.compose(affine, geometry.resize_affine(_size(picture), base_hw))
        return np.asarray(geometry.warp(picture, whole, (geometry.CROP_PX, geometry.CROP_PX)), np.uint8)

    degraded, reference = pictures.degraded, pictures.reference
    return crop(pictures.restored), None if degraded is None else crop(degraded), None if reference is None else crop(reference)


def _resize(picture: UInt8, to_hw: tuple[int, int]) -> UInt8:
    return picture if _size(picture) == to_hw else np.asarray(resize(picture, to_hw), np.uint8)


def _equal(a: UInt8 | None, b: UInt8 | None) -> bool:
    return (a is None and b is None) or (a is not None and b is not None and np.array_equal(a, b))


def _size(picture: UInt8) -> tuple[int, int]:
    return picture.shape[0], picture.shape[1]
