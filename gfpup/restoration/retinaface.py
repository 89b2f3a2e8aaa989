"""RetinaFace over photos of any size, in two looks.

The first look sees a reduced copy and proposes faces at a low threshold, so that its cost does not grow with the photo. The
second sees each proposal in the photo's own pixels and decides. Its windows begin where the network's anchors lie in the whole
photo, and reach far enough around a proposal, so that it gives what the whole photo would give. A face that the network places
badly, because it is too large for it or tilted, is looked at once more: reduced, turned upright, and mirrored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from gfpup.core.errors import CheckpointError
from gfpup.core.transfer import download, upload
from gfpup.core.types import Face, Float64, UInt8
from gfpup.machine.cpu import one_thread
from gfpup.ops import geometry
from gfpup.ops.tiles import plan_tiles
from gfpup.restoration.boxes import (
    Boxes,
    drop_contained,
    largest_first,
    longer_side,
    make_face,
    reduce_for_detection,
    without_overlaps,
)
from gfpup.restoration.closer_look import ANCHOR_THRESHOLD, face_of_both, mean_face, placed_back, upright_affine, upright_square
from gfpup.restoration.windows import GRID_PX, MARGIN_PX, MOST_PIXELS, buckets, filled, is_meant, windows_around

if TYPE_CHECKING:
    import torch

    from gfpup.models.nets.retinaface import Candidates, RetinaFace

THRESHOLD, OVERLAP = 0.97, 0.4
"""A face's lowest score (Source: what GFPGAN asks of facexlib's detector), and the IoU at which two boxes are one face."""

PROPOSAL_THRESHOLD, LIKELY, TINY_PX = 0.03, 0.1, 17.0
"""The lowest score of a proposal, and the one that those need which are larger than 17 px in the first look: with a lower score
those were nearly never faces. Source, as of the numbers below: experiments/015-detection."""

SMALLEST_LOOK_PX, LARGEST_LOOK_PX, MOST_REDUCTION = 640, 960, 5.0
"""Short side of the first look: the photo's, reduced 5 times, but not under 640 px and not over 960. In it the network proposes
faces that are 6 px wide."""

CROWD, CROWD_GROWTH, CROWD_PX = 11, 3.0, 72.0
"""Where the first look proposes so many faces, there are others too small for it: those of up to 72 px are proposed from a
copy with sides three times as long, in tiles. Source: experiments/015-detection."""
CROWD_TILE_PX = 1280

LARGE_PX = 320
TILTED_DEGREES, STEEP_DEGREES = 15.0, 30.0
"""A face whose longer side is over this, or that is tilted more, is looked at more closely, for the network places it badly: it
misses by 4 px of the crop at 128 to 192 px, by 10 at 320 to 512, by 17 at 800; tilted by 20 degrees by 8, by 40 by 14."""
SETTLED_DEGREES = 2.0
CLOSER_LOOKS = 4
"""It is turned upright again, this often at most, until a look finds it turned by less; and so little does not move a face that
is not steeply tilted from where the whole photo shows it."""

SMALL_NETWORK = 1_000_000
"""Parameters of a network whose look at a window is too short for more than one thread: MobileNet's, not ResNet-50's."""

SHARED_FORWARD_PX = 4_000_000
"""Pixels that share a forward on a GPU."""


class _Copy(NamedTuple):
    """The copy of a photo that the first look sees, and the affine back; `side` is 0 where that look decides alone."""

    side: int
    threshold: float
    pixels: UInt8
    to_photo: Float64


class RetinaFaceDetector:
    """RetinaFace behind the `Detector` protocol: float32 on any device.

    `threshold` is the lowest score of a face. `detect_size` is the short side of the first look in px; None chooses it by the
    photo, and 0 is one look at full size, as the official code has it. On a CPU each window has its own forward; on a GPU
    windows of about one size share them.
    """

    def __init__(
        self,
        network: RetinaFace,
        *,
        threshold: float = THRESHOLD,
        detect_size: int | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        self.network = network.float().to(device).eval()
        self.threshold = threshold
        self.proposal_threshold = min(PROPOSAL_THRESHOLD, threshold)
        self.detect_size = detect_size
        self.device = device
        self.shares_forwards = not str(device).startswith("cpu")
        self._is_small = sum(parameter.numel() for parameter in network.parameters()) < SMALL_NETWORK

    def detect(self, rgb: UInt8, *, also: Sequence[Face] = ()) -> list[Face]:
        """Find the faces of an (h, w, 3) uint8 RGB photo, largest first, without boxes inside others.

        `also` are proposals beside those of the first look.

        Raises: CheckpointError where the network gives numbers that are not finite.
        """
        copy = self._copy(rgb)
        return self._decide(rgb, copy, self._look([copy.pixels], copy.threshold)[0], also)

    def detect_many(self, rgbs: Sequence[UInt8]) -> list[list[Face]]:
        """`detect` for at least one photo: the first looks at copies of one size share forwards."""
        copies = [self._copy(rgb) for rgb in rgbs]
        looks = self._looks_of_one_size([copy.pixels for copy in copies], copies[0].threshold)
        return [self._decide(*each, ()) for each in zip(rgbs, copies, looks, strict=True)]

    def _copy(self, rgb: UInt8) -> _Copy:
        """What the first look sees of a photo."""
        side = first_look_px((rgb.shape[0], rgb.shape[1])) if self.detect_size is None else self.detect_size
        return _Copy(side, self.proposal_threshold if side else self.threshold, *reduce_for_detection(rgb, side))

    def _decide(self, rgb: UInt8, copy: _Copy, look: Candidates, also: Sequence[Face]) -> list[Face]:
        """The faces of a photo, of which the first look has seen `copy`."""
        size_hw = rgb.shape[0], rgb.shape[1]
        small, side = copy.pixels, copy.side
        proposals = without_overlapping(look, copy.to_photo)
        if not side:
            return chosen(proposals, size_hw)
        tiny = TINY_PX * size_hw[0] / small.shape[0]
        proposals = [face for face in proposals if face.score > min(LIKELY, self.threshold) or longer_side(face) <= tiny]
        whole = (small.shape[0], small.shape[1]) == size_hw
        if self.detect_size is None and not whole and len(proposals) >= CROWD:
            proposals += self._crowd(rgb, round(CROWD_GROWTH * side))
        proposals += also
        large = [face for face in proposals if longer_side(face) > LARGE_PX]
        usual = [face for face in proposals if longer_side(face) <= LARGE_PX]
        if whole:  # the first look has seen the photo's own pixels
            decided = [face for face in usual if face.score > self.threshold]
        else:
            decided = self._second_look(rgb, usual)
            large += [face for face in decided if longer_side(face) > LARGE_PX]
        decided = chosen([face for face in decided if longer_side(face) <= LARGE_PX], size_hw)
        again = [face for face in decided if abs(geometry.roll_degrees(face.landmarks_xy)) > TILTED_DEGREES]
        closer = dict(zip(map(id, again + large), self._closer_look(rgb, again + large), strict=True))
        found = [_better_placed(face, closer.get(id(face))) for face in decided]
        found += [face for one in large if (face := closer[id(one)] or one).score > self.threshold]
        return chosen(found, size_hw)

    def _find(self, rgb: UInt8, threshold: float, to_photo: Float64) -> list[Face]:
        """The faces of one picture whose score is over `threshold`, in the photo's pixels, without overlapping ones."""
        return without_overlapping(self._look([rgb], threshold)[0], to_photo)

    def _crowd(self, rgb: UInt8, side: int) -> list[Face]:
        """Propose small faces from a copy whose short side is `side` px, tile by tile, so that memory does not grow with it."""
        copy, to_photo = reduce_for_detection(rgb, side)
        grid = {"tile_px": CROWD_TILE_PX, "overlap_px": 2 * MARGIN_PX, "align_px": GRID_PX}
        found: list[Face] = []
        for tile in plan_tiles((copy.shape[0], copy.shape[1]), **grid):
            pixels = copy[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width]
            seen = self._find(pixels, self.proposal_threshold, geometry.shift(np.eye(2, 3), (tile.left, tile.top)))
            small = [face for face in seen if longer_side(face) <= (TINY_PX if face.score <= LIKELY else CROWD_PX)]
            found += [placed_back(face, to_photo) for face in small]
        return found

    def _second_look(self, rgb: UInt8, proposals: Sequence[Face]) -> list[Face]:
        """Decide about `proposals` in the photo's own pixels: the faces over the threshold that lie where one was proposed."""
        windows = windows_around(proposals, (rgb.shape[0], rgb.shape[1]))
        cut = [rgb[window.y0 : window.y1, window.x0 : window.x1] for window in windows]
        decided = []
        for window, look in zip(windows, self._looks(cut, self.threshold), strict=True):
            found = without_overlapping(look, geometry.shift(np.eye(2, 3), (window.x0, window.y0)))
            decided += [face for face in found if any(is_meant(one, face) for one in window.proposals)]
        return decided

    def _closer_look(self, rgb: UInt8, faces: Sequence[Face]) -> list[Face | None]:
        """Look at each face upright, at the network's best size, and mirrored too; None where no face is seen there.

        The landmarks are the mean of both looks, and in each of the anchors on the face: the scatter of a single anchor under
        turns of 12 degrees and shifts, 3.0 px of the crop, becomes 1.7, and 0.7 once it has been turned upright.
        """
        found: list[Face | None] = list(faces)
        waiting = list(range(len(faces)))
        for _ in range(CLOSER_LOOKS):
            affines = {i: affine for i in waiting if (affine := upright_affine(found[i])) is not None}
            squares = [upright_square(rgb, affine) for affine in affines.values()]
            looks = self._looks([side for square in squares for side in (square, square[:, ::-1])], ANCHOR_THRESHOLD)
            seen = {i: face_of_both(*pair) for i, pair in zip(affines, zip(looks[::2], looks[1::2], strict=True), strict=True)}
            for i, face in seen.items():
                found[i] = None if face is None else placed_back(face, geometry.invert(affines[i]))
            waiting = [
                i for i, face in seen.items() if face and abs(geometry.roll_degrees(face.landmarks_xy)) > SETTLED_DEGREES
            ]
        return found

    def is_upside_down(self, rgb: UInt8, face: Face) -> bool:
        """Whether the network is surer of `face` when it is turned by half a turn."""
        affine = upright_affine(face)
        if affine is None:
            return False
        square = upright_square(rgb, affine)
        looks = self._looks([square, square[::-1, ::-1]], ANCHOR_THRESHOLD)
        upright, turned = (0.0 if face is None else face.score for face in map(mean_face, looks))
        return turned > upright

    def _looks(self, pictures: Sequence[UInt8], threshold: float) -> list[Candidates]:
        """What is over `threshold` in each picture, in its own pixels: a forward each on a CPU, shared ones on a GPU."""
        if not self.shares_forwards:
            with one_thread(self._is_small):
                return [self._look([picture], threshold)[0] for picture in pictures]
        sizes = {i: size_hw for size_hw, members in buckets(pictures).items() for i in members}
        return self._looks_of_one_size([filled(picture, sizes[i]) for i, picture in enumerate(pictures)], threshold)

    def _looks_of_one_size(self, pictures: Sequence[UInt8], threshold: float) -> list[Candidates]:
        """What is over `threshold` in each picture; those of one size share forwards."""
        found: dict[int, Candidates] = {}
        for h, w in dict.fromkeys((picture.shape[0], picture.shape[1]) for picture in pictures):
            members = [i for i, picture in enumerate(pictures) if picture.shape[:2] == (h, w)]
            count = max(1, SHARED_FORWARD_PX // (h * w))
            for start in range(0, len(members), count):
                together = members[start : start + count]
                found |= zip(together, self._look([pictures[i] for i in together], threshold), strict=True)
        return [found[i] for i in range(len(pictures))]

    def _look(self, pictures: Sequence[UInt8], threshold: float) -> list[Candidates]:
        """One forward for `pictures`, all of one size: of each, what is over `threshold`, in its own pixels."""
        import torch

        from gfpup.models.nets import retinaface

        size_hw = pictures[0].shape[0], pictures[0].shape[1]
        # Detection stays float32 under whatever precision the faces are restored in.
        with torch.inference_mode(), torch.autocast(torch.device(self.device).type, enabled=False):
            pixels = upload(np.stack(pictures), self.device).permute(0, 3, 1, 2)
            # Joined, so that the program waits for a GPU once.
            joined = download(torch.cat(self.network(retinaface.prepare(pixels)), dim=2))
            outputs = torch.from_numpy(joined).split((4, 2, 10), dim=2)
            found = [
                retinaface.decode(loc, conf, points, size_hw, threshold=threshold)
                for loc, conf, points in zip(*outputs, strict=True)
            ]
        if not all(bool(values.isfinite().all()) for values in (outputs[1], *(v for look in found for v in look))):
            what = f"gave numbers that are not finite for a picture of {size_hw[1]}x{size_hw[0]} px"
            raise CheckpointError(f"the face detector {what}: compare its checkpoint's hash, or detect on the CPU")
        return found


def first_look_px(size_hw: tuple[int, int]) -> int:
    """The short side of the first look at a photo of `size_hw`, in px, where none is asked for."""
    short, long = min(size_hw), max(size_hw)
    side = min(max(short / MOST_REDUCTION, SMALLEST_LOOK_PX), LARGEST_LOOK_PX)
    return int(min(side, max(SMALLEST_LOOK_PX, (MOST_PIXELS * short / long) ** 0.5)) + 0.5)


def without_overlapping(found: Candidates, to_photo: Float64) -> list[Face]:
    """The faces of one picture after non-maximum suppression, carried by the affine `to_photo` to the photo's pixels."""
    boxes, scores, points = (values.numpy() for values in found)
    kept = suppressed(boxes, scores)  # on the picture, because the official rule counts end pixels
    boxes, scores, points = (values[kept].astype(np.float64) for values in (boxes, scores, points))
    boxes = geometry.apply(to_photo, boxes.reshape(-1, 2)).reshape(-1, 4)
    points = geometry.apply(to_photo, points.reshape(-1, 2)).reshape(-1, 5, 2)
    return [make_face(*one) for one in zip(boxes, scores, points, strict=True)]


def suppressed(boxes_xyxy: Boxes, scores: Boxes) -> npt.NDArray[np.intp]:
    """The indices of the (n, 4) boxes that official non-maximum suppression keeps, surest first: both end pixels count.

    Source: facexlib/detection/retinaface_utils.py (py_cpu_nms), and its threshold.
    """
    return without_overlaps(boxes_xyxy + np.array([0, 0, 1, 1], boxes_xyxy.dtype), scores, OVERLAP)


def chosen(faces: Sequence[Face], size_hw: tuple[int, int]) -> list[Face]:
    """Of faces from several looks, each once: without overlapping boxes and boxes inside others, largest first."""
    boxes = np.array([face.box_xyxy for face in faces], np.float64).reshape(-1, 4)
    kept = suppressed(boxes, np.array([face.score for face in faces], np.float64))
    return largest_first([faces[kept[i]] for i in drop_contained(boxes[kept])], size_hw)


def _better_placed(face: Face, closer: Face | None) -> Face:
    """`face`, or what a closer look made of it, where it is steeply tilted or that finds it turned otherwise."""
    if closer is None:
        return face
    steep = abs(geometry.roll_degrees(face.landmarks_xy)) > STEEP_DEGREES
    return closer if steep or abs(_between(face, closer)) > SETTLED_DEGREES else face


def _between(a: Face, b: Face) -> float:
    """By how many degrees the second face is turned from the first, in [-180, 180)."""
    return (geometry.roll_degrees(b.landmarks_xy) - geometry.roll_degrees(a.landmarks_xy) + 180) % 360 - 180
