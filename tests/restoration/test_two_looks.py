"""RetinaFace's two looks against one look at the whole photo, and against the truth where a picture was turned on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from gfpup.core.types import Face, Metadata, Photo, UInt8
from gfpup.models.nets.retinaface import RetinaFace
from gfpup.ops import geometry
from gfpup.photos import read_photo
from gfpup.restoration.detect import load_detector
from gfpup.restoration.restorer import detect_in_all
from gfpup.restoration.retinaface import LARGE_PX, RetinaFaceDetector, first_look_px
from gfpup.restoration.turn import TurningDetector, turn_of, turned_face
from gfpup.restoration.windows import MARGIN_PX, windows_around

PHOTOS = ("four_small_faces.jpg", "old_couple.png", "one_face_small.jpg", "three_people.png", "two_people.jpg")


@pytest.fixture(scope="module")
def detector(shared: Path) -> RetinaFaceDetector:
    path = shared / "weights" / "retinaface_mobilenet0.25.pth"
    found = load_detector("retinaface-mobilenet0.25", path=path)
    assert isinstance(found, RetinaFaceDetector)
    return found


def whole(detector: RetinaFaceDetector) -> RetinaFaceDetector:
    """The same network, with one look at full size."""
    return RetinaFaceDetector(detector.network, detect_size=0)


def read(shared: Path, name: str) -> UInt8:
    return read_photo(shared / "data" / "photos" / name).rgb8


def crop_error(found: Sequence[Face], expected: Face) -> float:
    """The largest distance of a landmark, in px of the expected face's 512 crop, of the nearest of the faces found."""
    affine = geometry.fit_similarity(expected.landmarks_xy)
    assert affine is not None
    moved = [np.linalg.norm((f.landmarks_xy - expected.landmarks_xy) @ affine[:, :2].T, axis=1).max() for f in found]
    return float(min(moved, default=np.inf))


def turned_by(rgb: UInt8, degrees: float) -> UInt8:
    """A picture turned clockwise about its middle, on a canvas that holds all of it."""
    h, w = rgb.shape[:2]
    side = int(np.hypot(h, w)) + 2
    affine = cv2.getRotationMatrix2D(((w - 1) / 2, (h - 1) / 2), -degrees, 1.0)
    affine[:, 2] += (side - 1) / 2 - np.array([(w - 1) / 2, (h - 1) / 2])
    return np.asarray(geometry.warp(rgb, affine, (side, side), border=(120, 120, 120)), np.uint8)


def test_a_large_photo_loses_no_face_and_moves_no_landmark(shared: Path, detector: RetinaFaceDetector) -> None:
    """The five photos on 12 megapixels: every face that one look at full size finds, and no other."""
    canvas = np.full((3000, 4000, 3), 128, np.uint8)
    x = y = row = 0
    for name in PHOTOS:
        rgb = read(shared, name)
        h, w = rgb.shape[:2]
        if x + w > 4000:
            x, y, row = 0, y + row, 0
        canvas[y : y + h, x : x + w] = rgb
        x, row = x + w, max(row, h)
    expected, found = whole(detector).detect(canvas), detector.detect(canvas)
    assert len(expected) == len(found) == 12
    assert max(crop_error(found, face) for face in expected) < 2


def test_in_a_crowd_the_faces_that_the_first_look_cannot_show_are_found(shared: Path, detector: RetinaFaceDetector) -> None:
    """Faces of 20 to 40 px on 12 megapixels: 4 to 9 px high in the first look, which shows only some of them."""
    canvas = np.full((3000, 4000, 3), 128, np.uint8)
    rgb = read(shared, "three_people.png")
    height = float(np.median([face.box_xyxy[3] - face.box_xyxy[1] for face in detector.detect(rgb)]))
    for i in range(20, 41, 2):
        small = cv2.resize(rgb, None, fx=i / height, fy=i / height, interpolation=cv2.INTER_AREA)
        y, x = 100 * i - 1800, 140 * i - 2600
        canvas[y : y + small.shape[0], x : x + small.shape[1]] = small
    expected, found = whole(detector).detect(canvas), detector.detect(canvas)
    assert len(found) == len(expected) > 20
    assert max(crop_error(found, face) for face in expected) < 8, "a pixel of the photo is up to 6 of the crop"


