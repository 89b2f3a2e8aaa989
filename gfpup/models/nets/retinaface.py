"""RetinaFace: one forward gives a box, a face score and five landmarks for every anchor of three pyramid levels.

Source: Deng et al., "RetinaFace: Single-shot Multi-level Face Localisation in the Wild" (CVPR 2020), in the form of facexlib
(facexlib/detection), whose checkpoints load strictly. Attribute names are the checkpoints' keys.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gfpup.models.nets.constants import per_channel
from gfpup.models.nets.resnet import Bottleneck, ResNet

Backbone = Literal["resnet50", "mobilenet0.25"]

STEPS = (8, 16, 32)
ANCHOR_SIZES = ((16.0, 32.0), (64.0, 128.0), (256.0, 512.0))
VARIANCES = (0.1, 0.2)
"""Pixels between anchors, anchor sides in pixels, and the scales of the encoded offsets. Source: facexlib's configuration."""

MEAN_BGR = (104.0, 117.0, 123.0)
"""Subtracted from BGR values in [0, 255]; nothing is divided. Source: facexlib, from Caffe's ImageNet mean."""


def prepare(rgb: Tensor) -> Tensor:
    """Turn (n, 3, h, w) RGB in [0, 255], any dtype, into the float32 input of `RetinaFace`: BGR minus `MEAN_BGR`."""
    return rgb.flip(1).to(torch.float32) - per_channel(MEAN_BGR, device=rgb.device)


