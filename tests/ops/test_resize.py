"""Sizes of results, and resizing that keeps values, dtypes and outer edges."""

from __future__ import annotations

import numpy as np
import pytest

from gfpup.ops.resize import output_size, resize


def test_sizes_are_rounded_and_never_empty() -> None:
    assert output_size((101, 33), 2) == (202, 66)
    assert output_size((101, 33), 0.5) == (50, 16)
    assert output_size((3, 1), 0.1) == (1, 1)
    assert output_size((7, 10), 1.5) == (10, 15)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_equal_sizes_copy_and_flat_pictures_stay_flat(dtype: type) -> None:
    picture = np.random.default_rng(1).integers(0, 255, (8, 6, 3)).astype(dtype)
    same = resize(picture, (8, 6))
    assert np.array_equal(same, picture) and same is not picture and not np.shares_memory(same, picture)
    flat = np.full((8, 6), 77, dtype)
    for size in ((16, 12), (4, 3), (4, 12), (9, 5)):
        made = resize(flat, size)
        assert made.shape == size and made.dtype == dtype and (made == 77).all()


def test_what_shrinks_either_way_is_averaged_and_what_grows_is_sharp() -> None:
    checked = np.indices((16, 16)).sum(axis=0).astype(np.uint8) % 2 * 200
    for size in ((8, 8), (8, 16), (16, 8)):
        assert (resize(checked, size) == 100).all()
    step = np.repeat(np.array([0, 200], np.uint8), 8)[None].repeat(16, axis=0)
    grown = resize(step, (32, 32))
    assert grown.max() > 200, "Lanczos overshoots at an edge"
    assert grown[:, :14].max() < 20 and grown[:, 18:].min() > 180
