"""MTCNN against the package that carries its networks, on real photos, and its rules on boxes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
import torch

from gfpup.core.errors import CheckpointError, GfpupError
from gfpup.models.nets import mtcnn as nets
from gfpup.restoration import mtcnn
from gfpup.restoration.boxes import without_overlaps
from gfpup.restoration.detect import load_detector
from gfpup.weights import packaged


@pytest.fixture(scope="module")
def detector() -> mtcnn.MtcnnDetector:
    if packaged.mtcnn_folder() is None:
        pytest.skip("facenet-pytorch is not installed")
    return mtcnn.load_mtcnn()


@pytest.fixture(scope="module")
def official() -> Any:
    """The package's own module."""
    from gfpup.core import torchvision_shim

    torchvision_shim.cure()
    return pytest.importorskip("facenet_pytorch.models.mtcnn", reason="facenet-pytorch cannot be imported")


def read(path: Path) -> np.ndarray:
    return np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])


def test_the_networks_give_the_packages_numbers(detector: mtcnn.MtcnnDetector, official: Any) -> None:
    torch.manual_seed(0)
    with torch.inference_mode():
        for mine, theirs, size in (
            (detector.pnet, official.PNet(), (50, 71)),
            (detector.rnet, official.RNet(), (24, 24)),
            (detector.onet, official.ONet(), (48, 48)),
        ):
            x = nets.prepare(torch.rand(3, 3, *size) * 255)
            scores, corrections, *points = mine(x)
            official_corrections, *official_points, official_scores = theirs(x)
            torch.testing.assert_close(scores, official_scores[:, 1], atol=1e-6, rtol=0)
            torch.testing.assert_close(corrections, official_corrections, atol=1e-5, rtol=0)
            for one, other in zip(points, official_points, strict=True):
                torch.testing.assert_close(one[..., 0], other[:, :5], atol=1e-5, rtol=0)
                torch.testing.assert_close(one[..., 1], other[:, 5:], atol=1e-5, rtol=0)


def test_at_full_size_it_finds_the_packages_faces(official: Any, shared: Path) -> None:
    """Less than a pixel apart: the package adds what the network says to a square that it has not rounded yet."""
    theirs, mine, count = official.MTCNN(keep_all=True), mtcnn.load_mtcnn(detect_size=0), 0
    for path in sorted((shared / "data" / "photos").iterdir()):
        pixels = read(path)
        boxes, scores, points = theirs.detect(pixels, landmarks=True)
        found = mine.detect(pixels)
        assert len(found) == len(boxes), path.name
        for face in found:
            # The package's pixels have their centres at halves.
            apart = np.abs(points - 0.5 - face.landmarks_xy).max(axis=(1, 2))
            best = int(apart.argmin())
            assert apart[best] < 1, path.name
            assert face.score == pytest.approx(scores[best], abs=1e-4)
            np.testing.assert_allclose(face.box_xyxy, boxes[best].astype(float) - [1.5, 1.5, 0.5, 0.5], atol=1.5)
        count += len(found)
    assert count == 12


def test_the_default_finds_the_twelve_shared_faces_with_their_landmarks(detector: mtcnn.MtcnnDetector, shared: Path) -> None:
    photos = json.loads((shared / "parity" / "detections.json").read_text())["photos"]
    for name, photo in photos.items():
        found = detector.detect(read(shared / "data" / "photos" / name))
        assert len(found) == len(photo["faces"]), name
        for expected in photo["faces"]:
            points = np.array(expected["landmarks_xy"])
            apart = min(float(np.linalg.norm(face.landmarks_xy - points, axis=1).mean()) for face in found)
            assert apart < 0.2 * np.linalg.norm(points[0] - points[1]), name


def test_landmarks_come_back_from_a_reduced_photo(detector: mtcnn.MtcnnDetector) -> None:
    photo = skimage.data.astronaut()
    large = np.asarray(cv2.resize(photo, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC))
    (small,) = detector.detect(photo)
    (found,) = detector.detect(large)
    eyes = np.linalg.norm(np.subtract(*small.landmarks_xy[:2]))
    assert np.abs((found.landmarks_xy + 0.5) / 4 - 0.5 - small.landmarks_xy).max() < 0.1 * eyes


