"""RetinaFace: one forward gives a box, a face score and five landmarks for every anchor of three pyramid levels.

Source: Deng et al., "RetinaFace: Single-shot Multi-level Face Localisation in the Wild" (CVPR 2020), in the form of facexlib
(facexlib/detection), whose checkpoints load strictly. Attribute names are the checkpoints' keys.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Backbone = Literal["resnet50", "mobilenet0.25"]

STEPS = (8, 16, 32)
ANCHOR_SIZES = ((16.0, 32.0), (64.0, 128.0), (256.0, 512.0))
VARIANCES = (0.1, 0.2)
"""Pixels between anchors, anchor sides in pixels, and the scales of the encoded offsets. Source: facexlib's configuration."""

MEAN_BGR = (104.0, 117.0, 123.0)
"""Subtracted from BGR values in [0, 255]; nothing is divided. Source: facexlib, from Caffe's ImageNet mean."""


def prepare(rgb: Tensor) -> Tensor:
    """Turn (n, 3, h, w) RGB in [0, 255], any dtype, into the float32 input of `RetinaFace`: BGR minus `MEAN_BGR`."""
    mean = torch.tensor(MEAN_BGR, device=rgb.device).view(1, 3, 1, 1)
    return rgb.flip(1).to(torch.float32) - mean


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


def suppress_overlapping(boxes_xyxy: Tensor, scores: Tensor, *, iou: float = 0.4) -> list[int]:
    """Keep of (k, 4) boxes that overlap by more than `iou` only the one with the highest score (non-maximum suppression).

    Returns the kept indices, highest score first; equal scores keep their order. A width counts both end pixels (x1 - x0 + 1).

    Source: facexlib/detection/retinaface_utils.py (py_cpu_nms), and its threshold.
    """
    low, high = boxes_xyxy[:, :2], boxes_xyxy[:, 2:] + 1
    areas = (high - low).prod(dim=1)
    order = scores.argsort(descending=True, stable=True)
    kept = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(int(best))
        shared = (torch.minimum(high[best], high[rest]) - torch.maximum(low[best], low[rest])).clamp(min=0).prod(dim=1)
        order = rest[shared <= iou * (areas[best] + areas[rest] - shared)]
    return kept


def _conv(
    in_channels: int, out_channels: int, kernel: int = 3, *, stride: int = 1, slope: float | None = 0.0, groups: int = 1
) -> list[nn.Module]:
    """Convolution and batch norm, then a leaky ReLU of `slope` (None: nothing), as a list: some keys run through pairs."""
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
    ]
    if slope is not None:
        layers.append(nn.LeakyReLU(slope, inplace=True))
    return layers


class Bottleneck(nn.Module):
    """ResNet's bottleneck, the stride in the 3x3 convolution (version 1.5, as torchvision's resnet50 has it)."""

    def __init__(self, in_channels: int, width: int, *, stride: int = 1) -> None:
        super().__init__()
        out_channels = 4 * width
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(*_conv(in_channels, out_channels, 1, stride=stride, slope=None))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        y += x if self.downsample is None else self.downsample(x)
        return F.relu(y, inplace=True)


class ResNet50(nn.Module):
    """ResNet-50 without its classifier; forward gives the features at 1/8, 1/16 and 1/32."""

    channels = (512, 1024, 2048)

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = self._stage(64, 64, blocks=3, stride=1)
        self.layer2 = self._stage(256, 128, blocks=4, stride=2)
        self.layer3 = self._stage(512, 256, blocks=6, stride=2)
        self.layer4 = self._stage(1024, 512, blocks=3, stride=2)

    @staticmethod
    def _stage(in_channels: int, width: int, *, blocks: int, stride: int) -> nn.Sequential:
        first = Bottleneck(in_channels, width, stride=stride)
        return nn.Sequential(first, *(Bottleneck(4 * width, width) for _ in range(blocks - 1)))

    def forward(self, x: Tensor) -> list[Tensor]:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x)), inplace=True), 3, 2, 1)
        c3 = self.layer2(self.layer1(x))
        c4 = self.layer3(c3)
        return [c3, c4, self.layer4(c4)]


def _separable(in_channels: int, out_channels: int, *, stride: int = 1) -> nn.Sequential:
    """A depthwise 3x3 and a pointwise convolution, each with batch norm and a leaky ReLU of 0.1."""
    depthwise = _conv(in_channels, in_channels, stride=stride, slope=0.1, groups=in_channels)
    return nn.Sequential(*depthwise, *_conv(in_channels, out_channels, 1, slope=0.1))


class MobileNet025(nn.Module):
    """MobileNet v1 at a quarter of its width, without its classifier; forward gives the features at 1/8, 1/16 and 1/32."""

    channels = (64, 128, 256)

    def __init__(self) -> None:
        super().__init__()
        self.stage1 = nn.Sequential(
            nn.Sequential(*_conv(3, 8, stride=2, slope=0.1)),
            _separable(8, 16),
            _separable(16, 32, stride=2),
            _separable(32, 32),
            _separable(32, 64, stride=2),
            _separable(64, 64),
        )
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
        self.output1, self.output2, self.output3 = (nn.Sequential(*_conv(c, out_channels, 1, slope=slope)) for c in in_channels)
        self.merge1 = nn.Sequential(*_conv(out_channels, out_channels, slope=slope))
        self.merge2 = nn.Sequential(*_conv(out_channels, out_channels, slope=slope))

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
        self.conv3X3 = nn.Sequential(*_conv(channels, half, slope=None))
        self.conv5X5_1 = nn.Sequential(*_conv(channels, quarter, slope=slope))
        self.conv5X5_2 = nn.Sequential(*_conv(quarter, quarter, slope=None))
        self.conv7X7_2 = nn.Sequential(*_conv(quarter, quarter, slope=slope))
        self.conv7x7_3 = nn.Sequential(*_conv(quarter, quarter, slope=None))

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
        self.body: ResNet50 | MobileNet025
        if backbone == "resnet50":
            self.body, channels, slope = ResNet50(), 256, 0.0
        elif backbone == "mobilenet0.25":
            # The official code leaks 0.1 wherever the pyramid is 64 channels wide or less.
            self.body, channels, slope = MobileNet025(), 64, 0.1
        else:
            raise ValueError(f"backbone {backbone!r} is neither 'resnet50' nor 'mobilenet0.25'")
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
