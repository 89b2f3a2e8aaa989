"""Photos that lie on their side or upside down: scans, and phone photos that have lost their EXIF.

A turn is the number of degrees, 0, 90, 180 or 270, by which a photo has to be turned clockwise to be upright.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gfpup.core.types import Detector, Face, Photo, UInt8
from gfpup.ops import geometry
from gfpup.restoration.boxes import largest_first, make_face
from gfpup.restoration.retinaface import RetinaFaceDetector

SURE = 0.999
"""The score from which a face is taken as standing the way that it seems to: an upside-down one seldom has more than 0.99."""


class TurningDetector:
    """A detector that also looks at the photo turned by quarters, where no face, or no sure one, stands upright in it."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector

    @property
    def shares_forwards(self) -> bool:
        """Whether the detector does, so that `detect_many` pays."""
        return bool(getattr(self.detector, "shares_forwards", False))

    def detect(self, rgb: UInt8) -> list[Face]:
        """Find the faces of an (h, w, 3) uint8 RGB photo, upright or turned, in the photo's own pixels, largest first."""
        return self._turned(rgb, self.detector.detect(rgb))

    def detect_many(self, rgbs: Sequence[UInt8]) -> list[list[Face]]:
        """`detect` for several photos, by a detector that shares forwards."""
        upright = self.detector.detect_many(rgbs)  # type: ignore[attr-defined]
        return [self._turned(*each) for each in zip(rgbs, upright, strict=True)]

    def _turned(self, rgb: UInt8, upright: list[Face]) -> list[Face]:
        """The faces of a photo in which `upright` were found."""
        found = {0: upright}
        for turn in self._doubted(rgb, found[0]):
            turned = geometry.turned_pixels(rgb, turn)
            size_hw = turned.shape[0], turned.shape[1]
            found[turn] = [turned_face(face, -turn, size_hw) for face in self.detector.detect(turned)]
        best = max(found, key=lambda turn: evidence(found[turn], turn))
        return largest_first(found[best], (rgb.shape[0], rgb.shape[1]))

    def _doubted(self, rgb: UInt8, faces: Sequence[Face]) -> Sequence[int]:
        """The turns to be tried."""
        if not faces:
            return (90, 180, 270)
        if turn := turn_of(faces):
            return (turn, (turn + 180) % 360)
        surest = max(faces, key=lambda face: face.score)
        detector = self.detector
        doubtful = isinstance(detector, RetinaFaceDetector) and surest.score < SURE and detector.is_upside_down(rgb, surest)
        return (180,) if doubtful else ()


def evidence(faces: Sequence[Face], turn: int) -> float:
    """How much speaks for a turn of the photo: the scores of the faces that stand upright after it."""
    return sum(face.score for face in faces if turn_of([face]) == turn)


def turn_of(faces: Sequence[Face]) -> int:
    """The turn of a photo with these faces: that of most of them, 0 where none is in the majority."""
    turns = Counter(round(-geometry.roll_degrees(face.landmarks_xy) / 90) % 4 * 90 for face in faces)
    turn, count = turns.most_common(1)[0] if turns else (0, 0)
    return turn if 2 * count > len(faces) else 0


def turned_face(face: Face, turn: int, size_hw: tuple[int, int]) -> Face:
    """`face` of a photo of `size_hw` in that photo turned clockwise by `turn` degrees, a multiple of 90."""
    h, w = size_hw
    points = np.concatenate([np.reshape(face.box_xyxy, (2, 2)), face.landmarks_xy])
    for _ in range(turn // 90 % 4):
        points = np.stack([h - 1 - points[:, 1], points[:, 0]], axis=1)
        h, w = w, h
    corners = points[:2]
    turned = make_face(np.concatenate([corners.min(axis=0), corners.max(axis=0)]), face.score, points[2:])
    return replace(turned, recognition=face.recognition)


def turned_photo(photo: Photo, turn: int) -> Photo:
    """`photo` turned clockwise by `turn` degrees, a multiple of 90."""
    alpha = None if photo.alpha is None else geometry.turned_pixels(photo.alpha, turn)
    return replace(photo, pixels=geometry.turned_pixels(photo.pixels, turn), alpha=alpha)
