"""The small detectors, which need no checkpoint of their own, against RetinaFace (MobileNet) at full size.

python experiments/015-detection/small_detectors.py [FOLDER]     FOLDER is the shared one, ../shared by default

It needs facenet-pytorch (`pip install --no-deps facenet-pytorch`), one thread, and a quiet machine for the seconds.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import skimage.data
import torch

from gfpup.core.types import Detector, Face, Float64, UInt8
from gfpup.restoration.cascade import CascadeDetector
from gfpup.restoration.detect import load_detector
from gfpup.restoration.mtcnn import load_mtcnn

SHARED = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared")
FACELESS = (
    *("coffee", "chelsea", "rocket", "coins", "brick", "grass", "gravel", "moon", "page", "text", "hubble_deep_field"),
    *("retina", "immunohistochemistry"),
)
SAME_FACE = 0.5
"""Mean distance of the landmarks, in eye distances, up to which a face is the true one."""

SETTINGS = (
    *((240, 20), (240, 40), (320, 20), (320, 40), (480, 20), (480, 40), (480, 60), (640, 20), (640, 30), (640, 40)),
    *((None, 20), (None, 30), (0, 20)),
)
"""(short side, smallest face) of MTCNN, in px; None is the default by the photo, 0 full size."""


def read(path: Path) -> UInt8:
    return np.asarray(np.ascontiguousarray(cv2.imread(str(path))[..., ::-1]), np.uint8)


def faceless(name: str) -> UInt8 | None:
    try:
        pixels = getattr(skimage.data, name)()
    except Exception as error:  # a picture that scikit-image does not carry itself, without a network
        print(f"left out: {name} ({type(error).__name__})", file=sys.stderr)
        return None
    return np.ascontiguousarray(np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels[..., :3])


def crowd(photos: list[UInt8]) -> UInt8:
    """The photos, each twice, at their own size on one grey picture of 6000x4000 px."""
    canvas = np.full((4000, 6000, 3), 128, np.uint8)
    for i, photo in enumerate(photos * 2):
        y, x = 300 + 1700 * (i // len(photos)), 100 + 1180 * (i % len(photos))
        canvas[y : y + photo.shape[0], x : x + photo.shape[1]] = photo
    return canvas


@dataclass
class Tally:
    found: int = 0
    others: int = 0
    errors: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, detector: Detector, rgb: UInt8, truth: list[Float64]) -> None:
        start = time.process_time()
        faces = detector.detect(rgb)
        self.seconds += time.process_time() - start
        left = list(truth)
        for face in faces:
            misses = [miss(face, points) for points in left]
            if misses and min(misses) < SAME_FACE:
                self.errors.append(min(misses))
                left.pop(int(np.argmin(misses)))
                self.found += 1
            else:
                self.others += 1


def miss(face: Face, points: Float64) -> float:
    """The mean distance of the landmarks, in the true face's eye distances."""
    return float(np.linalg.norm(face.landmarks_xy - points, axis=1).mean() / np.linalg.norm(points[0] - points[1]))


def main() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    data, weights = SHARED / "data", SHARED / "weights" / "retinaface_mobilenet0.25.pth"
    pictures = {
        path.name: read(path)
        for name in ("photos", "reference_faces", "degraded_faces")
        for path in sorted((data / name).iterdir())
    }
    pictures["astronaut"] = np.asarray(skimage.data.astronaut(), np.uint8)
    pictures["crowd"] = crowd([read(path) for path in sorted((data / "photos").iterdir())])
    official = json.loads((SHARED / "parity" / "detections.json").read_text())["photos"]
    full = load_detector("retinaface-mobilenet0.25", path=weights, detect_size=0)
    truth = {
        name: [np.array(face["landmarks_xy"]) for face in official[name]["faces"]]
        if name in official
        else [face.landmarks_xy for face in full.detect(rgb)]
        for name, rgb in pictures.items()
    }
    empty = {name: rgb for name in FACELESS if (rgb := faceless(name)) is not None}
    together = len(truth["crowd"])
    print(f"{sum(map(len, truth.values())) - together} faces in {len(truth) - 1} pictures, {together} in the crowd")
    detectors: dict[str, Detector] = {
        "cascade": CascadeDetector(),
        "retinaface-mobilenet0.25": load_detector("retinaface-mobilenet0.25", path=weights),
    }
    for side, smallest in SETTINGS:
        detectors[f"mtcnn, {side}, {smallest}"] = one = load_mtcnn(detect_size=side)
        one.smallest_face = smallest
    heads = (
        "detector",
        "found",
        "others",
        "others, no face",
        "error, median",
        "90 %",
        "max",
        "CPU s",
        "crowd",
        "others",
        "CPU s",
    )
    print("|", " | ".join(heads), "|\n|" + "---|" * len(heads))
    for name, detector in detectors.items():
        detector.detect(pictures["astronaut"])  # the first forward of a process takes longer
        few, none, many = Tally(), Tally(), Tally()
        for picture, rgb in pictures.items():
            (many if picture == "crowd" else few).add(detector, rgb, truth[picture])
        for rgb in empty.values():
            none.add(detector, rgb, [])
        q50, q90, worst = np.quantile(few.errors, (0.5, 0.9, 1.0))
        cells = (
            few.found,
            few.others,
            none.others,
            f"{q50:.3f}",
            f"{q90:.3f}",
            f"{worst:.3f}",
            f"{few.seconds + none.seconds:.1f}",
        )
        print("|", " | ".join(map(str, (name, *cells, many.found, many.others, f"{many.seconds:.1f}"))), "|", flush=True)


if __name__ == "__main__":
    main()
