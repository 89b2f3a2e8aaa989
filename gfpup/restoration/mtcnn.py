"""MTCNN over photos of any size: a small detector with landmarks, whose networks an installed package carries.

Boxes inside this module count pixels from 1 and include both end pixels, as the networks were trained; the faces that come out
follow the conventions of `gfpup.core.types`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gfpup.core.types import Face, UInt8
from gfpup.machine.cpu import one_thread
from gfpup.restoration.boxes import Boxes, drop_contained, largest_first, make_face, reduce_for_detection, without_overlaps
from gfpup.restoration.retinaface import first_look_px

if TYPE_CHECKING:
    from torch import Tensor

    from gfpup.models.nets.mtcnn import ONet, PNet, RNet

SMALLEST_FACE_PX = 20
"""The smallest face that is looked for in the reduced copy. Source: facenet-pytorch's default."""

PYRAMID_FACTOR = 0.709
"""Each picture of the pyramid is this much smaller than the one before: half its area. Source: the official code."""

PROPOSAL_THRESHOLD, REFINE_THRESHOLD, FACE_THRESHOLD = 0.6, 0.7, 0.7
"""The lowest score in each network. Source: the official code."""

OVERLAP_IN_A_LEVEL, OVERLAP = 0.5, 0.7
"""Of boxes that overlap more, the surest stays: among the proposals of one picture of the pyramid, and later. Source: as the
thresholds."""


class MtcnnDetector:
    """MTCNN behind the `Detector` protocol, on one CPU thread in float32 whatever the device.

    `detect_size` is the short side in px of the reduced copy in which faces are proposed; None chooses it by the photo, as for
    RetinaFace's first look, and 0 takes the photo as it is. Faces whose square is smaller there than what the last network
    takes are shown to it in the photo's own pixels.
    """

    def __init__(
        self,
        pnet: PNet,
        rnet: RNet,
        onet: ONet,
        *,
        detect_size: int | None = None,
        smallest_face: int = SMALLEST_FACE_PX,
    ) -> None:
        self.pnet, self.rnet, self.onet = pnet.eval(), rnet.eval(), onet.eval()
        self.detect_size = detect_size
        self.smallest_face = smallest_face

    def detect(self, rgb: UInt8) -> list[Face]:
        """Find the faces of an (h, w, 3) uint8 RGB photo, largest first, without boxes inside others."""
        import torch

        size_hw = rgb.shape[0], rgb.shape[1]
        small, _ = reduce_for_detection(rgb, first_look_px(size_hw) if self.detect_size is None else self.detect_size)
        with torch.inference_mode(), one_thread():
            boxes = self._refine(small, self._propose(small))
            return largest_first(self._decide(small, boxes, rgb), size_hw) if len(boxes) else []

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
        cut = [resized(cut_out(small, box), mtcnn.REFINE_SIDE_PX) for box in boxes]
        scores, corrections = (values.numpy() for values in self.rnet(mtcnn.prepare(_joined(cut))))
        passed = scores > REFINE_THRESHOLD
        boxes, scores, corrections = boxes[passed], scores[passed], corrections[passed]
        kept = without_overlaps(boxes, scores, OVERLAP)
        return squares(corrected(boxes[kept], corrections[kept]))

    def _decide(self, small: UInt8, boxes: Boxes, rgb: UInt8) -> list[Face]:
        """The faces that the last network sees in one or more squares `boxes` of `small`, in the pixels of the photo `rgb`."""
        from gfpup.models.nets import mtcnn

        side = mtcnn.OUTPUT_SIDE_PX
        factors = np.array(rgb.shape[1::-1]) / small.shape[1::-1]
        # What the network says refers to the square that it saw, whose edges are whole pixels. The official code adds it to the
        # square before rounding, which moves the landmarks by up to a pixel of the reduced copy.
        in_small = [np.trunc(box) for box in boxes]
        in_photo = [np.trunc(enlarged(box, factors)) for box in boxes]
        from_photo = [box[2] - box[0] < side for box in boxes]
        cut = [cut_out(rgb, b) if own else cut_out(small, a) for a, b, own in zip(in_small, in_photo, from_photo, strict=True)]
        seen = [b if own else enlarged(a, factors) for a, b, own in zip(in_small, in_photo, from_photo, strict=True)]
        found = self.onet(mtcnn.prepare(_joined([resized(pixels, side) for pixels in cut])))
        scores, corrections, points = (values.double().numpy() for values in found)
        passed = scores > FACE_THRESHOLD
        boxes, scores, corrections, points = np.array(seen)[passed], scores[passed], corrections[passed], points[passed]
        low, high = boxes[:, None, :2] - 1.5, boxes[:, None, 2:] - 0.5  # the outer edges, where pixel centres are integers
        landmarks = low + points * (high - low)
        boxes = corrected(boxes, corrections)
        kept = without_overlaps(boxes, scores, OVERLAP, of_smaller=True)
        kept = kept[drop_contained(boxes[kept])]
        edges = boxes - np.array([1.5, 1.5, 0.5, 0.5])
        return [make_face(edges[i], scores[i], landmarks[i]) for i in kept]


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


