"""PMRF: the estimate of least squared error, carried to a natural face along the straight paths of a rectified flow.

Source: Ohayon, Michaeli and Elad, "Posterior-Mean Rectified Flow" (ICLR 2025), and the official implementation,
github.com/ohayonguy/PMRF, for keys, constants and the order of operations; the flow's network is the hourglass transformer of
Crowson et al., "Scalable High-Resolution Pixel-Space Image Synthesis with Hourglass Diffusion Transformers" (ICML 2024).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gfpup.models.nets import swinir
from gfpup.models.nets.neighbourhood import neighbourhood_attention

STEPS = 25
"""Euler steps of the flow. Source: the official inference script."""
NOISE_SCALE = 0.1
"""Deviation of the noise that is added to the estimate. Source: the official configuration."""
WIDTHS, DEPTHS, PATCH = (256, 512, 1024), (2, 2, 8), 4
"""Features and layers of each level, and pixels along a patch; between levels the size is halved."""
HEAD, WINDOW = 64, 7
"""Features of a head, and the side of its window where attention is local."""
CONDITION = 768
"""Features of what is told of the time."""
EPSILON = 1e-6
ROWS = 4096
"""Places at a time in the linear layers: their intermediate results then take 25 MB in place of 100."""


class PMRF(nn.Module):
    """Restore aligned faces: (n, 3, h, w) RGB in [0, 1] to the same shape, about the same range; sides are multiples of 64."""

    def __init__(
        self, *, widths: tuple[int, ...] = WIDTHS, depths: tuple[int, ...] = DEPTHS, groups: int = swinir.GROUPS
    ) -> None:
        super().__init__()
        self.model = Hourglass(widths=widths, depths=depths)
        self.mmse_model = swinir.SwinIR(groups=groups)

    def forward(self, x: Tensor, noise: Tensor | None = None, *, steps: int = STEPS) -> Tensor:
        """Restore `x`; `noise`, standard normal (1 or n, 3, h, w), is added to the estimate, None for none of it."""
        picture = self.estimate(x).clamp(0, 1)
        if noise is not None:
            picture = picture + NOISE_SCALE * noise.to(picture)
        return self.follow(picture, steps=steps)

    def estimate(self, x: Tensor) -> Tensor:
        """The estimate of the clean face with the least squared error, float32 at least."""
        estimate: Tensor = self.mmse_model(x.to(self.mmse_model.conv_last.weight.dtype))
        return estimate.to(torch.promote_types(estimate.dtype, torch.float32))

    def follow(self, picture: Tensor, *, steps: int = STEPS) -> Tensor:
        """Take `steps` Euler steps along the flow, from time 0 to 1; the picture is summed in its own precision."""
        for index in range(steps):
            picture = picture + self.velocity(picture, index / steps) * (1 / steps)
        return picture

    def velocity(self, picture: Tensor, time: float) -> Tensor:
        """The flow's velocity at a time in [0, 1], of the shape and dtype of `picture`."""
        velocity: Tensor = self.model(picture.to(self.model.patch_in.proj.weight.dtype), time)
        return velocity.to(picture.dtype)


class Hourglass(nn.Module):
    """A transformer over patches: local attention on two levels down, global attention in the middle, and up again."""

    def __init__(self, *, widths: tuple[int, ...] = WIDTHS, depths: tuple[int, ...] = DEPTHS) -> None:
        super().__init__()
        self.patch_in = Projection(3 * PATCH**2, widths[0])
        self.time_emb, self.aug_emb = Frequencies(1), Frequencies(9)
        self.time_in_proj, self.aug_in_proj = (linear(CONDITION, CONDITION) for _ in range(2))
        self.mapping = Mapping()
        local = list(zip(widths[:-1], depths[:-1], strict=True))
        self.down_levels, self.up_levels = (
            nn.ModuleList(nn.ModuleList(Layer(width, window=WINDOW) for _ in range(depth)) for width, depth in local)
            for _ in range(2)
        )
        self.mid_level = nn.ModuleList(Layer(widths[-1], window=None) for _ in range(depths[-1]))
        pairs = list(pairwise(widths))
        self.merges = nn.ModuleList(Projection(4 * narrow, wide) for narrow, wide in pairs)
        self.splits = nn.ModuleList(Split(wide, narrow) for narrow, wide in pairs)
        self.out_norm = ScaledNorm(widths[0])
        self.patch_out = Projection(widths[0], 3 * PATCH**2)

    def forward(self, x: Tensor, time: float) -> Tensor:
        x = self.patch_in(merged(x.movedim(1, -1), PATCH))
        place, condition = places(x.shape[1], x.shape[2], x.device), self._condition(time, x)
        skips = []
        for level, merge in zip(self.down_levels, self.merges, strict=True):
            x = _through(level, x, place, condition)
            skips.append((x, place))
            x, place = merge(merged(x, 2)), merged(place, 2).unflatten(-1, (4, 2)).mean(-2)
        x = _through(self.mid_level, x, place, condition)
        for level, split in zip(reversed(self.up_levels), reversed(self.splits), strict=True):
            skip, place = skips.pop()
            x = _through(level, split(x, skip), place, condition)
        return unmerged(self.patch_out(self.out_norm(x)), PATCH).movedim(-1, 1)

    def _condition(self, time: float, like: Tensor) -> Tensor:
        # The augmentations of training are told as none.
        when, none = like.new_full((1, 1), time), like.new_zeros(1, 9)
        return self.mapping(self.time_in_proj(self.time_emb(when)) + self.aug_in_proj(self.aug_emb(none)))


