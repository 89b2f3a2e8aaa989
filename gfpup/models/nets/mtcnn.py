"""MTCNN: three small networks, each deciding about the squares that the one before it took for faces.

Source: Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks" (IEEE Signal
Processing Letters 2016), with the widths of the checkpoints in the package facenet-pytorch, which load strictly. Attribute
names are the checkpoints' keys.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PROPOSAL_SIDE_PX, PROPOSAL_STRIDE_PX = 12, 2
"""Side of the square that one output cell of `PNet` sees, and the distance between neighbouring cells."""

REFINE_SIDE_PX, OUTPUT_SIDE_PX = 24, 48
"""Side of the squares that `RNet` and `ONet` take."""


def prepare(rgb: Tensor) -> Tensor:
    """Turn (n, 3, h, w) RGB in [0, 255], any dtype, into the networks' float32 input.

    Source: the official code, which subtracts 127.5 and multiplies by 1/128.
    """
    return (rgb.to(torch.float32) - 127.5) / 128


class PNet(nn.Module):
    """The proposals: fully convolutional, so that it looks at every 12 px square of a picture at once.

    Takes (n, 3, h, w) float32, h and w of 12 or more. Gives the face's probability (n, h', w') and the box's corrections
    (n, 4, h', w'), as fractions of the square's side: x0, y0, x1, y1.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 10, 3), nn.PReLU(10)
        self.conv2, self.prelu2 = nn.Conv2d(10, 16, 3), nn.PReLU(16)
        self.conv3, self.prelu3 = nn.Conv2d(16, 32, 3), nn.PReLU(32)
        self.conv4_1, self.conv4_2 = nn.Conv2d(32, 2, 1), nn.Conv2d(32, 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.max_pool2d(self.prelu1(self.conv1(x)), 2, ceil_mode=True)
        x = self.prelu3(self.conv3(self.prelu2(self.conv2(x))))
        return self.conv4_1(x).softmax(dim=1)[:, 1], self.conv4_2(x)


class RNet(nn.Module):
    """The second decision: takes (n, 3, 24, 24) float32; gives probabilities (n,) and corrections (n, 4) as `PNet` does."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 28, 3), nn.PReLU(28)
        self.conv2, self.prelu2 = nn.Conv2d(28, 48, 3), nn.PReLU(48)
        self.conv3, self.prelu3 = nn.Conv2d(48, 64, 2), nn.PReLU(64)
        self.dense4, self.prelu4 = nn.Linear(576, 128), nn.PReLU(128)
        self.dense5_1, self.dense5_2 = nn.Linear(128, 2), nn.Linear(128, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.max_pool2d(self.prelu1(self.conv1(x)), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.prelu2(self.conv2(x)), 3, 2, ceil_mode=True)
        x = self.prelu4(self.dense4(_columns_first(self.prelu3(self.conv3(x)))))
        return self.dense5_1(x).softmax(dim=1)[:, 1], self.dense5_2(x)


class ONet(nn.Module):
    """The last decision, with landmarks.

    Takes (n, 3, 48, 48) float32. Gives probabilities (n,), corrections (n, 4) as `PNet` does, and five landmarks (n, 5, 2) in
    the order of `gfpup.core.types.Face`, as (x, y) fractions of the square's sides.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 32, 3), nn.PReLU(32)
        self.conv2, self.prelu2 = nn.Conv2d(32, 64, 3), nn.PReLU(64)
        self.conv3, self.prelu3 = nn.Conv2d(64, 64, 3), nn.PReLU(64)
        self.conv4, self.prelu4 = nn.Conv2d(64, 128, 2), nn.PReLU(128)
        self.dense5, self.prelu5 = nn.Linear(1152, 256), nn.PReLU(256)
        self.dense6_1, self.dense6_2, self.dense6_3 = nn.Linear(256, 2), nn.Linear(256, 4), nn.Linear(256, 10)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = F.max_pool2d(self.prelu1(self.conv1(x)), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.prelu2(self.conv2(x)), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.prelu3(self.conv3(x)), 2, ceil_mode=True)
        x = self.prelu5(self.dense5(_columns_first(self.prelu4(self.conv4(x)))))
        landmarks = self.dense6_3(x).unflatten(1, (2, 5)).transpose(1, 2)  # the checkpoint has all x before all y
        return self.dense6_1(x).softmax(dim=1)[:, 1], self.dense6_2(x), landmarks


def _columns_first(x: Tensor) -> Tensor:
    """Flatten (n, c, h, w) in the order w, h, c: the weights were trained in Matlab's order."""
    return x.permute(0, 3, 2, 1).flatten(1)
