"""A method of your own: the smallest backend that gfpup runs, plans, sweeps and measures like its own."""

import torch
import torch.nn.functional as F

from gfpup.core.errors import GfpupError
from gfpup.core.types import BackendSpec


class Unsharp:
    """sharpens by adding back what a small blur takes away"""  # the first line is the summary in plans and lists

    parameters = ("amount",)  # keys of `restore` that this method takes; any other is refused before the first photo

    def __init__(self, amount: float) -> None:
        self.amount = amount

    @classmethod
    def load(cls, spec: BackendSpec) -> "Unsharp":
        amount = spec.parameters.get("amount", 0.5)
        if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount <= 5:
            raise GfpupError(f"restore.amount={amount!r} means nothing to unsharp; it takes a number from 0 to 5.")
        return cls(float(amount))

    def restore(self, crops: torch.Tensor) -> torch.Tensor:
        """Restore aligned crops: float32 (n, 3, 512, 512) RGB in [0, 1], to the same; the caller clips."""
        blurred = F.avg_pool2d(F.pad(crops, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
        return crops + self.amount * (crops - blurred)
