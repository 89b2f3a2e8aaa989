"""CodeFormer: a transformer guesses the codes of the clean face; the input's own features are mixed back by `fidelity`.

Source: Zhou et al., "Towards Robust Blind Face Restoration with Codebook Lookup Transformer" (NeurIPS 2022), and the
official implementation, github.com/sczhou/CodeFormer, for keys, constants and the order of operations.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from gfpup.models.nets import vqgan
from gfpup.models.nets.vqgan import CHANNELS, CODE_CHANNELS, CODE_COUNT, Downsample, Upsample, conv3x3, group_norm

EMBED, HEADS, LAYERS, TOKENS = 512, 8, 9, 256

FUSE_CHANNELS = {"32": 256, "64": 256, "128": 128, "256": 128}
"""Size in pixels (the official key) to channels, for the four scales at which encoder features join the generator."""

ENCODER_TAPS = {5: "256", 8: "128", 11: "64", 14: "32"}
"""Encoder block after whose output the features of a size are taken: the last residual block of that size."""

GENERATOR_TAPS = {9: "32", 12: "64", 15: "128", 18: "256"}
"""Generator block after which they are fused: the first residual block of that size."""

ADAIN_EPSILON = 1e-5


class CodeFormer(vqgan.CodeBookNetwork):
    """CodeFormer; its one dial, `fidelity`, plays no part in the choice of codes."""

    feature_names = tuple(FUSE_CHANNELS)
    painters = ("generator", "fuse_convs_dict")

    def __init__(self) -> None:
        super().__init__()
        self.position_emb = nn.Parameter(torch.zeros(TOKENS, EMBED))
        self.encoder = _Blocks(_encoder_blocks())
        self.quantize = vqgan.Codebook()
        self.generator = _Blocks(_generator_blocks())
        self.feat_emb = nn.Linear(CODE_CHANNELS, EMBED)
        self.ft_layers = nn.ModuleList(TransformerLayer() for _ in range(LAYERS))
        self.idx_pred_layer = nn.Sequential(nn.LayerNorm(EMBED), nn.Linear(EMBED, CODE_COUNT, bias=False))
        self.fuse_convs_dict = nn.ModuleDict({size: Fusion(channels) for size, channels in FUSE_CHANNELS.items()})

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Encode `x` into a latent (n, 256, 16, 16) and the features to fuse, by size."""
        features = {}
        for index, block in enumerate(self.encoder.blocks):
            x = block(x)
            if index in ENCODER_TAPS:
                features[ENCODER_TAPS[index]] = x
        return x, {name: features[name] for name in self.feature_names}

    def scores_of(self, latent: torch.Tensor) -> torch.Tensor:
        """The logits of every code for each place of a latent (n, 256, 16, 16): (n, 256, 1024)."""
        tokens = self.feat_emb(latent.flatten(2).transpose(1, 2))
        for layer in self.ft_layers:
            tokens = layer(tokens, position=self.position_emb)
        return self.idx_pred_layer(tokens)

    def decode(
        self,
        codes: torch.Tensor,
        latent: torch.Tensor,
        features: dict[str, torch.Tensor],
        *,
        fidelity: float | torch.Tensor,
        adain: bool = True,
    ) -> torch.Tensor:
        """Paint the codes (n, 256): (n, 3, 512, 512) in the decoder's precision.

        `fidelity` is the paper's w: 0 trusts the code book alone, 1 keeps most of the input; a scalar tensor is an input of an
        exported graph. `adain` gives the code-book features the mean and deviation of the input's, as the official inference.
        """
        quantized = self.quantize.lookup(codes, size_hw=(latent.shape[2], latent.shape[3]))
        if adain:
            quantized = adaptive_instance_norm(quantized, latent)
        fuse = isinstance(fidelity, torch.Tensor) or fidelity > 0
        dtype = next(self.generator.parameters()).dtype
        x = quantized.to(dtype)
        for index, block in enumerate(self.generator.blocks):
            x = block(x)
            if fuse and index in GENERATOR_TAPS:
                size = GENERATOR_TAPS[index]
                x = self.fuse_convs_dict[size](features[size].to(dtype), x, fidelity=fidelity)
        return x


