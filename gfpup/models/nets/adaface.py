"""AdaFace IR-50: who a face is, as 512 numbers; the network that the NTIRE challenges on face restoration judge identity with.

Source: Kim et al., "AdaFace: Quality adaptive margin for face recognition" (CVPR 2022); keys and constants of
`adaface_ir50_ms1mv2.ckpt` as github.com/mk-minchul/AdaFace loads it.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import torch
from torch import nn

from gfpup.core.types import Float64, UInt8
from gfpup.models.nets.arcface import EMBEDDING, ShortcutUnit
from gfpup.ops import geometry

SIDE_PX: Final = 112
STAGES: Final = ((64, 3), (128, 4), (256, 14), (512, 3))
"""Channels and units of the four stages; the first unit of each halves the size."""


TEMPLATE_112_XY: Final[Float64] = np.array(
    [
        [30.29459953 + 8, 51.69630051],
        [65.53179932 + 8, 51.50139999],
        [48.02519989 + 8, 71.73660278],
        [33.54930115 + 8, 92.3655014],
        [62.72990036 + 8, 92.20410156],
    ]
)
"""Where the five landmarks lie in the crop: `ARCFACE_112_XY` with all digits, because OpenCV warps in steps of 1/32 pixel."""


class AdaFaceIR50(nn.Module):
    """Embed BGR faces: (n, 3, 112, 112) in [-1, 1] to (n, 512) of length 1. Input: `bgr_112`."""

    def __init__(self) -> None:
        super().__init__()
        self.input_layer = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64))
        units: list[nn.Module] = []
        channels = 64
        for wide, count in STAGES:
            units.append(Unit(channels, wide, stride=2))
            units += [Unit(wide, wide, stride=1) for _ in range(count - 1)]
            channels = wide
        self.body = nn.Sequential(*units)
        # Dropout does nothing here; it holds the place that numbers the official keys.
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(512),
            nn.Dropout(),
            nn.Flatten(),
            nn.Linear(512 * 7 * 7, EMBEDDING),
            nn.BatchNorm1d(EMBEDDING, affine=False),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.with_norm(x)[0]

    def with_norm(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The embedding of length 1, and the length it had, (n, 1): short for faces of low quality."""
        x = self.output_layer(self.body(self.input_layer(x)))
        norm = torch.linalg.vector_norm(x, dim=1, keepdim=True)
        return x / norm, norm


class Unit(ShortcutUnit):
    """IR-50's residual unit: normalised, two convolutions, each followed by a normalisation."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        res_layer = nn.Sequential(
            nn.BatchNorm2d(in_channels),
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.PReLU(out_channels),
            nn.Conv2d(out_channels, out_channels, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        super().__init__(in_channels, out_channels, stride=stride, res_layer=res_layer)


def adaface_crop(photo: UInt8, landmarks_xy: Float64) -> UInt8 | None:
    """Cut a face out of a photo, (h, w, 3) uint8, by its landmarks (5, 2) float64 in pixels: (112, 112, 3) uint8.

    The similarity is the one that carries the template nearest to the landmarks, inverted: MATLAB's cp2tform fits in that
    direction, which gives another scale than a fit of the landmarks to the template. Bilinear, black outside the photo. None
    where the landmarks are equal or not finite.

    Source: `warp_and_crop_face` of github.com/TreB1eN/InsightFace_Pytorch, which AdaFace uses.
    """
    if not np.isfinite(landmarks_xy).all() or np.ptp(landmarks_xy, axis=0).max() < 1e-6:
        return None
    to_photo = geometry.least_squares_similarity(TEMPLATE_112_XY, np.asarray(landmarks_xy, np.float64))
    if to_photo is None:
        return None
    affine = geometry.invert(to_photo)
    return np.asarray(cv2.warpAffine(np.ascontiguousarray(photo), affine, (SIDE_PX, SIDE_PX)), np.uint8)


def bgr_112(rgb: UInt8) -> torch.Tensor:
    """Prepare a face crop for `AdaFaceIR50`: (h, w, 3) uint8 RGB to (1, 3, 112, 112) float32 BGR in [-1, 1]."""
    small = cv2.resize(np.ascontiguousarray(rgb), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_LINEAR)[:, :, ::-1]
    return torch.from_numpy(np.ascontiguousarray(small.transpose(2, 0, 1)))[None].float().div(255).sub(0.5).div(0.5)
