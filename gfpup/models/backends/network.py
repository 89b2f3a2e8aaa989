"""The bases of the backends that hold one network: loading, precision, engine and the call over a batch of crops."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypedDict, Unpack

import torch
from torch import nn

from gfpup.core.types import BackendSpec
from gfpup.models import engines
from gfpup.models.nets.loading import dtype_of, load_network, only_checkpoint
from gfpup.models.nets.vqgan import QUERY_CHUNK, CodeBookNetwork
from gfpup.models.table import ARCHITECTURES


class Options(TypedDict, total=False):
    """How a network is run: as in `BackendSpec`, and the side of its crops, smaller than 512 in tests."""

    dtype: torch.dtype
    memory_efficient: bool
    engine: str
    side_px: int


class NetworkBackend(ABC):
    """A network of `gfpup.models.table` over aligned crops. A subclass names it and prepares its graph."""

    architecture: ClassVar[str]

    def __init__(self, network: Any, **options: Unpack[Options]) -> None:
        engine, dtype = options.get("engine", "eager"), options.get("dtype", torch.float32)
        memory_efficient, side_px = options.get("memory_efficient", False), options.get("side_px", 512)
        # An engine that lowers precision itself takes the network and its input in float32.
        self._dtype = torch.float32 if engines.of(engine).lowers else dtype
        if isinstance(network, CodeBookNetwork):  # rounding what picks the codes would pick others
            network.decoder_to(self._dtype).attend_in_chunks(QUERY_CHUNK if memory_efficient else None)
        else:
            network.to(self._dtype)
        device = next(network.parameters()).device
        self._one_by_one = memory_efficient or (engine != "eager" and device.type == "cpu")
        self._network = network if engine == "eager" else None  # a graph has its own weights
        crop = torch.zeros(1, 3, side_px, side_px, device=device)
        self._run = self._prepare(network, crop, engine=engine, dtype=str(dtype).removeprefix("torch."))

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
        name = cls.architecture_of(spec)
        network = load_network(ARCHITECTURES[name].build, only_checkpoint(spec), name=name, device=spec.device)
        return cls(network, dtype=dtype, memory_efficient=spec.memory_efficient, engine=spec.engine, **parameters)

    @classmethod
    def architecture_of(cls, spec: BackendSpec) -> str:
        """The network's name in the table, where versions have different ones."""
        return cls.architecture

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
    def _prepare(self, network: Any, crop: torch.Tensor, *, engine: str, dtype: str) -> engines.Graph:
        """What computes the network for inputs like `crop` (1, 3, side, side) float32."""

    def _forward(self, x: torch.Tensor, crops: torch.Tensor) -> torch.Tensor:
        """Restore `x`, the crops in [-1, 1], channels last; `crops` are the same in [0, 1]."""
        restored: torch.Tensor = self._run(x)[0]
        return restored


class CodeBookBackend(NetworkBackend):
    """A network that picks codes and paints them: one graph in float32, two in bfloat16, in which only painting is lowered.

    `dials` are the further inputs of the painting, by name.
    """

    dials: Mapping[str, float] = MappingProxyType({})

    def _prepare(self, network: Any, crop: torch.Tensor, *, engine: str, dtype: str) -> engines.Graph:
        dials = self.dials
        if engine == "eager":
            return lambda x: (network(x, **dials),)
        # Inputs, so that one graph serves all their values.
        given = [torch.tensor(value, device=crop.device) for value in dials.values()]
        whole, choosing, painting = (part(network, tuple(dials)) for part in (Whole, Choosing, Painting))
        if dtype == "float32" or not engines.of(engine).lowers:
            run = engines.prepare(whole, (crop, *given), engine=engine, dtype=dtype)
            return lambda x: run(x, *given)
        choose = engines.prepare(choosing, (crop,), engine=engine)
        paint = engines.prepare(painting, (*given, *_outputs_like(choosing, crop)), engine=engine, dtype=dtype)
        return lambda x: paint(*given, *choose(x))


class Part(nn.Module):
    """A part of a network that becomes a graph of its own, with its weights; `dials` name inputs beside the crops."""

    def __init__(self, network: Any, dials: Sequence[str] = ()) -> None:
        super().__init__()
        self.network = network
        self.dials = tuple(dials)


class Whole(Part):
    """The network with its dials, scalar tensors, after the crops."""

    def forward(self, x: torch.Tensor, *dials: torch.Tensor) -> torch.Tensor:
        restored: torch.Tensor = self.network(x, **dict(zip(self.dials, dials, strict=True)))
        return restored


class Choosing(Part):
    """The part that chooses: the codes, the latent, and the features that the decoder takes."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        latent, features = self.network.encode(x)
        return (self.network.choose(latent), latent, *(features[name] for name in self.network.feature_names))


class Painting(Part):
    """The part that paints what `Choosing` chose, after the dials."""

    def forward(self, *given: torch.Tensor) -> torch.Tensor:
        count = len(self.dials)
        dials, (codes, latent, *features) = given[:count], given[count:]
        named = dict(zip(self.network.feature_names, features, strict=True))
        restored: torch.Tensor = self.network.decode(codes, latent, named, **dict(zip(self.dials, dials, strict=True)))
        return restored


def _outputs_like(module: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """Zeros of the shapes and dtypes of `module(x)`, which is not computed."""
    state = {name: each.to("meta") for name, each in (*module.named_parameters(), *module.named_buffers())}
    outputs = torch.func.functional_call(module, state, x.to("meta"))
    return [torch.zeros(each.shape, dtype=each.dtype, device=x.device) for each in outputs]
