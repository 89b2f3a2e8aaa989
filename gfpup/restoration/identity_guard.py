"""The identity guard: a restored face that no longer looks like its input is blended back until it does, or left as it was.

Where the run has photos of the persons, a face that is one of them is compared with those photos instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from gfpup.core.errors import GfpupError
from gfpup.core.types import AlignedCrop, Float32, Float64, UInt8
from gfpup.models.nets.arcface import arcface_crop
from gfpup.models.recognition import Embedder
from gfpup.ops import geometry
from gfpup.ops.color import to_uint8, to_unit
from gfpup.ops.gallery import Gallery

SHARES: Final = (0.8, 0.6, 0.4, 0.2)
"""The shares of the restoration that are tried, largest first; each is measured, because similarity need not fall evenly."""
INPUT: Final = "its input"


@dataclass(frozen=True)
class GuardNote:
    """What the guard measured: the cosine `before` and `after`, `to` its input or a person, and the `share` that was kept."""

    minimum: float
    before: float
    after: float
    share: float
    to: str = INPUT

    @property
    def changed(self) -> bool:
        return self.share < 1.0

    @property
    def sentence(self) -> str:
        if not self.changed:
            return f"identity {self.before:.2f} to {self.to}, at or over the minimum {self.minimum:.2f}"
        found = f"identity {self.before:.2f} to {self.to} was under the minimum {self.minimum:.2f}"
        if self.share == 0.0:
            own = "" if self.to == INPUT else f" (its input has {self.after:.2f})"
            return f"{found}, and no share of the restoration passed: left as it was{own}"
        return f"{found}: blended back to {self.share:.0%} of the restoration, which has {self.after:.2f}"


class IdentityGuard:
    """Holds restored faces to a smallest similarity `minimum`, 0 to 1, with their inputs.

    With a `gallery`, a recognised face is compared with the most similar photo of its person instead.
    """

    def __init__(self, embed: Embedder, *, minimum: float, gallery: Gallery | None = None) -> None:
        self._embed = embed
        self._gallery = gallery
        self.minimum = checked_minimum(minimum)

    def __call__(self, crop: AlignedCrop, restored: Float32) -> tuple[Float32, GuardNote]:
        """Judge one face: `restored` (s, s, 3) float32 in [0, 255] comes back whole, blended or as the input."""
        likeness, to = self._measure(crop)
        original = crop.pixels.astype(np.float32)
        before = 0.0
        for share in (1.0, *SHARES):
            blend = restored if share == 1.0 else original + np.float32(share) * (restored - original)
            found = likeness(to_uint8(to_unit(blend)))
            before = found if share == 1.0 else before
            if found >= self.minimum:
                return blend, GuardNote(self.minimum, before, found, share, to)
        after = 1.0 if to == INPUT else likeness(crop.pixels)
        return original, GuardNote(self.minimum, before, after, 0.0, to)

    def _measure(self, crop: AlignedCrop) -> tuple[Callable[[UInt8], float], str]:
        """What measures a version of the crop's pixels, and what it is compared with, in words."""
        recognition = crop.face.recognition
        person = None if recognition is None else recognition.person
        gallery = self._gallery
        if gallery is None or person is None:
            landmarks = geometry.apply(crop.affine, np.asarray(crop.face.landmarks_xy, np.float64))
            own = self._embed(arcface_crop(crop.pixels, landmarks))
            return lambda pixels: similarity(own, self._embed(arcface_crop(pixels, landmarks))), INPUT
        # The gallery's faces were cut by the template, whichever template the method has.
        from_standard = geometry.compose(crop.affine, geometry.invert(geometry.to_standard_crop(crop)))
        template = geometry.apply(from_standard, geometry.TEMPLATE_512_XY)
        photos = gallery.people[person]

        def likeness(pixels: UInt8) -> float:
            face = self._embed(arcface_crop(pixels, template))
            return max(similarity(photo, face) for photo in photos)

        return likeness, f"the photos of {person}"


def similarity(a: Float64, b: Float64) -> float:
    """The cosine of two embeddings, in [-1, 1]; -1, so that it never passes, where one is zero or not finite."""
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    if not np.isfinite(lengths) or lengths == 0.0:
        return -1.0
    return float(np.clip(a @ b / lengths, -1.0, 1.0))


def checked_minimum(value: float) -> float:
    """Return `value` as a smallest similarity; GfpupError where it is not a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise GfpupError(f"invalid smallest identity {value!r}: expected a number from 0 to 1 (the same face), such as 0.5")
    return float(value)
