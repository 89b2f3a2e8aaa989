"""PSNR and SSIM are scikit-image's; LPIPS, DISTS and MS-SSIM are torchmetrics' and agree with pyiqa's."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from gfpup.core.errors import GfpupError
from gfpup.core.torchvision_shim import cure
from gfpup.core.types import UInt8
from gfpup.evaluation import metrics
from gfpup.evaluation.metrics import MetricError
from gfpup.evaluation.metrics.base import NETWORK_PIXELS
from gfpup.evaluation.metrics.full_reference import PSNR, SSIM, MultiScaleSSIM, psnr, ssim

WANG = {"channel_axis": 2, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
needs_torchvision = pytest.mark.skipif(find_spec("torchvision") is None, reason="torchvision is not installed")
needs_pyiqa = pytest.mark.skipif(find_spec("pyiqa") is None, reason="pyiqa is not installed")


def picture(height: int, width: int, seed: int) -> UInt8:
    """Smooth shapes with a little grain: closer to a photo than noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 40.0
    waves = [np.sin(rng.uniform(0.2, 2) * x + rng.uniform(0.2, 2) * y + rng.uniform(0, 6)) for _ in range(6)]
    base = np.stack([sum(waves[i : i + 4]) for i in range(3)], axis=2) * 28 + 128
    return np.clip(base + rng.normal(0, 6, base.shape), 0, 255).astype(np.uint8)


def damaged(rgb: UInt8, seed: int, sigma: float = 25.0) -> UInt8:
    noise = np.random.default_rng(seed).normal(0, sigma, rgb.shape)
    return np.clip(rgb.astype(float) * 0.9 + 10 + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [(512, 512), (300, 517), (11, 11), (12, 700), (1037, 64)])
@pytest.mark.parametrize("seed", [3, 41])
def test_psnr_and_ssim_equal_scikit_image(height: int, width: int, seed: int) -> None:
    reference = picture(height, width, seed)
    restored = damaged(reference, seed + 1)
    assert psnr(restored, reference) == pytest.approx(peak_signal_noise_ratio(reference, restored), rel=1e-12)
    assert ssim(restored, reference) == pytest.approx(structural_similarity(reference, restored, **WANG), abs=1e-12)


def test_equal_pictures_and_opposite_ones() -> None:
    rgb = picture(64, 64, 9)
    assert psnr(rgb, rgb) == math.inf and ssim(rgb, rgb) == pytest.approx(1.0, abs=1e-12)
    black, white = np.zeros((32, 32, 3), np.uint8), np.full((32, 32, 3), 255, np.uint8)
    assert psnr(black, white) == 0.0 and ssim(black, white) == pytest.approx(6.5025 / (255**2 + 6.5025))


def test_what_cannot_be_compared_is_missing_or_a_bug() -> None:
    small = np.zeros((10, 40, 3), np.uint8)
    assert "11 pixels" in str(SSIM().score(small, small).missing_reason)
    assert PSNR().score(small, None).missing_reason == "there is no picture to compare with"
    with pytest.raises(ValueError, match="one size"):
        psnr(small, np.zeros((10, 41, 3), np.uint8))
    with pytest.raises(ValueError, match="11 pixels"):
        ssim(small, small)


def test_scores_carry_their_direction() -> None:
    rgb = picture(40, 40, 1)
    score = PSNR.load({}).score(damaged(rgb, 2), rgb)
    assert score.metric == "psnr" and score.higher_is_better and score.value is not None and 10 < score.value < 30


def test_ms_ssim_is_torchmetrics_and_says_where_it_has_no_value() -> None:
    metric = MultiScaleSSIM.load({})
    rgb = picture(200, 180, 5)
    from torchmetrics.image import MultiScaleStructuralSimilarityIndexMeasure

    as_tensor = [torch.from_numpy(p.transpose(2, 0, 1).copy())[None].double() / 255 for p in (damaged(rgb, 6), rgb)]
    expected = float(MultiScaleStructuralSimilarityIndexMeasure(data_range=1.0).double()(*as_tensor))
    score = metric.score(damaged(rgb, 6), rgb)
    assert score.value == pytest.approx(expected, abs=2e-6)
    assert "176 pixels" in str(metric.score(rgb[:175], rgb[:175]).missing_reason)
    assert metric.score(rgb[:176, :176], rgb[:176, :176]).value == pytest.approx(1.0, abs=1e-6)