def _through(level: Any, x: Tensor, place: Tensor, condition: Tensor) -> Tensor:
    for layer in level:
        x = layer(x, place, condition)
    return x


class Layer(nn.Module):
    """Attention and two linear layers, each beside a shortcut: (n, h, w, c) to the same."""

    def __init__(self, width: int, *, window: int | None) -> None:
        super().__init__()
        self.self_attn = Attention(width, window=window)
        self.ff = FeedForward(width)

    def forward(self, x: Tensor, place: Tensor, condition: Tensor) -> Tensor:
        return self.ff(self.self_attn(x, place, condition), condition)


class Attention(nn.Module):
    """Attention by cosine similarity over rotated queries and keys: to all places, or to a window around each."""

    def __init__(self, width: int, *, window: int | None) -> None:
        super().__init__()
        self.heads, self.window = width // HEAD, window
        self.norm = ConditionedNorm(width)
        self.qkv_proj = linear(width, 3 * width)
        self.scale = nn.Parameter(torch.full((self.heads,), 10.0))
        self.pos_emb = Rotary(self.heads)
        self.out_proj = linear(width, width)

    def forward(self, x: Tensor, place: Tensor, condition: Tensor) -> Tensor:
        qkv = self.qkv_proj(self.norm(x, condition))
        q, k, v = qkv.unflatten(-1, (3, self.heads, HEAD)).permute(3, 0, 4, 1, 2, 5)
        angles = self.pos_emb(place)
        q, k = (rotated(self._scaled(each), angles) for each in (q, k))
        if self.window is None:
            q, k, v = (each.flatten(2, 3) for each in (q, k, v))
            h = F.scaled_dot_product_attention(q, k, v, scale=1.0).unflatten(2, x.shape[1:3])
        else:
            h = neighbourhood_attention(q, k, v, window=self.window)
        return x + self.out_proj(h.permute(0, 2, 3, 1, 4).flatten(3))

    def _scaled(self, x: Tensor) -> Tensor:
        """Give each vector the length of the root of its head's scale; lengths are taken in float32."""
        precise = torch.promote_types(x.dtype, torch.float32)
        energy = x.to(precise).square().sum(-1, keepdim=True)
        return x * (self.scale.to(precise).sqrt()[:, None, None, None] * torch.rsqrt(energy + EPSILON)).to(x.dtype)


class Rotary(nn.Module):
    """The angles by which queries and keys are turned at each place, by head: (heads, h, w, 16)."""

    freqs: Tensor

    def __init__(self, heads: int) -> None:
        super().__init__()
        count = HEAD // 8
        octaves = torch.linspace(math.log(math.pi), math.log(10.0 * math.pi), heads * count + 1)[:-1].exp()
        self.register_buffer("freqs", octaves.view(count, heads).T.contiguous())

    def forward(self, place: Tensor) -> Tensor:
        frequencies = self.freqs.to(place.dtype)[:, None, None]
        return torch.cat((place[None, ..., 0:1] * frequencies, place[None, ..., 1:2] * frequencies), dim=-1)


def rotated(x: Tensor, angles: Tensor) -> Tensor:
    """Turn the first two groups of features of (n, heads, h, w, d) against each other by `angles` (heads, h, w, d / 4)."""
    count = angles.shape[-1]
    precise = torch.promote_types(x.dtype, torch.float32)
    first, second, rest = x[..., :count].to(precise), x[..., count : 2 * count].to(precise), x[..., 2 * count :]
    cos, sin = angles.cos(), angles.sin()
    turned = (first * cos - second * sin).to(x.dtype), (second * cos + first * sin).to(x.dtype)
    return torch.cat((*turned, rest), dim=-1)


