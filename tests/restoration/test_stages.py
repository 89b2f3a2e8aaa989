"""Shared stages: with the cache, from the cache and without it, the same faces, crops, backgrounds and photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gfpup.core.plan import FaceChoice
from gfpup.core.types import AlignedCrop, Face, Metadata, Photo, RestoredPhoto
from gfpup.evaluation.metrics import cost
from gfpup.ops.geometry import TEMPLATE_512_XY
from gfpup.ops.resize import resize
from gfpup.restoration.align import align_faces
from gfpup.restoration.external import WholePhotoRestorer
from gfpup.restoration.restorer import Restorer
from gfpup.restoration.shared_stages import SharedStages
from gfpup.restoration.stage_cache import StageCache

RNG = np.random.default_rng(7)
PICTURE = RNG.integers(0, 256, (220, 300, 3), np.uint8)


def face(x: float, y: float, size: float) -> Face:
    return Face((x, y, x + 512 * size, y + 512 * size), 0.9 + x / 1e4, TEMPLATE_512_XY * size + np.array([x, y]) / 3)


FACES = [face(30.1, 20.7, 1 / 3), face(150.3, 60.9, 0.2), Face((0, 0, 9, 9), 0.98, np.zeros((5, 2)))]


class Finder:
    """Finds the same faces, and counts how often it is asked."""

    def __init__(self, faces: list[Face]) -> None:
        self.faces = faces
        self.times = 0

    def detect(self, rgb: np.ndarray) -> list[Face]:
        self.times += 1
        return list(self.faces)


class Dim:
    """Halves a face."""

    def restore(self, crops: torch.Tensor) -> torch.Tensor:
        return crops / 2


class Enlarger:
    """Enlarges by repeating, as no built-in does, and counts."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, pixels: np.ndarray, to_hw: tuple[int, int]) -> np.ndarray:
        self.times += 1
        return pixels.repeat(to_hw[0] // pixels.shape[0], axis=0).repeat(to_hw[1] // pixels.shape[1], axis=1)


def stages(folder: Path, **detect: object) -> SharedStages:
    return SharedStages(StageCache(folder, limit_bytes=10**9), {"detect": detect, "background": {"name": "none"}})


def same_face(a: Face, b: Face) -> None:
    assert (a.box_xyxy, a.score) == (b.box_xyxy, b.score)
    assert a.landmarks_xy.dtype == np.float64 and a.landmarks_xy.tobytes() == b.landmarks_xy.tobytes()


@pytest.mark.parametrize("faces", [FACES, FACES[::-1], []], ids=["faces", "their order", "none"])
def test_faces_and_crops_are_those_that_computing_gives(tmp_path: Path, faces: list[Face]) -> None:
    finder = Finder(faces)
    expected = align_faces(PICTURE, faces)
    for _ in range(3):
        shared = stages(tmp_path)
        found = shared.detector(finder).detect(PICTURE)
        assert len(found) == len(faces)
        for one, other in zip(found, faces, strict=True):
            same_face(one, other)
        for crop, wanted in zip(shared.align(PICTURE, found, 512), expected, strict=True):
            assert type(crop) is type(wanted)
            if isinstance(crop, AlignedCrop) and isinstance(wanted, AlignedCrop):
                same_face(crop.face, wanted.face)
                np.testing.assert_array_equal(crop.pixels, wanted.pixels)
                np.testing.assert_array_equal(crop.affine, wanted.affine)
            else:
                assert crop == wanted
    assert finder.times == 1


def test_another_photo_or_setting_is_another_detection(tmp_path: Path) -> None:
    finder = Finder(FACES)
    other = PICTURE.copy()
    other[-1, -1, -1] ^= 1
    for settings, picture in (({}, PICTURE), ({}, other), ({"weights": "a"}, PICTURE), ({"weights": "b"}, PICTURE)):
        stages(tmp_path, **settings).detector(finder).detect(picture)
    assert finder.times == 4
    shared = stages(tmp_path)
    crops = [shared.align(picture, FACES[:1], 512)[0] for picture in (PICTURE, other, PICTURE[:, ::-1])]
    for crop, picture in zip(crops, (PICTURE, other, PICTURE[:, ::-1]), strict=True):
        assert isinstance(crop, AlignedCrop)
        np.testing.assert_array_equal(crop.pixels, align_faces(picture, FACES[:1])[0].pixels)  # type: ignore[union-attr]


def test_a_buffer_that_is_filled_anew_is_another_photo(tmp_path: Path) -> None:
    shared, finder = stages(tmp_path), Finder(FACES[:1])
    frame = PICTURE.copy()
    for _ in range(2):
        found = shared.detector(finder).detect(frame)
        (crop,) = shared.align(frame, found, 512)
        np.testing.assert_array_equal(crop.pixels, align_faces(frame, found)[0].pixels)  # type: ignore[union-attr]
        frame[:] = 255 - frame
    assert finder.times == 2


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_background_is_enlarged_once_and_is_the_callers_own(tmp_path: Path, dtype: type) -> None:
    pixels = PICTURE.astype(dtype)
    enlarge = Enlarger()
    for _ in range(3):
        found = stages(tmp_path).upsampler(enlarge)(pixels, (440, 600))
        np.testing.assert_array_equal(found, Enlarger()(pixels, (440, 600)))
        assert found.dtype == dtype
        found[:] = 0
    stages(tmp_path).upsampler(enlarge)(pixels, (660, 900))
    assert enlarge.times == 2


def test_a_copy_is_not_kept(tmp_path: Path) -> None:
    same = stages(tmp_path).upsampler(resize)(PICTURE, (220, 300))
    np.testing.assert_array_equal(same, PICTURE)
    assert same is not PICTURE
    assert not (tmp_path / "background").exists()


def photo(dtype: type = np.uint8) -> Photo:
    alpha = RNG.integers(0, 256, (220, 300), np.uint8) if dtype == np.uint8 else None
    pixels = PICTURE if dtype == np.uint8 else PICTURE.astype(np.uint16) * 257
    return Photo(Path("p.png"), pixels, Metadata("PNG"), alpha)


def equal(one: RestoredPhoto, other: RestoredPhoto) -> None:
    np.testing.assert_array_equal(one.pixels, other.pixels)
    np.testing.assert_array_equal(one.alpha, other.alpha)
    assert [(face.restored, face.failed, face.reason) for face in one.faces] == [
        (face.restored, face.failed, face.reason) for face in other.faces
    ]
    for a, b in zip(one.faces, other.faces, strict=True):
        same_face(a.face, b.face)
        np.testing.assert_array_equal(a.output, b.output)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_photo_has_the_same_bytes_with_the_cache_and_says_what_it_reused(tmp_path: Path, dtype: type) -> None:
    given = photo(dtype)
    choice = FaceChoice(min_px=20)
    plain = Restorer(Dim(), Finder(FACES), choice=choice, upsample=Enlarger())([given])[0]
    assert plain.reused == {}
    finder, enlarge = Finder(FACES), Enlarger()
    results = []
    for _ in range(2):
        shared = stages(tmp_path)
        restore = Restorer(
            Dim(), shared.detector(finder), choice=choice, align=shared.align, upsample=shared.upsampler(enlarge)
        )
        results.append(restore([given])[0])
        equal(results[-1], plain)
    assert (finder.times, enlarge.times) == (1, 1)
    computed, read = results
    assert computed.reused == {}
    assert set(read.reused) == {"detect", "align", "background"}
    assert set(read.seconds) == set(computed.seconds)
    for stage, seconds in read.reused.items():
        assert seconds <= computed.seconds[stage]
    whole = cost.unshared(read.seconds, read.reused)
    assert whole == {**read.seconds, **read.reused}


def test_photos_of_one_batch_keep_what_they_reused_apart(tmp_path: Path) -> None:
    shared = stages(tmp_path)
    shared.detector(Finder([])).detect(PICTURE)
    other = Photo(Path("q.png"), PICTURE[::-1].copy(), Metadata("PNG"))
    known, new = Restorer(Dim(), shared.detector(Finder([])), align=shared.align)([photo(), other])
    assert (set(known.reused), set(new.reused)) == ({"detect"}, set())


def test_whole_photos_share_faces_and_crops(tmp_path: Path) -> None:
    class Same:
        def photo(self, photo: Photo) -> Photo:
            return photo

    finder = Finder(FACES)
    plain = WholePhotoRestorer(Same(), Finder(FACES), FaceChoice())([photo()])[0]
    for expected in (set(), {"detect", "align"}):
        shared = stages(tmp_path)
        found = WholePhotoRestorer(Same(), shared.detector(finder), FaceChoice(), shared.align)([photo()])[0]
        assert set(found.reused) == expected
        for a, b in zip(found.faces, plain.faces, strict=True):
            np.testing.assert_array_equal(a.output, b.output)
    assert finder.times == 1


def test_a_folder_that_cannot_be_written_is_a_warning_of_one_photo(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    shared = stages(tmp_path / "file")
    restore = Restorer(Dim(), shared.detector(Finder(FACES[:1])), align=shared.align, upsample=shared.upsampler(resize))
    first, second = restore([photo()])[0], restore([photo()])[0]
    plain = Restorer(Dim(), Finder(FACES[:1]))([photo()])[0]
    np.testing.assert_array_equal(first.pixels, plain.pixels)
    assert ["cannot be written" in warning for warning in first.warnings] == [True]
    assert second.warnings == ()
