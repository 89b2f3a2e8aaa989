"""The zero of every comparison: gives back what it got."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from gfpup.core.types import BackendSpec

if TYPE_CHECKING:
    import torch


class Identity:
    """Restores nothing; what a run with it changes was changed by the pipeline, not by a method."""

    @classmethod
    def load(cls, spec: BackendSpec) -> Self:
        """Nothing is loaded: there are no weights and no parameters."""
        return cls()

    def restore(self, crops: torch.Tensor) -> torch.Tensor:
        """Return the crops, bit for bit, in memory of their own: float32 (n, 3, 512, 512) RGB in [0, 1]."""
        return crops.clone()