def prior_boxes(size_hw: tuple[int, int]) -> Tensor:
    """The anchors of a picture of `size_hw`, in the order of the network's output rows.

    Returns (m, 4) float32: centre x, centre y, width, height, as fractions of the picture's width and height.
    """
    h, w = size_hw
    levels = []
    for step, sizes in zip(STEPS, ANCHOR_SIZES, strict=True):
        # float64 until the end, as in the official loop over Python floats: the fractions round the same way.
        y = (torch.arange(-(-h // step), dtype=torch.float64) + 0.5) * step / h
        x = (torch.arange(-(-w // step), dtype=torch.float64) + 0.5) * step / w
        side = torch.tensor(sizes, dtype=torch.float64)
        cy, cx, s = torch.meshgrid(y, x, side, indexing="ij")
        levels.append(torch.stack([cx, cy, s / w, s / h], dim=-1).view(-1, 4))
    return torch.cat(levels).to(torch.float32)


class Candidates(NamedTuple):
    """What the network takes for faces, in pixels: boxes (k, 4) as x0, y0, x1, y1, scores (k,), landmarks (k, 5, 2)."""

    boxes_xyxy: Tensor
    scores: Tensor
    landmarks_xy: Tensor


def decode(loc: Tensor, conf: Tensor, landmarks: Tensor, size_hw: tuple[int, int], *, threshold: float) -> Candidates:
    """Turn one picture's outputs, (m, 4), (m, 2) and (m, 10), into pixels of that picture, where the score is over `threshold`.

    Source: facexlib/detection/retinaface_utils.py (decode, decode_landm).
    """
    found = conf[:, 1] > threshold
    priors = prior_boxes(size_hw).to(loc.device)[found]
    anchor, side = priors[:, None, :2], priors[:, None, 2:]
    scale = torch.tensor([size_hw[1], size_hw[0]], dtype=torch.float32, device=loc.device)
    offsets = loc[found].view(-1, 2, 2)
    centre = anchor + offsets[:, :1] * VARIANCES[0] * side
    size = side * torch.exp(offsets[:, 1:] * VARIANCES[1])
    corner = centre - size / 2
    boxes = torch.cat([corner, corner + size], dim=1) * scale
    points = (anchor + landmarks[found].view(-1, 5, 2) * VARIANCES[0] * side) * scale
    return Candidates(boxes.view(-1, 4), conf[found, 1], points)


def _conv(
    inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1, slope: float | None = None, groups: int = 1
) -> nn.Sequential:
    """Convolution and batch norm, then a leaky ReLU of `slope` (None: nothing)."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    activation = [] if slope is None else [nn.LeakyReLU(slope, inplace=True)]
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), *activation)


def _separable(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    """A depthwise 3x3 and a pointwise convolution, each with batch norm and a leaky ReLU of 0.1; one list of keys."""
    depthwise = _conv(inputs, inputs, stride=stride, slope=0.1, groups=inputs)
    return nn.Sequential(*depthwise, *_conv(inputs, outputs, 1, slope=0.1))


class MobileNet025(nn.Module):
    """MobileNet v1 at a quarter of its width, without its classifier; forward gives the features at 1/8, 1/16 and 1/32."""

    channels = (64, 128, 256)

    def __init__(self) -> None:
        super().__init__()
        steps = ((8, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1))
        first = (_separable(inputs, outputs, stride=stride) for inputs, outputs, stride in steps)
        self.stage1 = nn.Sequential(_conv(3, 8, stride=2, slope=0.1), *first)
        self.stage2 = nn.Sequential(_separable(64, 128, stride=2), *(_separable(128, 128) for _ in range(5)))
        self.stage3 = nn.Sequential(_separable(128, 256, stride=2), _separable(256, 256))

    def forward(self, x: Tensor) -> list[Tensor]:
        c3 = self.stage1(x)
        c4 = self.stage2(c3)
        return [c3, c4, self.stage3(c4)]


class FeaturePyramid(nn.Module):
    """Brings three levels to one width and adds each coarser level to the next finer one."""

    def __init__(self, in_channels: tuple[int, int, int], out_channels: int, *, slope: float) -> None:
        super().__init__()
        self.output1, self.output2, self.output3 = (_conv(c, out_channels, 1, slope=slope) for c in in_channels)
        self.merge1, self.merge2 = (_conv(out_channels, out_channels, slope=slope) for _ in range(2))

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        p3, p4, p5 = self.output1(features[0]), self.output2(features[1]), self.output3(features[2])
        p4 = self.merge2(p4 + F.interpolate(p5, size=p4.shape[2:], mode="nearest"))
        p3 = self.merge1(p3 + F.interpolate(p4, size=p3.shape[2:], mode="nearest"))
        return [p3, p4, p5]


class ContextModule(nn.Module):
    """Receptive fields of 3, 5 and 7 pixels side by side ("SSH" in the checkpoints)."""

    def __init__(self, channels: int, *, slope: float) -> None:
        super().__init__()
        half, quarter = channels // 2, channels // 4
        self.conv3X3 = _conv(channels, half)
        self.conv5X5_1 = _conv(channels, quarter, slope=slope)
        self.conv5X5_2 = _conv(quarter, quarter)
        self.conv7X7_2 = _conv(quarter, quarter, slope=slope)
        self.conv7x7_3 = _conv(quarter, quarter)

    def forward(self, x: Tensor) -> Tensor:
        shared = self.conv5X5_1(x)
        fields = [self.conv3X3(x), self.conv5X5_2(shared), self.conv7x7_3(self.conv7X7_2(shared))]
        return F.relu(torch.cat(fields, dim=1), inplace=True)


class Head(nn.Module):
    """A 1x1 convolution whose channels are `values` numbers for each of the two anchors of a cell."""

    def __init__(self, channels: int, values: int) -> None:
        super().__init__()
        self.values = values
        self.conv1x1 = nn.Conv2d(channels, 2 * values, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv1x1(x).permute(0, 2, 3, 1).reshape(x.shape[0], -1, self.values)


class RetinaFace(nn.Module):
    """RetinaFace over ResNet-50 (27.3 million parameters) or a quarter MobileNet (0.4 million).

    `forward` takes the output of `prepare`, (n, 3, h, w) float32 of any size, and returns for the m anchors of `prior_boxes`:
    encoded boxes (n, m, 4), scores (n, m, 2) after softmax (column 1 is "face"), encoded landmarks (n, m, 10).
    """

    def __init__(self, backbone: Backbone = "resnet50") -> None:
        super().__init__()
        if backbone not in get_args(Backbone):
            raise ValueError(f"backbone {backbone!r} is neither 'resnet50' nor 'mobilenet0.25'")
        large = backbone == "resnet50"
        self.body: ResNet | MobileNet025 = ResNet(Bottleneck, (3, 4, 6, 3)) if large else MobileNet025()
        # The official code leaks 0.1 wherever the pyramid is 64 channels wide or less.
        channels, slope = (256, 0.0) if large else (64, 0.1)
        self.fpn = FeaturePyramid(self.body.channels, channels, slope=slope)
        self.ssh1, self.ssh2, self.ssh3 = (ContextModule(channels, slope=slope) for _ in STEPS)
        self.ClassHead = nn.ModuleList(Head(channels, 2) for _ in STEPS)
        self.BboxHead = nn.ModuleList(Head(channels, 4) for _ in STEPS)
        self.LandmarkHead = nn.ModuleList(Head(channels, 10) for _ in STEPS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        p3, p4, p5 = self.fpn(self.body(x))
        levels = [self.ssh1(p3), self.ssh2(p4), self.ssh3(p5)]
        loc, logits, landmarks = (
            torch.cat([head(level) for head, level in zip(heads, levels, strict=True)], dim=1)
            for heads in (self.BboxHead, self.ClassHead, self.LandmarkHead)
        )
        return loc, F.softmax(logits, dim=-1), landmarks
