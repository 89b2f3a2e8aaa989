"""Choose which of the faces found are restored, cut these out, and say of each other one why it is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from gfpup.core.plan import FaceChoice
from gfpup.core.types import AlignedCrop, Face, FaceResult, Float64, Photo, UInt8
from gfpup.ops import geometry

Align = Callable[[UInt8, Sequence[Face], int], list[AlignedCrop | str]]

LARGE = 1.5
"""How much a crop may be reduced from the photo without a remark: what is pasted back is then enlarged as much."""


def cut_faces(
    photo: Photo, faces: Sequence[Face], choice: FaceChoice, align: Align, side_px: int = geometry.CROP_PX
) -> list[FaceResult]:
    """Each face's result before it is restored: with its crop of `side_px`, or with the reason why it has none."""
    reasons = select_faces(faces, photo.size_hw, choice, path=photo.path)
    crops = iter(align(photo.rgb8, [face for face, reason in zip(faces, reasons, strict=True) if reason is None], side_px))
    results = []
    for face, reason in zip(faces, reasons, strict=True):
        crop = next(crops) if reason is None else None
        if isinstance(crop, str):
            results.append(FaceResult(face, restored=False, failed=True, reason=crop))
        elif crop is not None and choice.keep_large and reduction(crop) > LARGE:
            results.append(FaceResult(face, restored=False, reason=f"{reduced(crop)}, so it is left as it was"))
        else:
            results.append(FaceResult(face, restored=False, reason=reason, crop=crop))
    return results


def reduction(crop: AlignedCrop) -> float:
    """How many times smaller a face is in its crop than in the photo; below 1 it is enlarged."""
    return 1 / geometry.scale_of(crop.affine)


def short_side(face: Face) -> float:
    """The shorter side of a face's box, in pixels of the photo."""
    x0, y0, x1, y1 = face.box_xyxy
    return float(min(x1 - x0, y1 - y0))


def reduced(crop: AlignedCrop) -> str:
    """How much a face is reduced in its crop, as a clause."""
    times = reduction(crop)
    return f"its {times * crop.side_px:.0f} px are reduced {times:.1f} times to the {crop.side_px} px that the method takes"


def select_faces(
    faces: Sequence[Face], size_hw: tuple[int, int], choice: FaceChoice, *, path: Path | None = None
) -> list[str | None]:
    """For each of `faces` of the photo at `path`, None where it is to be restored, else the reason why not."""
    reasons = [_refusal(face, choice) for face in faces]
    picked = _picked(path, choice)
    if picked is not None:
        reasons = [reason if i in picked else reason or "it was not picked" for i, reason in enumerate(reasons)]
    if choice.persons:
        reasons = [reason or _of_another(face, choice) for face, reason in zip(faces, reasons, strict=True)]
    left = [i for i, reason in enumerate(reasons) if reason is None]
    for i in set(left) - set(_kept(faces, left, size_hw, choice.which)):
        which = f"one of the {choice.which} largest" if isinstance(choice.which, int) else f"the {choice.which} one"
        reasons[i] = f"not {which}"
    return reasons


def _picked(path: Path | None, choice: FaceChoice) -> tuple[int, ...] | None:
    """The numbers of the faces that were picked of this photo, by the longest name that fits it; None where it has none."""
    if path is None or not choice.picked:
        return None
    whole = f"/{path.as_posix()}"
    fitting = [name for name in choice.picked if whole.endswith(f"/{name.lstrip('/')}")]
    return choice.picked[max(fitting, key=len)] if fitting else None


def _refusal(face: Face, choice: FaceChoice) -> str | None:
    side = short_side(face)
    if side < choice.min_px:
        return f"its box is {side:.0f} px, under the minimum of {choice.min_px:g}"
    eyes = float(np.linalg.norm(face.landmarks_xy[0] - face.landmarks_xy[1]))
    if eyes < choice.min_eye_distance_px:
        return f"its eyes are {eyes:.0f} px apart, under the minimum of {choice.min_eye_distance_px:g}"
    if face.score < choice.min_score:
        return f"its score is {face.score:.2f}, under the minimum of {choice.min_score:g}"
    cx, cy = _centre(face)
    for a0, b0, a1, b1 in choice.leave_alone:
        if a0 <= cx <= a1 and b0 <= cy <= b1:
            return f"it lies in the region {a0:g},{b0:g},{a1:g},{b1:g} that is left alone"
    return None


def _of_another(face: Face, choice: FaceChoice) -> str | None:
    """Why a face is not one of the persons that were asked for, None where it is."""
    shown = face.recognition
    if shown is None:
        return "nobody can be recognised in it"
    if shown.person in choice.persons:
        return None
    found = f"{shown.similarity:.2f} to the photos of {shown.nearest}"
    if shown.person is None:
        return f"it is nobody of --people ({found} at most)"
    return f"it is {shown.person} ({found}), who was not asked for"


def _kept(faces: Sequence[Face], left: list[int], size_hw: tuple[int, int], which: str | int) -> list[int]:
    if which == "all" or not left:
        return left
    if which == "center":
        middle = np.array([(size_hw[1] - 1) / 2, (size_hw[0] - 1) / 2])
        return [min(left, key=lambda i: float(np.linalg.norm(_centre(faces[i]) - middle)))]
    count = 1 if which == "largest" else int(which)
    sides = [(x1 - x0, y1 - y0) for x0, y0, x1, y1 in (face.box_xyxy for face in faces)]
    return sorted(left, key=lambda i: sides[i][0] * sides[i][1], reverse=True)[:count]


def _centre(face: Face) -> Float64:
    x0, y0, x1, y1 = face.box_xyxy
    return np.array([(x0 + x1) / 2, (y0 + y1) / 2])
