"""The ramp at a crop's edge is 0 outside, 1 inside, symmetric, and as wide at every size."""

from __future__ import annotations

import numpy as np
import pytest

from gfpup.ops.feather import FEATHER_PX, feather_mask


def test_the_ramp_is_smooth_and_symmetric() -> None:
    mask = feather_mask()
    assert mask.shape == (512, 512) and mask.dtype == np.float32 and not mask.flags.writeable
    assert np.array_equal(mask, mask.T) and np.array_equal(mask, mask[::-1, ::-1])
    edge = mask[256, : FEATHER_PX + 2]
    assert edge[0] == 0 and (edge[-2:] == 1).all() and edge[FEATHER_PX - 1] < 1 and (np.diff(edge) >= 0).all()
    # Smoothstep: a third of the way in, 7/27 of the weight.
    assert edge[17] == pytest.approx(7 / 27) and edge[34] == pytest.approx(20 / 27)
    assert mask[17, 34] == pytest.approx(7 / 27 * 20 / 27)


@pytest.mark.parametrize("side", [64, 256, 1024])
def test_the_ramp_has_the_same_share_of_every_size(side: int) -> None:
    mask = feather_mask(side)
    width = FEATHER_PX * side / 512
    assert mask.shape == (side, side) and (mask[side // 2, int(np.ceil(width)) : side // 2] == 1).all()
    assert 0 < mask[side // 2, int(width)] < 1 or width == int(width)
    assert mask[side // 2, 1] == pytest.approx(3 / width**2 - 2 / width**3, rel=1e-5)
