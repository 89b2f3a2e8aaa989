"""A gallery of persons: how like its person a restored face is, whom else it is like, and how far the gallery is to be trusted.

Pure: it takes embeddings of faces, whichever network made them, and compares by their cosine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from gfpup.core.types import Float64

FEWEST_PHOTOS: Final = 3
"""Photos of a person below which the mean is one of too few looks, poses and ages; a convention, not a measurement."""
FEWEST_PEOPLE: Final = 20
"""Below, not even a gallery without a false match bounds its rate under 26 % at 95 %."""


@dataclass(frozen=True)
class GalleryScore:
    """A face against the photos of its person: cosines `best` and `mean`, -1 to 1.

    `margin` is `best` less the best of the `nearest` other person: below 0 the face is more like somebody else. Both are None
    in a gallery of one person.
    """

    person: str
    best: float
    mean: float
    margin: float | None = None
    nearest: str | None = None


@dataclass(frozen=True)
class ErrorRates:
    """How often a threshold takes two different persons of the gallery for one, and one person for two.

    `false_match` is the mean over pairs of persons of the share of their pairs of photos at or above `threshold`; it is below
    `at_most` with the stated confidence. `false_non_match` is the share of pairs of photos of one person below it. None where
    there are no such pairs.
    """

    threshold: float
    people: int
    false_match: float | None
    at_most: float | None
    false_non_match: float | None


class Gallery:
    """The faces of `people`, by name: (n, d) float64 embeddings each, of any length but 0.

    Raises: ValueError: there is no person, or one without a face or with an embedding that has no direction.
    """

    def __init__(self, people: Mapping[str, Float64]) -> None:
        self.people = {name: np.stack([_unit(face) for face in faces]) for name, faces in people.items() if len(faces)}
        if not self.people or len(self.people) < len(people):
            raise ValueError("a gallery needs at least one person, and a face of each")

    def score(self, face: Float64, person: str) -> GalleryScore:
        """Compare an embedding (d,) with the photos of `person` and of the others; KeyError where there is no such person."""
        likeness = self._cosines(face)
        own = likeness.pop(person)
        best = float(own.max())
        nearest = max(likeness, key=lambda name: float(likeness[name].max()), default=None)
        margin = None if nearest is None else best - float(likeness[nearest].max())
        return GalleryScore(person, best, float(own.mean()), margin, nearest)

    def nearest(self, face: Float64) -> tuple[str, float]:
        """The person that an embedding (d,) is most like, and the cosine to the most similar photo of that person."""
        likeness = {name: float(cosines.max()) for name, cosines in self._cosines(face).items()}
        person = max(likeness, key=likeness.__getitem__)
        return person, likeness[person]

    def _cosines(self, face: Float64) -> dict[str, Float64]:
        """The cosines of an embedding (d,) with each photo of each person; -1 throughout where it has no direction."""
        length = float(np.linalg.norm(face))
        if not np.isfinite(length) or length == 0:
            return {name: np.full(len(faces), -1.0) for name, faces in self.people.items()}
        return {name: faces @ (face / length) for name, faces in self.people.items()}

    def threshold(self, false_match: float, *, at_least: float) -> float:
        """The smallest cosine from `at_least` on at which the gallery's own false match rate is at most `false_match`.

        It is `at_least` in a gallery of one person, which has no false matches.
        """
        across = [(a @ b.T).ravel() for a, b in combinations(self.people.values(), 2)]
        if not across:
            return at_least
        cosines = np.concatenate(across)
        shares = np.concatenate([np.full(len(pairs), 1 / len(pairs) / len(across)) for pairs in across])
        falling = np.argsort(-cosines)
        too_many = np.cumsum(shares[falling]) > false_match + 1e-12
        if not too_many.any():
            return at_least
        highest = cosines[falling][np.argmax(too_many)]
        return max(at_least, float(np.nextafter(highest, 2.0)))

    def error_rates(self, threshold: float, *, confidence: float = 0.95) -> ErrorRates:
        """How often the gallery's own photos are told apart wrongly at `threshold`.

        Pairs of photos share photos and pairs of persons share persons, so they are not counted as independent: the bound is
        that of a mean over pairs of independently drawn persons, for which n persons count as n / 2 pairs.

        Source: Hoeffding, "Probability inequalities for sums of bounded random variables" (1963), theorem 1 with section 5a.
        """
        pairs = [float((a @ b.T >= threshold).mean()) for a, b in combinations(self.people.values(), 2)]
        same = [a @ b < threshold for faces in self.people.values() for a, b in combinations(faces, 2)]
        rate = float(np.mean(pairs)) if pairs else None
        independent = len(self.people) // 2
        bound = None if rate is None else upper_bound(rate, independent, confidence=confidence)
        return ErrorRates(threshold, len(self.people), rate, bound, float(np.mean(same)) if same else None)

    def warnings(self) -> list[str]:
        """What the gallery is too small for, in sentences."""
        few = [name for name, faces in self.people.items() if len(faces) < FEWEST_PHOTOS]
        said = []
        if few:
            named = ", ".join(few[:5]) + (f" and {len(few) - 5} more" if len(few) > 5 else "")
            said.append(f"fewer than {FEWEST_PHOTOS} photos show {named}: their likeness depends on which photos these are")
        if len(self.people) == 1:
            said.append("the gallery has one person: nothing says how like somebody else a face is")
        elif len(self.people) < FEWEST_PEOPLE:
            said.append(f"{len(self.people)} people are too few to say how often two are taken for one")
        return said


def upper_bound(rate: float, n: int, *, confidence: float = 0.95) -> float:
    """The largest true mean that n independent values in [0, 1] of mean `rate` do not exclude, by Chernoff's bound.

    Without any match it is 1 - (1 - confidence)^(1/n), which is exact.
    """
    if n < 1:
        return 1.0
    budget, low, high = math.log(1 / (1 - confidence)) / n, rate, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _divergence(rate, middle) < budget else (low, middle)
    return high


def _divergence(p: float, q: float) -> float:
    """The Kullback-Leibler divergence of two coins, in nats."""
    first = p * math.log(p / q) if p > 0 else 0.0
    second = (1 - p) * math.log((1 - p) / (1 - q)) if p < 1 and q < 1 else 0.0 if p >= 1 else math.inf
    return first + second


def _unit(face: Float64) -> Float64:
    length = float(np.linalg.norm(face))
    if not np.isfinite(length) or length == 0:
        raise ValueError("an embedding has no direction")
    return np.asarray(face, np.float64) / length
