"""The filters as numbers, against what OpenCV and Pillow compute."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from gfpup.ops.lanczos import FRACTIONS, TAPS, reducing_matrix, sampling_table


def test_a_sample_at_a_pixel_is_that_pixel() -> None:
    np.testing.assert_allclose(sampling_table()[0], np.eye(TAPS)[TAPS // 2 - 1], atol=1e-7)
    np.testing.assert_allclose(sampling_table().sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("fraction", [1, 8, 16, 31])
def test_a_row_samples_as_opencv_does(fraction: int) -> None:
    line = np.random.default_rng(fraction).random((1, 40)).astype(np.float32)
    moved = np.array([[1.0, 0, -fraction / FRACTIONS], [0, 1, 0]])
    theirs = cv2.warpAffine(line, moved, (40, 1), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE)
    mine = np.convolve(line[0], sampling_table()[fraction][::-1], mode="valid")
    np.testing.assert_allclose(mine, theirs[0, TAPS // 2 - 1 : -(TAPS // 2)], atol=1e-5)


@pytest.mark.parametrize(("size", "to_size"), [(512, 100), (64, 63), (33, 8), (10, 10), (7, 1)])
def test_the_matrix_reduces_as_pillow_does(size: int, to_size: int) -> None:
    picture = np.random.default_rng(size).random((size, size)).astype(np.float32)
    theirs = np.asarray(Image.fromarray(picture).resize((to_size, to_size), Image.Resampling.LANCZOS))
    matrix = reducing_matrix(size, to_size)
    np.testing.assert_allclose(matrix @ picture @ matrix.T, theirs, atol=2e-6)
