"""Find faces in a photo: RetinaFace with an official checkpoint, or the frontal-face cascade that scikit-image carries.

Detection runs on a reduced copy, so that 50 megapixels cost what a small photo does; boxes and landmarks come back in the
photo's own pixels, centres at integer coordinates.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from gfpup.core.errors import CheckpointError, GfpupError
from gfpup.core.types import Detector, Face, Float64, UInt8
from gfpup.ops import geometry

if TYPE_CHECKING:
    import torch

    from gfpup.models.nets.retinaface import Backbone, RetinaFace

Boxes = npt.NDArray[np.floating]
BACKBONES: dict[str, Backbone] = {"retinaface-resnet50": "resnet50", "retinaface-mobilenet0.25": "mobilenet0.25"}
DETECTORS = (*BACKBONES, "cascade")

THRESHOLD = 0.97  # a face's lowest score
SMALLEST_EYE_DISTANCE_PX = 5.0
"""Source: what GFPGAN asks of facexlib's FaceRestoreHelper and of its detector."""

DETECT_SIZE_PX = 640
LONGEST_TO_SHORTEST = 4
"""Short side of the picture that RetinaFace sees (CodeFormer's script detects at 640 too), and the multiple of it to which the
long side is held, so that a panorama's pixels are bounded too."""

CONTAINED = 0.9
"""Share of a box inside a larger one from which it counts as part of that face (an eye, a mouth, an inner face); people who
stand before each other seldom overlap as much."""

CASCADE_SIZE_PX = 480
"""Short side the cascade sees at most: at 640 it takes twice as long, and finds no more faces but more that are none."""

CASCADE_WINDOW_PX = 24  # the side it was trained at: no smaller face can be found
CASCADE_NEIGHBOURS = 6
CASCADE_SMALLEST = 0.5
"""How many windows must agree, and the least side of a face against the largest's in the photo. Measured on 53 pictures against
RetinaFace: 40 of 44 faces found and 2 others; with scikit-image's 4 neighbours as many and 8 others. On 28 damaged or resized
copies of astronaut() the second rule takes 9 of 14 others away."""

CASCADE_SCORE = 0.5
"""The cascade grades nothing: 0.5 stands for "not known" and is compared with no threshold."""

CROP_IN_WINDOWS = 1.6
BELOW_CENTRE_IN_WINDOWS = 0.075
"""How the template lies in a cascade's window of side 1: its 512 pixels span 1.6, the mean of its points lies 0.075 below the
centre. Medians over the same pictures; the landmarks then miss RetinaFace's by 0.13 eye distances (median)."""


def bounded_size(size_hw: tuple[int, int], detect_size: int | None) -> tuple[int, int]:
    """The size (h, w) a photo of `size_hw` is reduced to before detection; never larger than the photo.

    The short side comes to `detect_size` px at most, the long side to `LONGEST_TO_SHORTEST` times that. None or 0: no bound.
    """
    h, w = size_hw
    if not detect_size:
        return h, w
    factor = min(1.0, detect_size / min(h, w), LONGEST_TO_SHORTEST * detect_size / max(h, w))
    return max(1, round(h * factor)), max(1, round(w * factor))


def reduce_for_detection(rgb: UInt8, detect_size: int | None) -> tuple[UInt8, Float64]:
    """Reduce (h, w, 3) uint8 `rgb` to `bounded_size`; also the (2, 3) affine from the reduced picture back to the photo."""
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"a detector takes (h, w, 3) uint8 pixels, not {rgb.shape} {rgb.dtype}")
    h, w = rgb.shape[:2]
    to_hw = bounded_size((h, w), detect_size)
    small = np.ascontiguousarray(rgb)
    if to_hw != (h, w):
        small = np.asarray(cv2.resize(small, (to_hw[1], to_hw[0]), interpolation=cv2.INTER_AREA), np.uint8)
    return small, geometry.resize_affine(to_hw, (h, w))


def _intersections(box: Boxes, others: Boxes) -> Boxes:
    sides = np.minimum(box[2:4], others[:, 2:4]) - np.maximum(box[:2], others[:, :2])
    return np.asarray(np.maximum(sides, 0).prod(axis=1))


def drop_contained(boxes_xyxy: Boxes, *, share: float = CONTAINED) -> list[int]:
    """Keep the boxes of which at most `share` lies inside one larger box; returns the kept indices, in order."""
    sizes = np.maximum(boxes_xyxy[:, 2:4] - boxes_xyxy[:, :2], 0).prod(axis=1)
    kept: list[int] = []
    for index in np.argsort(-sizes, kind="stable"):
        if not (_intersections(boxes_xyxy[index], boxes_xyxy[kept]) > share * sizes[index]).any():
            kept.append(int(index))
    return sorted(kept)


