"""Metrics of a whole set of faces: FID in each protocol, KID, precision, and IndRMSE.

The sets need not be paired. Features are gathered face by face, once for each protocol; the distances are pure functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

import numpy as np

from gfpup.core.types import Float64, Score, UInt8
from gfpup.evaluation.metrics import facts
from gfpup.evaluation.metrics.distances import frechet_distance, frechet_to_moments, kernel_distance, precision
from gfpup.evaluation.metrics.statistics import Statistics

MINIMUM: Final = {
    "fid": 100, "fid_reference": 100, "fid_fidelity": 100, "fid_torchmetrics": 100, "kid": 50, "precision": 100,
}  # fmt: skip
"""The smallest sets a distance is given for. FID shrinks as n grows: below 100 its bias drowns any difference between methods,
and the smallest published set has 180 faces. KID is unbiased, but its spread at 50 is what one still can use. The manifold of
precision is as coarse as the reference set is small."""

Of = tuple[str, int]
"""A face: the name of its photo, and its number in it."""


class Extractor(Protocol):
    """Features of one protocol; `statistics` are the reference that belongs to the metric, None for the user's own."""

    protocol: str
    statistics: Statistics | None

    def features(self, crop: UInt8) -> Float64:
        """(h, w, 3) uint8 RGB to (d,) float64."""
        ...


class FaceSets:
    """Gathers the features of restored and of reference faces, one at a time, and compares them at the end.

    `extractors` are those of each metric; `statistics` are the user's references, by the protocol of their features, which then
    stand in the place of the reference faces. IndRMSE has no extractor (None): it compares pixels.
    """

    def __init__(
        self, extractors: Mapping[str, Extractor | None] | None = None, statistics: Mapping[str, Statistics] | None = None
    ) -> None:
        self.extractors = dict(extractors or {})
        self.statistics = dict(statistics or {})
        self._restored: dict[str, list[tuple[Of, Float64]]] = {}
        self._reference: dict[str, list[tuple[Of, Float64]]] = {}
        self._squares: dict[str, float] = {}

    def emptied(self) -> FaceSets:
        """The same metrics without the faces."""
        return FaceSets(self.extractors, self.statistics)

    def add_restored(self, crop: UInt8, *, of: Of = ("", 0)) -> None:
        """Add a restored face, (h, w, 3) uint8 RGB, the one that `of` names."""
        self._add(self._restored, crop, of, {extractor.protocol: extractor for extractor in self._networks()})

    def add_reference(self, crop: UInt8, *, of: Of = ("", 0)) -> None:
        """Add a face of the reference set."""
        wanted = {it.protocol: it for it in self._networks() if it.statistics is None and it.protocol not in self.statistics}
        self._add(self._reference, crop, of, wanted)

    def add_posterior_mean(self, restored: UInt8, mean: UInt8, *, of: str = "") -> None:
        """Add a photo, (h, w, 3) uint8 RGB, and the prediction of the posterior mean for it, of the same shape."""
        if "indrmse" in self.extractors:
            self._squares[of] = float(np.square(restored.astype(np.float64) - mean).mean())

    def scores(self) -> tuple[Score, ...]:
        """The distances, or why there are none; the order in which faces were added does not change a digit."""
        return tuple(self._score(name, extractor) for name, extractor in self.extractors.items())

    def _score(self, name: str, extractor: Extractor | None) -> Score:
        if extractor is None:
            return indrmse(self._squares.values())
        restored, reference = (_in_order(faces.get(extractor.protocol, ())) for faces in (self._restored, self._reference))
        return set_score(name, restored, extractor.statistics or self.statistics.get(extractor.protocol) or reference)

    def _networks(self) -> list[Extractor]:
        return [extractor for extractor in self.extractors.values() if extractor is not None]

    def _add(self, to: dict[str, list[tuple[Of, Float64]]], crop: UInt8, of: Of, wanted: Mapping[str, Extractor]) -> None:
        for protocol, extractor in wanted.items():
            to.setdefault(protocol, []).append((of, extractor.features(crop)))


def set_score(name: str, restored: list[Float64], reference: list[Float64] | Statistics) -> Score:
    """The score `name` of (d,) features against others, or against statistics; refused below the stated minimum."""
    better = facts(name).higher_is_better
    known = isinstance(reference, Statistics)
    if not known and not reference:
        return Score(name, None, better, "there are no reference faces to compare the set with")
    there = reference.moments.count or MINIMUM[name] if isinstance(reference, Statistics) else len(reference)
    least = MINIMUM[name]
    if min(len(restored), there) < least:
        have = f"{len(restored)} restored" + ("" if known else f" and {there} reference") + " faces"
        return Score(name, None, better, f"it is not given for fewer than {least} faces a set, and there are {have}")
    rows = np.stack(restored)
    if isinstance(reference, Statistics):
        if name.startswith("fid"):
            return Score(name, frechet_to_moments(rows, reference.moments), better)
        if reference.features is None:
            return Score(
                name, None, better, f"{reference.path} keeps no features: make it with gfpup stats --protocol precision"
            )
        return Score(name, _measure(name)(rows, reference.features), better)
    return Score(name, _measure(name)(rows, np.stack(reference)), better)


def _measure(name: str) -> Callable[[Float64, Float64], float]:
    measures: dict[str, Callable[[Float64, Float64], float]] = {"kid": kernel_distance, "precision": precision}
    return measures.get(name, frechet_distance)


def indrmse(squares: Iterable[float]) -> Score:
    """The root of the mean over photos of their mean squared difference from the posterior mean, in 8-bit levels.

    Source: evaluation/compute_metrics_blind.py of github.com/ohayonguy/PMRF (`ind_mse`); IndRMSE in its tables is the root.
    """
    # Sorted: the order in which photos came does not change a digit.
    values = sorted(squares)
    if not values:
        reason = "there are no predictions of the posterior mean: give their folder with --posterior-mean"
        return Score("indrmse", None, False, reason)
    return Score("indrmse", math.sqrt(math.fsum(values) / len(values)), False)


def _in_order(faces: Iterable[tuple[Of, Any]]) -> list[Float64]:
    return [features for _, features in sorted(faces, key=lambda face: face[0])]


class PosteriorMean:
    """What `indrmse` is computed with: pixels alone."""

    @classmethod
    def load(cls, files: Mapping[str, Any], *, device: str = "cpu") -> None:
        """There is nothing to load."""
