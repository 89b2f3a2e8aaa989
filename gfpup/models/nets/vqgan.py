"""What the code-book networks share: residual blocks, resampling, attention by chunks, and the code book itself.

Source: Esser et al., "Taming Transformers for High-Resolution Image Synthesis" (CVPR 2021).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import nn

from gfpup.models.nets.convolution import NearestConv, WinogradConv
from gfpup.models.nets.rewrites import Rewritable

CHANNELS = (64, 128, 128, 256, 256, 512)
"""Channels at 512, 256, 128, 64, 32 and 16 pixels: 64 times (1, 2, 2, 4, 4, 8), the same in every published checkpoint."""

CODE_CHANNELS = 256
CODE_COUNT = 1024

QUERY_CHUNK = 64
"""Queries at a time where memory is short: RestoreFormer++'s scores at 32 px then take 1 MiB a face in place of 16. On a CPU
the peak lies in the convolutions at 512 px, which one face a forward and bfloat16 lower, not this."""


def group_norm(channels: int) -> nn.GroupNorm:
    """Normalise in 32 groups with epsilon 1e-6, as every block of these networks does."""
    return nn.GroupNorm(32, channels, eps=1e-6)


def conv3x3(inputs: int, outputs: int, *, paints: bool) -> nn.Conv2d:
    """The usual convolution; where it `paints`, and does not choose codes, in the form that saves multiplications."""
    # That form triples rounding, which a choice between two near codes might notice. 512 channels work at 16 pixels: too few.
    saves = paints and max(inputs, outputs) < CHANNELS[-1]
    return WinogradConv(inputs, outputs) if saves else nn.Conv2d(inputs, outputs, 3, padding=1)


class ResidualBlock(nn.Module):
    """Two normalised 3x3 convolutions beside a shortcut: (b, in, h, w) to (b, out, h, w).

    `shortcut` is the official key of the 1x1 convolution that exists where the channels change; `paints` is for `conv3x3`.
    """

    def __init__(self, in_channels: int, out_channels: int, *, shortcut: str, paints: bool = False) -> None:
        super().__init__()
        self.norm1 = group_norm(in_channels)
        self.conv1 = conv3x3(in_channels, out_channels, paints=paints)
        self.norm2 = group_norm(out_channels)
        self.conv2 = conv3x3(out_channels, out_channels, paints=paints)
        self.shortcut_key = shortcut if in_channels != out_channels else None
        if self.shortcut_key:
            self.add_module(self.shortcut_key, nn.Conv2d(in_channels, out_channels, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.conv1(F.silu(self.norm1(x), inplace=True))
        h = self.conv2(F.silu(self.norm2(h), inplace=True))
        return h + (getattr(self, self.shortcut_key)(x) if self.shortcut_key else x)


class Downsample(nn.Module):
    """Halve the size by a strided 3x3 convolution, padded right and below only (an inherited TensorFlow habit)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Double the size by repeating pixels, then smooth by a 3x3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = NearestConv(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)


class ChunkedQueries(nn.Module):
    """An attention that may ask for `query_chunk` queries at a time (None: all), so that its scores never exist at once."""

    query_chunk: int | None = None

    def in_chunks(self, attend: Callable[[torch.Tensor], torch.Tensor], queries: torch.Tensor) -> torch.Tensor:
        """Compute `attend(queries)`, which maps (..., queries, c) to (..., queries, d), row i from row i alone.

        Equal to about 1e-6 of the largest value in float32, as a product of another size may add in another order.
        """
        if self.query_chunk is None or queries.shape[-2] <= self.query_chunk:
            return attend(queries)
        return torch.cat([attend(part) for part in queries.split(self.query_chunk, dim=-2)], dim=-2)


class PlaceAttention(ChunkedQueries):
    """The 1x1 convolutions of an attention over the places of a feature map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)


class CodeBookNetwork(nn.Module):
    """Restore aligned faces: (n, 3, 512, 512) RGB in [-1, 1] to the same shape, about the same range.

    A subclass encodes the input, scores the codes for each of its 16x16 places, where rounding may flip a choice, and paints
    the best ones. `feature_names` are those that `encode` hands to `decode`; `painters` are the children that only paint.
    """

    feature_names: ClassVar[tuple[str, ...]]
    painters: ClassVar[tuple[str, ...]]
    encode: Callable[[torch.Tensor], tuple[torch.Tensor, dict[str, torch.Tensor]]]
    scores_of: Callable[[torch.Tensor], torch.Tensor]
    decode: Callable[..., torch.Tensor]

    def forward(self, x: torch.Tensor, **dials: float | torch.Tensor) -> torch.Tensor:
        """Restore `x`; `dials` are the keywords of `decode`."""
        latent, features = self.encode(x)
        return self.decode(self.choose(latent), latent, features, **dials).to(x.dtype)

    def choose(self, latent: torch.Tensor) -> torch.Tensor:
        """The best code for each place of a latent: (n, 256) int64."""
        return self.scores_of(latent).argmax(dim=2)

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """Score every code for each place of `x`: (n, 256, 1024), the largest wins."""
        return self.scores_of(self.encode(x)[0])

    def codes(self, x: torch.Tensor) -> torch.Tensor:
        """Choose a code for each place of `x`: (n, 256) int64."""
        return self.choose(self.encode(x)[0])

    def decoder_to(self, dtype: torch.dtype) -> Self:
        """Let the painting part compute in `dtype`; what chooses the codes keeps its own."""
        for name in self.painters:
            self.get_submodule(name).to(dtype)
        return self

    def attend_in_chunks(self, rows: int | None) -> Self:
        """Ask for at most `rows` queries of an attention at a time (None: all): a bound on memory, the same codes.

        Raises: ValueError: fewer than one row.
        """
        if rows is not None and rows < 1:
            raise ValueError(f"attention over {rows} queries at a time; it takes 1 or more, or None for all")
        for module in self.modules():
            if isinstance(module, ChunkedQueries):
                module.query_chunk = rows
        return self


class Codebook(Rewritable):
    """1024 learned vectors of 256 channels, found by number or by nearness; plain, found by a product with one-hot rows."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(CODE_COUNT, CODE_CHANNELS)

    def lookup(self, codes: torch.Tensor, *, size_hw: tuple[int, int]) -> torch.Tensor:
        """Turn code numbers (b, h*w) int64 into their vectors (b, 256, h, w); rewritten, the same bits."""
        if self.rewritten:
            vectors = self.embedding(codes)
        else:
            vectors = F.one_hot(codes, CODE_COUNT).to(self.embedding.weight) @ self.embedding.weight
        return vectors.unflatten(1, size_hw).permute(0, 3, 1, 2).contiguous()

    def distances(self, latent: torch.Tensor) -> torch.Tensor:
        """Measure squared distances of a latent (b, 256, h, w) to every code: (b, h*w, 1024).

        Summed in the official order: where two codes are almost equally near, rounding decides, and must decide as theirs.
        """
        z = latent.permute(0, 2, 3, 1).reshape(-1, CODE_CHANNELS)
        e = self.embedding.weight
        d = torch.sum(z**2, dim=1, keepdim=True) + torch.sum(e**2, dim=1) - 2 * torch.matmul(z, e.t())
        return d.unflatten(0, (latent.shape[0], -1))


def smallest_margin(scores: torch.Tensor) -> float:
    """The smallest gap between the best and the second of a row of `scores` (..., codes), over the deviation of all scores.

    Arithmetic whose error stays below it, in the same unit, cannot change a code.
    """
    best = scores.double().topk(2, dim=-1).values
    return float((best[..., 0] - best[..., 1]).min() / scores.double().std(correction=0))
