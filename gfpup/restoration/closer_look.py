"""A closer look at one face: turned upright, at the size at which RetinaFace places landmarks best, and mirrored too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gfpup.core.types import Face, Float64, UInt8
from gfpup.ops import geometry
from gfpup.restoration.boxes import intersections, make_face
from gfpup.restoration.windows import BEYOND_RGB

if TYPE_CHECKING:
    from gfpup.models.nets.retinaface import Candidates

SQUARE_PX = 256
"""The side of the aligned crop that is looked at: in it a face's box is about 160 px high, and the network at its best."""

ANCHOR_THRESHOLD = 0.5
SAME_FACE = 0.6
"""The lowest score of an anchor, and the overlap (IoU) with the best one from which its landmarks enter the mean."""

MIRRORED = (1, 0, 2, 4, 3)
"""The landmarks' order in a mirrored picture."""


def upright_affine(face: Face | None) -> Float64 | None:
    """The (2, 3) affine from the photo to the square of the closer look; None where there is no face to turn upright."""
    if face is None:
        return None
    affine = geometry.least_squares_similarity(face.landmarks_xy)
    if affine is None:
        return None
    return geometry.compose(geometry.resize_affine((geometry.CROP_PX,) * 2, (SQUARE_PX,) * 2), affine)


def upright_square(rgb: UInt8, affine: Float64) -> UInt8:
    """The square (256, 256, 3) uint8 RGB that `affine` maps the photo to."""
    return np.asarray(geometry.warp(rgb, affine, (SQUARE_PX, SQUARE_PX), border=BEYOND_RGB), np.uint8)


def face_of_both(look: Candidates, mirror: Candidates) -> Face | None:
    """The face in the middle of a square and of its mirror image, of both the mean; None where neither shows one."""
    found = [mean_face(look), mirrored(mean_face(mirror))]
    both = [face for face in found if face is not None]
    if not both:
        return None
    box, points = (np.mean([getattr(face, name) for face in both], axis=0) for name in ("box_xyxy", "landmarks_xy"))
    return make_face(box, max(face.score for face in both), points)


def mean_face(found: Candidates) -> Face | None:
    """The face nearest the middle of a closer look: of the anchors on it, weighted by their scores, the mean."""
    boxes, scores, points = (values.double().numpy() for values in found)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    middle = np.linalg.norm(centres - (SQUARE_PX - 1) / 2, axis=1) < SQUARE_PX / 4
    if not middle.any():
        return None
    boxes, scores, points = boxes[middle], scores[middle], points[middle]
    best = int(scores.argmax())
    shared, areas = intersections(boxes[best], boxes), (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    same = shared > SAME_FACE * (areas + areas[best] - shared)
    same[best] = True
    box, mean = (np.average(values[same], axis=0, weights=scores[same]) for values in (boxes, points))
    return make_face(box, scores[best], mean)


def mirrored(face: Face | None) -> Face | None:
    """A face of the mirrored square, in the square itself."""
    if face is None:
        return None
    x0, y0, x1, y1 = face.box_xyxy
    points = face.landmarks_xy[list(MIRRORED)] * [-1, 1] + [SQUARE_PX - 1, 0]
    return Face((SQUARE_PX - 1 - x1, y0, SQUARE_PX - 1 - x0, y1), face.score, points)


def placed_back(face: Face, back: Float64) -> Face:
    """A face of the square in the photo; `back` maps the square to it. The box holds the ellipse in the turned one."""
    x0, y0, x1, y1 = face.box_xyxy
    centre = geometry.apply(back, np.array([[(x0 + x1) / 2, (y0 + y1) / 2]]))[0]
    half = np.linalg.norm(back[:, :2] * [(x1 - x0) / 2, (y1 - y0) / 2], axis=1)
    return make_face(np.concatenate([centre - half, centre + half]), face.score, geometry.apply(back, face.landmarks_xy))
