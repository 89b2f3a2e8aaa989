"""NIQE as the field's tables report it: BasicSR's, which follows the authors' MATLAB code.

How far the statistics of a picture's blocks are from those of undistorted photographs. A library that computes the same formula
in float64, as pyiqa does, differs by up to 0.02: what float32 leaves of a local variance is part of the protocol.

Source: Mittal et al., "Making a 'completely blind' image quality analyzer" (2013); basicsr/metrics/niqe.py for the precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from gfpup.core.types import Float64, UInt8
from gfpup.evaluation.metrics import MetricError
from gfpup.evaluation.metrics.base import PictureMetric

BLOCK_PX: Final = 96
"""Side of the blocks that NIQE fits; it needs several."""
LUMA: Final = np.array([65.481, 128.553, 24.966])
"""MATLAB's Y of RGB in [0, 1], from 16 to 235. Source: ITU-R BT.601."""
SHIFTS: Final = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Right, down and both diagonals: the neighbours whose products are fitted."""
HALVING: Final = np.array([1.75, 1.25, 0.75, 0.25, 0.25, 0.75, 1.25, 1.75])
"""The distances of the eight pixels that bicubic halving with antialiasing takes, in output pixels."""

Float32 = npt.NDArray[np.float32]


class NIQE(PictureMetric):
    """The metric `niqe`, of the whole picture, border included; the parameters are those that basicsr ships."""

    name = "niqe"
    against = None
    smallest_px: ClassVar[int] = 2 * BLOCK_PX
    largest_pixels: ClassVar[int | None] = 8192 * 8192

    def __init__(self, mean: Float64, covariance: Float64, window: Float64) -> None:
        self.mean, self.covariance, self.window = mean, covariance, window

    @classmethod
    def load(cls, files: Mapping[str, Path], *, device: str = "cpu") -> NIQE:
        """Take the fitted natural statistics from the file that basicsr ships; MetricError without it."""
        spec = find_spec("basicsr")
        if spec is None or spec.origin is None:
            raise MetricError("niqe needs the parameters that basicsr ships: install basicsr as the README says")
        with np.load(Path(spec.origin).parent / "metrics" / "niqe_pris_params.npz") as stored:
            return cls(np.ravel(stored["mu_pris_param"]), stored["cov_pris_param"], stored["gaussian_window"])

    def value(self, restored: UInt8, reference: Any) -> float:
        """The distance of the picture's statistics from the natural ones; NaN for a picture without any structure."""
        luma = np.dot(restored.astype(np.float32) / np.float32(255), LUMA) + 16.0
        found = block_features(np.round((luma / 255).astype(np.float32) * np.float32(255)), self.window)
        complete = found[~np.isnan(found).any(axis=1)]
        if len(complete) < 2:
            return float("nan")
        difference = self.mean - np.nanmean(found, axis=0)
        inverse = np.linalg.pinv((self.covariance + np.cov(complete, rowvar=False)) / 2)
        return float(np.sqrt(difference @ inverse @ difference))


def block_features(luma: Float32, window: Float64) -> Float64:
    """The 36 features of each block of a picture, (h, w) float32 in 0 to 255: (blocks, 36) float64, NaN where it is flat."""
    rows, columns = luma.shape[0] // BLOCK_PX, luma.shape[1] // BLOCK_PX
    luma = luma[: rows * BLOCK_PX, : columns * BLOCK_PX]
    features = []
    for side in (BLOCK_PX, BLOCK_PX // 2):
        normalised = normalise(luma, window)
        blocks = normalised.reshape(rows, side, columns, side).transpose(0, 2, 1, 3).reshape(-1, side, side)
        features.append(np.array([_features(block) for block in blocks]))
        luma = halve(luma / np.float32(255)) * np.float32(255)
    return np.concatenate(features, axis=1)


def normalise(luma: Float32, window: Float64) -> Float32:
    """Each pixel less its neighbourhood's mean, over its deviation plus one, in float32."""
    from scipy.ndimage import convolve

    mean = convolve(luma, window, mode="nearest")
    deviation = np.sqrt(np.abs(convolve(np.square(luma), window, mode="nearest") - np.square(mean)))
    return np.asarray((luma - mean) / (deviation + 1), np.float32)


def halve(picture: Float32) -> Float32:
    """A picture, (h, w) float32 with even sides, at half its size as MATLAB's imresize does: bicubic, mirrored at the border.

    One product of a matrix and a vector for each row, then each column, as BasicSR computes it: another order of the same sums
    moves NIQE by up to 0.002.
    """
    import torch

    x = torch.from_numpy(HALVING)
    cubic = torch.where(x <= 1, 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2).float() / 2
    weights = cubic / cubic.sum()
    rows = torch.from_numpy(np.pad(picture, ((3, 3), (0, 0)), mode="symmetric"))
    halved = torch.stack([rows[2 * i : 2 * i + 8].t().mv(weights) for i in range(picture.shape[0] // 2)])
    columns = torch.from_numpy(np.pad(halved.numpy(), ((0, 0), (3, 3)), mode="symmetric"))
    found = torch.stack([columns[:, 2 * i : 2 * i + 8].mv(weights) for i in range(picture.shape[1] // 2)], dim=1)
    return np.asarray(found.numpy(), np.float32)


def _features(block: Float32) -> list[float]:
    from scipy.special import gamma

    alpha, left, right = fit_asymmetric(block)
    found = [alpha, (left + right) / 2]
    for shift in SHIFTS:
        alpha, left, right = fit_asymmetric(block * np.roll(block, shift, axis=(0, 1)))
        found += [alpha, (right - left) * float(gamma(2 / alpha) / gamma(1 / alpha)), left, right]
    return found


def fit_asymmetric(values: Float32) -> tuple[float, float, float]:
    """Fit an asymmetric generalised Gaussian: its shape, and its widths to the left and right; NaN where one side is empty.

    Source: equation 7 of the paper; shapes from 0.2 to 10 in steps of 0.001.
    """
    from scipy.special import gamma

    left, right = values[values < 0], values[values > 0]
    if not (left.size and right.size):
        return float("nan"), float("nan"), float("nan")
    deviations = np.sqrt(np.mean(np.square(left))), np.sqrt(np.mean(np.square(right)))
    ratio = float(deviations[0] / deviations[1])
    spread = float(np.mean(np.abs(values)) ** 2 / np.mean(np.square(values)))
    wanted = spread * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    shapes, spreads = _shapes()
    alpha = float(shapes[np.argmin(np.square(spreads - wanted))])
    width = float(np.sqrt(gamma(1 / alpha) / gamma(3 / alpha)))
    return alpha, float(deviations[0]) * width, float(deviations[1]) * width


_kept: list[tuple[Float64, Float64]] = []


def _shapes() -> tuple[Float64, Float64]:
    if not _kept:
        from scipy.special import gamma

        shapes = np.arange(0.2, 10.001, 0.001)
        inverse = 1 / shapes
        _kept.append((shapes, np.square(gamma(inverse * 2)) / (gamma(inverse) * gamma(inverse * 3))))
    return _kept[0]
