"""The paste on a device against the CPU's own: the same faces, within a level."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from gfpup.core.types import Float64
from gfpup.ops import geometry
from gfpup.ops.feather import feather_mask
from gfpup.restoration.paste import Patch, paste_faces
from gfpup.restoration.paste_on_device import paste_faces_on

SIDE = 128
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def similarity(scale: float, degrees: float, x: float, y: float) -> Float64:
    c, s = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    return np.array([[c, -s, x], [s, c, y]])


def patch(seed: int, affine: Float64) -> Patch:
    coarse = np.random.default_rng(seed).integers(20, 230, (12, 12, 3)).astype(np.float32)
    return Patch(np.clip(cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), 0, 255), feather_mask(SIDE), affine)


PLACES = {
    "turned": [similarity(0.9, 10, 60, 20)],
    "reduced": [similarity(0.3, -25, 90, 80)],
    "enlarged, over the edge": [similarity(1.7, 3, -60, -40)],
    "overlapping": [similarity(0.8, 5, 20, 20), similarity(0.7, -8, 80, 50), similarity(0.4, 0, 60, 100)],
    "apart": [similarity(0.4, 0, 5, 5), similarity(0.4, 0, 150, 100)],
    "outside": [similarity(1.0, 0, 500, 500)],
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("places", PLACES.values(), ids=PLACES.keys())
def test_both_pastes_give_one_photo(places: Sequence[Float64], dtype: type, device: str) -> None:
    top = int(np.iinfo(dtype).max)
    canvas = np.random.default_rng(5).integers(0, top, (180, 220, 3)).astype(dtype)
    expected, found = canvas.copy(), canvas.copy()
    patches = [patch(seed, affine) for seed, affine in enumerate(places)]
    paste_faces(expected, patches)
    paste_faces_on(device, found, patches)
    apart = np.abs(found.astype(int) - expected.astype(int))
    # A level; two where masks overlap, as a share of a pixel divides by what others leave of it.
    assert apart.max() <= (2 if len(places) > 2 else 1) * top // 255
    assert (apart > top // 510).mean() < 0.02
    outside = np.ones(canvas.shape[:2], bool)
    for x0, y0, x1, y1 in filter(None, (geometry.touched_rectangle(a, (SIDE, SIDE), outside.shape) for a in places)):
        outside[y0:y1, x0:x1] = False
    np.testing.assert_array_equal(found[outside], canvas[outside])
