"""ELIR: a face restored in the latent space of a tiny autoencoder, by an estimate and a few steps of a flow.

Source: Cohen et al., "Efficient Image Restoration via Latent Consistency Flow Matching" (BMVC 2025), and the official
implementation, github.com/eladc-git/ELIR, for keys, constants and the order of operations; the autoencoder is that of
github.com/madebyollin/taesd.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gfpup.models.nets.convolution import NearestConv, WinogradConv

LATENT_CHANNELS, LATENT_SCALE = 16, 8
"""Channels of the latent, and pixels of a face along one of its places."""
STEPS = 5
"""Euler steps of the flow. Source: the official configuration, `k_steps`."""
NOISE_SCALE = 0.1
"""Deviation of the noise that is added to the estimate. Source: the official configuration, `sigma_s`."""

WIDTH = 64
"""Channels of the autoencoder."""
DENSE_GROWTH, DENSE_BLOCKS = 96, 3
"""Channels that each convolution of the estimator adds, and its residual-in-residual blocks."""
RESIDUAL_SCALE = 0.2
"""ESRGAN's own factor, on the dense and on the outer residual."""
FLOW_WIDTH, FLOW_MULTIPLIERS, MIDDLE_BLOCKS = 128, (1, 2, 1, 2), 3
"""Channels of the flow's U-Net; a multiplier of 2 halves the size and doubles the channels."""
TIME_FEATURES = 160
"""Length of the time's embedding."""


class ELIR(nn.Module):
    """Restore aligned faces: (n, 3, h, w) RGB in [0, 1] to the same shape, about the same range; sides are multiples of 32."""

    def __init__(self) -> None:
        super().__init__()
        self.fmir = Flow()
        self.mmse = Estimator()
        self.enc = Coder(encoder_layers())
        self.dec = Coder(decoder_layers())

    def forward(self, x: Tensor, noise: Tensor | None = None, *, steps: int = STEPS) -> Tensor:
        """Restore `x`; `noise`, standard normal (1 or n, 16, h/8, w/8), is added to the estimate, None for none of it."""
        latent = self.estimate(self.encode(x))
        if noise is not None:
            latent = latent + NOISE_SCALE * noise.to(latent)
        return self.decode(self.follow(latent, steps=steps))

    def encode(self, x: Tensor) -> Tensor:
        """The latent of a face, (n, 16, h/8, w/8)."""
        latent: Tensor = self.enc(x)
        return latent

    def estimate(self, latent: Tensor) -> Tensor:
        """The estimate of the clean latent with the least squared error, float32 at least."""
        estimate: Tensor = self.mmse(latent)
        return estimate.to(torch.promote_types(estimate.dtype, torch.float32))

    def follow(self, latent: Tensor, *, steps: int = STEPS) -> Tensor:
        """Take `steps` Euler steps along the flow, from time 0 to 1; the latent is summed in its own precision."""
        dtype = self.fmir.first_proj.weight.dtype
        time, step = 0.0, 1 / max(steps, 1)
        for _ in range(steps):
            velocity = self.fmir(latent.to(dtype), time_features(time, like=latent).to(dtype))
            latent = latent + step * velocity
            time += step
        return latent

    def decode(self, latent: Tensor) -> Tensor:
        """Paint a latent, (n, 3, h, w); its values are bent into [-3, 3] first."""
        bent = torch.tanh(latent / 3) * 3
        face: Tensor = self.dec(bent.to(next(self.dec.parameters()).dtype))
        return face


def time_features(time: float, *, like: Tensor) -> Tensor:
    """Embed a time in [0, 1] as cosines and sines of falling frequency: (1, 160) float32 on the device of `like`."""
    half = TIME_FEATURES // 2
    frequencies = torch.exp(torch.arange(half, dtype=torch.float32, device=like.device) * -(math.log(10000) / (half - 1)))
    phases = 1000 * torch.full((1, 1), time, dtype=torch.float32, device=like.device) * frequencies
    return torch.cat((phases.cos(), phases.sin()), dim=-1)


class Coder(nn.Module):
    """One half of the autoencoder, layer by layer."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def encoder_layers() -> list[nn.Module]:
    """From a face to its latent, at an eighth of the size."""
    layers: list[nn.Module] = [nn.Conv2d(3, WIDTH, 3, padding=1), CoderBlock()]
    for _ in range(3):
        halve = nn.Conv2d(WIDTH, WIDTH, 3, stride=2, padding=1, bias=False)
        layers += [halve, CoderBlock(), CoderBlock(), CoderBlock()]
    return [*layers, nn.Conv2d(WIDTH, LATENT_CHANNELS, 3, padding=1)]


def decoder_layers() -> list[nn.Module]:
    """From a latent to its face; an empty layer stands where the official code enlarges, which here the next one does."""
    layers: list[nn.Module] = [nn.Conv2d(LATENT_CHANNELS, WIDTH, 3, padding=1), nn.ReLU(inplace=True)]
    for _ in range(3):
        enlarge = NearestConv(WIDTH, WIDTH, bias=False)
        layers += [CoderBlock(), CoderBlock(), CoderBlock(), nn.Identity(), enlarge]
    return [*layers, CoderBlock(), nn.Conv2d(WIDTH, 3, 3, padding=1)]


class CoderBlock(nn.Module):
    """Three 3x3 convolutions beside a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        first, second, third = (WinogradConv(WIDTH, WIDTH) for _ in range(3))
        self.conv = nn.Sequential(first, nn.ReLU(inplace=True), second, nn.ReLU(inplace=True), third)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu_(self.conv(x).add_(x))