def largest_first(faces: Sequence[Face], size_hw: tuple[int, int]) -> list[Face]:
    """Sort by the area of the box inside the photo; equal areas from top to bottom, then from left to right."""
    h, w = size_hw

    def key(face: Face) -> tuple[float, float, float]:
        x0, y0, x1, y1 = face.box_xyxy
        return -max(min(x1, w) - max(x0, 0), 0) * max(min(y1, h) - max(y0, 0), 0), y0, x0

    return sorted(faces, key=key)


class RetinaFaceDetector:
    """RetinaFace behind the `Detector` protocol: float32 on any device, one photo a forward.

    `threshold` is the lowest score of a face, `detect_size` the bound of `bounded_size` (None or 0: full resolution).
    """

    def __init__(
        self,
        network: RetinaFace,
        *,
        threshold: float = THRESHOLD,
        detect_size: int | None = DETECT_SIZE_PX,
        device: str | torch.device = "cpu",
    ) -> None:
        self.network = network.float().to(device).eval()
        self.threshold = threshold
        self.detect_size = detect_size
        self.device = device

    def detect(self, rgb: UInt8) -> list[Face]:
        """Find the faces of an (h, w, 3) uint8 RGB photo, largest first, without boxes inside others and eyes under 5 px apart.

        Raises: CheckpointError where the network gives numbers that are not finite.
        """
        import torch

        from gfpup.models.nets import retinaface

        small, to_photo = reduce_for_detection(rgb, self.detect_size)
        size_hw = (small.shape[0], small.shape[1])
        # Detection stays float32 under whatever precision the faces are restored in.
        with torch.inference_mode(), torch.autocast(torch.device(self.device).type, enabled=False):
            pixels = torch.tensor(small, device=self.device).permute(2, 0, 1)[None]
            loc, conf, landmarks = (out[0].cpu() for out in self.network(retinaface.prepare(pixels)))
            found = retinaface.decode(loc, conf, landmarks, size_hw, threshold=self.threshold)
        if not all(bool(values.isfinite().all()) for values in (conf, *found)):
            what = f"gave numbers that are not finite for a picture of {size_hw[1]}x{size_hw[0]} px"
            raise CheckpointError(f"the face detector {what}: compare its checkpoint's hash, or detect on the CPU")
        # On the reduced picture, because the official rule counts end pixels.
        kept = retinaface.suppress_overlapping(found.boxes_xyxy, found.scores)
        boxes, scores, points = (values[kept].double().numpy() for values in found)
        boxes = geometry.apply(to_photo, boxes.reshape(-1, 2)).reshape(-1, 4)
        points = geometry.apply(to_photo, points.reshape(-1, 2)).reshape(-1, 5, 2)
        faces = [
            _face(boxes[i], float(scores[i]), points[i])
            for i in drop_contained(boxes)
            if np.linalg.norm(points[i, 0] - points[i, 1]) >= SMALLEST_EYE_DISTANCE_PX
        ]
        return largest_first(faces, (rgb.shape[0], rgb.shape[1]))


class CascadeDetector:
    """The local-binary-pattern cascade for frontal faces that scikit-image carries: no weights to fetch, boxes only.

    The mean face is laid upright into each box, so a tilted or turned head is aligned only roughly. Faces less than half as
    wide as the largest are left out, as most are none. Every face has the score `CASCADE_SCORE`.

    Source: skimage.feature.Cascade (Liao et al. 2007, "Learning Multi-scale Block Local Binary Patterns").
    """

    def __init__(self, *, detect_size: int = CASCADE_SIZE_PX) -> None:
        import skimage.data
        from skimage.feature import Cascade

        self.detect_size = detect_size
        self._cascade = Cascade(skimage.data.lbp_frontal_face_cascade_filename())  # type: ignore[no-untyped-call]

    def detect(self, rgb: UInt8) -> list[Face]:
        """Find the frontal faces of an (h, w, 3) uint8 RGB photo, largest first."""
        small, to_photo = reduce_for_detection(rgb, self.detect_size)
        h, w = small.shape[:2]
        if min(h, w) < CASCADE_WINDOW_PX:
            return []
        windows = self._cascade.detect_multi_scale(
            img=small,
            # A finer scale (1.1) takes twice as long and finds more that is no face; a coarser stride (1.5) loses faces.
            scale_factor=1.2,
            step_ratio=1,
            min_size=(CASCADE_WINDOW_PX, CASCADE_WINDOW_PX),
            max_size=(min(h, w), min(h, w)),
            min_neighbor_number=CASCADE_NEIGHBOURS,
        )
        # A window at column c covers pixels c to c + width - 1, whose outer edges lie half a pixel further out.
        edges = np.array([[v["c"], v["r"], v["c"] + v["width"], v["r"] + v["height"]] for v in windows], np.float64) - 0.5
        boxes = merge_windows(geometry.apply(to_photo, edges.reshape(-1, 2)).reshape(-1, 4))
        sides = boxes[:, 2] - boxes[:, 0]
        boxes = boxes[sides >= CASCADE_SMALLEST * sides.max(initial=0.0)]
        faces = [_face(box, CASCADE_SCORE, landmarks_in_window(box)) for box in boxes]
        return largest_first(faces, (rgb.shape[0], rgb.shape[1]))


