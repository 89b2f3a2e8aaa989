"""GPEN at 512 and 1024 px: an encoder's features take the place of StyleGAN2's noise, beside each layer's own channels.

The generator is StyleGAN2 with its blur kernels. Every layer takes the one style that the encoder's last features give.
Rewritten, constant factors move into the weights and a weight serves the whole batch, as in `stylegan2`.

Source: Yang et al., "GAN Prior Embedded Network for Blind Face Restoration in the Wild", CVPR 2021; `FullGenerator` of
yangxy/GPEN with `channel_multiplier=2` and features concatenated, as its own script builds it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gfpup.models.nets.convolution import spread_then_blur
from gfpup.models.nets.rewrites import Rewritable, suits
from gfpup.models.nets.stylegan2 import ModulatedConv, channels_at

ROOT_TWO = math.sqrt(2.0)
"""The gain of an activation, which halves the variance."""
NORM_EPSILON = 1e-8
"""Source: StyleGAN2's official code."""
MAPPING_RATE = 0.01
"""What the mapping network's weights and biases are multiplied by. Source: GPEN's `lr_mlp`."""


class GPEN(nn.Module):
    """Restore aligned faces: RGB (n, 3, size, size) in [-1, 1] to the same shape, about the same range, row i from row i alone.

    float32, or bfloat16 in and float32 out. The arguments make small networks.
    """

    def __init__(self, size: int = 512, *, narrow: float = 1.0, style_features: int = 512, mlp_layers: int = 8) -> None:
        super().__init__()
        self.size = size
        sizes = [2**power for power in range(size.bit_length() - 1, 1, -1)]
        width = {side: channels_at(side, narrow=narrow) for side in sizes}
        self.generator = Generator(size, narrow=narrow, style_features=style_features, mlp_layers=mlp_layers)
        # A level's first layer has its own name in the checkpoint: ecd0 is at full size, the last one at 4 px.
        self.levels = len(sizes)
        self.ecd0 = nn.Sequential(encoder_layer(3, width[size], halve=False))
        for level, side in enumerate(sizes[1:], start=1):
            setattr(self, f"ecd{level}", nn.Sequential(encoder_layer(width[2 * side], width[side], halve=True)))
        self.final_linear = nn.Sequential(EqualLinear(width[4] * 16, style_features, activated=True))

    def forward(self, x: Tensor) -> Tensor:
        """Restore `x`."""
        features = []
        for level in range(self.levels):
            x = getattr(self, f"ecd{level}")(x)
            features.append(x)
        # In the order of the channels in memory as the official code has it, whatever the layout here.
        return self.generator(self.final_linear(x.flatten(1)), features)


