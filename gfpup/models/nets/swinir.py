"""SwinIR-L, as DifFace trained it on faces: the estimate that PMRF starts from.

Source: Liang et al., "SwinIR: Image Restoration Using Swin Transformer" (ICCV Workshops 2021); Yue and Loy, "DifFace" (TPAMI
2024) for its size; github.com/ohayonguy/PMRF for keys, constants and the order of operations.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gfpup.models.nets.constants import per_channel
from gfpup.models.nets.convolution import NearestConv, WinogradConv

WIDTH, HEADS, GROUPS, BLOCKS = 180, 6, 8, 6
"""Channels, heads, and groups of so many blocks."""
WINDOW, SHIFT, UNSHUFFLE = 8, 4, 8
"""Side of a window, by how much every second block shifts it, and pixels of a face along one place."""
PLACES = 64
"""The side in places for which the checkpoint carries the masks of shifted windows: a face of 512 pixels."""
FEATURES = 64
"""Channels of the layers that paint."""
MEAN = (0.4488, 0.4371, 0.4040)
"""What is subtracted of RGB. Source: DIV2K's mean, in SwinIR's code."""


class SwinIR(nn.Module):
    """Estimate aligned faces: (n, 3, h, w) RGB in [0, 1] to the same; sides are multiples of 64."""

    def __init__(self, *, groups: int = GROUPS) -> None:
        super().__init__()
        self.conv_first = nn.Sequential(nn.PixelUnshuffle(UNSHUFFLE), nn.Conv2d(3 * UNSHUFFLE**2, WIDTH, 3, padding=1))
        self.patch_embed: Any = nn.Module()
        self.patch_embed.norm = nn.LayerNorm(WIDTH)
        self.layers = nn.ModuleList(Group() for _ in range(groups))
        self.norm = nn.LayerNorm(WIDTH)
        self.conv_after_body = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.conv_before_upsample = nn.Sequential(nn.Conv2d(WIDTH, FEATURES, 3, padding=1))
        self.conv_up1, self.conv_up2, self.conv_up3 = (NearestConv(FEATURES, FEATURES) for _ in range(3))
        self.conv_hr = WinogradConv(FEATURES, FEATURES)
        self.conv_last = nn.Conv2d(FEATURES, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        mean = per_channel(MEAN, device=x.device, dtype=x.dtype)
        first = self.conv_first(x - mean)
        h = F.leaky_relu_(self.conv_before_upsample(self.conv_after_body(self._body(first)) + first), 0.01)
        for layer in (self.conv_up1, self.conv_up2, self.conv_up3, self.conv_hr):
            h = F.leaky_relu_(layer(h), 0.2)
        return self.conv_last(h) + mean

    def _body(self, x: Tensor) -> Tensor:
        h = self.patch_embed.norm(x.permute(0, 2, 3, 1))
        for group in self.layers:
            h = group(h)
        return self.norm(h).permute(0, 3, 1, 2)


class Group(nn.Module):
    """Six blocks and a convolution beside a shortcut: (n, h, w, c) to the same."""

    def __init__(self) -> None:
        super().__init__()
        self.residual_group: Any = nn.Module()
        self.residual_group.blocks = nn.ModuleList(Block(shifted=index % 2 == 1) for index in range(BLOCKS))
        self.conv = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = x
        for block in self.residual_group.blocks:
            h = block(h)
        return self.conv(h.permute(0, 3, 1, 2)).permute(0, 2, 3, 1) + x


class Block(nn.Module):
    """Attention inside windows, which every second block shifts, and two linear layers."""

    attn_mask: Tensor | None

    def __init__(self, *, shifted: bool) -> None:
        super().__init__()
        self.shifted = shifted
        self.norm1 = nn.LayerNorm(WIDTH)
        self.attn = WindowAttention()
        self.norm2 = nn.LayerNorm(WIDTH)
        self.mlp: Any = nn.Module()
        self.mlp.fc1, self.mlp.fc2 = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        self.register_buffer("attn_mask", shifted_mask(PLACES, PLACES) if shifted else None)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[1:3]
        h, mask = self.norm1(x), None
        if self.shifted:
            h = h.roll((-SHIFT, -SHIFT), dims=(1, 2))
            mask = self.attn_mask if (height, width) == (PLACES, PLACES) else shifted_mask(height, width).to(x)
        h = from_windows(self.attn(to_windows(h), mask), height, width)
        x = x + (h.roll((SHIFT, SHIFT), dims=(1, 2)) if self.shifted else h)
        return x + self.mlp.fc2(F.gelu(self.mlp.fc1(self.norm2(x))))


class WindowAttention(nn.Module):
    """Attention among the places of a window (n * windows, 64, c), biased by how far they are apart."""

    relative_position_index: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * WINDOW - 1) ** 2, HEADS))
        self.register_buffer("relative_position_index", relative_positions())
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.proj = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        count, places, _ = x.shape
        q, k, v = self.qkv(x).unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        bias = self.relative_position_bias_table[self.relative_position_index.flatten()]
        bias = bias.unflatten(0, (places, places)).permute(2, 0, 1)[None]
        if mask is not None:
            bias = (bias + mask.to(bias)[:, None]).repeat(count // len(mask), 1, 1, 1)
        h = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q).expand(count, -1, -1, -1))
        return self.proj(h.transpose(1, 2).flatten(2))


def to_windows(x: Tensor) -> Tensor:
    """Cut (n, h, w, c) into windows, row by row: (n * windows, 64, c)."""
    n, h, w, c = x.shape
    x = x.view(n, h // WINDOW, WINDOW, w // WINDOW, WINDOW, c)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, WINDOW * WINDOW, c)


def from_windows(windows: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `to_windows`."""
    x = windows.view(-1, height // WINDOW, width // WINDOW, WINDOW, WINDOW, windows.shape[-1])
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, windows.shape[-1])


def shifted_mask(height: int, width: int) -> Tensor:
    """What is added to the scores of shifted windows: -100 between places that were not neighbours, (windows, 64, 64)."""

    def region(size: int) -> Tensor:
        place = torch.arange(size)
        return (place >= size - WINDOW).int() + (place >= size - SHIFT).int()

    regions = (3 * region(height)[:, None] + region(width)[None]).float()[None, :, :, None]
    numbers = to_windows(regions)[..., 0]
    return torch.where(numbers[:, None] != numbers[:, :, None], -100.0, 0.0)


def relative_positions() -> Tensor:
    """For each two places of a window, the row of the bias table: (64, 64) int64."""
    rows = torch.arange(WINDOW).repeat_interleave(WINDOW)
    columns = torch.arange(WINDOW).repeat(WINDOW)
    down, right = rows[:, None] - rows[None], columns[:, None] - columns[None]
    return (down + WINDOW - 1) * (2 * WINDOW - 1) + right + WINDOW - 1
