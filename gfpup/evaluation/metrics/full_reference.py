"""How far a restored picture is from its reference: PSNR, SSIM, MS-SSIM, LPIPS, DISTS.

Both pictures are (h, w, 3) uint8 RGB of one size. PSNR and SSIM are computed in float64 on the CPU, in strips, so that a
photo of any size fits; the networks run in float32, where they are put, and refuse what would not fit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import cv2
import numpy as np

from gfpup.core.torchvision_shim import cure
from gfpup.core.types import Float64, UInt8
from gfpup.evaluation.metrics import MetricError, facts
from gfpup.evaluation.metrics.base import NetworkMetric, PictureMetric, same_shape
from gfpup.weights.checkpoint import read_state_dict

if TYPE_CHECKING:
    import torch

SIGMA: Final = 1.5
RADIUS: Final = 5
"""The window of SSIM: a Gaussian of 1.5 px over 11 px. Source: Wang et al., "Image quality assessment" (2004)."""
_STRIP_PX: Final = 256
SCALES_PIXELS: Final = 4096 * 4096
MS_SSIM_SIDE: Final = 176
"""The shortest side that torchmetrics takes: a sixteenth of it must hold a whole window."""


def psnr(restored: UInt8, reference: UInt8) -> float:
    """Peak signal-to-noise ratio in decibels of two (h, w, 3) uint8 pictures; infinite where they are equal.

    Source: 10 log10(255² / mean squared error), the error over all pixels and channels.
    """
    same_shape(restored, reference)
    total: int = 0
    for top in range(0, restored.shape[0], _STRIP_PX):
        difference = restored[top : top + _STRIP_PX].astype(np.int32) - reference[top : top + _STRIP_PX]
        total += int(np.sum(difference * difference, dtype=np.int64))
    return math.inf if total == 0 else 10 * math.log10(255.0**2 * float(restored.size) / total)


def ssim(restored: UInt8, reference: UInt8) -> float:
    """Structural similarity of two (h, w, 3) uint8 pictures, the mean of their channels, over windows that lie inside.

    Raises: ValueError where the picture is smaller than the window of 11 pixels.
    Source: Wang et al. (2004), with the constants 0.01 and 0.03 and population covariance, on RGB as in BasicSR.
    """
    same_shape(restored, reference)
    height, width = restored.shape[:2]
    if min(height, width) <= 2 * RADIUS:
        raise ValueError(f"SSIM needs {2 * RADIUS + 1} pixels each way, not {width}x{height}")
    total = 0.0
    for top in range(RADIUS, height - RADIUS, _STRIP_PX):
        bottom = min(top + _STRIP_PX, height - RADIUS)
        rows = slice(top - RADIUS, bottom + RADIUS)
        total += float(_ssim_map(restored[rows].astype(np.float64), reference[rows].astype(np.float64)).sum())
    windows: int = (height - 2 * RADIUS) * (width - 2 * RADIUS) * restored.shape[2]
    return total / windows


def _ssim_map(x: Float64, y: Float64) -> Float64:
    """SSIM of every whole window of two float64 pictures in [0, 255]."""
    offsets = np.arange(-RADIUS, RADIUS + 1)
    taps = np.exp(-0.5 * (offsets / SIGMA) ** 2)
    taps /= taps.sum()

    def mean(picture: Float64) -> Float64:
        smooth = np.asarray(cv2.sepFilter2D(picture, -1, taps, taps, borderType=cv2.BORDER_REFLECT), np.float64)
        return smooth[RADIUS:-RADIUS, RADIUS:-RADIUS]

    mx, my = mean(x), mean(y)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    variances = mean(x * x) - mx * mx + mean(y * y) - my * my
    covariance = mean(x * y) - mx * my
    result: Float64 = (2 * mx * my + c1) * (2 * covariance + c2) / ((mx * mx + my * my + c1) * (variances + c2))
    return result


class PSNR(PictureMetric):
    """The metric `psnr`."""

    name = "psnr"
    may_be_infinite = True  # of equal pictures

    def value(self, restored: UInt8, reference: UInt8) -> float:
        """Decibels."""
        return psnr(restored, reference)


class SSIM(PictureMetric):
    """The metric `ssim`."""

    name = "ssim"
    smallest_px = 2 * RADIUS + 1

    def value(self, restored: UInt8, reference: UInt8) -> float:
        """The mean over windows and channels."""
        return ssim(restored, reference)


class MultiScaleSSIM(NetworkMetric):
    """The metric `ms_ssim`, in float32: within 3e-7 of float64, and eighteen times as fast."""

    name = "ms_ssim"
    smallest_px = MS_SSIM_SIDE
    largest_pixels = SCALES_PIXELS

    @classmethod
    def load(cls, files: Mapping[str, Path], *, device: str = "cpu") -> MultiScaleSSIM:
        """Take the function from torchmetrics."""
        cure()
        from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as measure

        return cls(lambda a, b: measure(a, b, data_range=1.0), device)


class _LPIPS(NetworkMetric):
    smallest_px = 32
    net: str

    @classmethod
    def load(cls, files: Mapping[str, Path], *, device: str = "cpu") -> _LPIPS:
        """Build the network empty, its heads from torchmetrics' own files, its backbone from `files`."""
        network = _torchmetrics("lpips", cls.name)._NoTrainLpips(net=cls.net, pnet_rand=True)
        _fill(network.net, files[facts(cls.name).weights[0]])
        network = network.to(device)
        return cls(lambda a, b: network(a, b, normalize=True), device)