class Generator(nn.Module):
    """StyleGAN2's mapping and synthesis, each layer's channels followed by as many of the encoder's."""

    def __init__(self, size: int, *, narrow: float, style_features: int, mlp_layers: int) -> None:
        super().__init__()
        sizes = [2**power for power in range(3, size.bit_length())]
        width = {side: channels_at(side, narrow=narrow) for side in (4, *sizes)}
        mapping = (EqualLinear(style_features, style_features, activated=True, rate=MAPPING_RATE) for _ in range(mlp_layers))
        self.style = nn.Sequential(PixelNorm(), *mapping)
        self.input = nn.ParameterDict({"input": torch.zeros(1, width[4], 4, 4)})
        self.conv1 = StyledLayer(width[4], width[4], style_features)
        self.to_rgb1 = PictureLayer(2 * width[4], style_features)
        self.convs = nn.ModuleList(
            StyledLayer(2 * inputs, width[side], style_features, double=double, size=side)
            for side in sizes
            for inputs, double in ((width[side // 2], True), (width[side], False))
        )
        self.to_rgbs = nn.ModuleList(PictureLayer(2 * width[side], style_features, doubles=True) for side in sizes)

    def forward(self, latent: Tensor, encoded: list[Tensor]) -> Tensor:
        """Paint from `latent` (n, features) and the encoder's features, largest first, which are taken out of their list."""
        style = self.style(latent)
        start = self.input["input"].expand(len(style), -1, -1, -1)
        features = self.conv1(start, style, encoded.pop())
        picture = self.to_rgb1(features, style)
        for level, to_rgb in enumerate(self.to_rgbs):
            beside = encoded.pop()
            features = self.convs[2 * level](features, style, beside, spend=True)
            features = self.convs[2 * level + 1](features, style, beside, spend=True)
            del beside
            picture = to_rgb(features, style, picture, spend=level + 1 == len(self.to_rgbs))
        return picture


class StyledLayer(Rewritable):
    """A modulated 3x3 convolution, the encoder's features behind its channels, bias and activation over both."""

    def __init__(self, inputs: int, outputs: int, style_features: int, *, double: bool = False, size: int = 0) -> None:
        super().__init__()
        self.conv = EqualModulatedConv(inputs, outputs, 3, style_features, double=double, size=size)
        self.noise = Weight(1)
        self.activate = Activation(2 * outputs)

    def forward(self, x: Tensor, style: Tensor, encoded: Tensor, *, spend: bool = False) -> Tensor:
        """Map (n, in, h, w) to (n, 2 out, h, w) or twice as large; `encoded` is (n, out, h, w); with `spend`, `x` is lost."""
        if not self.rewritten:
            return self.activate(torch.cat((self.conv(x, style), self.noise.weight * encoded), 1))
        out = self.conv(x, style, gain=ROOT_TWO, spend=spend)
        both = torch.cat((out, encoded * (self.noise.weight * ROOT_TWO)), 1)
        return F.leaky_relu_(both.add_(self.activate.bias.view(1, -1, 1, 1)), 0.2)


class PictureLayer(nn.Module):
    """A modulated 1x1 convolution to three channels, added to the picture so far, enlarged.

    The picture is summed in float32 at least, as `stylegan2.ToRGB` does and why.
    """

    def __init__(self, inputs: int, style_features: int, *, doubles: bool = False) -> None:
        super().__init__()
        self.conv = EqualModulatedConv(inputs, 3, 1, style_features, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        if doubles:
            self.upsample = Kernel(gain=4.0)

    def forward(self, x: Tensor, style: Tensor, picture: Tensor | None = None, *, spend: bool = False) -> Tensor:
        """Map (n, in, h, w) to (n, 3, h, w); `picture` is (n, 3, h/2, w/2) or None at the smallest size."""
        rgb = self.conv(x, style, spend=spend)
        rgb = rgb.to(torch.promote_types(x.dtype, torch.float32)) + self.bias
        return rgb if picture is None else rgb + self.upsample.doubled(picture)


class EqualModulatedConv(ModulatedConv):
    """`ModulatedConv` with the factor of equalised learning rates; with `double` it spreads pixels apart and blurs."""

    def __init__(self, inputs: int, outputs: int, kernel: int, style_features: int, **options: bool | int) -> None:
        super().__init__(inputs, outputs, kernel, style_features, **options)  # type: ignore[arg-type]
        self.equalised = 1 / math.sqrt(inputs * kernel**2)
        self.modulation = EqualLinear(style_features, inputs)  # type: ignore[assignment]
        if self.doubles:
            self.blur = Kernel(gain=4.0)

    def rewrite(self) -> None:
        self.weight.data = self.weight.data * self.equalised
        if not self.doubles:
            super().rewrite()
            return
        Rewritable.rewrite(self)
        weight = self.weight.detach()[0]
        self.energy = weight.square().sum((2, 3)).t().contiguous()
        self.taps = weight.transpose(0, 1).contiguous(memory_format=torch.channels_last)
        del self.weight

    def _convolve(self, x: Tensor) -> Tensor:
        if not self.doubles:
            return super()._convolve(x)
        if suits(x):
            return spread_then_blur(x, self.taps, self.blur.kernel)
        return self.blur(F.conv_transpose2d(x, self.taps, stride=2), padding=1)

    def _grouped(self, x: Tensor, scale: Tensor) -> Tensor:
        if not self.doubles:
            return super()._grouped(x, scale)
        n, inputs, h, w = x.shape
        weight = self._weight_of_each(scale).transpose(1, 2).flatten(0, 1)
        apart = F.conv_transpose2d(x.reshape(1, n * inputs, h, w), weight, stride=2, groups=n)
        return self.blur(apart.view(n, -1, 2 * h + 1, 2 * w + 1), padding=1)


class Kernel(nn.Module):
    """StyleGAN2's blur under 1 3 3 1 in both directions, times `gain`: stored in every checkpoint, and symmetrical."""

    kernel: Tensor

    def __init__(self, *, gain: float = 1.0) -> None:
        super().__init__()
        taps = torch.tensor((1.0, 3.0, 3.0, 1.0))
        self.register_buffer("kernel", torch.outer(taps, taps) * (gain / 64))

    def forward(self, x: Tensor, *, padding: int = 2) -> Tensor:
        """Blur (n, c, h, w), with so many zeros around it: (n, c, h + 2 padding - 3, w + 2 padding - 3)."""
        channels = x.shape[1]
        return F.conv2d(x, self.kernel.to(x.dtype).expand(channels, 1, 4, 4), padding=padding, groups=channels)

    def doubled(self, x: Tensor) -> Tensor:
        """Enlarge (n, c, h, w) to (n, c, 2h, 2w): spread apart, and blurred, with zeros around it."""
        channels = x.shape[1]
        kernel = self.kernel.to(x.dtype).expand(channels, 1, 4, 4)
        return F.conv_transpose2d(x, kernel, stride=2, padding=1, groups=channels)


class EqualConv(Rewritable):
    """A convolution without bias whose weight is multiplied by a constant; strides by two where it is told to halve."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__()
        self.equalised, self.stride = 1 / math.sqrt(inputs * kernel**2), stride
        self.weight = nn.Parameter(torch.zeros(outputs, inputs, kernel, kernel))

    def rewrite(self) -> None:
        super().rewrite()
        # The activation's gain, which commutes with its two straight halves, goes into the weight too.
        self.weight.data = self.weight.data * (self.equalised * ROOT_TWO)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight if self.rewritten else self.weight * self.equalised
        return F.conv2d(x, weight, stride=self.stride)


class Activation(Rewritable):
    """A bias for each channel and leaky ReLU, times the square root of two; rewritten, what comes in has that factor."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def rewrite(self) -> None:
        super().rewrite()
        self.bias.data = self.bias.data * ROOT_TWO

    def forward(self, x: Tensor) -> Tensor:
        if self.rewritten:
            return F.leaky_relu_(x.add_(self.bias.view(1, -1, 1, 1)), 0.2)
        return F.leaky_relu(x + self.bias.view(1, -1, 1, 1), 0.2) * ROOT_TWO


class EqualLinear(Rewritable):
    """A linear layer whose weight is multiplied by a constant and `rate`, its bias by `rate`; `activated` as `Activation`."""

    def __init__(self, inputs: int, outputs: int, *, activated: bool = False, rate: float = 1.0) -> None:
        super().__init__()
        self.equalised, self.rate, self.activated = rate / math.sqrt(inputs), rate, activated
        self.weight = nn.Parameter(torch.zeros(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def rewrite(self) -> None:
        super().rewrite()
        gain = ROOT_TWO if self.activated else 1.0
        self.weight.data = self.weight.data * (self.equalised * gain)
        self.bias.data = self.bias.data * (self.rate * gain)

    def forward(self, x: Tensor) -> Tensor:
        if self.rewritten:
            out = F.linear(x, self.weight, self.bias)
            return F.leaky_relu_(out, 0.2) if self.activated else out
        if not self.activated:
            return F.linear(x, self.weight * self.equalised, self.bias * self.rate)
        return F.leaky_relu(F.linear(x, self.weight * self.equalised) + self.bias * self.rate, 0.2) * ROOT_TWO


class PixelNorm(nn.Module):
    """Scale each latent to a mean square of one."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + NORM_EPSILON)


class Weight(nn.Module):
    """A parameter under the name that the checkpoint gives it."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(*shape))


def encoder_layer(inputs: int, outputs: int, *, halve: bool) -> nn.Sequential:
    """A convolution and its activation; one that halves has a blur before it."""
    activation = Activation(outputs)
    if halve:
        return nn.Sequential(Kernel(), EqualConv(inputs, outputs, 3, stride=2), activation)
    return nn.Sequential(EqualConv(inputs, outputs, 1), activation)
