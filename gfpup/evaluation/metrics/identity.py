"""Identity: the cosine of ArcFace IR-SE50 (`identity`) and the field's angle of ArcFace ResNet-18 (`deg`).

Both take aligned crops, (512, 512, 3) uint8 RGB, of the restored and of the reference (or degraded) photo, cut along one and
the same affine.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

import cv2
import numpy as np
import torch
from torch import nn

from gfpup.core.types import Float64, UInt8
from gfpup.evaluation.metrics import facts
from gfpup.evaluation.metrics.base import NetworkMetric
from gfpup.models.nets.adaface import AdaFaceIR50, bgr_112
from gfpup.models.nets.arcface import ArcFaceIRSE50, ArcFaceResNet18, arcface_crop, grey_128, rgb_112
from gfpup.models.nets.loading import load_network
from gfpup.weights.catalogue import find


def cosine(a: Float64, b: Float64) -> float:
    """The cosine of two embeddings, in [-1, 1]; 0 where one of them is zero."""
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return 0.0 if lengths == 0 else float(np.clip(a @ b / lengths, -1.0, 1.0))


def degrees(cosine: float) -> float:
    """The angle of a cosine, in degrees from 0 to 180."""
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


class _Recognition(NetworkMetric):
    """Compares the embeddings of two aligned crops, (512, 512, 3) uint8 RGB."""

    against = "face"
    largest_pixels = None
    make: ClassVar[type[nn.Module]]

    @classmethod
    def load(cls, files: Mapping[str, Path], *, device: str = "cpu") -> Self:
        """Load the network; CheckpointError where the file holds another."""
        (name,) = facts(cls.name).weights
        return cls(load_network(cls.make, files[name], name=find(name).architecture, device=device), device)

    def embed(self, crop: UInt8) -> Float64:
        """The identity that an aligned crop shows: (512,) float64."""
        return self._embedding(self.prepare(crop))

    def _embedding(self, prepared: torch.Tensor) -> Float64:
        with torch.inference_mode():
            embedding: Float64 = self.network(prepared.to(self.device))[0].double().cpu().numpy()
        return embedding

    @abstractmethod
    def prepare(self, crop: UInt8) -> torch.Tensor:
        """The network's input."""

    def value(self, restored: UInt8, reference: UInt8) -> float:
        """The cosine of the two embeddings."""
        return cosine(self.embed(restored), self.embed(reference))


class Identity(_Recognition):
    """The metric `identity`."""

    name, make = "identity", ArcFaceIRSE50

    def prepare(self, crop: UInt8) -> torch.Tensor:
        """The crop in ArcFace's own template."""
        return rgb_112(arcface_crop(crop))


class IdentityBGR(_Recognition):
    """The metric `identity_bgr`: as `identity`, with blue first.

    The published file was trained on pictures as OpenCV reads them, BGR; facexlib and most of its users feed RGB, and so does
    `identity`. Both tell people apart, and their cosines differ: `gfpup verify arcface` measures both.

    Source: github.com/TreB1eN/InsightFace_Pytorch, whose `data_pipe.py` reads BGR, for the training.
    """

    name, make = "identity_bgr", ArcFaceIRSE50

    def prepare(self, crop: UInt8) -> torch.Tensor:
        """The crop in ArcFace's own template, blue first."""
        return rgb_112(arcface_crop(crop)).flip(1)


class IdentityAdaFace(_Recognition):
    """The metric `identity_adaface`: AdaFace IR-50, whose input is BGR.

    Faces are cut along the affines of the record; the NTIRE protocols use the organisers' landmarks instead, and are computed
    by `gfpup score --protocol`.
    """

    name, make = "identity_adaface", AdaFaceIR50

    def prepare(self, crop: UInt8) -> torch.Tensor:
        """The crop in the 112-pixel template, blue first."""
        return bgr_112(arcface_crop(crop))

    def embed_crop(self, crop: UInt8) -> Float64:
        """The identity of a crop that is in the network's template already, (112, 112, 3) uint8 RGB: (512,) float64."""
        return self._embedding(bgr_112(crop))


class Deg(_Recognition):
    """The metric `deg`.

    The published script (VQFR's, adopted by PMRF) makes the face grey, reduces it bilinearly to 128 pixels, scales it to
    [-1, 1] and takes the angle of the two embeddings, in degrees. Both leave pairs below one degree out of their mean; here
    every face counts. RestoreFormer's script of the same purpose, which DAEFR took over, reports radians, feeds [0, 1] and
    weighs blue as red: its numbers are another metric.

    Source: evaluation/calculate_cos_dist.py of github.com/ohayonguy/PMRF, adopted from github.com/TencentARC/VQFR.
    """

    name, make = "deg", ArcFaceResNet18

    def prepare(self, crop: UInt8) -> torch.Tensor:
        """The crop in grey."""
        # Grey first, as the scripts read the file; making three equal channels grey again changes nothing.
        grey = cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2GRAY)
        return grey_128(np.repeat(grey[:, :, None], 3, axis=2))

    def value(self, restored: UInt8, reference: UInt8) -> float:
        """The angle in degrees."""
        return degrees(super().value(restored, reference))
