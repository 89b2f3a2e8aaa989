"""Constants of a network that its checkpoint does not have."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def per_channel(values: Sequence[float], *, device: torch.device, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """A number for each channel: (1, len(values), 1, 1), to be broadcast over pictures.

    Filled in on `device` itself: a copy of a list would make the program wait for a GPU, and a CUDA graph cannot record it.
    """
    return torch.cat([torch.full((1, 1, 1, 1), value, device=device, dtype=dtype) for value in values], dim=1)