def test_small_photos_are_found_as_by_one_look(shared: Path, detector: RetinaFaceDetector) -> None:
    for name in PHOTOS:
        expected, found = whole(detector).detect(read(shared, name)), detector.detect(read(shared, name))
        assert len(found) == len(expected), name
        assert max(crop_error(found, face) for face in expected) < 2, name


def test_faces_too_large_for_the_network_are_placed_better_than_by_one_look(shared: Path, detector: RetinaFaceDetector) -> None:
    """The truth is the mean over sizes at which the network is at its best; at five times that size one look is far off."""
    rgb = read(shared, "one_face_small.jpg")

    def enlarged(scale: float) -> UInt8:
        return np.asarray(cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC), np.uint8)

    scales = (0.9, 0.95, 1.0, 1.05, 1.1, 1.15, 1.2)
    looks = [(whole(detector).detect(enlarged(scale))[0].landmarks_xy + 0.5) / scale for scale in scales]
    scale = 5.0
    truth = Face((0, 0, 1, 1), 1.0, np.mean(looks, axis=0) * scale - 0.5)
    (found,) = detector.detect(enlarged(scale))
    assert found.box_xyxy[3] - found.box_xyxy[1] > LARGE_PX
    assert crop_error([found], truth) < 8
    assert crop_error(whole(detector).detect(enlarged(scale)), truth) > crop_error([found], truth) + 2


@pytest.mark.parametrize("degrees", [-60, -35, 20, 45, 75, 110, 160, 200, 290])
def test_a_head_tilted_by_any_angle_is_set_upright(degrees: float, shared: Path, detector: RetinaFaceDetector) -> None:
    rgb = read(shared, "one_face_small.jpg")
    (upright,) = detector.detect(rgb)
    (found,) = TurningDetector(detector).detect(turned_by(rgb, degrees))
    error = geometry.roll_degrees(found.landmarks_xy) - geometry.roll_degrees(upright.landmarks_xy) - degrees
    assert abs((error + 180) % 360 - 180) < 2


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_photo_that_lies_on_its_side_keeps_its_faces(
    name: str, turn: int, shared: Path, detector: RetinaFaceDetector
) -> None:
    rgb = read(shared, name)
    expected = detector.detect(rgb)
    lying = geometry.turned_pixels(rgb, turn)
    found = TurningDetector(detector).detect(lying)
    assert len(found) == len(expected) and turn_of(found) == (360 - turn) % 360
    back = [turned_face(face, -turn, (lying.shape[0], lying.shape[1])) for face in found]
    assert max(crop_error(back, face) for face in expected) < 2


