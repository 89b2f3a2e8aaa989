"""Arrays to a device and back."""

from __future__ import annotations

import numpy as np
import pytest

from gfpup.core.transfer import download, upload


def test_on_a_cpu_the_memory_is_shared() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    tensor = upload(array, "cpu")
    array[0, 0] = 7
    assert tensor[0, 0] == 7 and np.shares_memory(download(tensor), array)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int32])
def test_what_goes_to_a_gpu_comes_back(dtype: type) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    tensor = upload(array, "cuda")
    assert tensor.is_cuda
    np.testing.assert_array_equal(download(tensor), array)
    np.testing.assert_array_equal(download(tensor.permute(2, 0, 1)), array.transpose(2, 0, 1))
