"""MTCNN over photos of any size: a small detector with landmarks, whose networks an installed package carries.

Boxes inside this module count pixels from 1 and include both end pixels, as the networks were trained; the faces that come out
follow the conventions of `gfpup.core.types`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gfpup.core.types import Face, Float64, UInt8
from gfpup.ops import geometry
from gfpup.restoration.boxes import Boxes, drop_contained, intersections, largest_first, make_face, reduce_for_detection

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from gfpup.models.nets.mtcnn import ONet, PNet, RNet

DETECT_SIZE_PX = 480
SMALLEST_FACE_PX = 20
"""Short side of the reduced copy, and the smallest face that is looked for in it. Source: facenet-pytorch for the face."""

PYRAMID_FACTOR = 0.709
"""Each picture of the pyramid is this much smaller than the one before: half its area. Source: the official code."""

PROPOSAL_THRESHOLD, REFINE_THRESHOLD, FACE_THRESHOLD = 0.6, 0.7, 0.7
"""The lowest score in each network. Source: the official code."""

OVERLAP_IN_A_LEVEL, OVERLAP = 0.5, 0.7
"""Of boxes that overlap more, the surest stays: among the proposals of one picture of the pyramid, and later. Source: as above."""


class MtcnnDetector:
    """MTCNN behind the `Detector` protocol, always on the CPU in float32.

    `detect_size` is the short side in px of the reduced copy in which faces are proposed; 0 takes the photo's own size. The
    last network sees the photo's own pixels.
    """

    def __init__(
        self, pnet: PNet, rnet: RNet, onet: ONet, *, detect_size: int = DETECT_SIZE_PX, smallest_face: int = SMALLEST_FACE_PX
    ) -> None:
        self.pnet, self.rnet, self.onet = pnet.eval(), rnet.eval(), onet.eval()
        self.detect_size = detect_size
        self.smallest_face = smallest_face

    def detect(self, rgb: UInt8) -> list[Face]:
        """Find the faces of an (h, w, 3) uint8 RGB photo, largest first, without boxes inside others."""
        import torch

        small, to_photo = reduce_for_detection(rgb, self.detect_size)
        with torch.inference_mode():
            boxes = self._refine(small, self._propose(small))
            return self._decide(small, boxes, to_photo, rgb)

    def _propose(self, small: UInt8) -> Boxes:
        """The (n, 4) squares that the first network takes for faces in any picture of the pyramid."""
        import torch
        import torch.nn.functional as F

        from gfpup.models.nets import mtcnn

        picture = torch.from_numpy(small).permute(2, 0, 1).unsqueeze(0).float()
        h, w = small.shape[:2]
        levels = [np.empty((0, 9), np.float32)]
        for scale in pyramid_scales((h, w), self.smallest_face):
            level = F.interpolate(picture, size=(int(h * scale + 1), int(w * scale + 1)), mode="area")
            scores, corrections = self.pnet(mtcnn.prepare(level))
            rows = proposals_of(scores[0], corrections[0], scale)
            levels.append(rows[without_overlaps(rows[:, :4], rows[:, 4], OVERLAP_IN_A_LEVEL)])
        rows = np.concatenate(levels)
        rows = rows[without_overlaps(rows[:, :4], rows[:, 4], OVERLAP)]
        sides = np.tile(rows[:, 2:4] - rows[:, :2], 2)
        return squares(rows[:, :4] + rows[:, 5:] * sides)

    def _refine(self, small: UInt8, boxes: Boxes) -> Boxes:
        """The (n, 4) squares of `boxes` that the second network takes for faces, corrected by it."""
        from gfpup.models.nets import mtcnn

        if not len(boxes):
            return boxes
        scores, corrections = (t.numpy() for t in self.rnet(mtcnn.prepare(crops(small, boxes, mtcnn.REFINE_SIDE_PX))))
        passed = scores > REFINE_THRESHOLD
        boxes, scores, corrections = boxes[passed], scores[passed], corrections[passed]
        kept = without_overlaps(boxes, scores, OVERLAP)
        return squares(corrected(boxes[kept], corrections[kept]))

    def _decide(self, small: UInt8, boxes: Boxes, to_photo: Float64, rgb: UInt8) -> list[Face]:
        """The faces that the last network sees in the squares `boxes`, in the photo's pixels."""
        from gfpup.models.nets import mtcnn

        if not len(boxes):
            return []
        found = self.onet(mtcnn.prepare(crops(small, boxes, mtcnn.OUTPUT_SIDE_PX)))
        scores, corrections, points = (t.numpy() for t in found)
        passed = scores > FACE_THRESHOLD
        boxes, scores, corrections, points = boxes[passed], scores[passed], corrections[passed], points[passed]
        landmarks = boxes[:, None, :2] + points * (boxes[:, None, 2:] - boxes[:, None, :2] + 1) - 1.5
        boxes = corrected(boxes, corrections)
        kept = without_overlaps(boxes, scores, OVERLAP, of_smaller=True)
        edges = geometry.apply(to_photo, (boxes[kept] - np.array([1.5, 1.5, 0.5, 0.5])).reshape(-1, 2)).reshape(-1, 4)
        places = geometry.apply(to_photo, landmarks[kept].reshape(-1, 2)).reshape(-1, 5, 2)
        faces = [make_face(*one) for one in zip(edges, scores[kept], places, strict=True)]
        return largest_first(faces, (rgb.shape[0], rgb.shape[1]))


