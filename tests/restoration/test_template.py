"""Methods with their own template, and the smoothing of small faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gfpup.core.types import Face, Metadata, Photo, UInt8
from gfpup.evaluation.scorer import affines_of
from gfpup.ops import geometry
from gfpup.ops.geometry import TEMPLATE_512_XY, TEMPLATES
from gfpup.ops.smooth import smoothed
from gfpup.restoration.align import align_face, align_faces
from gfpup.restoration.restorer import Restorer
from gfpup.restoration.shared_stages import SharedStages
from gfpup.restoration.stage_cache import StageCache


class Checkered:
    """Returns a checkerboard for every crop, which smoothing turns grey; `template` and `below_px` are the method's."""

    crop_px = 64

    def __init__(self, *, template: str = "gpen", below_px: float = 0.0) -> None:
        self.template_xy = TEMPLATES[template]
        self.smooth_below_px = below_px

    def restore(self, crops: torch.Tensor) -> torch.Tensor:
        row = torch.arange(crops.shape[-1])
        return ((row[:, None] + row) % 2).float().expand(crops.shape).clone()


class Finder:
    def __init__(self, face: Face) -> None:
        self.face = face

    def detect(self, rgb: UInt8) -> list[Face]:
        return [self.face]


def face(side_px: float = 120.0) -> Face:
    """A face whose box has this side, in a photo of 300 px, a little tilted."""
    turn = np.array([[0.3, -0.04], [0.04, 0.3]])
    return Face((80.0, 70.0, 80.0 + side_px, 80.0 + side_px), 1.0, TEMPLATE_512_XY @ turn.T + (60.0, 40.0))


def photo() -> Photo:
    rgb = np.random.default_rng(3).integers(0, 256, (300, 300, 3), np.uint8)
    return Photo(Path("p.png"), rgb, Metadata("PNG"))


@pytest.mark.parametrize("side_px", [512, 1024])
def test_landmarks_lie_where_the_template_says(side_px: int) -> None:
    crop = align_face(photo().rgb8, face(), side_px, template_xy=TEMPLATES["gpen"])
    affine = geometry.of_another_side(crop.affine, side_px)
    # The five points of one template are no similar figure of the other's: the fit leaves a few pixels.
    assert np.abs(geometry.apply(affine, face().landmarks_xy) - TEMPLATES["gpen"]).max() < 12
    usual = align_face(photo().rgb8, face(), side_px)
    assert usual.standard is None and crop.standard is not None
    np.testing.assert_array_equal(crop.standard, geometry.of_another_side(usual.affine, side_px))
    np.testing.assert_array_equal(geometry.to_standard_crop(usual), geometry.to_standard_crop(crop))


def test_metrics_look_at_the_same_square_whatever_the_template() -> None:
    found = [affines_of(Restorer(Checkered(template=name), Finder(face()), upscale=1)([photo()])[0])[0] for name in TEMPLATES]
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


def test_the_restorer_takes_the_methods_template() -> None:
    cut = [Restorer(Checkered(template=name), Finder(face()), upscale=1)([photo()])[0].faces[0].crop for name in TEMPLATES]
    scales = [geometry.scale_of(crop.affine) for crop in cut if crop is not None]
    assert scales[1] / scales[0] == pytest.approx(0.89, abs=0.03)


def test_the_shared_stage_tells_templates_apart(tmp_path: Path) -> None:
    stages = SharedStages(StageCache(tmp_path, limit_bytes=10**9, warn=print), {})
    rgb = photo().rgb8
    for template_xy in (TEMPLATES["ffhq"], TEMPLATES["gpen"]) * 2:
        (crop,), (known,) = (align(rgb, [face()], 64, template_xy=template_xy) for align in (align_faces, stages.align))
        assert not isinstance(crop, str) and not isinstance(known, str)
        np.testing.assert_array_equal(known.pixels, crop.pixels)
        np.testing.assert_array_equal(known.affine, crop.affine)
        assert (known.standard is None) == (crop.standard is None)


@pytest.mark.parametrize(("side_px", "below_px", "flat"), [(90.0, 100.0, True), (130.0, 100.0, False), (90.0, 0.0, False)])
def test_only_small_faces_are_smoothed(side_px: float, below_px: float, flat: bool) -> None:
    restore = Restorer(Checkered(below_px=below_px), Finder(face(side_px)), upscale=1)
    (result,) = restore([photo()])[0].faces
    assert result.output is not None
    assert (np.ptp(result.output[2:-2, 2:-2]) <= 1) == flat


def test_an_aligned_face_is_not_smoothed() -> None:
    (result,) = Restorer(Checkered(below_px=1000.0), None)([photo()])[0].faces
    assert result.output is not None and np.ptp(result.output) == 255


def test_smoothing_keeps_what_is_flat_and_the_mean() -> None:
    flat = np.full((8, 8, 3), 7.5, np.float32)
    np.testing.assert_array_equal(smoothed(flat), flat)
    point = np.zeros((9, 9, 3), np.float32)
    point[4, 4] = 16
    assert smoothed(point)[3:6, 3:6, 0].tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
