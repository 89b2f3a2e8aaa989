"""RestoreFormer and RestoreFormer++: two networks, each with its own checkpoint, not one under two names."""

from __future__ import annotations

from typing import Self

import torch

from gfpup.nets import restoreformer
from gfpup.nets.loading import dtype_of, load_network, only_checkpoint
from gfpup.nets.vqgan import QUERY_CHUNK
from gfpup.types import BackendSpec

Network = restoreformer.RestoreFormer | restoreformer.RestoreFormerPlusPlus


class RestoreFormer:
    """RestoreFormer: the nearest codes of high-quality faces, attended to by the input's features.

    In bfloat16 only the decoder is lowered: what picks the codes stays float32, because rounding would pick others.

    Source: Wang et al., "RestoreFormer: High-Quality Blind Face Restoration from Undegraded Key-Value Pairs", CVPR 2022;
    github.com/wzhouxiff/RestoreFormer; the checkpoint is the one that github.com/TencentARC/GFPGAN publishes.
    """

    architecture = "restoreformer"

    def __init__(self, network: Network, *, dtype: torch.dtype = torch.float32, memory_efficient: bool = False) -> None:
        self._network = network.decoder_to(dtype).attend_in_chunks(QUERY_CHUNK if memory_efficient else None)
        self._one_by_one = memory_efficient

    @classmethod
    def load(cls, spec: BackendSpec) -> Self:
        """Load the one checkpoint of `spec`.

        Raises:
            GfpupError: not one checkpoint, or another precision than float32 and bfloat16.
            CheckpointError: the checkpoint is of another network; the older one is not taken for the newer, nor the reverse.
        """
        dtype = dtype_of(spec)
        network = load_network(cls._build, only_checkpoint(spec), name=cls.architecture, device=spec.device)
        return cls(network, dtype=dtype, memory_efficient=spec.memory_efficient)

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
        restored: torch.Tensor = self._network(x)
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
