"""Detection over photos of 0.5 to 50 megapixels with 1 to 60 faces: one look at a reduced copy, one at full size, two looks.

    python experiments/015-detection/run.py SHARED [--faces 1 4 16 60] [--megapixels 0.5 2 12 24 50] [--csv results.csv]

The faces of the five photos in SHARED/data/photos are pasted at known places, sizes (32 px of box height to half of the short
side) and tilts of up to 12 degrees into a picture of noise and blurred patches, so the truth is known: found is what lies on a
pasted face, false is the rest, and the error of the landmarks is in px of the face's 512 crop. What is pasted carries the
official full-size detection of its own photo, which has an error of its own (about 4 px). The detector is RetinaFace MobileNet,
the one with real weights at hand. Each measurement runs in a new process, on one thread: CPU seconds, and by how much its peak
memory grew. `--cost retinaface-resnet50` measures the seconds alone, with weights that find nothing; the pasted faces are then
the second look's proposals.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from gfpup.core.types import Face, Float64, UInt8
from gfpup.machine.usage import peak_bytes
from gfpup.models.nets.retinaface import RetinaFace
from gfpup.ops import geometry
from gfpup.photos import read_photo
from gfpup.restoration.boxes import reduce_for_detection
from gfpup.restoration.detect import BACKBONES, load_detector
from gfpup.restoration.retinaface import RetinaFaceDetector

ASPECT = 1.5
LOOKS = ("reduced", "full", "two")
COLUMNS = ("megapixels", "faces", "look", "found", "false", "error_median", "error_90", "error_max", "cpu_seconds", "memory_mb")


def cut_faces(shared: Path) -> list[tuple[UInt8, Float64, float]]:
    """Each face of the photos with half of its box around it: pixels, landmarks in them, and the height of its box."""
    found = []
    for name, facts in json.loads((shared / "parity" / "detections.json").read_text())["photos"].items():
        rgb = read_photo(shared / "data" / "photos" / name).rgb8
        for face in facts["faces"]:
            x0, y0, x1, y1 = face["box_xyxy_score"][:4]
            left, top = int(max(0, x0 - 0.5 * (x1 - x0))), int(max(0, y0 - 0.5 * (y1 - y0)))
            part = rgb[top : int(y1 + 0.5 * (y1 - y0)), left : int(x1 + 0.5 * (x1 - x0))]
            found.append((np.ascontiguousarray(part), np.array(face["landmarks_xy"]) - [left, top], y1 - y0))
    return found


def scene(shared: Path, megapixels: float, count: int) -> tuple[UInt8, list[Float64]]:
    """A picture with up to `count` faces and the landmarks of those that found room; always the same."""
    numbers = np.random.default_rng([7, count, int(megapixels * 10)])
    h = round((megapixels * 1e6 / ASPECT) ** 0.5)
    w = round(h * ASPECT)
    coarse = numbers.integers(60, 196, (h // 60 + 2, w // 60 + 2, 3), np.uint8)
    canvas = np.asarray(cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC), np.uint8)
    columns = max(1, round((count * ASPECT) ** 0.5))
    cell = min(w // columns, h // -(-count // columns))
    faces, truth = cut_faces(shared), []
    for i in range(count):
        pixels, landmarks, height = faces[numbers.integers(len(faces))]
        side = float(np.exp(numbers.uniform(np.log(32), np.log(max(33, min(0.45 * cell, 0.5 * h))))))
        scale, angle = side / height, numbers.uniform(-12, 12)
        row, column = divmod(i, columns)
        centre = np.array([(column + 0.5) * w / columns, (row + 0.5) * cell])
        affine = cv2.getRotationMatrix2D((pixels.shape[1] / 2, pixels.shape[0] / 2), angle, scale)
        affine[:, 2] += centre - [pixels.shape[1] / 2, pixels.shape[0] / 2]
        box = geometry.touched_rectangle(affine, pixels.shape[:2], (h, w))
        if box is None:
            continue
        x0, y0, x1, y1 = box
        into = geometry.shift(affine, (-x0, -y0))
        under = canvas[y0:y1, x0:x1]
        mask = np.ones(pixels.shape[:2], np.float32)
        alpha = cv2.warpAffine(mask, into, (x1 - x0, y1 - y0))[..., None]
        under[:] = np.rint(geometry.warp(pixels, into, (y1 - y0, x1 - x0)) * alpha + under * (1 - alpha)).astype(np.uint8)
        truth.append(geometry.apply(affine, landmarks))
    return canvas, truth


def detector_of(shared: Path, look: str, cost: str | None) -> RetinaFaceDetector:
    """The detector; the reduced look is a look at full size at a copy, as the default was before."""
    size = None if look == "two" else 0
    if cost is not None:
        torch.manual_seed(0)
        detector = RetinaFaceDetector(RetinaFace(BACKBONES[cost]), detect_size=size)
        detector.threshold = detector.proposal_threshold = 2.0
        return detector
    path = shared / "weights" / "retinaface_mobilenet0.25.pth"
    detector = load_detector("retinaface-mobilenet0.25", path=path, detect_size=size)  # type: ignore[assignment]
    assert isinstance(detector, RetinaFaceDetector)
    return detector


def measured(shared: Path, megapixels: float, count: int, look: str, cost: str | None) -> dict[str, Any]:
    """One row."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    detector = detector_of(shared, look, cost)
    detector.detect(np.zeros((64, 64, 3), np.uint8))
    rgb, truth = scene(shared, megapixels, count)
    known = [Face((*p.min(axis=0) - 8, *p.max(axis=0) + 8), 0.5, p) for p in truth] if cost else []
    before, began = peak_bytes() or 0, time.process_time()
    if look == "reduced":
        small, back = reduce_for_detection(rgb, 640)
        faces = [Face(f.box_xyxy, f.score, geometry.apply(back, f.landmarks_xy)) for f in detector.detect(small)]
    else:
        faces = detector.detect(rgb, also=known)
    row = {"megapixels": megapixels, "faces": len(truth), "look": look, "cpu_seconds": round(time.process_time() - began, 3)}
    row["memory_mb"] = round(((peak_bytes() or 0) - before) / 1e6)
    if cost:
        return row
    errors, used = [], set()
    for landmarks in truth:
        affine = geometry.fit_similarity(landmarks)
        assert affine is not None
        apart = [np.linalg.norm((f.landmarks_xy - landmarks) @ affine[:, :2].T, axis=1).mean() for f in faces]
        if apart and min(apart) < 64:  # half the distance of the eyes in the crop
            errors.append(min(apart))
            used.add(int(np.argmin(apart)))
    row |= {"found": len(errors), "false": len(faces) - len(used)}
    if errors:
        row |= {"error_median": np.median(errors), "error_90": np.quantile(errors, 0.9), "error_max": max(errors)}
    return {key: round(float(value), 2) if key.startswith("error") else value for key, value in row.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[0.5, 2, 12, 24, 50])
    parser.add_argument("--faces", type=int, nargs="+", default=[1, 4, 16, 60])
    parser.add_argument("--cost", choices=sorted(BACKBONES))
    parser.add_argument("--csv", type=Path)
    given = parser.parse_args()
    out = given.csv.open("w", newline="") if given.csv else sys.stdout
    table = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    table.writeheader()
    for megapixels in given.megapixels:
        for count in given.faces:
            for look in LOOKS:
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    row = pool.apply(measured, (given.shared, megapixels, count, look, given.cost))
                table.writerow(row)
                out.flush()


if __name__ == "__main__":
    main()
