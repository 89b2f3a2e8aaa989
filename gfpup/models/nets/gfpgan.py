"""GFPGAN 1.2, 1.3 and 1.4: a U-Net reads the face, and its features steer a StyleGAN2 that paints it anew.

Source: Wang et al., "Towards Real-World Blind Face Restoration with Generative Facial Prior", CVPR 2021; `GFPGANv1Clean` of
TencentARC/GFPGAN as its own restorer builds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gfpup.models.nets.convolution import BilinearConv, WinogradConv, doubled
from gfpup.models.nets.rewrites import Rewritable
from gfpup.models.nets.stylegan2 import LARGE_PX, ConstantInput, StyleConv, ToRGB, channels_at, noise_sizes


class GFPGAN(nn.Module):
    """Restore aligned faces: RGB (n, 3, 512, 512) in [-1, 1] to the same shape, about the same range, row i from row i alone.

    The official network draws fresh noise at each call; this one adds the maps stored in the checkpoint, or those given.
    float32, or bfloat16 in and float32 out; float16 overflows in the decoder. The arguments make small networks.
    """

    def __init__(self, *, out_size: int = 512, narrow: float = 1.0, style_features: int = 512, mlp_layers: int = 8) -> None:
        super().__init__()
        sizes = [2**power for power in range(3, out_size.bit_length())]
        # The U-Net has half the width of the decoder, so its features fit half of the decoder's channels.
        width = {size: channels_at(size, narrow=narrow / 2) for size in (4, *sizes)}
        self.style_features = style_features

        self.conv_body_first = nn.Conv2d(3, width[out_size], 1)
        self.conv_body_down = nn.ModuleList(DownBlock(width[s], width[s // 2], size=s) for s in reversed(sizes))
        self.final_conv = conv3x3(width[4], width[4], size=4)
        self.final_linear = nn.Linear(width[4] * 16, (2 * len(sizes) + 2) * style_features)
        self.conv_body_up = nn.ModuleList(UpBlock(width[s // 2], width[s], size=s) for s in sizes)
        self.condition_scale = nn.ModuleList(condition(width[s], size=s) for s in sizes)
        self.condition_shift = nn.ModuleList(condition(width[s], size=s) for s in sizes)
        # Intermediate pictures for the training loss: in every checkpoint, never computed here.
        self.toRGB = nn.ModuleList(nn.Conv2d(width[s], 3, 1) for s in sizes)
        self.stylegan_decoder = Decoder(out_size, narrow=narrow, style_features=style_features, mlp_layers=mlp_layers)

    def forward(self, x: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """Restore `x`; `noise` replaces the stored maps: one (1 or n, 1, s, s) tensor for each of `stylegan2.noise_sizes`."""
        features = F.leaky_relu_(self.conv_body_first(x), 0.2)
        skips = []
        for down in self.conv_body_down:
            features = down(features)
            skips.append(features)
        features = F.leaky_relu_(self.final_conv(features), 0.2)
        styles = self.final_linear(features.flatten(1)).unflatten(1, (-1, self.style_features))
        return self.stylegan_decoder(styles, self._conditions(features, skips), noise)

    def _conditions(self, features: Tensor, skips: list[Tensor]) -> Iterator[Tensor]:
        """Give a scale and then a shift for each level when the decoder asks for them, so that no two exist at a time."""
        held = [features]
        del features
        for up, scale, shift in zip(self.conv_body_up, self.condition_scale, self.condition_shift, strict=True):
            held = [up(held.pop() + skips.pop())]
            yield scale(held[0])
            # While the decoder paints the largest level, nothing is held here.
            yield shift(held[0] if skips else held.pop())


class Decoder(Rewritable):
    """StyleGAN2's synthesis, half of the channels of each level scaled and shifted by the U-Net (SFT)."""

    def __init__(self, out_size: int, *, narrow: float, style_features: int, mlp_layers: int) -> None:
        super().__init__()
        sizes = [2**power for power in range(3, out_size.bit_length())]
        width = {size: channels_at(size, narrow=narrow) for size in (4, *sizes)}
        # StyleGAN2's mapping network, at the odd places of the official sequence: in every checkpoint, never computed.
        self.style_mlp = nn.ModuleDict({str(2 * i + 1): nn.Linear(style_features, style_features) for i in range(mlp_layers)})
        self.constant_input = ConstantInput(width[4])
        self.style_conv1 = StyleConv(width[4], width[4], style_features)
        self.to_rgb1 = ToRGB(width[4], style_features)
        self.style_convs = nn.ModuleList(
            StyleConv(inputs, width[size], style_features, double=double, size=size)
            for size in sizes
            for inputs, double in ((width[size // 2], True), (width[size], False))
        )
        self.to_rgbs = nn.ModuleList(ToRGB(width[size], style_features) for size in sizes)
        self.noises = nn.Module()
        for index, size in enumerate(noise_sizes(out_size)):
            self.noises.register_buffer(f"noise{index}", torch.zeros(1, 1, size, size))

    def rewrite(self) -> None:
        super().rewrite()
        self.style_mlp.clear()

    def forward(self, styles: Tensor, conditions: Iterator[Tensor], noise: Sequence[Tensor] | None) -> Tensor:
        """Paint from `styles` (n, layers, features), a scale and then a shift a level; returns (n, 3, size, size)."""
        maps = list(self.noises.buffers()) if noise is None else [each.to(styles) for each in noise]
        features = self.style_conv1(self.constant_input(len(styles)), styles[:, 0], maps[0])
        picture = self.to_rgb1(features, styles[:, 1])
        for level, to_rgb in enumerate(self.to_rgbs):
            first, second = self.style_convs[2 * level], self.style_convs[2 * level + 1]
            # A level's picture and the next level's first convolution share one style, as in StyleGAN2.
            at = 2 * level + 1
            features = first(features, styles[:, at], maps[at], spend=True)
            # Asked for here and dropped at once: beside either convolution they would be 100 MB more.
            features[:, features.shape[1] // 2 :].mul_(next(conditions))
            features[:, features.shape[1] // 2 :].add_(next(conditions))
            features = second(features, styles[:, at + 1], maps[at + 1], spend=True)
            picture = to_rgb(features, styles[:, at + 2], picture, spend=level + 1 == len(self.to_rgbs))
        return picture


class DownBlock(nn.Module):
    """Two 3x3 convolutions with a halving between them, beside a halved 1x1 skip; `size` is that of the input."""

    def __init__(self, inputs: int, outputs: int, *, size: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(inputs, inputs, size=size)
        self.conv2 = conv3x3(inputs, outputs, size=size // 2)
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = F.leaky_relu_(self.conv2(_halved(F.leaky_relu_(self.conv1(x), 0.2))), 0.2)
        return out + self.skip(_halved(x))


class UpBlock(Rewritable):
    """Two 3x3 convolutions with a doubling between them, beside a doubled 1x1 skip; `size` is that of the output.

    Without a bias the skip and the doubling may change places, which leaves the skip a quarter of the pixels.
    """

    def __init__(self, inputs: int, outputs: int, *, size: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(inputs, inputs, size=size // 2)
        self.conv2 = BilinearConv(inputs, outputs)
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = F.leaky_relu_(self.conv2(F.leaky_relu_(self.conv1(x), 0.2)), 0.2)
        return out.add_(doubled(self.skip(x)) if self.rewritten else self.skip(doubled(x)))


def _halved(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=0.5, mode="bilinear", align_corners=False)


def condition(channels: int, *, size: int) -> nn.Sequential:
    """The two convolutions that turn U-Net features into a scale or a shift of half of the decoder's channels."""
    first, second = (conv3x3(channels, channels, size=size) for _ in range(2))
    return nn.Sequential(first, nn.LeakyReLU(0.2, inplace=True), second)


def conv3x3(inputs: int, outputs: int, *, size: int) -> nn.Conv2d:
    """The usual convolution, in the form that may save multiplications where there is much to save."""
    saves = size >= LARGE_PX and min(inputs, outputs) >= 64
    return WinogradConv(inputs, outputs) if saves else nn.Conv2d(inputs, outputs, 3, padding=1)
