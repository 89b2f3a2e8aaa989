"""The Inception network that FID is defined by: the features of its last pooling layer, 2048 numbers a picture.

It is Inception v3 as TensorFlow's 2015 graph computes it, which differs from the published network in two places: average
pools leave their padding out of the mean, and the last block takes a maximum where the others take a mean.

Source: Szegedy et al., "Rethinking the Inception architecture" (2016), for the layers; the differences and the keys are those
of github.com/mseitzer/pytorch-fid, whose weights `pt_inception-2015-12-05-6726825d.pth` it loads. BasicSR uses the same ones.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

SIDE_PX = 299
FEATURES = 2048
CLASSES = 1008
Pool = Callable[[torch.Tensor], torch.Tensor]


def mean_pool(x: torch.Tensor) -> torch.Tensor:
    """The mean of 3x3 pixels, of those inside the picture only."""
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def max_pool(x: torch.Tensor) -> torch.Tensor:
    """The maximum of 3x3 pixels."""
    return F.max_pool2d(x, 3, stride=1, padding=1)


def resized_without_antialiasing(x: torch.Tensor) -> torch.Tensor:
    """Pictures (n, 3, h, w) float32 at 299x299, bilinearly: pixel centres at half numbers, four neighbours, no antialiasing."""
    return F.interpolate(x, size=(SIDE_PX, SIDE_PX), mode="bilinear", align_corners=False)


def resized_like_tensorflow(x: torch.Tensor, side_px: int = SIDE_PX) -> torch.Tensor:
    """Pictures (n, 3, h, w) float32 at `side_px` as TensorFlow 1 resized: bilinear, no antialiasing, i at i * size / side.

    Source: `resize_bilinear` of TensorFlow 1 with align_corners false, which torch-fidelity follows; equal to it to 1e-4.
    """
    for axis in (2, 3):
        size = x.shape[axis]
        place = torch.arange(side_px, dtype=x.dtype, device=x.device) * (size / side_px)
        low = place.floor().long().clamp(max=size - 1)
        high, share = (low + 1).clamp(max=size - 1), place - low
        share = share.view(-1, 1) if axis == 2 else share
        x = torch.lerp(x.index_select(axis, low), x.index_select(axis, high), share)
    return x


class PatchedInception(nn.Module):
    """Pictures (n, 3, h, w) float32 in [-1, 1] RGB, usually 299x299, to features (n, 2048) float32.

    `fc` is not used: it is there because the published file holds it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Conv(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Conv(32, 32, 3)
        self.Conv2d_2b_3x3 = Conv(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = Conv(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = BlockA(192, 32), BlockA(256, 64), BlockA(288, 64)
        self.Mixed_6a = BlockB(288)
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = (BlockC(wide) for wide in (128, 160, 160, 192))
        self.Mixed_7a = BlockD(768)
        self.Mixed_7b, self.Mixed_7c = BlockE(1280, mean_pool), BlockE(2048, max_pool)
        self.fc = nn.Linear(FEATURES, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))), 3, stride=2)
        x = F.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, stride=2)
        x = self.Mixed_6a(self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))
        return F.adaptive_avg_pool2d(self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x))), 1).flatten(1)


class Conv(nn.Module):
    """A convolution without bias, normalised and rectified."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int | tuple[int, int], *, stride: int = 1, padding: int | str = 0
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class BlockA(nn.Module):
    """Branches of 1x1, 5x5, twice 3x3 and a pool, joined."""

    def __init__(self, in_channels: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(in_channels, 64, 1)
        self.branch5x5_1, self.branch5x5_2 = Conv(in_channels, 48, 1), Conv(48, 64, 5, padding=2)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Conv(in_channels, 64, 1), Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Conv(96, 96, 3, padding=1)
        self.branch_pool = Conv(in_channels, pooled, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        five = self.branch5x5_2(self.branch5x5_1(x))
        return torch.cat([self.branch1x1(x), five, double, self.branch_pool(mean_pool(x))], 1)


class BlockB(nn.Module):
    """Halves the size: 3x3, twice 3x3 and a maximum, joined."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch3x3 = Conv(in_channels, 384, 3, stride=2)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Conv(in_channels, 64, 1), Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Conv(96, 96, 3, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, stride=2)], 1)


class BlockC(nn.Module):
    """Branches of 1x1, 7x7, twice 7x7 and a pool; a 7x7 is a row and a column."""

    def __init__(self, wide: int) -> None:
        super().__init__()

        def row(a: int, b: int) -> Conv:
            return Conv(a, b, (1, 7), padding="same")

        def column(a: int, b: int) -> Conv:
            return Conv(a, b, (7, 1), padding="same")

        self.branch1x1 = Conv(768, 192, 1)
        self.branch7x7_1, self.branch7x7_2, self.branch7x7_3 = Conv(768, wide, 1), row(wide, wide), column(wide, 192)
        self.branch7x7dbl_1, self.branch7x7dbl_2, self.branch7x7dbl_3 = Conv(768, wide, 1), column(wide, wide), row(wide, wide)
        self.branch7x7dbl_4, self.branch7x7dbl_5 = column(wide, wide), row(wide, 192)
        self.branch_pool = Conv(768, 192, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), seven, double, self.branch_pool(mean_pool(x))], 1)


class BlockD(nn.Module):
    """Halves the size: 3x3, 7x7 then 3x3, and a maximum, joined."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch3x3_1, self.branch3x3_2 = Conv(in_channels, 192, 1), Conv(192, 320, 3, stride=2)
        self.branch7x7x3_1, self.branch7x7x3_2 = Conv(in_channels, 192, 1), Conv(192, 192, (1, 7), padding="same")
        self.branch7x7x3_3, self.branch7x7x3_4 = Conv(192, 192, (7, 1), padding="same"), Conv(192, 192, 3, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), seven, F.max_pool2d(x, 3, stride=2)], 1)


class BlockE(nn.Module):
    """Branches of 1x1, 3x3, twice 3x3 and `pool`; the last 3x3 of each is a row beside a column."""

    def __init__(self, in_channels: int, pool: Pool) -> None:
        super().__init__()
        self.pool = pool
        self.branch1x1 = Conv(in_channels, 320, 1)
        self.branch3x3_1 = Conv(in_channels, 384, 1)
        self.branch3x3_2a, self.branch3x3_2b = _row_and_column()
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Conv(in_channels, 448, 1), Conv(448, 384, 3, padding=1)
        self.branch3x3dbl_3a, self.branch3x3dbl_3b = _row_and_column()
        self.branch_pool = Conv(in_channels, 192, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        three, double = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        threes = [self.branch3x3_2a(three), self.branch3x3_2b(three)]
        doubles = [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)]
        return torch.cat([self.branch1x1(x), *threes, *doubles, self.branch_pool(self.pool(x))], 1)


def _row_and_column() -> tuple[Conv, Conv]:
    return Conv(384, 384, (1, 3), padding="same"), Conv(384, 384, (3, 1), padding="same")
