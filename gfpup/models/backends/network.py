"""The base of the backends that hold one network: loading, precision, engine and the call over a batch of crops."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import torch
from torch import nn

from gfpup.core.types import BackendSpec
from gfpup.models import engines
from gfpup.models.nets.loading import dtype_of, load_network, only_checkpoint
from gfpup.models.nets.vqgan import QUERY_CHUNK
from gfpup.models.table import ARCHITECTURES


class NetworkBackend(ABC):
    """A network of `gfpup.models.table` over aligned crops. A subclass names it and computes `_forward`."""

    architecture: ClassVar[str]

    def __init__(
        self, network: Any, *, dtype: torch.dtype, memory_efficient: bool, engine: str, decoder_only: bool = True
    ) -> None:
        # An engine that lowers precision itself takes the network and its input in float32.
        self._dtype = torch.float32 if engines.of(engine).lowers else dtype
        if decoder_only:  # a code-book network: rounding what picks the codes would pick others
            network.decoder_to(self._dtype).attend_in_chunks(QUERY_CHUNK if memory_efficient else None)
        else:
            network.to(self._dtype)
        self._precision = str(dtype).removeprefix("torch.")
        self._device = next(network.parameters()).device
        self._one_by_one = memory_efficient or (engine != "eager" and self._device.type == "cpu")

    @classmethod
    def load(cls, spec: BackendSpec) -> Self:
        """Load the one checkpoint of `spec`.

        Raises:
            GfpupError: an invalid parameter, not exactly one checkpoint, a precision other than float32 and bfloat16, or an
                engine that is not available.
            CheckpointError: the checkpoint holds another network.
        """
        dtype, parameters = dtype_of(spec), cls.parameters_of(spec)
        engines.require(spec.engine, device=spec.device, dtype=spec.dtype)
        make = ARCHITECTURES[cls.architecture].build
        network = load_network(make, only_checkpoint(spec), name=cls.architecture, device=spec.device)
        return cls(network, dtype=dtype, memory_efficient=spec.memory_efficient, engine=spec.engine, **parameters)

    @classmethod
    def parameters_of(cls, spec: BackendSpec) -> dict[str, Any]:
        """The constructor's further arguments, from the method's own parameters."""
        return {}

    @torch.inference_mode()
    def restore(self, crops: torch.Tensor) -> torch.Tensor:
        """Restore aligned crops: float32 (n, 3, 512, 512) RGB in [0, 1], to the same shape, dtype and about the same range.

        Row i depends on crop i alone; to the bit on a CPU with one crop a call, because convolutions round differently in a
        batch.
        """
        return torch.cat([self._restore(part) for part in (crops.split(1) if self._one_by_one else [crops])])

    def _restore(self, crops: torch.Tensor) -> torch.Tensor:
        x = crops.mul(2).sub(1).contiguous(memory_format=torch.channels_last)
        return self._forward(x, crops).float().add(1).div(2).contiguous()

    @abstractmethod
    def _forward(self, x: torch.Tensor, crops: torch.Tensor) -> torch.Tensor:
        """Restore `x`, the crops in [-1, 1], channels last; `crops` are the same in [0, 1]."""

    def _example(self, side_px: int, *, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """A crop of zeros, to make a graph with."""
        return torch.zeros(1, 3, side_px, side_px, dtype=dtype, device=self._device)


class Part(nn.Module):
    """A part of a network that becomes a graph of its own; it shares the network's weights."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
