"""Several restorations of a face, of several methods or of its mirror image, blended before one paste."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch

from gfpup.core.errors import GfpupError
from gfpup.core.types import Backend, BackendSpec
from gfpup.models import backends


class Ensemble:
    """The weighted mean of its members' restored crops. A member's failure (a value that is not finite) is the whole's."""

    def __init__(self, members: Sequence[tuple[Backend, float]]) -> None:
        self.members = members
        self.crop_px = backends.crop_px(members[0][0])

    @classmethod
    def load(cls, spec: BackendSpec) -> Self:
        """Load every member of `spec`; weights sum to 1.

        Raises: GfpupError where members take crops of different sides, so that there is nothing to blend.
        """
        members = [(backends.load(member), weight) for member, weight in spec.members]
        sides = {each.name: backends.crop_px(loaded) for (each, _), (loaded, _) in zip(spec.members, members, strict=True)}
        if len(set(sides.values())) > 1:
            each = ", ".join(f"{name} {side} px" for name, side in sides.items())
            raise GfpupError(f"an ensemble needs members that restore crops of one size, not {each}")
        return cls(members)

    def restore(self, crops: torch.Tensor) -> torch.Tensor:
        """Restore crops, float32 (n, 3, 512, 512) in [0, 1], by each member; returns the weighted mean, alike."""
        blended = torch.zeros_like(crops)
        for member, weight in self.members:
            restored = member.restore(crops)
            # Cut first, as every method's own pictures are: a value far outside would weigh more than the picture shows.
            blended += torch.where(restored.isfinite(), restored.clamp(0, 1), torch.nan) * weight
        return blended


class FlipEnsemble:
    """Wraps any backend: restores each crop as it is and mirrored, mirrors the second result back, and takes the mean.

    Twice the time, the memory of one call. Fine detail that the method invents differs between the two and is averaged, so the
    result is a little softer.
    """

    def __init__(self, member: Backend) -> None:
        self.member = member
        self.crop_px = backends.crop_px(member)
        self.template_xy = backends.template_xy(member)
        self.smooth_below_px = backends.smooth_below_px(member)

    @torch.inference_mode()
    def restore(self, crops: torch.Tensor) -> torch.Tensor:
        """Restore aligned crops as `member` does: float32 (n, 3, 512, 512) RGB in [0, 1], to the same.

        A mirrored input gives the mirrored output, to the bit where the member gives the same bits for the same crop.
        """
        # Two calls: one of twice the batch would give a crop other bits, and take twice the memory.
        mirrored = self.member.restore(crops.flip(3).contiguous()).flip(3)
        return ((self.member.restore(crops) + mirrored) / 2).contiguous()
