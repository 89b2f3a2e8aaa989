"""RestoreFormer and RestoreFormer++: two networks, each with its own checkpoint, not one under two names."""

from __future__ import annotations

from typing import Self

import torch
from torch import nn

from gfpup.core.types import BackendSpec
from gfpup.models import engines
from gfpup.models.engines.two_stage import Stages, prepare_stages
from gfpup.models.nets import restoreformer
from gfpup.models.nets.loading import dtype_of, load_network, only_checkpoint
from gfpup.models.nets.vqgan import QUERY_CHUNK

Network = restoreformer.RestoreFormer | restoreformer.RestoreFormerPlusPlus

FEATURES = ("level_4", "level_5", "middle")
"""What the encoder hands to the decoder, by the names in `encode`."""


class RestoreFormer:
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
        network.decoder_to(torch.float32 if engines.of(engine).lowers else dtype)
        network.attend_in_chunks(QUERY_CHUNK if memory_efficient else None)
        self._network = network
        device = next(network.parameters()).device
        self._one_by_one = memory_efficient or (engine != "eager" and device.type == "cpu")
        crop = torch.zeros(1, 3, side_px, side_px, device=device)
        stages = Stages(network, Choosing(network), Painting(network))
        self._run = prepare_stages(stages, (crop,), engine=engine, dtype=str(dtype).removeprefix("torch."))
        if engine != "eager":
            del self._network  # the graph has its own copy of the weights

    @classmethod
    def load(cls, spec: BackendSpec) -> Self:
        """Load the one checkpoint of `spec`.

        Raises:
            GfpupError: not one checkpoint, another precision than float32 and bfloat16, or an engine that cannot be had.
            CheckpointError: the checkpoint is of another network; the older one is not taken for the newer, nor the reverse.
        """
        dtype = dtype_of(spec)
        engines.require(spec.engine, device=spec.device, dtype=spec.dtype)
        network = load_network(cls._build, only_checkpoint(spec), name=cls.architecture, device=spec.device)
        return cls(network, dtype=dtype, memory_efficient=spec.memory_efficient, engine=spec.engine)

    @staticmethod
    def _build() -> Network:
        return restoreformer.RestoreFormer()

    @torch.inference_mode()
    def restore(self, crops: torch.Tensor) -> torch.Tensor:
        """Restore aligned crops: float32 (n, 3, 512, 512) RGB in [0, 1], to the same shape, dtype and about the same range.

        Row i depends on crop i alone; to the bit on a CPU with one crop a call.
        """
        return torch.cat([self._forward(part) for part in (crops.split(1) if self._one_by_one else [crops])])

    def _forward(self, crops: torch.Tensor) -> torch.Tensor:
        x = crops.mul(2).sub(1).contiguous(memory_format=torch.channels_last)
        (restored,) = self._run(x)
        return restored.add(1).div(2).contiguous()


class RestoreFormerPP(RestoreFormer):
    """RestoreFormer++: four attention heads in place of eight, and a second size at which the decoder attends to the input.

    Source: Wang et al., "RestoreFormer++: Towards Real-World Blind Face Restoration from Undegraded Key-Value Pairs", TPAMI
    2023; github.com/wzhouxiff/RestoreFormerPlusPlus.
    """

    architecture = "restoreformerpp"

    @staticmethod
    def _build() -> Network:
        return restoreformer.RestoreFormerPlusPlus()


class Choosing(nn.Module):
    """The part that chooses the codes: the codes, the latent, and the features that the decoder attends with."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        latent, features = self.network.encode(x)
        codes = self.network.quantize.distances(latent).argmin(dim=2)
        return (codes, latent, *(features[name] for name in FEATURES))


class Painting(nn.Module):
    """The part that paints what `Choosing` chose."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, codes: torch.Tensor, latent: torch.Tensor, *features: torch.Tensor) -> torch.Tensor:
        return self.network.decode(codes, latent, dict(zip(FEATURES, features, strict=True)))
