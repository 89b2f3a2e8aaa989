"""RestoreFormer and RestoreFormer++: the nearest codes of the input, attended to by the input's own features.

Source: Wang et al., "RestoreFormer" (CVPR 2022) and "RestoreFormer++" (TPAMI 2023), and the official implementations,
github.com/wzhouxiff/RestoreFormer and github.com/wzhouxiff/RestoreFormerPlusPlus, for keys, constants and order.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from gfpup.models.nets import vqgan
from gfpup.models.nets.vqgan import CHANNELS, CODE_CHANNELS, Downsample, Upsample, group_norm

DEEPEST = len(CHANNELS) - 1
"""Level 0 works at 512 pixels, level 5 at 16."""


_residual = partial(vqgan.ResidualBlock, shortcut="nin_shortcut")


class _RestoreFormer(vqgan.CodeBookNetwork):
    feature_names = (f"level_{DEEPEST - 1}", f"level_{DEEPEST}", "middle")
    painters = ("post_quant_conv", "decoder")

    def __init__(self, *, heads: int, cross_levels: tuple[int, ...]) -> None:
        super().__init__()
        self.encoder = Encoder(heads=heads)
        self.decoder = Decoder(heads=heads, cross_levels=cross_levels)
        self.quantize = vqgan.Codebook()
        self.quant_conv = nn.Conv2d(CODE_CHANNELS, CODE_CHANNELS, 1)
        self.post_quant_conv = nn.Conv2d(CODE_CHANNELS, CODE_CHANNELS, 1)

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Encode `x` into a latent (n, 256, 16, 16) and the features that the decoder attends with."""
        latent, features = self.encoder(x)
        return self.quant_conv(latent), features

    def scores_of(self, latent: torch.Tensor) -> torch.Tensor:
        """The negated squared distances of a latent (n, 256, 16, 16) to every code: (n, 256, 1024)."""
        return -self.quantize.distances(latent)

    def decode(self, codes: torch.Tensor, latent: torch.Tensor, features: dict[str, torch.Tensor]) -> torch.Tensor:
        """Paint the codes (n, 256): (n, 3, 512, 512) in the decoder's precision."""
        vectors = self.quantize.lookup(codes, size_hw=(latent.shape[2], latent.shape[3]))
        # The official straight-through estimator leaves this rounding behind; without it the last bits differ.
        quantized = latent + (vectors - latent)
        dtype = self.post_quant_conv.weight.dtype
        lowered = {name: feature.to(dtype) for name, feature in features.items()}
        return self.decoder(self.post_quant_conv(quantized.to(dtype)), lowered)


class RestoreFormer(_RestoreFormer):
    """RestoreFormer (CVPR 2022): eight heads, the decoder attends at 16 pixels."""

    def __init__(self) -> None:
        super().__init__(heads=8, cross_levels=(DEEPEST,))


class RestoreFormerPlusPlus(_RestoreFormer):
    """RestoreFormer++ (TPAMI 2023): four heads, the decoder attends at 16 and at 32 pixels.

    The official `head_size=4` is a number of heads, not channels a head.
    """

    def __init__(self) -> None:
        super().__init__(heads=4, cross_levels=(DEEPEST, DEEPEST - 1))


