"""Turn faces upright: a square crop of each, cut so that its landmarks lie where the networks expect them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from gfpup.core.errors import GfpupError
from gfpup.core.types import AlignedCrop, Face, Float64, UInt8
from gfpup.ops import geometry

BORDER_RGB = (132, 133, 135)
"""What lies outside the photo. Source: facexlib's FaceRestoreHelper, which gives it as BGR (135, 133, 132)."""


class AlignmentError(GfpupError):
    """One face cannot be turned into its crop; the others can."""


def align_face(
    rgb: UInt8, face: Face, side_px: int = geometry.CROP_PX, *, template_xy: Float64 = geometry.TEMPLATE_512_XY
) -> AlignedCrop:
    """Cut one face out of an (h, w, 3) uint8 RGB photo, upright, by the similarity that carries its landmarks to the template.

    `template_xy` (5, 2) is where they lie in a crop of 512 px.

    What lies outside the photo is `BORDER_RGB`. The official helper samples bilinearly and without a filter; `geometry.warp`
    does neither, so that a small face keeps its sharpness on the way there and back (52 dB and more instead of 32 to 52 on
    real photos) and a large one does not alias.

    Raises: AlignmentError where the landmarks fit no face or the crop lies outside the photo.

    Source: facexlib/utils/face_restoration_helper.py (align_warp_face).
    """
    affine = geometry.fit_similarity(face.landmarks_xy, template_xy)
    if affine is None:
        points = ", ".join(f"({x:.1f}, {y:.1f})" for x, y in np.asarray(face.landmarks_xy, np.float64).reshape(-1, 2))
        raise AlignmentError(f"its landmarks {points} fit no face: check the detection, or raise its threshold")
    affine = geometry.of_another_side(affine, geometry.CROP_PX, side_px)
    side = (side_px, side_px)
    if geometry.touched_rectangle(geometry.invert(affine), side, (rgb.shape[0], rgb.shape[1])) is None:
        x, y = face.landmarks_xy[2]
        raise AlignmentError(f"its crop lies outside the photo (nose at ({x:.0f}, {y:.0f})): raise the detection threshold")
    pixels = np.asarray(geometry.warp(rgb, affine, side, border=BORDER_RGB), np.uint8)
    return AlignedCrop(face, pixels, affine, standard_affine(face, template_xy))


def standard_affine(face: Face, template_xy: Float64) -> Float64 | None:
    """The affine of `face` to the usual crop of 512 px; None where `template_xy` is that one's, or no face fits it."""
    if np.array_equal(template_xy, geometry.TEMPLATE_512_XY):
        return None
    return geometry.fit_similarity(face.landmarks_xy)


def align_faces(
    rgb: UInt8,
    faces: Sequence[Face],
    side_px: int = geometry.CROP_PX,
    *,
    template_xy: Float64 = geometry.TEMPLATE_512_XY,
) -> list[AlignedCrop | str]:
    """Cut each face out of an (h, w, 3) uint8 RGB photo: in the order of `faces`, its crop or the reason why there is none."""
    crops: list[AlignedCrop | str] = []
    for face in faces:
        try:
            crops.append(align_face(rgb, face, side_px, template_xy=template_xy))
        except AlignmentError as error:
            crops.append(str(error))
    return crops


def aligned_crop(rgb: UInt8, side_px: int = geometry.CROP_PX) -> AlignedCrop:
    """Take a whole (h, w, 3) uint8 RGB picture, any size, as one aligned face of score 1: it is resized to the side of a crop.

    The face's box is the picture, its landmarks are the template's, mapped back. Enlarging is bilinear as in the official code;
    reducing averages areas, where the official bilinear skips pixels beyond 2x (at exactly 2x both are the same).
    """
    h, w = rgb.shape[:2]
    side = (side_px, side_px)
    affine = geometry.resize_affine((h, w), side)
    pixels = np.ascontiguousarray(rgb)
    if (h, w) != side:
        how = cv2.INTER_AREA if min(h, w) >= side_px else cv2.INTER_LINEAR
        pixels = np.asarray(cv2.resize(pixels, side, interpolation=how), np.uint8)
    to_512 = geometry.of_another_side(affine, side_px)
    landmarks = geometry.apply(geometry.invert(to_512), geometry.TEMPLATE_512_XY)
    return AlignedCrop(Face((-0.5, -0.5, w - 0.5, h - 0.5), 1.0, landmarks), pixels, affine)