def merge_windows(boxes_xyxy: Boxes) -> Boxes:
    """Replace windows that share more than half of the smaller one, directly or through others, by one box, their mean.

    Windows under a quarter of the largest one's area do not count in it: they lie on a part of the face.
    """
    sizes = (boxes_xyxy[:, 2:4] - boxes_xyxy[:, :2]).prod(axis=1)
    left = [int(i) for i in np.argsort(-sizes, kind="stable")]
    merged = []
    while left:
        group = [left.pop(0)]
        for member in group:  # grows while it is walked: the windows reached through others
            shared = _intersections(boxes_xyxy[member], boxes_xyxy[left])
            touching = [i for i, area in zip(left, shared, strict=True) if area > 0.5 * min(sizes[i], sizes[member])]
            group += touching
            left = [i for i in left if i not in touching]
        merged.append(boxes_xyxy[[i for i in group if 4 * sizes[i] >= sizes[group[0]]]].mean(axis=0))
    return np.array(merged, np.float64).reshape(-1, 4)


def landmarks_in_window(box_xyxy: Boxes) -> Float64:
    """Where the mean face's five landmarks lie, (5, 2) float64, if `box_xyxy` (x0, y0, x1, y1) is a cascade's window on it."""
    x0, y0, x1, y1 = box_xyxy
    centre: Float64 = np.array([x0 + x1, y0 + y1]) / 2
    mean_face = geometry.TEMPLATE_512_XY - geometry.TEMPLATE_512_XY.mean(axis=0)
    in_windows = mean_face * (CROP_IN_WINDOWS / geometry.CROP_PX) + np.array([0.0, BELOW_CENTRE_IN_WINDOWS])
    return np.asarray(centre + (x1 - x0) * in_windows, np.float64)


def _face(box: Boxes, score: float, landmarks: Float64) -> Face:
    x0, y0, x1, y1 = (float(v) for v in box)
    return Face((x0, y0, x1, y1), score, landmarks)


def architecture_of(path: Path) -> str:
    """Tell which detector of `BACKBONES` the checkpoint at `path` belongs to.

    Raises: CheckpointError for a file that cannot be read or holds another network.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[str, dict[str, torch.Tensor]]:
    from gfpup.models.nets.loading import recognise
    from gfpup.weights.checkpoint import read_state_dict

    state = read_state_dict(path)
    found = recognise(state)
    if found not in BACKBONES:
        what = f"{path} holds {found or 'an unknown network'}, not a face detector"
        raise CheckpointError(f"{what}: give a checkpoint of {' or '.join(BACKBONES)}")
    return found, state


def load_detector(
    name: str,
    *,
    path: Path | None = None,
    threshold: float = THRESHOLD,
    detect_size: int | None = DETECT_SIZE_PX,
    device: str | torch.device = "cpu",
) -> Detector:
    """Make the detector called `name` (one of `DETECTORS`), with the checkpoint at `path` where it needs one.

    `detect_size` is the short side in px that it sees at most; None or 0 is the photo's own. The cascade, which is slow, stays
    at `CASCADE_SIZE_PX` or below and ignores the threshold and the device.

    Raises: GfpupError for an invalid setting; CheckpointError for a checkpoint that is damaged or of another network.
    """
    if name not in DETECTORS:
        raise GfpupError(f"there is no detector called {name!r}: choose one of {', '.join(DETECTORS)}")
    if not 0 <= threshold < 1:
        raise GfpupError(f"invalid detection threshold of {threshold:g}: expected a number from 0 to 0.99")
    if detect_size and detect_size < 32:
        raise GfpupError(f"a detection size of {detect_size} px shows no face: give 32 or more, or 0 for full resolution")
    if name == "cascade":
        if path is not None:
            raise GfpupError(f"the detector cascade takes no checkpoint, but {path} was given: leave out one of the two")
        return CascadeDetector(detect_size=min(detect_size or CASCADE_SIZE_PX, CASCADE_SIZE_PX))
    if path is None:
        raise GfpupError(f"the detector {name} needs its checkpoint: give the file, or choose cascade, which needs none")
    from gfpup.models.nets.loading import load_network
    from gfpup.models.nets.retinaface import RetinaFace

    found, state = _read(path)
    if found != name:
        raise CheckpointError(f"{path} holds {found}, but the detector {name} was asked for: ask for {found}, or give its file")
    network = load_network(lambda: RetinaFace(BACKBONES[name]), path, name=name, device=str(device), state=state)
    return RetinaFaceDetector(network, threshold=threshold, detect_size=detect_size, device=device)
