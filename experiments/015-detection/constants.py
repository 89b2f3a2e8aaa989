"""What the constants of the two looks come from: a window's margin, the size and tilt at which landmarks are exact, the mean.

    python experiments/015-detection/constants.py SHARED [margin size tilt mean upside-down yaw issue]

RetinaFace MobileNet on the photos and reference faces of SHARED, always the same. Errors are in px of a face's 512 crop.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from gfpup.core.types import Face, Float64, UInt8
from gfpup.ops import geometry
from gfpup.photos import read_photo
from gfpup.restoration.closer_look import face_of_both, mean_face, mirrored, placed_back, upright_affine, upright_square
from gfpup.restoration.detect import load_detector
from gfpup.restoration.retinaface import RetinaFaceDetector, without_overlapping
from gfpup.restoration.windows import GRID_PX

SHARED = Path(sys.argv[1])
GREY = (120, 120, 120)


def detector_of(threshold: float, *, size: int | None = 0) -> RetinaFaceDetector:
    path = SHARED / "weights" / "retinaface_mobilenet0.25.pth"
    found = load_detector("retinaface-mobilenet0.25", path=path, threshold=threshold, detect_size=size)
    assert isinstance(found, RetinaFaceDetector)
    return found


def pictures(*folders: str) -> Iterator[UInt8]:
    for folder in folders:
        for path in sorted((SHARED / "data" / folder).iterdir()):
            yield read_photo(path).rgb8


def centre(face: Face) -> Float64:
    x0, y0, x1, y1 = face.box_xyxy
    return np.array([(x0 + x1) / 2, (y0 + y1) / 2])


def nearest(faces: Sequence[Face], to: Float64, within: float) -> Face | None:
    near = [face for face in faces if np.linalg.norm(centre(face) - to) < within]
    return max(near, key=lambda face: face.score) if near else None


def error(points: Float64, truth: Float64) -> Float64:
    affine = geometry.fit_similarity(truth)
    assert affine is not None
    return np.asarray(np.linalg.norm((points - truth) @ affine[:, :2].T, axis=1))


def margin() -> None:
    """Windows at multiples of 32 px in a larger picture, against the whole of it: the largest errors by the margin."""
    detector = detector_of(0.5)
    errors: dict[int, list[float]] = {}
    for rgb in pictures("photos"):
        canvas = np.ascontiguousarray(np.pad(rgb, ((301, 399), (403, 497), (0, 0)), mode="edge"))
        for face in (face for face in detector.detect(canvas) if face.score > 0.97):
            x0, y0, x1, y1 = face.box_xyxy
            for px in (16, 32, 48, 64, 96, 128):
                left, top = (max(0, int((v - px) // GRID_PX) * GRID_PX) for v in (x0, y0))
                part = canvas[top : -int(-(y1 + px) // GRID_PX) * GRID_PX, left : -int(-(x1 + px) // GRID_PX) * GRID_PX]
                found = [Face(f.box_xyxy, f.score, f.landmarks_xy + np.array([left, top])) for f in detector.detect(part)]
                missed = min((error(f.landmarks_xy, face.landmarks_xy).max() for f in found), default=np.inf)
                errors.setdefault(px, []).append(float(missed))
    for px, row in errors.items():
        print(f"margin of {px} px: errors of {len(row)} faces, largest first", np.round(sorted(row, reverse=True), 2)[:4])


def shown(rgb: UInt8, face: Face, side: float, degrees: float, numbers: np.random.Generator) -> tuple[UInt8, Float64]:
    """`rgb` with its face `side` px high, tilted and shifted a little, in a grey square; and the affine to it."""
    scale = side / max(np.subtract(face.box_xyxy[2:], face.box_xyxy[:2]))
    width = int(side * 2.2 + 160)
    x, y = centre(face)
    affine = cv2.getRotationMatrix2D((x, y), degrees, scale)
    affine[:, 2] += width / 2 - np.array([x, y]) + numbers.uniform(-16, 16, 2)
    return np.asarray(geometry.warp(rgb, affine, (width, width), border=GREY), np.uint8), affine


def models(detector: RetinaFaceDetector) -> list[tuple[UInt8, Face]]:
    """The large faces: of the reference pictures, and of two photos."""
    found = []
    for rgb in (*pictures("reference_faces"), *pictures("photos")):
        factor = min(1.0, 400 / min(rgb.shape[:2]))
        small = np.asarray(cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
        for face in (face for face in detector.detect(small) if face.score > 0.97):
            box = np.array(face.box_xyxy) / factor
            if box[3] - box[1] > 200:
                found.append((rgb, Face(tuple(box), face.score, face.landmarks_xy / factor)))  # type: ignore[arg-type]
    return found


def looks(detector: RetinaFaceDetector, rgb: UInt8, face: Face, side: float, degrees: float, seed: int) -> list[Float64]:
    numbers, found = np.random.default_rng(seed), []
    for _ in range(4):
        picture, affine = shown(rgb, face, side, degrees + numbers.uniform(-3, 3), numbers)
        seen = nearest(detector.detect(picture), geometry.apply(affine, centre(face)[None])[0], 0.35 * side)
        if seen is not None:
            found.append(geometry.apply(geometry.invert(affine), seen.landmarks_xy))
    return found


def size_and_tilt(sides: Sequence[int], tilts: Sequence[int]) -> None:
    """Errors by size and by tilt; the truth is the median over 96 to 256 px, shifted and turned by up to 3 degrees."""
    detector = detector_of(0.1)
    rows: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for rgb, face in models(detector):
        truth = np.median([p for side in (96, 128, 160, 192, 256) for p in looks(detector, rgb, face, side, 0, side)], axis=0)
        upright = geometry.roll_degrees(truth)
        for side in sides:
            for tilt in tilts:
                for points in looks(detector, rgb, face, side, tilt, 1000 + side):
                    roll = abs((geometry.roll_degrees(points) - upright + 180) % 360 - 180)
                    rows.setdefault((side, tilt), []).append((error(points, truth).mean(), roll))
    for (side, tilt), row in rows.items():
        off, roll = np.mean(row, axis=0)
        print(f"{side} px high, tilted by {tilt}: error {off:.1f} px, roll {roll:.1f} degrees, of {len(row)} looks")


def mean() -> None:
    """The scatter of one anchor, of the mean over the anchors, with the mirror image, and of closer looks that converge."""
    detector, closer = detector_of(0.5), detector_of(0.97)
    scatter: dict[str, list[float]] = {}
    for rgb, face in models(detector):
        numbers = np.random.default_rng(5)
        affine = upright_affine(face)
        assert affine is not None
        kinds: dict[str, list[Float64]] = {}
        for _ in range(10):
            turn = cv2.getRotationMatrix2D((127.5, 127.5), numbers.uniform(-12, 12), 1.0)
            moved = geometry.shift(geometry.compose(turn, affine), tuple(numbers.uniform(-8, 8, 2)))
            square, back = upright_square(rgb, moved), geometry.invert(moved)
            look, mirror = (detector._look([np.ascontiguousarray(side)], 0.5)[0] for side in (square, square[:, ::-1]))
            one, other = (nearest(without_overlapping(each, np.eye(2, 3)), np.full(2, 127.5), 64) for each in (look, mirror))
            both, flipped = face_of_both(look, mirror), mirrored(other)
            mean_of_one = mean_face(look)
            if one is None or flipped is None or both is None or mean_of_one is None:
                continue
            pair = (one.landmarks_xy + flipped.landmarks_xy) / 2
            settled = closer._closer_look(rgb, [placed_back(one, back)])[0]
            each = {
                "one anchor": one.landmarks_xy,
                "anchors": mean_of_one.landmarks_xy,
                "mirror": pair,
                "both": both.landmarks_xy,
            }
            for name, points in each.items():
                kinds.setdefault(name, []).append(geometry.apply(back, points))
            if settled is not None:
                kinds.setdefault("both, turned upright", []).append(settled.landmarks_xy)
        for name, points in kinds.items():
            middle = np.mean(points, axis=0)
            scatter.setdefault(name, []).extend(error(p, middle).mean() for p in points)
    print("scatter, px", {name: round(float(np.mean(values)), 2) for name, values in scatter.items()})


def upside_down() -> None:
    """The score of each face as it stands and upside down."""
    detector = detector_of(0.97, size=None)
    scores = []
    for rgb in pictures("photos", "reference_faces", "degraded_faces", "published_outputs"):
        for face in detector.detect(rgb):
            affine = upright_affine(face)
            assert affine is not None
            square = upright_square(rgb, affine)
            seen = map(mean_face, detector._looks([square, square[::-1, ::-1]], 0.5))
            scores.append([0.0 if one is None else one.score for one in seen])
    upright, turned = np.array(scores).T
    print(
        f"{len(scores)} faces: upright {upright.min():.4f} or more; upside down, the surest", np.sort(turned)[::-1][:5].round(4)
    )
    print(f"surer upside down: {(turned > upright).sum()}")


def turned_head(square: UInt8, degrees: float) -> UInt8:
    """An upright square with its face turned about the vertical axis, as if it were painted on an ellipsoid: a stand-in for a
    profile. The ellipsoid is 0.64 of the square wide (ear to ear) and 0.86 high; what is beyond its painted half is cheek."""
    side = square.shape[0]
    y, x = np.mgrid[:side, :side].astype(np.float32) / (side - 1) * 2 - 1
    inside = (x / 0.64) ** 2 + (y / 0.86) ** 2 < 0.98
    radius = 0.64 * np.sqrt(np.clip(1 - (y / 0.86) ** 2, 1e-4, 1))
    angle = np.arcsin(np.clip(x / radius, -1, 1)) - np.radians(degrees)
    source = radius * np.sin(np.clip(angle, -1.4, 1.4))
    to_px = [((values + 1) / 2 * (side - 1)).astype(np.float32) for values in (source, y)]
    turned = cv2.remap(square, *to_px, interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.where(inside[..., None], turned, square), np.uint8)


def yaw() -> None:
    """The score of each large face, 160 px high, when its head is turned to the side."""
    detector = detector_of(0.02)
    squares = [upright_square(rgb, affine) for rgb, face in models(detector) if (affine := upright_affine(face)) is not None]
    for degrees in (0, 15, 30, 45, 60, 75, 90):
        scores = []
        for square in squares:
            for side in (-1, 1):
                face = nearest(detector.detect(turned_head(square, side * degrees)), np.array([127.5, 127.5]), 64)
                scores.append(0.0 if face is None else face.score)
        low, middle = np.quantile(scores, (0.1, 0.5))
        print(f"turned by {degrees}: {np.mean(np.array(scores) > 0.97):.0%} over 0.97; score {middle:.3f}, tenth {low:.3f}")


def issue() -> None:
    """The five photos, each twice, on 6000x4000 px: the old default, two looks, and full size."""
    canvas = np.full((4000, 6000, 3), 128, np.uint8)
    x = y = row = 0
    for rgb in (*pictures("photos"), *pictures("photos")):
        h, w = rgb.shape[:2]
        if x + w > 6000:
            x, y, row = 0, y + row, 0
        canvas[y : y + h, x : x + w] = rgb
        x, row = x + w, max(row, h)
    reduced = np.asarray(cv2.resize(canvas, (960, 640), interpolation=cv2.INTER_AREA), np.uint8)
    found = {}
    for name, size, rgb in (("640 px", 0, reduced), ("two looks", None, canvas), ("full size", 0, canvas)):
        detector, began = detector_of(0.97, size=size), time.process_time()
        found[name] = detector.detect(rgb)
        print(f"{name}: {len(found[name])} faces, {time.process_time() - began:.1f} CPU s")
    worst = [min(error(f.landmarks_xy, face.landmarks_xy).max() for f in found["two looks"]) for face in found["full size"]]
    print(f"largest error of two looks against full size: {max(worst):.2f} px")


if __name__ == "__main__":
    torch.set_num_threads(1)
    parts = {
        "margin": margin,
        "size": lambda: size_and_tilt((32, 48, 64, 96, 128, 160, 192, 256, 320, 512, 640, 800), (0,)),
        "tilt": lambda: size_and_tilt((128,), (10, 20, 30, 40, 60, 90)),
        "mean": mean,
        "upside-down": upside_down,
        "yaw": yaw,
        "issue": issue,
    }
    for name in sys.argv[2:] or parts:
        parts[name]()
