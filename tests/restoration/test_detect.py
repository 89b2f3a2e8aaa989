"""The detectors on real photos against the official detections, and their rules on boxes that the test draws."""

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
from gfpup.core.types import Face
from gfpup.models.nets.retinaface import RetinaFace, prior_boxes
from gfpup.ops.geometry import TEMPLATE_512_XY, apply, fit_similarity
from gfpup.restoration import cascade
from gfpup.restoration.boxes import bounded_size, drop_contained, largest_first, reduce_for_detection
from gfpup.restoration.cascade import CascadeDetector
from gfpup.restoration.detect import architecture_of, load_detector
from gfpup.restoration.retinaface import RetinaFaceDetector

MOBILENET = "retinaface-mobilenet0.25"


@pytest.fixture(scope="module")
def checkpoint(shared: Path) -> Path:
    return shared / "weights" / "retinaface_mobilenet0.25.pth"


@pytest.fixture(scope="module")
def official(shared: Path) -> dict[str, Any]:
    """The official detections: photo name to its list of faces."""
    photos = json.loads((shared / "parity" / "detections.json").read_text())["photos"]
    return {name: photo["faces"] for name, photo in photos.items()}


def read(shared: Path, name: str) -> np.ndarray:
    return np.ascontiguousarray(cv2.imread(str(shared / "data" / "photos" / name))[..., ::-1])


def nearest(found: list[Face], landmarks: Any) -> tuple[float, Face]:
    """The found face whose landmarks are nearest to the expected ones, and the largest distance in px."""
    distances = [float(np.linalg.norm(face.landmarks_xy - np.array(landmarks), axis=1).max()) for face in found]
    best = int(np.argmin(distances))
    return distances[best], found[best]


def test_full_resolution_meets_the_official_detections(shared: Path, checkpoint: Path, official: dict[str, Any]) -> None:
    detector = load_detector(MOBILENET, path=checkpoint, detect_size=0)
    count = 0
    for name, expected in official.items():
        found = detector.detect(read(shared, name))
        assert len(found) == len(expected), name
        for face in expected:
            distance, mine = nearest(found, face["landmarks_xy"])
            assert distance < 0.01, name  # the goldens are rounded to 0.001 px
            *box, score = face["box_xyxy_score"]
            np.testing.assert_allclose(mine.box_xyxy, box, atol=0.01)
            assert mine.score == pytest.approx(score, abs=1e-3)
            affine = fit_similarity(mine.landmarks_xy)
            assert affine is not None
            np.testing.assert_allclose(affine, np.array(face["affine"]), atol=0.01)
        areas = [np.prod(np.subtract(f.box_xyxy[2:], f.box_xyxy[:2])) for f in found]
        assert areas == sorted(areas, reverse=True)
        count += len(found)
    assert count == 12


def test_the_same_pixels_give_the_same_bits_whatever_their_layout_and_nearly_so_with_other_threads(
    shared: Path, checkpoint: Path
) -> None:
    photo = read(shared, "four_small_faces.jpg")
    detector = load_detector(MOBILENET, path=checkpoint)
    locked = photo.copy()
    locked.flags.writeable = False
    before = torch.get_num_threads()
    runs = []
    try:
        for threads, pixels in ((1, photo), (2, photo), (2, locked), (2, np.ascontiguousarray(photo[:, ::-1])[:, ::-1])):
            torch.set_num_threads(threads)
            runs.append([[*f.box_xyxy, f.score, *f.landmarks_xy.ravel()] for f in detector.detect(pixels)])
    finally:
        torch.set_num_threads(before)
    assert runs[1] == runs[2] == runs[3] and len(runs[0]) == 4
    # oneDNN splits its sums by the number of threads: 1e-5 px was seen.
    np.testing.assert_allclose(runs[0], runs[1], atol=1e-3)


def test_detection_stays_float32_under_autocast(shared: Path, checkpoint: Path) -> None:
    photo = read(shared, "one_face_small.jpg")
    detector = load_detector(MOBILENET, path=checkpoint)
    plain = detector.detect(photo)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = detector.detect(photo)
    np.testing.assert_array_equal(plain[0].landmarks_xy, inside[0].landmarks_xy)


