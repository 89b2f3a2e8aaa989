"""ParseNet: the parser behind the official paste-back mask; 17 times the work of BiSeNet.

Source: Chen et al., "Progressive Semantic-Aware Style Transformation for Blind Face Restoration", CVPR 2021
(chaofengc/PSFRGAN), as facexlib builds it for parsing_parsenet.pth. State-dict keys are the official ones.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from gfpup.models.nets.convolution import NearestConv, WinogradConv

LABELS = (
    "background", "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear",
    "mouth", "u_lip", "l_lip", "hair", "hat", "ear_r", "neck_l", "neck", "cloth",
)  # fmt: skip
"""The classes by index: eye_g are glasses, ear_r an earring, neck_l a necklace. BiSeNet's order differs.
Source: facexlib, inference/inference_parsing_parsenet.py.
"""

OUTSIDE = ("background", "hat", "neck_l", "neck", "cloth")
"""The labels that the official mask leaves out of the face. Source: facexlib, utils/face_restoration_helper.py."""

MEAN, STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
"""Input is (rgb - MEAN) / STD with rgb in [0, 1]: [-1, 1]. Source: facexlib, utils/face_restoration_helper.py."""


class ParseNet(nn.Module):
    """Class logits (n, classes, h, w) of faces (n, 3, h, w), RGB in [-1, 1], float32 or bfloat16.

    Trained on 512x512; `h` and `w` are multiples of 16. The arg-max over the classes is the label. The head that paints the
    input again is in every checkpoint (`out_img_conv`) and never computed here.
    """

    def __init__(self, *, classes: int = len(LABELS), depth: int = 10) -> None:
        super().__init__()
        widths = (64, 128, 256, 256, 256)
        steps = list(pairwise(widths))
        self.encoder = nn.Sequential(ConvLayer(3, widths[0]), *(ResidualBlock(a, b, "down") for a, b in steps))
        self.body = nn.Sequential(*(ResidualBlock(widths[-1], widths[-1], "same") for _ in range(depth)))
        self.decoder = nn.Sequential(*(ResidualBlock(b, a, "up") for a, b in reversed(steps)))
        self.out_img_conv = ConvLayer(widths[0], 3)
        self.out_mask_conv = ConvLayer(widths[0], classes)

    def forward(self, x: Tensor) -> Tensor:
        features = self.encoder(x)
        return self.out_mask_conv(self.decoder(features + self.body(features)))


class ConvLayer(nn.Module):
    """A 3x3 convolution over a reflected border at "same", half ("down") or twice ("up", nearest first) the size.

    With `norm` it has no bias and a batch norm after it. `large` feature maps may save multiplications.
    """

    def __init__(self, inputs: int, outputs: int, scale: str = "same", *, norm: bool = False, large: bool = False) -> None:
        super().__init__()
        self.conv2d: nn.Conv2d
        if scale == "up" or (large and scale == "same"):
            kind: type[NearestConv | WinogradConv] = NearestConv if scale == "up" else WinogradConv
            self.conv2d = kind(inputs, outputs, bias=not norm, border="reflect")
        else:
            stride = 2 if scale == "down" else 1
            self.conv2d = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=not norm, padding_mode="reflect")
        # One level deeper than it need be: the official key is norm.norm.
        self.norm = nn.Sequential(OrderedDict(norm=nn.BatchNorm2d(outputs))) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv2d(x))


class ResidualBlock(nn.Module):
    """Two normalised convolutions beside a shortcut, which is a convolution too wherever the size changes."""

    def __init__(self, inputs: int, outputs: int, scale: str) -> None:
        super().__init__()
        first, second = {"same": ("same", "same"), "down": ("same", "down"), "up": ("up", "same")}[scale]
        self.shortcut_func = nn.Identity() if scale == "same" else ConvLayer(inputs, outputs, scale)
        large = scale != "same"  # the body works at 32 pixels, where its 20 larger weights would save little
        self.conv1 = ConvLayer(inputs, outputs, first, norm=True, large=large)
        self.conv2 = ConvLayer(outputs, outputs, second, norm=True, large=large)

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut_func(x) + self.conv2(F.leaky_relu_(self.conv1(x), 0.2))
