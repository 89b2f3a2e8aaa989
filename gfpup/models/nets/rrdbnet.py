"""RRDBNet, the network of ESRGAN and Real-ESRGAN: x2plus and x4plus enlarge what lies around the faces.

Source: Wang et al., "ESRGAN" (ECCV Workshops 2018) and "Real-ESRGAN" (ICCV Workshops 2021), and the official
implementation in github.com/XPixelGroup/BasicSR for keys, constants and the order of operations.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from gfpup.models.nets.convolution import NearestConv, WinogradConv

FEATURES, GROWTH, BLOCKS = 64, 32, 23
RESIDUAL_SCALE = 0.2
"""ESRGAN's own factor, on the dense and on the outer residual."""


class RRDBNet(nn.Module):
    """Enlarge pictures: (n, 3, h, w) RGB in [0, 1] to (n, 3, h * scale, w * scale), about in [0, 1].

    The trunk always enlarges four times; x2 starts from pixels unshuffled by 2. The anime checkpoint has 6 blocks.

    Raises: ValueError: `scale` is not 2 or 4.
    """

    def __init__(self, *, scale: int, blocks: int = BLOCKS) -> None:
        super().__init__()
        if scale not in (2, 4):
            raise ValueError(f"RRDBNet enlarges by 2 or 4, not {scale}")
        self.scale = scale
        self.unshuffle = 4 // scale
        self.conv_first = nn.Conv2d(3 * self.unshuffle**2, FEATURES, 3, padding=1)
        self.body = nn.Sequential(*(ResidualInResidual() for _ in range(blocks)))
        self.conv_body = nn.Conv2d(FEATURES, FEATURES, 3, padding=1)
        self.conv_up1, self.conv_up2 = NearestConv(FEATURES, FEATURES), NearestConv(FEATURES, FEATURES)
        self.conv_hr = WinogradConv(FEATURES, FEATURES)
        self.conv_last = nn.Conv2d(FEATURES, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        height, width = x.shape[2:]
        x = F.pixel_unshuffle(pad_to_multiple(x, multiple=self.unshuffle), self.unshuffle)
        first = self.conv_first(x)
        h = first + self.conv_body(self.body(first))
        for conv in (self.conv_up1, self.conv_up2, self.conv_hr):
            h = _leaky(conv(h))
        out = self.conv_last(h)
        return out[:, :, : height * self.scale, : width * self.scale]


def pad_to_multiple(x: torch.Tensor, *, multiple: int) -> torch.Tensor:
    """Extend (n, c, h, w) right and below until both sizes divide by `multiple`.

    Mirrored without repeating the edge, as the official enhancer does; a side too short to mirror repeats its edge.
    """
    below, right = -x.shape[2] % multiple, -x.shape[3] % multiple
    if not below and not right:
        return x
    mirrors = below < x.shape[2] and right < x.shape[3]
    return F.pad(x, (0, right, 0, below), mode="reflect" if mirrors else "replicate")


class ResidualInResidual(nn.Module):
    """Three dense blocks beside a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (DenseBlock() for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rdb3(self.rdb2(self.rdb1(x))) * RESIDUAL_SCALE + x


class DenseBlock(nn.Module):
    """Five convolutions, each reading all that came before it, beside a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3, self.conv4 = (
            nn.Conv2d(FEATURES + count * GROWTH, GROWTH, 3, padding=1) for count in range(4)
        )
        self.conv5 = nn.Conv2d(FEATURES + 4 * GROWTH, FEATURES, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = x
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            seen = torch.cat((seen, _leaky(conv(seen))), dim=1)
        return self.conv5(seen) * RESIDUAL_SCALE + x


def _leaky(x: torch.Tensor) -> torch.Tensor:
    return F.leaky_relu(x, 0.2, inplace=True)
