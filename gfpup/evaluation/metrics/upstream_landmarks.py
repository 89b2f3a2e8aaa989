"""How far the landmarks of a restored face moved: the published LMD, with facexlib's network."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch

from gfpup.core.torchvision_shim import cure
from gfpup.core.types import Float64, UInt8
from gfpup.evaluation.metrics import MetricError
from gfpup.evaluation.metrics.base import NetworkMetric, fill

HEATMAP_PX: Final = 64


def landmark_distance(a: Float64, b: Float64) -> float:
    """The mean distance of two sets of landmarks, (n, 2) each, in pixels of the crop.

    Source: evaluation/calculate_landmark_distance.py of github.com/ohayonguy/PMRF, adopted from github.com/TencentARC/VQFR.
    """
    return float(np.sqrt(np.square(a - b).sum(axis=1)).mean())


def peaks(heatmaps: Float64) -> Float64:
    """Where each of (n, h, w) heatmaps is highest, (n, 2) float64 x and y in its pixels, whose corners are whole numbers.

    A quarter of a pixel goes towards the higher neighbour. facexlib's own function of this needs a numpy before 1.24, and
    takes neighbours across the border.
    """
    n, height, width = heatmaps.shape
    y, x = np.divmod(heatmaps.reshape(n, -1).argmax(axis=1), width)
    rows = np.arange(n)
    right, left = heatmaps[rows, y, np.minimum(x + 1, width - 1)], heatmaps[rows, y, np.maximum(x - 1, 0)]
    below, above = heatmaps[rows, np.minimum(y + 1, height - 1), x], heatmaps[rows, np.maximum(y - 1, 0), x]
    return np.stack([x + 0.25 * np.sign(right - left), y + 0.25 * np.sign(below - above)], axis=1) + 0.5


class LandmarkDistance(NetworkMetric):
    """The metric `lmd`: 98 landmarks of each of two aligned crops, (512, 512, 3) uint8 RGB."""

    name = "lmd"
    against = "face"
    largest_pixels = None

    @classmethod
    def load(cls, files: Mapping[str, Path], *, device: str = "cpu") -> LandmarkDistance:
        """Build and fill facexlib's network; MetricError where it is not installed or the file holds another network."""
        if find_spec("facexlib") is None:
            raise MetricError("lmd needs facexlib: install it as the README says")
        cure()
        network = import_module("facexlib.alignment.awing_arch").FAN(num_modules=4, num_landmarks=98, device=device)
        return cls(fill(network, files["alignment-wflw-4hg"], metric=cls.name, device=device), device)

    def landmarks(self, crop: UInt8) -> Float64:
        """The landmarks of a face, (98, 2) float64 in pixels of the crop."""
        small = cv2.resize(np.ascontiguousarray(crop), (256, 256))
        tensor = torch.from_numpy(small.transpose(2, 0, 1).copy())[None].float().div(255).to(self.device)
        with torch.inference_mode():
            heatmaps = self.network(tensor)[0][-1][0, :-1]  # the last one is the face's outline
        height, width = crop.shape[:2]
        return np.asarray(peaks(heatmaps.double().cpu().numpy()) * (width / HEATMAP_PX, height / HEATMAP_PX))

    def value(self, restored: UInt8, reference: UInt8) -> float:
        """Pixels of the crop, the mean of the landmarks."""
        return landmark_distance(self.landmarks(restored), self.landmarks(reference))
