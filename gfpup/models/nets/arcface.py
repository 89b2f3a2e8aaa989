"""ArcFace embeddings: who a face is, as 512 numbers. Two networks, each with its own input.

Source: Deng et al., "ArcFace" (CVPR 2019); keys and constants of `arcface_resnet18.pth` as github.com/TencentARC/GFPGAN loads
it and of `recognition_arcface_ir_se50.pth` as github.com/xinntao/facexlib does.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from gfpup.core.types import Float64, UInt8
from gfpup.models.nets.resnet import projection
from gfpup.ops import geometry

EMBEDDING = 512

ARCFACE_112_XY: Final[Float64] = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Where the five landmarks lie in the 112-pixel crop that ArcFace is trained on. Source: insightface, `arcface_dst`."""


class ArcFaceResNet18(nn.Module):
    """Embed grey faces: (n, 1, 128, 128) in [-1, 1] to (n, 512), not normalised. Input: `grey_128`.

    The one that the field's papers measure identity with ("Deg."); `ArcFaceIRSE50` is stronger.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU()
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            nn.Sequential(PlainUnit(a, b, stride=1 if a == b else 2), PlainUnit(b, b, stride=1))
            for a, b in ((64, 64), (64, 128), (128, 256), (256, 512))
        )
        self.bn4 = nn.BatchNorm2d(512)
        self.fc5 = nn.Linear(512 * 8 * 8, EMBEDDING)
        self.bn5 = nn.BatchNorm1d(EMBEDDING)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(self.prelu(self.bn1(self.conv1(x))), 2)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.bn5(self.fc5(self.bn4(x).flatten(1)))


class ArcFaceIRSE50(nn.Module):
    """Embed RGB faces: (n, 3, 112, 112) in [-1, 1] to (n, 512) of length 1. Input: `rgb_112`."""

    STAGES = ((64, 3), (128, 4), (256, 14), (512, 3))
    """Channels and units of the four stages; the first unit of each halves the size."""

    def __init__(self) -> None:
        super().__init__()
        self.input_layer = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64))
        units: list[nn.Module] = []
        channels = 64
        for wide, count in self.STAGES:
            units.append(SqueezeUnit(channels, wide, stride=2))
            units += [SqueezeUnit(wide, wide, stride=1) for _ in range(count - 1)]
            channels = wide
        self.body = nn.Sequential(*units)
        # Dropout does nothing here; it holds the place that numbers the official keys.
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(512), nn.Dropout(), nn.Flatten(), nn.Linear(512 * 7 * 7, EMBEDDING), nn.BatchNorm1d(EMBEDDING)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.output_layer(self.body(self.input_layer(x)))
        return x / torch.linalg.vector_norm(x, dim=1, keepdim=True)


def arcface_crop(crop: UInt8, landmarks_xy: Float64 | None = None) -> UInt8:
    """Turn an aligned crop, (s, s, 3) uint8 in the 512 template at any size, into ArcFace's own, (112, 112, 3) uint8.

    `landmarks_xy` (5, 2), in this crop's pixels, centres at integer coordinates, are fitted to `ARCFACE_112_XY`; without them,
    or where they fit no face, those of the 512 template are.
    """
    affine = None if landmarks_xy is None else geometry.fit_similarity(landmarks_xy, ARCFACE_112_XY)
    if affine is None:
        enlarge = geometry.resize_affine((geometry.CROP_PX, geometry.CROP_PX), (crop.shape[0], crop.shape[1]))
        affine = geometry.fit_similarity(geometry.apply(enlarge, geometry.TEMPLATE_512_XY), ARCFACE_112_XY)
    assert affine is not None, "two fixed templates always fit"
    return np.asarray(geometry.warp(crop, affine, (112, 112)), np.uint8)


def grey_128(rgb: UInt8) -> torch.Tensor:
    """Prepare a face crop for `ArcFaceResNet18`: (h, w, 3) uint8 RGB to (1, 1, 128, 128) float32 in [-1, 1].

    Resized first, then made grey in 8 bits: the order of the published identity measurements, whose rounding it keeps.
    """
    import cv2

    grey = cv2.cvtColor(cv2.resize(rgb, (128, 128), interpolation=cv2.INTER_LINEAR), cv2.COLOR_RGB2GRAY)
    return torch.from_numpy(grey)[None, None].float() / 127.5 - 1


def rgb_112(rgb: UInt8) -> torch.Tensor:
    """Prepare a face crop for `ArcFaceIRSE50`: (h, w, 3) uint8 RGB to (1, 3, 112, 112) float32 in [-1, 1]."""
    import cv2

    small = np.ascontiguousarray(cv2.resize(rgb, (112, 112), interpolation=cv2.INTER_LINEAR).transpose(2, 0, 1))
    return torch.from_numpy(small)[None].float() / 127.5 - 1


class PlainUnit(nn.Module):
    """ResNet-18's residual unit: normalised, two convolutions, and one activation used twice."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, in_channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.prelu = nn.PReLU()
        self.conv2 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample = projection(in_channels, out_channels, stride=stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.prelu(self.bn1(self.conv1(self.bn0(x))))
        h = self.bn2(self.conv2(h))
        return self.prelu(h + (x if self.downsample is None else self.downsample(x)))


class ShortcutUnit(nn.Module):
    """A residual unit of the IR networks: what `res_layer` makes of the input, beside a shortcut."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int, res_layer: nn.Sequential) -> None:
        super().__init__()
        self.stride = stride
        same = in_channels == out_channels
        self.shortcut_layer = None if same else projection(in_channels, out_channels, stride=stride)
        self.res_layer = res_layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # Without a convolution the official shortcut is a 1x1 maximum pool: every stride-th pixel.
        shortcut = x[:, :, :: self.stride, :: self.stride] if self.shortcut_layer is None else self.shortcut_layer(x)
        return self.res_layer(x) + shortcut


class SqueezeUnit(ShortcutUnit):
    """IR-SE-50's residual unit: normalised, two convolutions, channels weighed by what is in them."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        res_layer = nn.Sequential(
            nn.BatchNorm2d(in_channels),
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.PReLU(out_channels),
            nn.Conv2d(out_channels, out_channels, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            Squeeze(out_channels),
        )
        super().__init__(in_channels, out_channels, stride=stride, res_layer=res_layer)


class Squeeze(nn.Module):
    """Weigh the channels of (n, c, h, w) by their own means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // 16, 1, bias=False)
        self.fc2 = nn.Conv2d(channels // 16, channels, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(self.fc2(F.relu(self.fc1(F.adaptive_avg_pool2d(x, 1)))))
