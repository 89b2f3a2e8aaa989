"""Both ArcFace networks against the official embeddings, and what each is fed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from golden import Golden, fill_randomly
from torch import nn

from gfpup.models.nets.arcface import ArcFaceIRSE50, ArcFaceResNet18, SqueezeUnit, grey_128, rgb_112

PLAIN_TOLERANCE = 2e-5
NETWORKS = [
    pytest.param(ArcFaceResNet18, (1, 128, 128), 25_627_081, id="r18"),
    pytest.param(ArcFaceIRSE50, (3, 112, 112), 43_797_696, id="ir_se50"),
]


def crop(size: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


@torch.inference_mode()
def test_resnet18_meets_the_official_embedding(shared: Path) -> None:
    golden = Golden.load(shared, "arcface_r18")
    with torch.device("meta"):
        network = ArcFaceResNet18()
    golden.load_into(network)
    golden.check_output(network(grey_128(golden.rgb8)), PLAIN_TOLERANCE, key="embedding")


@torch.inference_mode()
def test_ir_se50_meets_the_official_embedding(shared: Path) -> None:
    golden = Golden.load(shared, "arcface_ir_se50")
    with torch.device("meta"):
        network = ArcFaceIRSE50()
    golden.load_into(network)
    golden.check_output(network(rgb_112(golden.rgb8)), PLAIN_TOLERANCE, key="embedding")


@pytest.mark.parametrize(("make", "shape", "count"), NETWORKS)
def test_builds_on_the_meta_device_with_the_official_count(
    make: type[nn.Module], shape: tuple[int, int, int], count: int
) -> None:
    with torch.device("meta"):
        network = make().eval()
        out = network(torch.empty(3, *shape))
    assert out.shape == (3, 512) and out.is_meta
    assert sum(parameter.numel() for parameter in network.parameters()) == count


@pytest.mark.parametrize(("make", "shape", "count"), NETWORKS)
@torch.inference_mode()
def test_each_row_depends_on_its_own_face(make: type[nn.Module], shape: tuple[int, int, int], count: int) -> None:
    with torch.device("meta"):
        network = make()
    fill_randomly(network, seed=17).double()
    pair = torch.randn(2, *shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    together = network(pair)
    torch.testing.assert_close(together[1:], network(pair[1:]), rtol=1e-9, atol=1e-9)
    lengths = torch.linalg.vector_norm(together, dim=1)
    is_normalised = torch.allclose(lengths, torch.ones_like(lengths))
    assert is_normalised == (make is ArcFaceIRSE50)


def test_grey_follows_rec_601_in_whole_numbers() -> None:
    rgb = crop(128, seed=4)
    grey = grey_128(rgb)
    assert grey.shape == (1, 1, 128, 128) and grey.dtype == torch.float32
    levels = (grey[0, 0].numpy().astype(np.float64) + 1) * 127.5
    np.testing.assert_allclose(levels, levels.round(), atol=1e-4)
    np.testing.assert_allclose(levels, rgb @ np.array([0.299, 0.587, 0.114]), atol=0.51)


def test_a_crop_of_112_pixels_passes_unchanged() -> None:
    rgb = crop(112, seed=5)
    x = rgb_112(rgb)
    assert x.shape == (1, 3, 112, 112) and x.dtype == torch.float32
    np.testing.assert_allclose((x[0].permute(1, 2, 0).numpy() + 1) * 127.5, rgb, atol=1e-4)


@pytest.mark.parametrize("prepare", [grey_128, rgb_112])
def test_black_is_minus_one_and_white_is_one(prepare: object) -> None:
    assert callable(prepare)
    assert prepare(np.zeros((512, 512, 3), np.uint8)).eq(-1).all()
    assert prepare(np.full((512, 512, 3), 255, np.uint8)).eq(1).all()


@torch.inference_mode()
def test_a_shortcut_without_convolution_is_the_official_pool() -> None:
    unit = fill_randomly(SqueezeUnit(16, 16, stride=2), seed=3)
    x = torch.randn(2, 16, 9, 8, generator=torch.Generator().manual_seed(1))
    assert torch.equal(unit(x) - unit.res_layer(x), (unit.res_layer(x) + F.max_pool2d(x, 1, 2)) - unit.res_layer(x))