class Estimator(nn.Module):
    """Correct a latent: residual-in-residual dense blocks beside a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.lrm = nn.Sequential(*(ResidualInResidual() for _ in range(DENSE_BLOCKS)))

    def forward(self, latent: Tensor) -> Tensor:
        return latent + self.lrm(latent)


class ResidualInResidual(nn.Module):
    """Three dense blocks beside a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.RDB1, self.RDB2, self.RDB3 = (DenseBlock() for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.RDB3(self.RDB2(self.RDB1(x))) * RESIDUAL_SCALE + x


class DenseBlock(nn.Module):
    """Five convolutions, each reading all that came before it, beside a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        wide = [LATENT_CHANNELS + count * DENSE_GROWTH for count in range(5)]
        self.conv1, self.conv2, self.conv3, self.conv4 = (Convolved(inputs, DENSE_GROWTH) for inputs in wide[:4])
        self.conv5 = Convolved(wide[4], LATENT_CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        seen = x
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            seen = torch.cat((seen, F.silu(layer(seen), inplace=True)), dim=1)
        return self.conv5(seen) * RESIDUAL_SCALE + x


class Convolved(nn.Module):
    """A 3x3 convolution under the official key `block.0`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.block = nn.Sequential(WinogradConv(inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


class Flow(nn.Module):
    """The velocity of a latent (n, 16, h, w) at a time, given as `time_features`: a U-Net without attention."""

    def __init__(self) -> None:
        super().__init__()
        self.time_mlp = TimeFeatures()
        self.first_proj = nn.Conv2d(LATENT_CHANNELS, FLOW_WIDTH, 1)
        self.down_blocks: Any = nn.ModuleList()
        self.mid_blocks: Any = nn.ModuleList()
        self.up_blocks: Any = nn.ModuleList()
        channels = FLOW_WIDTH
        for multiplier in FLOW_MULTIPLIERS:
            wider = channels * multiplier
            halve = nn.Identity() if multiplier == 1 else Halve(channels, wider)
            self.down_blocks.append(nn.ModuleList([TimedBlock(channels, channels), halve]))
            channels = wider
        self.mid_blocks.extend(TimedBlock(channels, channels) for _ in range(MIDDLE_BLOCKS))
        for multiplier in reversed(FLOW_MULTIPLIERS):
            narrower = channels // multiplier
            double = nn.Identity() if multiplier == 1 else Double(channels, narrower)
            self.up_blocks.append(nn.ModuleList([double, TimedBlock(2 * narrower, narrower)]))
            channels = narrower
        self.final_block = NormedConv(channels, channels)
        self.final_proj = nn.Conv2d(channels, LATENT_CHANNELS, 1)

    def forward(self, latent: Tensor, time: Tensor) -> Tensor:
        time = F.silu(self.time_mlp(time))
        x = self.first_proj(latent)
        skips = []
        for block, halve in self.down_blocks:
            x = block(x, time)
            skips.append(x)
            x = halve(x)
        for block in self.mid_blocks:
            x = block(x, time)
        for double, block in self.up_blocks:
            x = block(torch.cat((double(x), skips.pop()), dim=1), time)
        return self.final_proj(self.final_block(x))


class TimeFeatures(nn.Module):
    """Two linear layers over a time's embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.linear1 = nn.Linear(TIME_FEATURES, 4 * TIME_FEATURES)
        self.linear2 = nn.Linear(4 * TIME_FEATURES, 4 * TIME_FEATURES)

    def forward(self, time: Tensor) -> Tensor:
        return self.linear2(F.silu(self.linear1(time)))


class TimedBlock(nn.Module):
    """Two normalised convolutions, shifted by the time between them, beside a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        # An empty layer stands where the official code applies SiLU to the time, which here is done once for all blocks.
        self.mlp = nn.Sequential(nn.Identity(), nn.Linear(4 * TIME_FEATURES, outputs))
        self.block1, self.block2 = NormedConv(inputs, outputs), NormedConv(outputs, outputs)
        self.conv2d = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        h = self.block1(x) + self.mlp(time)[:, :, None, None]
        return self.block2(h) + self.conv2d(x)


class NormedConv(nn.Module):
    """Group norm, SiLU and a 3x3 convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.GroupNorm(32, inputs), nn.SiLU(inplace=True), WinogradConv(inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


class Halve(nn.Module):
    """A strided 3x3 convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Double(nn.Module):
    """A strided transposed 4x4 convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convtr = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.convtr(x)
