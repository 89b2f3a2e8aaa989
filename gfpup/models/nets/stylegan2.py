"""The layers of StyleGAN2's synthesis network, in the form that GFPGAN uses: no blur kernels, bilinear upsampling.

A modulated convolution multiplies its weight, for each sample, by a style over the input channels, and scales each output
channel back to unit variance (demodulation). Scaling input channels of the weight is scaling the input: rewritten, the input is
scaled, one weight serves the whole batch, and the demodulation moves to the output.

Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020; GFPGAN's stylegan2_clean_arch.py.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gfpup.models.nets import convolution as fast
from gfpup.models.nets.convolution import doubled
from gfpup.models.nets.rewrites import Rewritable, suits

LARGE_PX = 64
"""Side of a feature map from which fewer multiplications pay: at 32 they would take 62 MB more and save about 2 % of GFPGAN."""

DEMODULATION_EPSILON = 1e-8
"""Source: StyleGAN2's official code."""


def channels_at(size: int, *, narrow: float = 1.0) -> int:
    """Feature channels at `size` pixels: 512 up to 64, then halved with each doubling, times `narrow`.

    Source: GFPGAN's channel table with `channel_multiplier=2`, the value of every published clean checkpoint.
    """
    return int(min(512, 32768 // size) * narrow)


class ModulatedConv(Rewritable):
    """A convolution whose weight (1, out, in, k, k) is scaled by a style for each sample; plain, in a grouped convolution.

    With `double` the input is enlarged first. `size` is the output's side in pixels: rewritten, large ones take fewer
    multiplications.
    """

    equalised = 1.0
    """A constant factor of the weight, for networks that keep their weights at unit variance; the rewritten weight holds it."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        style_features: int,
        *,
        demodulate: bool = True,
        double: bool = False,
        size: int = 0,
    ) -> None:
        super().__init__()
        self.demodulate, self.doubles, self.large = demodulate, double, kernel == 3 and size >= LARGE_PX
        self.modulation = nn.Linear(style_features, inputs)
        # Every checkpoint brings its weights, so no time goes into an initialisation.
        self.weight = nn.Parameter(torch.zeros(1, outputs, inputs, kernel, kernel))
        self.register_buffer("energy", None, persistent=False)
        self.register_buffer("taps", None, persistent=False)

    def rewrite(self) -> None:
        super().rewrite()
        weight = self.weight[0]
        self.energy = weight.square().sum((2, 3)).t().contiguous()
        if self.large:
            self.taps = fast.spread_taps(weight) if self.doubles else fast.winograd_taps(weight)
            if self.doubles:
                del self.weight  # `taps` holds the same numbers

    def forward(self, x: Tensor, style: Tensor, *, gain: float = 1.0, spend: bool = False) -> Tensor:
        """Convolve (n, in, h, w) under `style` (n, features), times `gain`; with `spend`, `x` may be overwritten."""
        scale = self.modulation(style)
        if not self.rewritten:
            return self._grouped(x, scale) * gain
        scaled = x.mul_(scale[:, :, None, None]) if spend else x * scale[:, :, None, None]
        out = self._convolve(scaled)
        if not self.demodulate:
            return out if gain == 1.0 else out * gain
        return out.mul_((torch.rsqrt(scale.square() @ self.energy + DEMODULATION_EPSILON) * gain)[:, :, None, None])

    def _convolve(self, x: Tensor) -> Tensor:
        if self.large and self.doubles and suits(x):
            return fast.bilinear_then_conv(x, self.taps)
        if self.large and not self.doubles and fast.winograd_suits(x):
            return fast.winograd(x, self.taps, None)
        weight = fast.weight_of(self.taps) if self.large and self.doubles else self.weight[0]
        return F.conv2d(doubled(x) if self.doubles else x, weight, padding=weight.shape[-1] // 2)

    def _weight_of_each(self, scale: Tensor) -> Tensor:
        """The weight of each sample, (n, out, in, k, k)."""
        weight = self.weight if self.equalised == 1.0 else self.equalised * self.weight
        weight = weight * scale[:, None, :, None, None]
        if self.demodulate:
            weight = weight * torch.rsqrt(weight.square().sum((2, 3, 4), keepdim=True) + DEMODULATION_EPSILON)
        return weight

    def _grouped(self, x: Tensor, scale: Tensor) -> Tensor:
        x = doubled(x) if self.doubles else x
        n, inputs, h, w = x.shape
        weight = self._weight_of_each(scale)
        out = F.conv2d(x.reshape(1, n * inputs, h, w), weight.flatten(0, 1), padding=weight.shape[-1] // 2, groups=n)
        return out.view(n, -1, h, w)


class StyleConv(nn.Module):
    """A modulated 3x3 convolution, noise, bias and leaky ReLU; with `double` the output has twice the size."""

    def __init__(self, inputs: int, outputs: int, style_features: int, *, double: bool = False, size: int = 0) -> None:
        super().__init__()
        self.modulated_conv = ModulatedConv(inputs, outputs, 3, style_features, double=double, size=size)
        self.weight = nn.Parameter(torch.zeros(1))
        self.bias = nn.Parameter(torch.zeros(1, outputs, 1, 1))

    def forward(self, x: Tensor, style: Tensor, noise: Tensor, *, spend: bool = False) -> Tensor:
        """Map (n, in, h, w) to (n, out, h, w) or twice as large; `noise` is (1 or n, 1, h, w); with `spend`, `x` is lost."""
        # The gain stands for the square root of two that StyleGAN2 multiplies into its activations.
        out = self.modulated_conv(x, style, gain=math.sqrt(2.0), spend=spend)
        return F.leaky_relu_(out.add_(self.weight * noise).add_(self.bias), 0.2)


class ToRGB(nn.Module):
    """A modulated 1x1 convolution to three channels, without demodulation, added to the upsampled picture so far.

    The picture is summed in float32 at least: in bfloat16 its eight roundings cost 15 dB, and three channels are cheap.
    """

    def __init__(self, inputs: int, style_features: int) -> None:
        super().__init__()
        self.modulated_conv = ModulatedConv(inputs, 3, 1, style_features, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, x: Tensor, style: Tensor, picture: Tensor | None = None, *, spend: bool = False) -> Tensor:
        """Map (n, in, h, w) to (n, 3, h, w); `picture` is (n, 3, h/2, w/2) or None at the smallest size; `spend` as before."""
        rgb = self.modulated_conv(x, style, spend=spend).to(torch.promote_types(x.dtype, torch.float32)) + self.bias
        return rgb if picture is None else rgb + doubled(picture)


class ConstantInput(nn.Module):
    """The learned (1, channels, 4, 4) tensor that the synthesis starts from."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, channels, 4, 4))

    def forward(self, samples: int) -> Tensor:
        return self.weight.expand(samples, -1, -1, -1)


def noise_sizes(out_size: int) -> list[int]:
    """The side of each stored noise map, smallest first: 4, then every doubling to `out_size` twice."""
    return [4, *(2**power for power in range(3, out_size.bit_length()) for _ in range(2))]


def seeded_noise(seed: int, *, out_size: int = 512) -> list[Tensor]:
    """Standard normal noise maps (1, 1, s, s), float32 on the CPU, in the order of `noise_sizes`; alike for every device."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(1, 1, size, size, generator=generator, device="cpu") for size in noise_sizes(out_size)]