def pyramid_scales(size_hw: tuple[int, int], smallest_face: int) -> list[float]:
    """The scales of the pictures in which faces of `smallest_face` px and more come to the first network's 12 px."""
    from gfpup.models.nets.mtcnn import PROPOSAL_SIDE_PX

    scales, scale = [], PROPOSAL_SIDE_PX / smallest_face
    while min(size_hw) * scale >= PROPOSAL_SIDE_PX:
        scales.append(scale)
        scale *= PYRAMID_FACTOR
    return scales


def proposals_of(scores: Tensor, corrections: Tensor, scale: float) -> Boxes:
    """The cells of one picture of the pyramid over the threshold: (n, 9) float32 of box, score and corrections.

    `scores` is (h', w') and `corrections` (4, h', w'), as `PNet` gives them for the picture at `scale`.
    """
    from gfpup.models.nets.mtcnn import PROPOSAL_SIDE_PX, PROPOSAL_STRIDE_PX

    found = scores.numpy() >= PROPOSAL_THRESHOLD
    cells = np.argwhere(found)[:, ::-1] * PROPOSAL_STRIDE_PX
    low, high = (np.floor((cells + count) / scale) for count in (1, PROPOSAL_SIDE_PX))
    columns = (low, high, scores.numpy()[found][:, None], corrections.numpy()[:, found].T)
    return np.concatenate(columns, axis=1, dtype=np.float32)


def without_overlaps(boxes: Boxes, scores: Boxes, overlap: float, *, of_smaller: bool = False) -> npt.NDArray[np.intp]:
    """Keep of (n, 4) boxes that overlap by more than `overlap` only the surest; the kept indices, surest first.

    The overlap is the shared area over that of the union, or with `of_smaller` over that of the smaller box.
    """
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(best)
        shared = intersections(boxes[best], boxes[rest])
        whole = np.minimum(areas[best], areas[rest]) if of_smaller else areas[best] + areas[rest] - shared
        order = rest[shared <= overlap * whole]
    return np.array(kept, np.intp)


def corrected(boxes: Boxes, corrections: Boxes) -> Boxes:
    """Move the edges of (n, 4) boxes by the networks' corrections, which are fractions of a box's width and height."""
    return np.asarray(boxes + corrections * np.tile(boxes[:, 2:] - boxes[:, :2] + 1, 2))


def squares(boxes: Boxes) -> Boxes:
    """The squares around the centres of (n, 4) boxes, as wide as the longer side."""
    sides = boxes[:, 2:] - boxes[:, :2]
    longest = sides.max(axis=1, keepdims=True, initial=0)
    low = boxes[:, :2] + (sides - longest) / 2
    return np.concatenate([low, low + longest], axis=1)


def crops(rgb: UInt8, boxes: Boxes, side: int) -> Tensor:
    """Cut (n, 4) `boxes` out of `rgb` (h, w, 3) and bring them to (n, 3, side, side) float32 in [0, 255].

    What lies outside the picture repeats its border.
    """
    import torch
    import torch.nn.functional as F

    h, w = rgb.shape[:2]
    cut = []
    for x0, y0, x1, y1 in boxes.astype(np.int64):
        rows, columns = np.arange(y0 - 1, max(y1, y0)).clip(0, h - 1), np.arange(x0 - 1, max(x1, x0)).clip(0, w - 1)
        inside = x0 >= 1 and y0 >= 1 and x1 <= w and y1 <= h
        square = rgb[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if inside else rgb[rows[:, None], columns]
        pixels = torch.from_numpy(np.ascontiguousarray(square)).permute(2, 0, 1).unsqueeze(0).float()
        cut.append(F.interpolate(pixels, size=(side, side), mode="area"))
    return torch.cat(cut)


def load_mtcnn(*, detect_size: int = DETECT_SIZE_PX) -> MtcnnDetector:
    """MTCNN with the networks that the package facenet-pytorch carries.

    Raises: CheckpointError where the package is not installed, or one of its files is not the published one.
    """
    from gfpup.models.nets.mtcnn import ONet, PNet, RNet
    from gfpup.weights.packaged import read_mtcnn

    states = read_mtcnn()
    networks = {"pnet": PNet(), "rnet": RNet(), "onet": ONet()}
    for name, network in networks.items():
        network.load_state_dict(states[name])  # the file is the published one, so its keys are right
        network.requires_grad_(False)
    return MtcnnDetector(**networks, detect_size=detect_size)