@pytest.mark.parametrize(
    ("size_hw", "detect_size", "expected"),
    [
        ((3000, 4000), 640, (640, 853)),
        ((480, 640), 640, (480, 640)),
        ((6000, 8000), None, (6000, 8000)),
        ((6000, 8000), 0, (6000, 8000)),
        ((1000, 20000), 640, (128, 2560)),
        ((3, 100000), 640, (1, 2560)),
        ((1, 1), 640, (1, 1)),
    ],
)
def test_the_bound_never_enlarges_and_holds_both_sides(
    size_hw: tuple[int, int], detect_size: int | None, expected: tuple[int, int]
) -> None:
    assert bounded_size(size_hw, detect_size) == expected


def test_reduced_pixels_map_back_by_their_centres() -> None:
    ramp = np.tile(np.arange(250, dtype=np.uint8)[None, :, None], (100, 1, 3))
    small, to_photo = reduce_for_detection(ramp, 40)
    assert small.shape == (40, 100, 3)
    at = apply(to_photo, np.array([[30.0, 10.0], [77.0, 39.0]]))
    np.testing.assert_allclose(small[[10, 39], [30, 77], 0], at[:, 0], atol=0.51)
    same, identity = reduce_for_detection(ramp, None)
    np.testing.assert_array_equal(same, ramp)
    np.testing.assert_array_equal(identity, np.eye(2, 3))


@pytest.mark.parametrize("pixels", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3))])
def test_other_arrays_than_uint8_rgb_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        reduce_for_detection(pixels, 640)


def test_a_box_inside_a_larger_one_is_dropped_and_neighbours_are_not() -> None:
    boxes = np.array(
        [
            [40, 40, 60, 60],  # an eye, whole inside the first face
            [0, 0, 100, 100],  # a face
            [80, 10, 140, 90],  # a person in front of it: a third lies inside
            [90, 90, 110, 130],  # touches a corner
            [-5, 20, 60, 85],  # 60/65 inside: more than nine tenths
            [200, 200, 300, 300],
        ],
        np.float64,
    )
    assert drop_contained(boxes) == [1, 2, 3, 5]
    assert drop_contained(boxes[[1, 1]]) == [0]
    assert drop_contained(np.zeros((0, 4))) == []


def test_a_chain_of_boxes_leaves_the_outermost() -> None:
    nested = np.array([[i, i, 100 - i, 100 - i] for i in (30, 0, 20, 10)], np.float64)
    assert drop_contained(nested) == [1]


def test_largest_first_counts_what_lies_inside_the_photo() -> None:
    def face(*box: float) -> Face:
        return Face(box, 0.9, np.zeros((5, 2)))  # type: ignore[arg-type]

    cut, whole, upper, lower = face(-900, 0, 10, 100), face(0, 0, 50, 50), face(60, 0, 70, 10), face(60, 80, 70, 90)
    assert largest_first([lower, cut, upper, whole], (100, 100)) == [whole, cut, upper, lower]