def corrected(boxes: Boxes, corrections: Boxes) -> Boxes:
    """Move the edges of (n, 4) boxes by the networks' corrections, which are fractions of a box's width and height."""
    return np.asarray(boxes + corrections * np.tile(boxes[:, 2:] - boxes[:, :2] + 1, 2))


def squares(boxes: Boxes) -> Boxes:
    """The squares around the centres of (n, 4) boxes, as wide as the longer side."""
    sides = boxes[:, 2:] - boxes[:, :2]
    longest = sides.max(axis=1, keepdims=True, initial=0)
    low = boxes[:, :2] + (sides - longest) / 2
    return np.concatenate([low, low + longest], axis=1)


def enlarged(box: Boxes, factors: Boxes) -> Boxes:
    """A box (4,) of the reduced copy in the photo, which is larger by `factors` (x, y)."""
    return np.concatenate([(box[:2] - 1) * factors + 1, box[2:] * factors])


def cut_out(rgb: UInt8, box: Boxes) -> UInt8:
    """The pixels of `box` (4,), its fractions cut off, one at least; outside the picture its border is repeated."""
    h, w = rgb.shape[:2]
    x0, y0, x1, y1 = (int(v) for v in box)
    if 1 <= x0 <= x1 <= w and 1 <= y0 <= y1 <= h:
        return rgb[y0 - 1 : y1, x0 - 1 : x1]
    rows, columns = np.arange(y0 - 1, max(y1, y0)), np.arange(x0 - 1, max(x1, x0))
    return np.asarray(rgb[rows.clip(0, h - 1)[:, None], columns.clip(0, w - 1)])


def resized(rgb: UInt8, side: int) -> Tensor:
    """(1, 3, side, side) float32 in [0, 255]: each pixel is the mean of those it covers. Source: facenet-pytorch."""
    import torch
    import torch.nn.functional as F

    pixels = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1).unsqueeze(0).float()
    return F.interpolate(pixels, size=(side, side), mode="area")


def _joined(pictures: Sequence[Tensor]) -> Tensor:
    import torch

    return torch.cat(list(pictures))


def load_mtcnn(*, detect_size: int | None = None) -> MtcnnDetector:
    """MTCNN with the networks that the package facenet-pytorch carries.

    Raises: CheckpointError where the package is not installed, or one of its files is not the published one.
    """
    from gfpup.models.nets.mtcnn import ONet, PNet, RNet
    from gfpup.weights.packaged import read_mtcnn

    states = read_mtcnn()
    pnet, rnet, onet = PNet(), RNet(), ONet()
    for network, name in ((pnet, "pnet"), (rnet, "rnet"), (onet, "onet")):
        network.load_state_dict(states[name])  # the files are the published ones, so their keys are right
        network.requires_grad_(False)
    return MtcnnDetector(pnet, rnet, onet, detect_size=detect_size)
