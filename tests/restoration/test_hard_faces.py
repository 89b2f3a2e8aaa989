"""Faces at the border, too large for the crop, overlapping, reflected, on the wall: what is chosen is on record."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from gfpup.core.plan import FaceChoice
from gfpup.core.types import Metadata, Photo, UInt8
from gfpup.photos import read_photo
from gfpup.restoration.detect import load_detector
from gfpup.restoration.restorer import Restorer
from gfpup.restoration.turn import TurningDetector


class Keep:
    """A method that returns each crop as it is; `crop_px` is the side that it takes."""

    def __init__(self, crop_px: int = 512) -> None:
        self.crop_px = crop_px
        self.seen: list[tuple[int, ...]] = []

    def restore(self, crops: torch.Tensor) -> torch.Tensor:
        self.seen.append(tuple(crops.shape))
        return crops.clone()


@pytest.fixture(scope="module")
def detector(shared: Path) -> TurningDetector:
    path = shared / "weights" / "retinaface_mobilenet0.25.pth"
    return TurningDetector(load_detector("retinaface-mobilenet0.25", path=path))


def read(shared: Path, name: str) -> UInt8:
    return read_photo(shared / "data" / "photos" / name).rgb8


def photo(rgb: UInt8) -> Photo:
    return Photo(Path("p.png"), np.ascontiguousarray(rgb), Metadata("PNG"))


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b.astype(float)) ** 2)))


def test_a_face_at_the_border_is_restored_and_the_photo_kept(shared: Path, detector: TurningDetector) -> None:
    rgb = read(shared, "one_face_small.jpg")[:, 120:]  # the box begins at 102: a fifth of the face is gone
    (result,) = Restorer(Keep(), detector, upscale=1)([photo(rgb)])
    (face,) = result.faces
    assert face.restored and face.face.box_xyxy[0] < 2
    assert face.crop is not None and (face.crop.pixels == (132, 133, 135)).all(axis=2).any(), "beyond the photo is grey"
    assert psnr(result.pixels, rgb) > 45


def test_a_face_larger_than_the_crop_gets_a_remark_or_is_left_alone(shared: Path, detector: TurningDetector) -> None:
    rgb = read(shared, "one_face_small.jpg")
    large = np.asarray(cv2.resize(rgb, None, fx=5, fy=5, interpolation=cv2.INTER_CUBIC), np.uint8)
    (result,) = Restorer(Keep(), detector, upscale=1)([photo(large)])
    assert result.faces[0].restored and "px are reduced 1.8 times to the 512 px" in str(result.faces[0].reason)
    kept = Restorer(Keep(), detector, upscale=1, choice=FaceChoice(keep_large=True))([photo(large)])[0]
    assert not kept.faces[0].restored and not kept.faces[0].failed
    assert "so it is left as it was" in str(kept.faces[0].reason)
    np.testing.assert_array_equal(kept.pixels, large)
    method = Keep(1024)
    larger = Restorer(method, detector, upscale=1, choice=FaceChoice(keep_large=True))([photo(large)])[0]
    assert larger.faces[0].restored and larger.faces[0].reason is None, "1024 px hold it"
    assert method.seen == [(1, 3, 1024, 1024)]
    assert psnr(larger.pixels, large) > 45


def test_faces_before_each_other_are_both_restored(shared: Path, detector: TurningDetector) -> None:
    rgb = read(shared, "old_couple.png").copy()
    his = rgb[80:470, 360:620].copy()
    small = np.asarray(cv2.resize(his, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA), np.uint8)
    rgb[260 : 260 + small.shape[0], 270 : 270 + small.shape[1]] = small  # his face over the edge of hers
    (result,) = Restorer(Keep(), detector, upscale=1)([photo(rgb)])
    boxes = np.array([face.face.box_xyxy for face in result.faces if face.restored])
    near = [box for box in boxes if box[0] < 440 and box[2] < 480]
    assert len(near) >= 2, "hers, and the one before it"
    assert psnr(result.pixels, rgb) > 40


def test_a_reflection_in_water_is_no_reason_to_turn_the_photo(shared: Path, detector: TurningDetector) -> None:
    rgb = read(shared, "one_face_small.jpg")
    (alone,) = detector.detect(rgb)
    both = np.concatenate([rgb, rgb[::-1]])  # a mirror image below, upside down
    result = Restorer(Keep(), detector, upscale=1, turn_upright=True)([photo(both)])[0]
    assert result.turned == 0 and not result.warnings
    assert any(np.abs(face.face.landmarks_xy - alone.landmarks_xy).max() < 2 for face in result.faces)


def test_a_portrait_on_the_wall_is_a_face_and_can_be_left_out(shared: Path, detector: TurningDetector) -> None:
    rgb = read(shared, "old_couple.png").copy()
    whole = read(shared, "one_face_small.jpg")
    portrait = np.asarray(cv2.resize(whole, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
    rgb[:112, :200] = portrait
    everybody = Restorer(Keep(), detector, upscale=1)([photo(rgb)])[0]
    assert [face.restored for face in everybody.faces] == [True] * 3
    chosen = Restorer(Keep(), detector, upscale=1, choice=FaceChoice(2))([photo(rgb)])[0]
    left = [face for face in chosen.faces if not face.restored]
    assert [face.reason for face in left] == ["not one of the 2 largest"] and left[0].face.box_xyxy[3] < 112


def test_crops_of_every_side_go_there_and_back(shared: Path, detector: TurningDetector) -> None:
    rgb = read(shared, "two_people.jpg")
    for side in (256, 512, 1024):
        result = Restorer(Keep(side), detector, upscale=1)([photo(rgb)])[0]
        assert all(face.crop is not None and face.crop.side_px == side for face in result.faces)
        assert all(face.output is not None and face.output.shape == (side, side, 3) for face in result.faces)
        assert psnr(result.pixels, rgb) > (30 if side == 256 else 45)