def adaptive_instance_norm(content: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
    """Give each channel of `content` (n, c, h, w) the mean and deviation that it has in `style`.

    In float32 at least: in half precision squares overflow above 256 and epsilon is lost, and the face comes out black.
    """
    wide = torch.promote_types(content.dtype, torch.float32)
    content_mean, content_std = _mean_and_std(content.to(wide))
    style_mean, style_std = _mean_and_std(style.to(wide))
    return ((content.to(wide) - content_mean) / content_std * style_std + style_mean).to(content.dtype)


def _mean_and_std(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    flat = x.flatten(2)
    std = (flat.var(dim=2) + ADAIN_EPSILON).sqrt()
    return flat.mean(dim=2)[:, :, None, None], std[:, :, None, None]


class TransformerLayer(nn.Module):
    """Self-attention and a two-layer perceptron over tokens (n, 256, 512), normalised first."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attn = SelfAttention()
        self.linear1 = nn.Linear(EMBED, 2 * EMBED)
        self.linear2 = nn.Linear(2 * EMBED, EMBED)
        self.norm1 = nn.LayerNorm(EMBED)
        self.norm2 = nn.LayerNorm(EMBED)

    def forward(self, tokens: torch.Tensor, *, position: torch.Tensor) -> torch.Tensor:
        tokens = tokens + self.self_attn(self.norm1(tokens), position=position)
        return tokens + self.linear2(F.gelu(self.linear1(self.norm2(tokens))))


class SelfAttention(vqgan.ChunkedQueries):
    """Eight heads; places are added to queries and keys, not to values. Keys as in torch's MultiheadAttention."""

    def __init__(self) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.empty(3 * EMBED, EMBED))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * EMBED))
        self.out_proj = nn.Linear(EMBED, EMBED)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, tokens: torch.Tensor, *, position: torch.Tensor) -> torch.Tensor:
        placed = tokens + position
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q, k, v = (
            F.linear(source, weight, bias).unflatten(2, (HEADS, -1)).transpose(1, 2)
            for source, weight, bias in zip((placed, placed, tokens), weights, biases, strict=True)
        )

        def attend(queries: torch.Tensor) -> torch.Tensor:
            return torch.matmul(torch.matmul(queries, k.transpose(2, 3)).softmax(dim=3), v)

        attended = self.in_chunks(attend, q * (EMBED // HEADS) ** -0.5)
        return self.out_proj(attended.transpose(1, 2).flatten(2))


class SpatialAttention(vqgan.PlaceAttention):
    """One head of attention over the places of a feature map (n, c, h, w), added to it."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.norm = group_norm(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.norm(x)
        q, k, v = self.q(h).flatten(2), self.k(h).flatten(2), self.v(h).flatten(2)

        def attend(queries: torch.Tensor) -> torch.Tensor:
            attention = (torch.bmm(queries, k) * x.shape[1] ** -0.5).softmax(dim=2)
            return torch.bmm(v, attention.transpose(1, 2)).transpose(1, 2)

        attended = self.in_chunks(attend, q.transpose(1, 2)).transpose(1, 2)
        return x + self.proj_out(attended.unflatten(2, x.shape[2:]))


class Fusion(nn.Module):
    """Scale and shift generator features by what the encoder saw, as far as `fidelity` allows."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.encode_enc = _residual(2 * channels, channels, paints=True)
        self.scale = _two_convolutions(channels)
        self.shift = _two_convolutions(channels)

    def forward(self, encoded: torch.Tensor, decoded: torch.Tensor, *, fidelity: float | torch.Tensor) -> torch.Tensor:
        guide = self.encode_enc(torch.cat([encoded, decoded], dim=1))
        return decoded + fidelity * (decoded * self.scale(guide) + self.shift(guide))


class _Blocks(nn.Module):
    """Holds blocks under the official key `blocks`; the caller walks them, because it taps some of them."""

    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)


def _two_convolutions(channels: int) -> nn.Sequential:
    first, second = (conv3x3(channels, channels, paints=True) for _ in range(2))
    return nn.Sequential(first, nn.LeakyReLU(0.2, inplace=True), second)


_residual = partial(vqgan.ResidualBlock, shortcut="conv_out")


def _attentive(inputs: int, outputs: int = CHANNELS[-1]) -> list[nn.Module]:
    """Two residual blocks at 16 pixels, each with its attention; in the middle of the network the last one has none."""
    first, second = _residual(inputs, outputs), _residual(outputs, outputs)
    return [first, SpatialAttention(outputs), second, SpatialAttention(outputs)]


def _encoder_blocks() -> list[nn.Module]:
    """512 pixels down to 16, two residual blocks a size, attention at 16 only."""
    blocks: list[nn.Module] = [nn.Conv2d(3, CHANNELS[0], 3, padding=1)]
    channels = CHANNELS[0]
    for wide in CHANNELS[:-1]:
        blocks += [_residual(channels, wide), _residual(wide, wide), Downsample(wide)]
        channels = wide
    deep = CHANNELS[-1]
    blocks += [*_attentive(channels), *_attentive(deep)[:-1]]
    return [*blocks, group_norm(deep), nn.Conv2d(deep, CODE_CHANNELS, 3, padding=1)]


def _generator_blocks() -> list[nn.Module]:
    """16 pixels up to 512, the encoder's mirror."""
    channels = CHANNELS[-1]
    blocks: list[nn.Module] = [
        nn.Conv2d(CODE_CHANNELS, channels, 3, padding=1),
        *_attentive(channels)[:-1],
        *_attentive(channels),
    ]
    for wide in reversed(CHANNELS[:-1]):
        blocks += [Upsample(channels), _residual(channels, wide, paints=True), _residual(wide, wide, paints=True)]
        channels = wide
    return [*blocks, group_norm(channels), nn.Conv2d(channels, 3, 3, padding=1)]
