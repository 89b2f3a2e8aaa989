"""The identity guard: a restored face that no longer looks like its input is blended back until it does, or left as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

from gfpup.core.errors import GfpupError
from gfpup.core.types import AlignedCrop, Float32, Float64, UInt8
from gfpup.models.nets.arcface import ArcFaceIRSE50, arcface_crop, rgb_112
from gfpup.models.nets.loading import load_network
from gfpup.ops import geometry
from gfpup.ops.color import to_uint8, to_unit

CHECKPOINT: Final = "arcface-ir-se50"

SHARES: Final = (0.8, 0.6, 0.4, 0.2)
"""The shares of the restoration that are tried, largest first; each is measured, because similarity need not fall evenly."""

Embedder = Callable[[UInt8], Float64]
"""Who a face is: (112, 112, 3) uint8 RGB in ArcFace's template to (512,) float64, of any length."""


@dataclass(frozen=True)
class GuardNote:
    """What the guard measured: cosine similarity to the input `before` and `after`, and the `share` of the restoration kept."""

    minimum: float
    before: float
    after: float
    share: float

    @property
    def changed(self) -> bool:
        return self.share < 1.0

    @property
    def sentence(self) -> str:
        if not self.changed:
            return f"identity {self.before:.2f} to its input, at or over the minimum {self.minimum:.2f}"
        found = f"identity {self.before:.2f} to its input was under the minimum {self.minimum:.2f}"
        if self.share == 0.0:
            return f"{found}, and no share of the restoration passed: left as it was"
        return f"{found}: blended back to {self.share:.0%} of the restoration, which has {self.after:.2f}"


class IdentityGuard:
    """Holds restored faces to a smallest similarity `minimum`, 0 to 1, with their inputs."""

    def __init__(self, embed: Embedder, *, minimum: float) -> None:
        self._embed = embed
        self.minimum = checked_minimum(minimum)

    def __call__(self, crop: AlignedCrop, restored: Float32) -> tuple[Float32, GuardNote]:
        """Judge one face: `restored` (s, s, 3) float32 in [0, 255] comes back whole, blended or as the input."""
        landmarks = geometry.apply(crop.affine, np.asarray(crop.face.landmarks_xy, np.float64))
        who = self._embed(arcface_crop(crop.pixels, landmarks))
        original = crop.pixels.astype(np.float32)
        before = 0.0
        for share in (1.0, *SHARES):
            blend = restored if share == 1.0 else original + np.float32(share) * (restored - original)
            likeness = similarity(who, self._embed(arcface_crop(to_uint8(to_unit(blend)), landmarks)))
            before = likeness if share == 1.0 else before
            if likeness >= self.minimum:
                return blend, GuardNote(self.minimum, before, likeness, share)
        return original, GuardNote(self.minimum, before, 1.0, 0.0)


def load_guard(path: Path, *, minimum: float, device: str = "cpu") -> IdentityGuard:
    """Load the guard from the checkpoint of ArcFace IR-SE50 at `path`.

    Raises:
        GfpupError: a `minimum` outside 0 to 1.
        CheckpointError: the file is not a checkpoint, or is one of another network.

    Source: Deng et al., "ArcFace" (CVPR 2019); the network as facexlib's recognition loads it.
    """
    checked_minimum(minimum)
    network = load_network(ArcFaceIRSE50, path, name=CHECKPOINT, device=device)

    @torch.inference_mode()
    def embed(face: UInt8) -> Float64:
        embedding: Float64 = network(rgb_112(face).to(device))[0].double().cpu().numpy()
        return embedding

    return IdentityGuard(embed, minimum=minimum)


def similarity(a: Float64, b: Float64) -> float:
    """The cosine of two embeddings, in [-1, 1]; -1, so that it never passes, where one is zero or not finite."""
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    if not np.isfinite(lengths) or lengths == 0.0:
        return -1.0
    return float(np.clip(a @ b / lengths, -1.0, 1.0))


def checked_minimum(value: float) -> float:
    """Return `value` as a smallest similarity; GfpupError where it is not a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise GfpupError(f"invalid smallest identity {value!r}: expected a number from 0 to 1 (the same face), such as 0.5")
    return float(value)