class LPIPSAlex(_LPIPS):
    """The metric `lpips`: version 0.1 on AlexNet."""

    name, net = "lpips", "alex"


class LPIPSVGG(_LPIPS):
    """The metric `lpips_vgg`: version 0.1 on VGG-16."""

    name, net = "lpips_vgg", "vgg"


class DISTS(NetworkMetric):
    """The metric `dists`, without the resizing to 256 pixels that its authors' command line does."""

    name = "dists"
    smallest_px = 32

    @classmethod
    def load(cls, files: Mapping[str, Path], *, device: str = "cpu") -> DISTS:
        """Build the network empty, its weights of channels from torchmetrics' own file, its backbone from `files`."""
        module = _torchmetrics("dists", cls.name)
        original = module.vgg16
        # The constructor asks torchvision for trained weights, which would be a download.
        with patch.object(module, "vgg16", lambda weights: original(weights=None)):
            network = module.DISTSNetwork()
        _fill(network, files[facts(cls.name).weights[0]])
        return cls(network.eval().to(device), device)


def _torchmetrics(file: str, metric: str) -> Any:
    """The module of torchmetrics that defines a network metric; MetricError without torchvision, whose networks it uses."""
    cure()
    from torchmetrics.utilities.imports import _TORCHVISION_AVAILABLE

    if not _TORCHVISION_AVAILABLE:
        raise MetricError(f"{metric} needs torchvision: pip install torchvision")
    return import_module(f"torchmetrics.functional.image.{file}")


def _fill(network: torch.nn.Module, path: Path) -> None:
    """Put the convolutions of a torchvision classifier, `features.<n>.*`, into the slices that a metric cut it into."""
    stored = read_state_dict(path).items()
    source = {key.removeprefix("features."): value for key, value in stored if key.startswith("features.")}
    own = network.state_dict()
    found = {key: source.get(".".join(key.split(".")[-2:])) for key in own if key.endswith((".weight", ".bias"))}
    wrong = [key for key, value in found.items() if value is None or value.shape != own[key].shape]
    if wrong or not found:
        raise MetricError(
            f"{path} does not hold the backbone of this metric ({', '.join(wrong[:1]) or 'no layers'}): fetch it again"
        )
    network.load_state_dict({key: value for key, value in found.items() if value is not None}, strict=False)