class Gated(nn.Linear):
    """A linear layer to twice the features, of which one half gates the other."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, 2 * outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        values, gate = super().forward(x).chunk(2, dim=-1)
        return values * F.gelu(gate)


class FeedForward(nn.Module):
    """Two linear layers with a gate, `ROWS` places at a time."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = ConditionedNorm(width)
        self.up_proj = Gated(width, 3 * width)
        self.down_proj = linear(3 * width, width)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        h = self.norm(x, condition)
        parts = [self.down_proj(self.up_proj(part)) for part in h.flatten(0, 2).split(ROWS)]
        return x + torch.cat(parts).view(x.shape)


class Mapping(nn.Module):
    """What is told of the time, worked over by two gated layers: (1, 768)."""

    def __init__(self) -> None:
        super().__init__()
        self.in_norm = ScaledNorm(CONDITION)
        self.blocks = nn.ModuleList(MappingBlock() for _ in range(2))
        self.out_norm = ScaledNorm(CONDITION)

    def forward(self, x: Tensor) -> Tensor:
        x = self.in_norm(x)
        for block in self.blocks:
            x = block(x)
        return self.out_norm(x)


class MappingBlock(nn.Module):
    """A normalised gated layer beside a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = ScaledNorm(CONDITION)
        self.up_proj = Gated(CONDITION, 3 * CONDITION)
        self.down_proj = linear(3 * CONDITION, CONDITION)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down_proj(self.up_proj(self.norm(x)))


class ScaledNorm(nn.Module):
    """Divide by the root mean square, times a learned scale."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return normed(x, self.scale)


class ConditionedNorm(nn.Module):
    """Divide by the root mean square, times a scale that the condition gives."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = linear(CONDITION, width)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        return normed(x, self.linear(condition)[:, None, None] + 1)


def normed(x: Tensor, scale: Tensor) -> Tensor:
    """Divide `x` by its root mean square over the last dimension, taken in float32, times `scale`."""
    precise = torch.promote_types(x.dtype, torch.float32)
    mean_square = x.to(precise).square().mean(-1, keepdim=True)
    return x * (scale.to(precise) * torch.rsqrt(mean_square + EPSILON)).to(x.dtype)


class Frequencies(nn.Module):
    """Cosines and sines of what is told, at random frequencies that the checkpoint keeps: (1, in) to (1, 768)."""

    weight: Tensor

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(CONDITION // 2, inputs))

    def forward(self, told: Tensor) -> Tensor:
        phases = 2 * math.pi * told @ self.weight.T
        return torch.cat((phases.cos(), phases.sin()), dim=-1)


class Projection(nn.Module):
    """A linear layer under the official key `proj`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.proj = linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x)


class Split(nn.Module):
    """Turn each place into 2 x 2, and mix them with what was there before the merge."""

    def __init__(self, wide: int, narrow: int) -> None:
        super().__init__()
        self.fac = nn.Parameter(torch.ones(1) * 0.5)
        self.proj = linear(wide, 4 * narrow)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return torch.lerp(skip, unmerged(self.proj(x), 2), self.fac.to(x.dtype))


def merged(x: Tensor, side: int) -> Tensor:
    """Join squares of places: (..., h, w, c) to (..., h / side, w / side, side * side * c)."""
    x = x.unflatten(-3, (-1, side)).unflatten(-2, (-1, side))
    return x.transpose(-4, -3).flatten(-3)


def unmerged(x: Tensor, side: int) -> Tensor:
    """The inverse of `merged`."""
    x = x.unflatten(-1, (side, side, -1)).transpose(-4, -3)
    return x.flatten(-3, -2).flatten(-4, -3)


def places(height: int, width: int, device: torch.device) -> Tensor:
    """The centre of each place, (y, x), the longer side from -1 to 1: (h, w, 2) float32."""
    longest = max(height, width)

    def centres(count: int) -> Tensor:
        edges = torch.linspace(-count / longest, count / longest, count + 1, device=device)
        return (edges[:-1] + edges[1:]) / 2

    return torch.stack(torch.meshgrid(centres(height), centres(width), indexing="ij"), dim=-1)


def linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer without a bias."""
    return nn.Linear(inputs, outputs, bias=False)
