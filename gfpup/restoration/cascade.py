"""The frontal-face cascade that scikit-image carries: a detector without weights to fetch."""

from __future__ import annotations

import numpy as np

from gfpup.core.types import Face, Float64, UInt8
from gfpup.ops import geometry
from gfpup.restoration.boxes import Boxes, intersections, largest_first, make_face, reduce_for_detection

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
        faces = [make_face(box, CASCADE_SCORE, landmarks_in_window(box)) for box in boxes]
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
            shared = intersections(boxes_xyxy[member], boxes_xyxy[left])
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