@pytest.fixture(scope="module")
def backbones(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """torchvision's classifiers, deterministically filled, as files of the published form."""
    if find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    cure()
    import torchvision

    folder = tmp_path_factory.mktemp("backbones")
    files = {}
    for seed, name in enumerate(("alexnet", "vgg16")):
        generator = torch.Generator().manual_seed(100 + seed)
        features = getattr(torchvision.models, name)(weights=None).features
        state = {}
        for key, value in features.state_dict().items():
            fan = value[0].numel() if value.ndim == 4 else 400.0
            state[f"features.{key}"] = torch.randn(value.shape, generator=generator) * (2 / fan) ** 0.5
        files[name] = folder / f"{name}.pth"
        torch.save(state, files[name])
    return files


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a metric tried to reach the network")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", ["lpips", "lpips_vgg", "dists"])
def test_networks_load_from_files_and_never_from_the_network(name: str, backbones: dict[str, Path]) -> None:
    metric = metrics.load(name, backbones)
    rgb = picture(64, 80, 8)
    same, near, far = (metric.score(other, rgb).value for other in (rgb, damaged(rgb, 1, 3.0), damaged(rgb, 1, 60.0)))
    assert same is not None and near is not None and far is not None
    assert abs(same) < 1e-5 and same < near < far
    assert metric.score(damaged(rgb, 1, 3.0), rgb).value == near
    large = np.zeros((1, NETWORK_PIXELS // 32 + 1, 3), np.uint8).repeat(32, axis=0)
    assert "million" in str(metric.score(large, large).missing_reason)
    assert "32 pixels" in str(metric.score(rgb[:31], rgb[:31]).missing_reason)


@pytest.mark.usefixtures("no_network")
@needs_torchvision
def test_another_file_is_refused_at_once(backbones: dict[str, Path], tmp_path: Path) -> None:
    began = time.perf_counter()
    with pytest.raises(MetricError, match="does not hold the backbone"):
        metrics.load("lpips", {"alexnet": backbones["vgg16"]})
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(MetricError, match="does not hold the backbone"):
        metrics.load("dists", {"vgg16": tmp_path / "other.pth"})
    with pytest.raises(GfpupError, match="no checkpoint at"):
        metrics.load("lpips_vgg", {"vgg16": tmp_path / "absent.pth"})
    assert time.perf_counter() - began < 30


def tensor(rgb: UInt8) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))[None].float() / 255


@needs_torchvision
@needs_pyiqa
@pytest.mark.parametrize("name", ["lpips", "lpips_vgg", "dists"])
def test_torchmetrics_and_pyiqa_agree_on_the_same_backbone(name: str, backbones: dict[str, Path]) -> None:
    cure()
    import torchmetrics.functional.image as functional
    import torchvision.models as models
    from pyiqa.archs.dists_arch import DISTS
    from pyiqa.archs.lpips_arch import LPIPS

    def filled(architecture: str) -> Any:
        empty = getattr(models, architecture)

        def make(**_: Any) -> torch.nn.Module:
            network = empty(weights=None)
            network.load_state_dict(torch.load(backbones[architecture]), strict=False)
            return network

        return make

    folder = Path(functional.__file__).parent
    with patch.object(models, "alexnet", filled("alexnet")), patch.object(models, "vgg16", filled("vgg16")):
        if name == "dists":
            other = DISTS(pretrained=False)
            heads = torch.load(folder / "dists_models" / "weights.pt", map_location="cpu")
        else:
            net = "alex" if name == "lpips" else "vgg"
            other = LPIPS(net=net, pretrained=False)
            heads = torch.load(folder / "lpips_models" / f"{net}.pth", map_location="cpu")
        other.load_state_dict(heads, strict=False)
    rgb = picture(96, 128, 20)
    for seed, sigma in ((1, 8.0), (2, 40.0)):
        restored = damaged(rgb, seed, sigma)
        with torch.no_grad():
            expected = float(other.eval()(tensor(restored), tensor(rgb)))
        assert metrics.load(name, backbones).score(restored, rgb).value == pytest.approx(expected, rel=1e-5, abs=1e-6)


@needs_torchvision
@needs_pyiqa
def test_the_others_agree_with_pyiqa_within_the_published_tolerance() -> None:
    cure()
    from pyiqa.archs import psnr_arch, ssim_arch

    for seed, sigma in ((3, 5.0), (4, 25.0)):
        rgb = picture(256, 256, seed)
        pair = damaged(rgb, seed, sigma), rgb
        tensors = [tensor(p) for p in pair]
        assert psnr(*pair) == pytest.approx(float(psnr_arch.PSNR()(*tensors)), abs=1e-3)
        # pyiqa cuts negative contrast off in every window, torchmetrics only of the whole.
        assert ssim(*pair) == pytest.approx(float(ssim_arch.SSIM(test_y_channel=False)(*tensors)), abs=5e-3)
        own = MultiScaleSSIM.load({}).score(*pair).value
        assert own == pytest.approx(float(ssim_arch.MS_SSIM(test_y_channel=False)(*tensors)), abs=5e-3)


def test_without_torchvision_the_reason_is_said(backbones: dict[str, Path]) -> None:
    with patch("torchmetrics.utilities.imports._TORCHVISION_AVAILABLE", False), pytest.raises(MetricError, match="torchvision"):
        metrics.load("lpips", backbones)
