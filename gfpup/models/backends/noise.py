"""Noise that a method draws, alike in any batch, order and device."""

from __future__ import annotations

import hashlib

import torch

from gfpup.core.transfer import download, upload


def seed_of(crop: torch.Tensor, seed: int) -> int:
    """Mix `seed` with a crop's 8-bit levels; they, unlike the floats, are the same on every device."""
    return seeds_of(crop[None], seed)[0]


def seeds_of(crops: torch.Tensor, seed: int) -> list[int]:
    """`seed_of` each of `crops` (n, 3, h, w), which leave their device together."""
    levels = download(crops.mul(255).round().clamp(0, 255).to(torch.uint8))
    digests = (hashlib.blake2b(f"{seed} ".encode() + crop.tobytes(), digest_size=8).digest() for crop in levels)
    return [int.from_bytes(digest, "big", signed=True) for digest in digests]


def drawn(crops: torch.Tensor, shape: tuple[int, ...], *, seed: int | None, stored: int) -> torch.Tensor:
    """Standard normal noise (n, *shape), float32 on the device of `crops` (n, 3, h, w).

    Row i is drawn from `seed` and the levels of crop i; without a seed every row is the same, drawn from the constant `stored`.
    """
    seeds = [stored] if seed is None else seeds_of(crops, seed)
    rows = [torch.randn(shape, generator=torch.Generator().manual_seed(each), device="cpu") for each in seeds]
    return upload(torch.stack(rows).numpy(), crops.device).expand(len(crops), *shape)
