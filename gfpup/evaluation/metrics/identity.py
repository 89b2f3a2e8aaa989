"""Who a face is: the cosine of ArcFace IR-SE50 (`identity`) and the field's angle of ArcFace ResNet-18 (`deg`).

Both take aligned crops, (512, 512, 3) uint8 RGB, of the restored and of the reference (or degraded) photo, cut along one and
the same affine.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import torch

from gfpup.core.types import Float64, Score, UInt8
from gfpup.evaluation.metrics import facts
from gfpup.models.nets.arcface import ArcFaceIRSE50, ArcFaceResNet18, arcface_crop, grey_128, rgb_112
from gfpup.models.nets.loading import load_network


def cosine(a: Float64, b: Float64) -> float:
    """The cosine of two embeddings, in [-1, 1]; 0 where one of them is zero."""
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return 0.0 if lengths == 0 else float(np.clip(a @ b / lengths, -1.0, 1.0))


def degrees(cosine: float) -> float:
    """The angle of a cosine, in degrees from 0 to 180."""
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


class Identity:
    """The metric `identity`."""

    def __init__(self, network: ArcFaceIRSE50, device: str) -> None:
        self.network = network
        self.device = device

    @classmethod
    def load(cls, files: Mapping[str, Path], *, device: str = "cpu") -> Identity:
        """Load IR-SE50.

        Raises:
            CheckpointError: the file holds another network.
        """
        return cls(load_network(ArcFaceIRSE50, files["arcface-ir-se50"], name="arcface-ir-se50", device=device), device)

    def embed(self, crop: UInt8) -> Float64:
        """Who an aligned crop shows: (512,) float64 of length 1."""
        return _embed(self.network, rgb_112(arcface_crop(crop)), self.device)

    def score(self, restored: UInt8, reference: UInt8 | None) -> Score:
        """Score one pair of aligned crops."""
        if reference is None:
            return _missing("identity")
        return Score("identity", cosine(self.embed(restored), self.embed(reference)), facts("identity").higher_is_better)


class Deg:
    """The metric `deg`.

    The published scripts (VQFR's, which PMRF and DAEFR took over) make the face grey, reduce it bilinearly to 128 pixels, scale
    it to [-1, 1] and take the angle of the two embeddings. RestoreFormer's script of the same purpose reports radians, feeds
    [0, 1] and weighs blue as red: its numbers are another metric. PMRF leaves pairs below one degree out of its mean; here
    every face counts.

    Source: evaluation/calculate_cos_dist.py of github.com/ohayonguy/PMRF, adopted from github.com/TencentARC/VQFR.
    """

    def __init__(self, network: ArcFaceResNet18, device: str) -> None:
        self.network = network
        self.device = device

    @classmethod
    def load(cls, files: Mapping[str, Path], *, device: str = "cpu") -> Deg:
        """Load ResNet-18.

        Raises:
            CheckpointError: the file holds another network.
        """
        return cls(load_network(ArcFaceResNet18, files["arcface-resnet18"], name="arcface-resnet18", device=device), device)

    def embed(self, crop: UInt8) -> Float64:
        """Who an aligned crop shows: (512,) float64, of any length."""
        # Grey first, as the scripts read the file; making three equal channels grey again changes nothing.
        grey = cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2GRAY)
        return _embed(self.network, grey_128(np.repeat(grey[:, :, None], 3, axis=2)), self.device)

    def score(self, restored: UInt8, reference: UInt8 | None) -> Score:
        """Score one pair of aligned crops."""
        if reference is None:
            return _missing("deg")
        return Score("deg", degrees(cosine(self.embed(restored), self.embed(reference))), facts("deg").higher_is_better)


def _embed(network: torch.nn.Module, tensor: torch.Tensor, device: str) -> Float64:
    with torch.inference_mode():
        embedding: Float64 = network(tensor.to(device))[0].double().cpu().numpy()
    return embedding


def _missing(name: str) -> Score:
    return Score(name, None, facts(name).higher_is_better, "there is no face to compare with")