def test_a_face_at_the_border_keeps_its_landmarks(detector: mtcnn.MtcnnDetector) -> None:
    photo = skimage.data.astronaut()
    (whole,) = detector.detect(photo)
    x0, y0 = int(whole.box_xyxy[0]) + 5, int(whole.box_xyxy[1]) + 5
    (cut,) = detector.detect(np.ascontiguousarray(photo[y0:, x0:]))
    eyes = np.linalg.norm(np.subtract(*whole.landmarks_xy[:2]))
    assert np.abs(cut.landmarks_xy + np.array([x0, y0]) - whole.landmarks_xy).max() < 0.15 * eyes


def test_a_small_face_is_seen_in_the_photos_own_pixels(detector: mtcnn.MtcnnDetector, shared: Path) -> None:
    pixels = read(shared / "data" / "photos" / "three_people.png")
    assert len(mtcnn.load_mtcnn(detect_size=200).detect(pixels)) == 3


def test_the_same_photo_gives_the_same_faces(detector: mtcnn.MtcnnDetector) -> None:
    photo = skimage.data.astronaut()
    first, second = detector.detect(photo), detector.detect(photo)
    assert [face.box_xyxy for face in first] == [face.box_xyxy for face in second]
    np.testing.assert_array_equal(first[0].landmarks_xy, second[0].landmarks_xy)


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 300), (19, 19), (20, 20), (300, 400)])
def test_where_no_face_is_none_is_found(detector: mtcnn.MtcnnDetector, size_hw: tuple[int, int]) -> None:
    assert detector.detect(np.zeros((*size_hw, 3), np.uint8)) == []


def test_the_pyramid_ends_where_the_picture_is_smaller_than_what_the_network_sees() -> None:
    scales = mtcnn.pyramid_scales((100, 400), 20)
    assert scales[0] == pytest.approx(0.6) and scales[1] / scales[0] == pytest.approx(0.709)
    assert 100 * scales[-1] >= 12 > 100 * scales[-1] * 0.709
    assert mtcnn.pyramid_scales((19, 400), 20) == []


def test_of_overlapping_boxes_the_surest_stays() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [21, 1, 25, 5]], np.float64)
    scores = np.array([0.8, 0.9, 0.7, 0.6])
    assert list(without_overlaps(boxes, scores, 0.7)) == [1, 2, 3]
    assert list(without_overlaps(boxes, scores, 0.7, of_smaller=True)) == [1, 2]
    assert list(without_overlaps(boxes[:0], scores[:0], 0.7)) == []


def test_squares_keep_the_centre_and_the_longer_side() -> None:
    np.testing.assert_allclose(mtcnn.squares(np.array([[0.0, 10, 4, 20]])), [[-3, 10, 7, 20]])
    assert mtcnn.squares(np.empty((0, 4))).shape == (0, 4)


def test_a_box_of_the_reduced_copy_covers_the_same_pixels_of_the_photo() -> None:
    # Pixels 1 and 2 of a copy reduced twice are pixels 1 to 4 of the photo.
    np.testing.assert_allclose(mtcnn.enlarged(np.array([1.0, 2, 2, 3]), np.array([2.0, 3])), [1, 4, 4, 9])


def test_a_cut_beyond_the_border_repeats_it() -> None:
    rgb = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    np.testing.assert_array_equal(mtcnn.cut_out(rgb, np.array([1.9, 1.2, 2.9, 2.1])), rgb)
    beyond = mtcnn.cut_out(rgb, np.array([0.0, 1, 3, 2]))
    assert beyond.shape == (2, 4, 3)
    np.testing.assert_array_equal(beyond[:, 0], rgb[:, 0])
    np.testing.assert_array_equal(beyond[:, 3], rgb[:, 1])


def test_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GfpupError, match="detector mtcnn takes no checkpoint"):
        load_detector("mtcnn", path=Path("x.pth"))
    monkeypatch.setattr(packaged, "mtcnn_folder", lambda: None)
    with pytest.raises(CheckpointError, match=r"mtcnn is not available.*pip install --no-deps facenet-pytorch"):
        load_detector("mtcnn")
