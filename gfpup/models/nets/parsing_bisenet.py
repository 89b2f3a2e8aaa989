"""BiSeNet for faces: which of 19 parts each pixel of an aligned face belongs to.

Source: Yu et al., "BiSeNet: Bilateral Segmentation Network for Real-time Semantic Segmentation", ECCV 2018, in the form of
zllrunning/face-parsing.PyTorch (the spatial path is the ResNet's 1/8 features), whose published checkpoint is the one that
facexlib distributes as parsing_bisenet.pth. State-dict keys are the official ones.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gfpup.models.nets.resnet import BasicBlock, ResNet

LABELS = (
    "background", "skin", "l_brow", "r_brow", "l_eye", "r_eye", "eye_g", "l_ear", "r_ear", "ear_r",
    "nose", "mouth", "u_lip", "l_lip", "neck", "neck_l", "cloth", "hair", "hat",
)  # fmt: skip
"""The classes by index: eye_g are glasses, ear_r an earring, neck_l a necklace. ParseNet's order differs.
Source: facexlib, inference/inference_parsing.py.
"""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""The RGB statistics of ImageNet, which the published checkpoint was trained with: input is (rgb - MEAN) / STD, rgb in [0, 1].

The goldens feed rgb scaled to [-1, 1], which tests arithmetic alone. Source: facexlib, inference/inference_parsing.py.
"""


class BiSeNet(nn.Module):
    """Class logits (n, classes, h, w) of faces (n, 3, h, w), float32 or bfloat16, normalised by `MEAN` and `STD`.

    Trained on 512x512. The arg-max over the classes is the label. The two auxiliary heads of the training loss are in every
    checkpoint (`conv_out16`, `conv_out32`) and never computed here.
    """

    def __init__(self, *, classes: int = len(LABELS)) -> None:
        super().__init__()
        self.cp = ContextPath()
        self.ffm = FeatureFusion(256, 256)
        self.conv_out = Head(256, 256, classes)
        self.conv_out16 = Head(128, 64, classes)
        self.conv_out32 = Head(128, 64, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits = self.conv_out(self.ffm(*self.cp(x)))
        return F.interpolate(logits, x.shape[2:], mode="bilinear", align_corners=True)


class ConvBN(nn.Module):
    """A convolution, batch norm and ReLU; a 1x1 kernel goes without padding."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class Head(nn.Module):
    """Features to class logits, at the size of the features."""

    def __init__(self, inputs: int, middle: int, classes: int) -> None:
        super().__init__()
        self.conv = ConvBN(inputs, middle)
        self.conv_out = nn.Conv2d(middle, classes, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_out(self.conv(x))


class AttentionRefinement(nn.Module):
    """A convolution whose channels are weighted by a sigmoid over their own means."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = ConvBN(inputs, outputs)
        self.conv_atten = nn.Conv2d(outputs, outputs, 1, bias=False)
        self.bn_atten = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        features = self.conv(x)
        return features * torch.sigmoid(self.bn_atten(self.conv_atten(features.mean((2, 3), keepdim=True))))


class ContextPath(nn.Module):
    """What the ResNet sees at 1/16 and 1/32, brought back to 1/8."""

    def __init__(self) -> None:
        super().__init__()
        self.resnet = ResNet(BasicBlock, (2, 2, 2, 2))
        self.arm16 = AttentionRefinement(256, 128)
        self.arm32 = AttentionRefinement(512, 128)
        self.conv_head32 = ConvBN(128, 128)
        self.conv_head16 = ConvBN(128, 128)
        self.conv_avg = ConvBN(512, 128, kernel=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the ResNet's features and the context, both (n, 128, h/8, w/8)."""
        eighth, sixteenth, thirtysecond = self.resnet(x)
        context = self.arm32(thirtysecond) + self.conv_avg(thirtysecond.mean((2, 3), keepdim=True))
        context = self.conv_head32(F.interpolate(context, sixteenth.shape[2:], mode="nearest"))
        context = self.arm16(sixteenth) + context
        return eighth, self.conv_head16(F.interpolate(context, eighth.shape[2:], mode="nearest"))


class FeatureFusion(nn.Module):
    """Joins two feature maps and adds a copy weighted by attention over their channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convblk = ConvBN(inputs, outputs, kernel=1)
        self.conv1 = nn.Conv2d(outputs, outputs // 4, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs // 4, outputs, 1, bias=False)

    def forward(self, spatial: Tensor, context: Tensor) -> Tensor:
        features = self.convblk(torch.cat((spatial, context), 1))
        attention = torch.sigmoid(self.conv2(F.relu(self.conv1(features.mean((2, 3), keepdim=True)))))
        return features * attention + features