def test_an_upright_photo_is_looked_at_once(
    shared: Path, detector: RetinaFaceDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[tuple[int, ...]] = []
    inner = detector.detect
    monkeypatch.setattr(detector, "detect", lambda rgb: looks.append(rgb.shape) or inner(rgb))  # type: ignore[func-returns-value]
    TurningDetector(detector).detect(read(shared, "old_couple.png"))
    assert len(looks) == 1
    TurningDetector(detector).detect(np.full((300, 400, 3), 90, np.uint8))
    assert len(looks) == 5, "no face: the photo turned by each quarter too"


def test_a_face_turned_and_turned_back_is_the_same() -> None:
    face = Face((10.0, 20.0, 40.0, 60.0), 0.9, np.array([[18.0, 35.0], [32, 35], [25, 43], [19, 50], [31, 50]]))
    once = turned_face(face, 90, (100, 200))
    assert geometry.roll_degrees(once.landmarks_xy) == pytest.approx(geometry.roll_degrees(face.landmarks_xy) + 90, abs=1e-9)
    pixels = np.zeros((100, 200), np.uint8)
    pixels[35, 18] = 255
    y, x = np.argwhere(geometry.turned_pixels(pixels, 90))[0]
    assert (x, y) == tuple(once.landmarks_xy[0])
    again = turned_face(once, -90, (200, 100))
    np.testing.assert_allclose(again.landmarks_xy, face.landmarks_xy)
    assert again.box_xyxy == face.box_xyxy


@pytest.mark.parametrize(
    ("size_hw", "expected"),
    [
        ((100, 200), 640),
        ((1500, 2000), 640),
        ((3200, 4800), 640),
        ((6000, 4000), 800),
        ((5800, 8700), 960),
        ((5800, 58000), 640),
    ],
)
def test_the_first_look_goes_by_the_photo(size_hw: tuple[int, int], expected: int) -> None:
    assert first_look_px(size_hw) == expected


def proposal(x: float, y: float, side: float) -> Face:
    return Face((x, y, x + side, y + side), 0.5, np.zeros((5, 2)))


def test_windows_hold_their_proposals_with_the_margin_and_begin_on_the_grid() -> None:
    alone = windows_around([proposal(1000, 900, 50)], (4000, 6000))[0]
    assert alone.x0 % 32 == 0 and alone.y0 % 32 == 0
    assert alone.x0 <= 1000 - MARGIN_PX and alone.x1 >= 1050 + MARGIN_PX
    assert alone.area < (50 + 2 * MARGIN_PX + 64) ** 2
    corner = windows_around([proposal(-5, 3980, 30)], (4000, 6000))[0]
    assert (corner.x0, corner.y1) == (0, 4000)
    assert windows_around([proposal(7000, 10, 30)], (4000, 6000)) == []


def test_near_proposals_share_a_window_and_far_ones_do_not() -> None:
    near = windows_around([proposal(1000, 900, 50), proposal(1080, 910, 50), proposal(5000, 900, 50)], (4000, 6000))
    assert [len(window.proposals) for window in near] == [2, 1]
    alone = [windows_around([face], (4000, 6000))[0].area for window in near for face in window.proposals]
    assert sum(window.area for window in near) <= sum(alone)


def test_shared_forwards_find_the_same_faces(
    shared: Path, detector: RetinaFaceDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU, where windows are filled up to a common size."""
    rgb = cv2.resize(read(shared, "four_small_faces.jpg"), None, fx=5, fy=5, interpolation=cv2.INTER_CUBIC)
    single = detector.detect(np.asarray(rgb, np.uint8))
    forwards: list[int] = []
    forward = detector.network.forward

    def counted(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        forwards.append(len(x))
        return forward(x)

    monkeypatch.setattr(detector.network, "forward", counted)
    monkeypatch.setattr(detector, "shares_forwards", True)
    together = detector.detect(np.asarray(rgb, np.uint8))
    assert max(forwards) > 1
    assert len(together) == len(single) == 4
    assert max(crop_error(together, face) for face in single) < 1


def test_photos_of_one_size_share_their_first_looks_and_keep_their_faces(
    shared: Path, detector: RetinaFaceDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: the faces of each are those that it has alone, and the detector of turns hands the photos on."""
    two = read(shared, "two_people.jpg")
    photos = [two, np.ascontiguousarray(two[:, ::-1]), read(shared, "one_face_small.jpg")]
    monkeypatch.setattr(detector, "shares_forwards", True)
    alone = [detector.detect(rgb) for rgb in photos]
    forwards: list[int] = []
    forward = detector.network.forward
    monkeypatch.setattr(detector.network, "forward", lambda x: (forwards.append(len(x)), forward(x))[1])
    together = detect_in_all(TurningDetector(detector), [Photo(Path("p.png"), rgb, Metadata("PNG")) for rgb in photos])
    assert forwards[0] == 2
    for faces, found in zip(alone, together, strict=True):
        assert len(found.faces) == len(faces) > 0
        for a, b in zip(faces, found.faces, strict=True):
            np.testing.assert_allclose(b.landmarks_xy, a.landmarks_xy, atol=0.01)


def test_random_weights_do_not_break_it() -> None:
    torch.manual_seed(0)
    detector = RetinaFaceDetector(RetinaFace("mobilenet0.25"), threshold=0.999)
    assert TurningDetector(detector).detect(np.zeros((1, 1, 3), np.uint8)) == []
