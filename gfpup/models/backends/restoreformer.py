"""RestoreFormer and RestoreFormer++: two networks, each with its own checkpoint, not one under two names."""

from __future__ import annotations

import torch

from gfpup.models.backends.network import NetworkBackend, Part
from gfpup.models.engines.two_stage import Stages, prepare_stages
from gfpup.models.nets import restoreformer

Network = restoreformer.RestoreFormer | restoreformer.RestoreFormerPlusPlus

FEATURES = ("level_4", "level_5", "middle")
"""What the encoder hands to the decoder, by the names in `encode`."""


class RestoreFormer(NetworkBackend):
    """RestoreFormer: the nearest codes of high-quality faces, attended to by the input's features.

    In bfloat16 only the decoder is lowered: what picks the codes stays float32, because rounding would pick others.

    Source: Wang et al., "RestoreFormer: High-Quality Blind Face Restoration from Undegraded Key-Value Pairs", CVPR 2022;
    github.com/wzhouxiff/RestoreFormer; the checkpoint is the one that github.com/TencentARC/GFPGAN publishes.
    """

    architecture = "restoreformer"

    def __init__(
        self,
        network: Network,
        *,
        dtype: torch.dtype = torch.float32,
        memory_efficient: bool = False,
        engine: str = "eager",
        side_px: int = 512,
    ) -> None:
        super().__init__(network, dtype=dtype, memory_efficient=memory_efficient, engine=engine)
        stages = Stages(network, Choosing(network), Painting(network))
        self._run = prepare_stages(stages, (self._example(side_px),), engine=engine, dtype=self._precision)

    def _forward(self, x: torch.Tensor, crops: torch.Tensor) -> torch.Tensor:
        (restored,) = self._run(x)
        return restored


class RestoreFormerPP(RestoreFormer):
    """RestoreFormer++: four attention heads in place of eight, and a second size at which the decoder attends to the input.

    Source: Wang et al., "RestoreFormer++: Towards Real-World Blind Face Restoration from Undegraded Key-Value Pairs", TPAMI
    2023; github.com/wzhouxiff/RestoreFormerPlusPlus.
    """

    architecture = "restoreformerpp"


class Choosing(Part):
    """The part that chooses the codes: the codes, the latent, and the features that the decoder attends with."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        latent, features = self.network.encode(x)
        codes = self.network.quantize.distances(latent).argmin(dim=2)
        return (codes, latent, *(features[name] for name in FEATURES))


class Painting(Part):
    """The part that paints what `Choosing` chose."""

    def forward(self, codes: torch.Tensor, latent: torch.Tensor, *features: torch.Tensor) -> torch.Tensor:
        return self.network.decode(codes, latent, dict(zip(FEATURES, features, strict=True)))
