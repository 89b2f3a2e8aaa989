"""How like its person a restored face is, by other photos of the person: `identity_gallery` and its mean and margin.

The degraded face decides who it is, so that no method chooses the person that its own result is compared with.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NoReturn
from weakref import ReferenceType, ref

from gfpup.core.types import Score, UInt8
from gfpup.evaluation.metrics import MetricError
from gfpup.evaluation.metrics.base import PictureMetric
from gfpup.models.recognition import People
from gfpup.ops.gallery import GalleryScore


class Comparison:
    """Compares restored faces with `people`, each once, however many metrics ask for it."""

    def __init__(self, people: People) -> None:
        self.people = people
        self._known: list[tuple[ReferenceType[UInt8], ReferenceType[UInt8], GalleryScore | str]] = []

    def __call__(self, restored: UInt8, degraded: UInt8) -> GalleryScore | str:
        """Compare a restored crop, (512, 512, 3) uint8 RGB, with the person that its degraded crop shows, or say why not."""
        self._known = [row for row in self._known if row[0]() is not None and row[1]() is not None]
        for one, other, found in self._known:
            if one() is restored and other() is degraded:
                return found
        compared = self._compare(restored, degraded)
        self._known.append((ref(restored), ref(degraded), compared))
        return compared

    def _compare(self, restored: UInt8, degraded: UInt8) -> GalleryScore | str:
        person = self.people.recognise(degraded).person
        if person is None:  # one reason for all faces, which tables then count; the record has how similar each is to whom
            return "its input is recognised as nobody of --people"
        return self.people.gallery.score(self.people.embed_crop(restored), person)


class IdentityGallery(PictureMetric):
    """The metric `identity_gallery`: the cosine with the most similar photo of the person."""

    name, against = "identity_gallery", "input"
    field: ClassVar[str] = "best"

    def __init__(self, compare: Comparison) -> None:
        self.compare = compare

    @classmethod
    def load(cls, files: Mapping[str, Path], *, device: str = "cpu") -> NoReturn:
        """MetricError: it is loaded with the persons of a run only."""
        raise MetricError("it compares with photos of the persons: give them to gfpup run with --people DIR")

    def score(self, restored: UInt8, reference: UInt8 | None = None) -> Score:
        """Score a restored crop; `reference` is the degraded crop, which says whose photos it is compared with."""
        found: Any = self._refusal(restored, reference)
        if found is None and reference is not None:
            found = self.compare(restored, reference)
        if isinstance(found, str):
            return Score(self.name, None, True, found)
        value = getattr(found, self.field)
        return Score(self.name, value, True, "--people has nobody else to compare with" if value is None else None)

    def value(self, restored: UInt8, reference: UInt8) -> float:
        """The value of a face whose person is known."""
        return float(getattr(self.compare(restored, reference), self.field))


class IdentityGalleryMean(IdentityGallery):
    """The metric `identity_gallery_mean`: the mean of the cosines with the photos of the person."""

    name, field = "identity_gallery_mean", "mean"


class IdentityGalleryMargin(IdentityGallery):
    """The metric `identity_gallery_margin`: the best cosine less the best with anybody else."""

    name, field = "identity_gallery_margin", "margin"
