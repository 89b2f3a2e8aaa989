"""Methods that deliver whole photos: their faces are found and cut out for the record and the scores, nothing is pasted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from gfpup.core.plan import FaceChoice
from gfpup.core.types import AlignedCrop, Detector, FaceResult, Photo, RestoredPhoto, UInt8
from gfpup.ops import geometry
from gfpup.restoration.align import align_faces, aligned_crop
from gfpup.restoration.select import Align, cut_faces
from gfpup.restoration.stage_cache import Reuse, noting


class WholePhotos(Protocol):
    """What delivers a finished photo for each photo."""

    def photo(self, photo: Photo) -> Photo:
        """The finished version of `photo`, of any size; PhotoError where there is none."""
        ...


@dataclass(frozen=True, eq=False)
class WholePhotoRestorer:
    """Stands in for `Restorer`: photos in, restored photos out. `detector` is None for aligned faces."""

    results: WholePhotos
    detector: Detector | None
    choice: FaceChoice
    align: Align = align_faces

    def __call__(self, photos: Sequence[Photo]) -> list[RestoredPhoto]:
        """Deliver `photos` one by one; a result's own size is kept."""
        return [self._deliver(photo) for photo in photos]

    def _deliver(self, photo: Photo) -> RestoredPhoto:
        began = time.perf_counter()
        result = self.results.photo(photo)
        read = time.perf_counter()
        if self.detector is None:
            crop = aligned_crop(photo.rgb8)
            delivered = FaceResult(crop.face, restored=True, crop=crop, output=aligned_crop(result.rgb8).pixels)
            seconds = {"read result": read - began, "align": time.perf_counter() - read}
            return RestoredPhoto(photo, result.pixels, result.alpha, (delivered,), seconds, warnings=result.warnings)
        with noting(reuse := Reuse()):
            faces = self.detector.detect(photo.rgb8)
            found = time.perf_counter()
            cut = cut_faces(photo, faces, self.choice, self.align)
        done = tuple(
            face if face.crop is None else replace(face, restored=True, output=_same_crop(face.crop, photo, result))
            for face in cut
        )
        seconds = {"read result": read - began, "detect": found - read, "align": time.perf_counter() - found}
        warnings = (*result.warnings, *(() if faces else ("no face was found",)), *reuse.remarks)
        reused = dict(reuse.seconds)
        return RestoredPhoto(photo, result.pixels, result.alpha, done, seconds, warnings=warnings, reused=reused)


def _same_crop(crop: AlignedCrop, photo: Photo, result: Photo) -> UInt8:
    """Cut the face out of the finished photo that `crop` shows of the input."""
    from_result = geometry.compose(crop.affine, geometry.resize_affine(result.size_hw, photo.size_hw))
    return np.asarray(geometry.warp(result.rgb8, from_result, (geometry.CROP_PX, geometry.CROP_PX)), np.uint8)
