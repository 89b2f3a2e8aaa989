"""Noise that a method draws, alike in any batch, order and device."""

from __future__ import annotations

import hashlib

import torch


def seed_of(crop: torch.Tensor, seed: int) -> int:
    """Mix `seed` with a crop's 8-bit levels; they, unlike the floats, are the same on every device."""
    levels = crop.mul(255).round().clamp(0, 255).to("cpu", torch.uint8).contiguous().numpy()
    digest = hashlib.blake2b(f"{seed} ".encode() + levels.tobytes(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def drawn(crops: torch.Tensor, shape: tuple[int, ...], *, seed: int | None, stored: int) -> torch.Tensor:
    """Standard normal noise (n, *shape), float32 on the device of `crops` (n, 3, h, w).

    Row i is drawn from `seed` and the levels of crop i; without a seed every row is the same, drawn from the constant `stored`.
    """
    seeds = [stored] if seed is None else [seed_of(crop, seed) for crop in crops]
    rows = [torch.randn(shape, generator=torch.Generator().manual_seed(each), device="cpu") for each in seeds]
    return torch.stack(rows).to(crops.device).expand(len(crops), *shape)
