"""Neighbourhood attention in plain PyTorch: each place attends to the window around it, moved inside at the picture's edge.

Places are computed in square tiles. The windows of a tile lie in one larger square, so a tile's queries attend to that square
under a mask. This is exact, and memory is that of one row of tiles.

Source: Hassani et al., "Neighborhood Attention Transformer" (CVPR 2023), for the definition.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

TILE = 8
"""Side of a tile at most; with a window of 7 its square has 14 places along a side."""


def neighbourhood_attention(q: Tensor, k: Tensor, v: Tensor, *, window: int) -> Tensor:
    """Attend with (n, heads, h, w, d) queries, without a scale, each to `window` x `window` keys: (n, heads, h, w, d).

    Raises: ValueError: a side is smaller than the window.
    """
    n, heads, height, width, features = q.shape
    if min(height, width) < window:
        raise ValueError(f"{height} x {width} places are fewer than a window of {window} x {window}")
    (tile_h, tops, rows), (tile_w, lefts, columns) = (_tiles(size, window, q.device) for size in (height, width))
    out = torch.empty_like(q)
    for index, top in enumerate(tops):
        square = (slice(None), slice(None), rows[index][:, None, None], columns[None])  # span, tiles, span
        keys, values = (each[square].permute(0, 3, 1, 2, 4, 5).flatten(3, 4).flatten(0, 1) for each in (k, v))
        asking = q[:, :, top : top + tile_h].unflatten(3, (len(lefts), tile_w)).permute(0, 3, 1, 2, 4, 5)
        mask = _mask(height, width, top, window, q.device).repeat(n, 1, 1)[:, None]
        found = F.scaled_dot_product_attention(asking.flatten(3, 4).flatten(0, 1), keys, values, attn_mask=mask, scale=1.0)
        found = found.unflatten(0, (n, len(lefts))).unflatten(3, (tile_h, tile_w))
        out[:, :, top : top + tile_h] = found.permute(0, 2, 3, 1, 4, 5).reshape(n, heads, tile_h, width, features)
    return out


def _tiles(size: int, window: int, device: torch.device) -> tuple[int, range, Tensor]:
    """The side of a tile, where the tiles begin, and the places that each one's windows cover: (tiles, span)."""
    tile = next(side for side in (TILE, 4, 2, 1) if size % side == 0)
    span = min(tile + window - 1, size)
    begins = range(0, size, tile)
    first = (torch.arange(0, size, tile, device=device) - window // 2).clamp(0, size - span)
    return tile, begins, first[:, None] + torch.arange(span, device=device)


@lru_cache(maxsize=64)
def _mask(height: int, width: int, top: int, window: int, device: torch.device) -> Tensor:
    """Which keys of its square each query of a row of tiles attends to: (tiles, queries, keys) bool."""

    def seen(size: int) -> Tensor:
        tile, _, covered = _tiles(size, window, device)
        place = torch.arange(size, device=device).unflatten(0, (-1, tile))
        start = (place - window // 2).clamp(0, size - window)[:, :, None]
        return (covered[:, None] >= start) & (covered[:, None] < start + window)

    down, across = seen(height)[top // _tiles(height, window, device)[0]], seen(width)
    both = down[None, :, None, :, None] & across[:, None, :, None, :]
    return both.flatten(3, 4).flatten(1, 2)
