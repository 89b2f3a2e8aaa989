"""The faces of persons whose photos the user has: gathered from those photos, and recognised in the photos of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gfpup.core.errors import GfpupError, PhotoError
from gfpup.core.types import Detector, Face, UInt8
from gfpup.models.nets.arcface import arcface_crop
from gfpup.models.recognition import Embedder, People
from gfpup.ops import geometry
from gfpup.ops.gallery import Gallery
from gfpup.photos import read_photo
from gfpup.restoration.align import AlignmentError, align_face


def gather(photos: Mapping[str, Sequence[Path]], detector: Detector, embed: Embedder, *, false_match: float) -> People:
    """Embed the face of each photo of each person; `false_match` is that of `People`.

    A photo must show exactly one face: of several, nothing says which is the person's, so it is left out, as is a photo
    without a face.

    Raises: GfpupError: no photo of one of the persons shows exactly one face.
    """
    faces = {}
    left_out: list[tuple[Path, str]] = []
    for name, paths in photos.items():
        shown = {path: _only_face(path, detector) for path in paths}
        refused = [(path, crop) for path, crop in shown.items() if isinstance(crop, str)]
        found = [embed(arcface_crop(crop)) for crop in shown.values() if not isinstance(crop, str)]
        if not found:
            reasons = "; ".join(f"{path}: {reason}" for path, reason in refused[:3])
            raise GfpupError(f"no photo of {name} in --people shows exactly one face ({reasons}): add one that does.")
        faces[name] = np.stack(found)
        left_out += refused
    return People(Gallery(faces), embed, false_match, tuple(left_out))


def _only_face(path: Path, detector: Detector) -> UInt8 | str:
    """The aligned crop, (512, 512, 3) uint8 RGB, of the only face in a photo, or why there is none."""
    try:
        rgb = read_photo(path).rgb8
    except PhotoError as error:
        return str(error)
    faces = detector.detect(rgb)
    if len(faces) != 1:
        return f"{len(faces)} faces" if faces else "no face"
    crop = _crop(rgb, faces[0])
    return "its face cannot be cut out" if crop is None else crop


@dataclass(frozen=True, eq=False)
class RecognisingDetector:
    """A detector that also says of each face which of `people` it is, as the face looks in the photo."""

    detector: Detector
    people: People

    def detect(self, rgb: UInt8) -> list[Face]:
        """Find and recognise the faces of an (h, w, 3) uint8 RGB photo, largest first."""
        faces = []
        for face in self.detector.detect(rgb):
            crop = _crop(rgb, face)
            faces.append(face if crop is None else replace(face, recognition=self.people.recognise(crop)))
        return faces


def _crop(rgb: UInt8, face: Face) -> UInt8 | None:
    """The crop of a face that metrics look at: cut along the affine as a record keeps it, with the photo's edge repeated."""
    try:
        affine = geometry.to_standard_crop(align_face(rgb, face)).round(6)
    except AlignmentError:
        return None
    return np.asarray(geometry.warp(rgb, affine, (geometry.CROP_PX, geometry.CROP_PX)), np.uint8)