class Encoder(nn.Module):
    """512 pixels down to 16, two residual blocks a level, self-attention on the deepest."""

    def __init__(self, *, heads: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(3, CHANNELS[0], 3, padding=1)
        self.down = nn.ModuleList()
        channels = CHANNELS[0]
        for level, wide in enumerate(CHANNELS):
            self.down.append(Level(channels, wide, blocks=2, heads=heads if level == DEEPEST else 0))
            if level < DEEPEST:
                self.down[level].add_module("downsample", Downsample(wide))
            channels = wide
        self.mid = Middle(heads=heads)
        self.norm_out = group_norm(CHANNELS[DEEPEST])
        self.conv_out = nn.Conv2d(CHANNELS[DEEPEST], CODE_CHANNELS, 3, padding=1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        features = {}
        h = self.conv_in(x)
        for level, down in enumerate(self.down):
            h = down(h, None)
            if level == DEEPEST - 1:
                features[f"level_{level}"] = h
            if level < DEEPEST:
                h = down.get_submodule("downsample")(h)
        h = self.mid.block_1(h)
        features[f"level_{DEEPEST}"] = h
        h = self.mid.block_2(self.mid.attn_1(h, None))
        features["middle"] = h
        return self.conv_out(F.silu(self.norm_out(h))), features


class Decoder(nn.Module):
    """16 pixels up to 512, three residual blocks a level; `cross_levels` attend with the encoder's features."""

    def __init__(self, *, heads: int, cross_levels: tuple[int, ...]) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(CODE_CHANNELS, CHANNELS[DEEPEST], 3, padding=1)
        self.mid = Middle(heads=heads)
        self.up = nn.ModuleList()
        for level, wide in enumerate(CHANNELS):
            deeper = CHANNELS[min(level + 1, DEEPEST)]
            cross = heads if level in cross_levels else 0
            self.up.append(Level(deeper, wide, blocks=3, heads=cross, paints=True))
            if level > 0:
                self.up[level].add_module("upsample", Upsample(wide))
        self.norm_out = group_norm(CHANNELS[0])
        self.conv_out = nn.Conv2d(CHANNELS[0], 3, 3, padding=1)

    def forward(self, z: torch.Tensor, features: dict[str, torch.Tensor]) -> torch.Tensor:
        h = self.mid.block_1(self.conv_in(z))
        h = self.mid.block_2(self.mid.attn_1(h, features["middle"]))
        for level in range(DEEPEST, -1, -1):
            h = self.up[level](h, features.get(f"level_{level}"))
            if level > 0:
                h = self.up[level].get_submodule("upsample")(h)
        return self.conv_out(F.silu(self.norm_out(h)))


class Level(nn.Module):
    """Residual blocks at one size, each followed by attention where `heads` is not 0."""

    def __init__(self, in_channels: int, out_channels: int, *, blocks: int, heads: int, paints: bool = False) -> None:
        super().__init__()
        inputs = [in_channels, *[out_channels] * (blocks - 1)]
        self.block = nn.ModuleList(_residual(channels, out_channels, paints=paints) for channels in inputs)
        self.attn = nn.ModuleList(Attention(out_channels, heads=heads) for _ in range(blocks if heads else 0))

    def forward(self, h: torch.Tensor, guide: torch.Tensor | None) -> torch.Tensor:
        for index, block in enumerate(self.block):
            h = block(h)
            if len(self.attn):
                h = self.attn[index](h, guide)
        return h


class Middle(nn.Module):
    """The deepest blocks: residual, attention, residual. The encoder taps them, so the caller walks them."""

    def __init__(self, *, heads: int) -> None:
        super().__init__()
        deep = CHANNELS[DEEPEST]
        self.block_1 = _residual(deep, deep)
        self.attn_1 = Attention(deep, heads=heads)
        self.block_2 = _residual(deep, deep)


class Attention(vqgan.PlaceAttention):
    """Attention over the places of a feature map (n, c, h, w), added to it.

    Queries come from `guide` where one is given: the encoder's features ask, the decoder's answer. `norm2` belongs to
    the guide; self-attention carries its weights unused, as the official checkpoints do.
    """

    def __init__(self, channels: int, *, heads: int) -> None:
        super().__init__(channels)
        self.heads = heads
        self.scale = (channels // heads) ** -0.5
        self.norm1 = group_norm(channels)
        self.norm2 = group_norm(channels)

    def forward(self, x: torch.Tensor, guide: torch.Tensor | None) -> torch.Tensor:
        h = self.norm1(x)
        asking = h if guide is None else self.norm2(guide)
        q, k, v = self._split(self.q(asking)), self._split(self.k(h)), self._split(self.v(h))

        # torch's fused attention keeps every code too, but was 1.2 times slower here on two cores (32x32, four heads).
        def attend(queries: torch.Tensor) -> torch.Tensor:
            return torch.matmul(torch.matmul(queries, k).softmax(dim=3), v.transpose(2, 3))

        h = self.in_chunks(attend, (q * self.scale).transpose(2, 3)).transpose(2, 3)
        return x + self.proj_out(h.reshape(x.shape))

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        """(n, c, h, w) to (n, heads, c / heads, h * w)."""
        return x.flatten(2).unflatten(1, (self.heads, -1))