class Stub(torch.nn.Module):
    """A network that finds exactly the given faces: (box, score, landmarks) in pixels of a picture of `size_hw`."""

    def __init__(self, faces: list[tuple[list[float], float, np.ndarray]], size_hw: tuple[int, int]) -> None:
        super().__init__()
        priors = prior_boxes(size_hw).double().numpy()
        self.loc, self.conf = np.zeros((len(priors), 4)), np.zeros((len(priors), 2))
        self.points = np.zeros((len(priors), 10))
        scale = np.array([size_hw[1], size_hw[0]])
        for row, (box, score, landmarks) in enumerate(faces):
            low, high = np.array(box[:2]) / scale, np.array(box[2:]) / scale
            centre, side = priors[row, :2], priors[row, 2:]
            self.loc[row] = [*(((low + high) / 2 - centre) / (0.1 * side)), *(np.log((high - low) / side) / 0.2)]
            self.points[row] = ((landmarks / scale - centre) / (0.1 * side)).ravel()
            self.conf[row] = [1 - score, score]

    def forward(self, _x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(torch.tensor(a, dtype=torch.float32)[None] for a in (self.loc, self.conf, self.points))


def stub_face(box: list[float], score: float) -> tuple[list[float], float, np.ndarray]:
    side = box[2] - box[0]
    return box, score, np.array(box[:2]) + (TEMPLATE_512_XY - 120) * (side / 300)


def test_the_rules_work_together_and_in_order() -> None:
    size_hw = (200, 300)
    faces = [
        stub_face([10, 10, 60, 70], 0.98),
        stub_face([12, 12, 62, 72], 0.99),  # the same face, surer
        stub_face([100, 20, 200, 140], 0.975),
        stub_face([130, 60, 160, 90], 0.999),  # inside the face before
        stub_face([220, 20, 280, 80], 0.96),  # below the threshold
        stub_face([240, 120, 250, 130], 0.999),
    ]
    detector = RetinaFaceDetector(Stub(faces, size_hw))  # type: ignore[arg-type]
    found = detector.detect(np.zeros((*size_hw, 3), np.uint8))
    boxes = [[100, 20, 200, 140], [12, 12, 62, 72], [240, 120, 250, 130]]
    np.testing.assert_allclose([f.box_xyxy for f in found], boxes, atol=1e-3)
    assert [round(f.score, 3) for f in found] == [0.975, 0.99, 0.999]
    np.testing.assert_allclose(found[0].landmarks_xy, faces[2][2], atol=1e-3)
    assert found[0].landmarks_xy.dtype == np.float64


def test_a_network_that_gives_nan_is_an_error_and_not_an_empty_photo() -> None:
    stub = Stub([], (64, 64))
    stub.conf[5] = np.nan
    with pytest.raises(CheckpointError, match="not finite"):
        RetinaFaceDetector(stub).detect(np.zeros((64, 64, 3), np.uint8))  # type: ignore[arg-type]


def test_a_one_pixel_photo_has_no_face() -> None:
    torch.manual_seed(0)
    assert RetinaFaceDetector(RetinaFace("mobilenet0.25"), threshold=0.999).detect(np.zeros((1, 1, 3), np.uint8)) == []
    assert CascadeDetector().detect(np.zeros((1, 1, 3), np.uint8)) == []


def test_the_architecture_is_told_from_the_file_and_a_wrong_name_is_refused(tmp_path: Path) -> None:
    paths = {}
    for backbone in ("resnet50", "mobilenet0.25"):
        paths[backbone] = tmp_path / f"{backbone}.pth"
        # As the official ResNet-50 checkpoint has it: every key with the prefix of DataParallel.
        torch.save({f"module.{k}": v for k, v in RetinaFace(backbone).state_dict().items()}, paths[backbone])  # type: ignore[arg-type]
        assert architecture_of(paths[backbone]) == f"retinaface-{backbone}"
        assert isinstance(load_detector(f"retinaface-{backbone}", path=paths[backbone]), RetinaFaceDetector)
    with pytest.raises(CheckpointError, match=r"holds retinaface-mobilenet0\.25, but the detector retinaface-resnet50"):
        load_detector("retinaface-resnet50", path=paths["mobilenet0.25"])
    other = tmp_path / "other.pth"
    torch.save({"conv.weight": torch.zeros(3)}, other)
    with pytest.raises(CheckpointError, match="an unknown network, not a face detector"):
        architecture_of(other)


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("retinaface", {}, "retinaface-resnet50, retinaface-mobilenet0.25, mtcnn, cascade"),
        ("retinaface-resnet50", {}, "needs its checkpoint"),
        ("cascade", {"path": Path("x.pth")}, "x.pth"),
        ("cascade", {"threshold": 1.0}, "threshold of 1"),
        ("cascade", {"detect_size": -3}, "-3 px"),
    ],
)
def test_settings_that_cannot_be_are_refused(name: str, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(GfpupError, match=says):
        load_detector(name, **settings)


def test_the_cascade_finds_the_astronaut_and_lays_the_mean_face_on_her() -> None:
    photo = skimage.data.astronaut()
    found = load_detector("cascade").detect(photo)
    assert len(found) == 1 and found[0].score == cascade.CASCADE_SCORE
    # Eyes, nose and mouth corners read off the picture (her head leans a little, the mean face does not).
    expected = np.array([[207, 105], [243, 106], [227, 129], [206, 142], [243, 143]])
    assert np.linalg.norm(found[0].landmarks_xy - expected, axis=1).max() < 15


def test_the_cascade_maps_back_from_a_reduced_photo() -> None:
    photo = skimage.data.astronaut()
    large = cv2.resize(photo, None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST)
    small = CascadeDetector(detect_size=512).detect(photo)
    found = CascadeDetector(detect_size=512).detect(large)
    assert len(small) >= 1
    for mine, theirs in zip(found, small, strict=True):
        np.testing.assert_allclose(mine.landmarks_xy, (theirs.landmarks_xy + 0.5) * 3 - 0.5, atol=1e-6)


def test_the_cascade_leaves_out_what_is_less_than_half_as_wide_as_the_largest_face() -> None:
    photo = skimage.data.astronaut()[40:200, 130:330]

    def beside(factor: float) -> np.ndarray:
        canvas = np.full((360, 700, 3), 128, np.uint8)
        large = cv2.resize(photo, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        small = cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        canvas[: large.shape[0], : large.shape[1]] = large
        canvas[20 : 20 + small.shape[0], 450 : 450 + small.shape[1]] = small
        return canvas

    def sides(pixels: np.ndarray) -> list[float]:
        return [face.box_xyxy[2] - face.box_xyxy[0] for face in CascadeDetector().detect(pixels)]

    near, far = sides(beside(1.2)), sides(beside(0.7))
    assert len(near) == 2 and near[1] > 0.5 * near[0]
    assert len(far) == 1 and far[0] > 150


def test_the_cascade_finds_no_face_where_there_is_none() -> None:
    for photo in (np.zeros((300, 400, 3), np.uint8), np.repeat(skimage.data.brick()[..., None], 3, axis=2)):
        assert CascadeDetector().detect(photo) == []


def test_the_cascade_finds_eleven_of_the_twelve_shared_faces(shared: Path, official: dict[str, Any]) -> None:
    """The twelfth looks down, turned by a quarter; nothing else is taken for a face."""
    cascade, total = CascadeDetector(), 0
    for name, expected in official.items():
        found = cascade.detect(read(shared, name))
        total += len(found)
        for face in found:
            eyes = np.linalg.norm(np.subtract(*face.landmarks_xy[:2]))
            assert min(nearest([face], e["landmarks_xy"])[0] for e in expected) < 0.8 * eyes, name
    assert total == 11


def test_windows_on_one_face_become_their_mean_and_small_ones_have_no_say() -> None:
    windows = np.array(
        [[0, 0, 100, 100], [10, 10, 110, 110], [40, 40, 60, 60], [300, 0, 350, 50], [101, 0, 180, 80]], np.float64
    )
    merged = cascade.merge_windows(windows)
    np.testing.assert_allclose(merged, [[5, 5, 105, 105], [101, 0, 180, 80], [300, 0, 350, 50]])
    assert cascade.merge_windows(np.zeros((0, 4))).shape == (0, 4)


def test_the_mean_face_in_a_window_is_upright_and_scales_with_it() -> None:
    one, two = (cascade.landmarks_in_window(np.array(box, np.float64)) for box in ([0, 0, 50, 50], [10, 20, 110, 120]))
    np.testing.assert_allclose(two, 2 * one + [10, 20])
    affine = fit_similarity(one)
    assert affine is not None and abs(affine[1, 0]) < 1e-5 and affine[0, 0] == pytest.approx(512 / (50 * 1.6))


def test_a_box_is_part_of_a_larger_face_from_nine_tenths_inside_it() -> None:
    face = [0.0, 0.0, 100.0, 100.0]
    for inside, kept in ((0.55, [0, 1]), (0.85, [0, 1]), (0.95, [0]), (1.0, [0])):
        assert drop_contained(np.array([face, [100 - 40 * inside, 20, 140 - 40 * inside, 60]])) == kept, inside


def test_the_smallest_detection_size_is_32_and_0_is_the_photos_own() -> None:
    for size in (0, 32):
        load_detector("cascade", detect_size=size)
    with pytest.raises(GfpupError, match="a detection size of 31 px shows no face: give 32 or more, or 0"):
        load_detector("cascade", detect_size=31)
