"""CodeFormer, with its dial between quality and likeness."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import nn

from gfpup.core.errors import GfpupError
from gfpup.core.types import BackendSpec
from gfpup.models import engines
from gfpup.models.engines.two_stage import Stages, prepare_stages
from gfpup.models.nets import codeformer
from gfpup.models.nets.loading import dtype_of, load_network, only_checkpoint
from gfpup.models.nets.vqgan import QUERY_CHUNK

FIDELITY = 0.5
"""The default of the paper's w. Source: the official inference script."""


class CodeFormer:
    """CodeFormer: a transformer picks the codes of the clean face; `fidelity` says how much of the input comes back.

    `fidelity` 0 trusts the code book alone, 1 keeps most of the input. The code-book features get the input's mean and
    deviation (adain), as in the official inference. In bfloat16 only the painting part is lowered: what picks the codes
    stays float32, because rounding would pick others.

    Source: Zhou et al., "Towards Robust Blind Face Restoration with Codebook Lookup Transformer", NeurIPS 2022;
    github.com/sczhou/CodeFormer.
    """

    def __init__(
        self,
        network: codeformer.CodeFormer,
        *,
        fidelity: float = FIDELITY,
        dtype: torch.dtype = torch.float32,
        memory_efficient: bool = False,
        engine: str = "eager",
        side_px: int = 512,
    ) -> None:
        network = network.decoder_to(torch.float32 if engines.of(engine).lowers else dtype)
        self._network = network.attend_in_chunks(QUERY_CHUNK if memory_efficient else None)
        self._fidelity = checked_fidelity(fidelity)
        device = next(network.parameters()).device
        self._one_by_one = memory_efficient or (engine != "eager" and device.type == "cpu")
        self._graph: engines.Graph | None = None
        if engine != "eager":
            # The fidelity is an input, so that one graph serves all of them.
            self._dial = torch.tensor(self._fidelity, device=device)
            crop = torch.zeros(1, 3, side_px, side_px, device=device)
            stages = Stages(Whole(network), Choosing(network), Painting(network))
            precision = str(dtype).removeprefix("torch.")
            self._graph = prepare_stages(stages, (crop,), (self._dial,), engine=engine, dtype=precision)
            del self._network  # the graph has its own copy of the weights

    @classmethod
    def load(cls, spec: BackendSpec) -> Self:
        """Load the one checkpoint of `spec`; its parameter is `fidelity`, 0 to 1 (0.5).

        Raises:
            GfpupError: a fidelity outside 0 to 1, not one checkpoint, another precision than float32 and bfloat16, or an engine
                that cannot be had.
            CheckpointError: the checkpoint is not CodeFormer's.
        """
        dtype, fidelity = dtype_of(spec), checked_fidelity(spec.parameters.get("fidelity", FIDELITY))
        engines.require(spec.engine, device=spec.device, dtype=spec.dtype)
        network = load_network(codeformer.CodeFormer, only_checkpoint(spec), name="codeformer", device=spec.device)
        return cls(network, fidelity=fidelity, dtype=dtype, memory_efficient=spec.memory_efficient, engine=spec.engine)

    @torch.inference_mode()
    def restore(self, crops: torch.Tensor) -> torch.Tensor:
        """Restore aligned crops: float32 (n, 3, 512, 512) RGB in [0, 1], to the same shape, dtype and about the same range.

        Row i depends on crop i alone; to the bit on a CPU with one crop a call.
        """
        return torch.cat([self._forward(part) for part in (crops.split(1) if self._one_by_one else [crops])])

    def _forward(self, crops: torch.Tensor) -> torch.Tensor:
        x = crops.mul(2).sub(1).contiguous(memory_format=torch.channels_last)
        restored: torch.Tensor
        if self._graph is None:
            restored = self._network(x, fidelity=self._fidelity)
        else:
            (restored,) = self._graph(x, self._dial)
        return restored.add(1).div(2).contiguous()


class Whole(nn.Module):
    """The network with its fidelity, a scalar tensor, as an input beside the crops."""

    def __init__(self, network: codeformer.CodeFormer) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor, fidelity: torch.Tensor) -> torch.Tensor:
        restored: torch.Tensor = self.network(x, fidelity=fidelity)
        return restored


class Choosing(nn.Module):
    """The part that chooses the codes: the codes, the latent, and the features to fuse by size."""

    def __init__(self, network: codeformer.CodeFormer) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        latent, features = self.network.encode(x)
        codes = self.network.logits_of(latent).argmax(dim=2)
        return (codes, latent, *(features[size] for size in codeformer.FUSE_CHANNELS))


class Painting(nn.Module):
    """The part that paints what `Choosing` chose."""

    def __init__(self, network: codeformer.CodeFormer) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, fidelity: torch.Tensor, codes: torch.Tensor, latent: torch.Tensor, *features: torch.Tensor
    ) -> torch.Tensor:
        named = dict(zip(codeformer.FUSE_CHANNELS, features, strict=True))
        return self.network.decode(codes, latent, named, fidelity=fidelity)


def checked_fidelity(value: Any) -> float:
    """Return `value` as a fidelity.

    Raises:
        GfpupError: it is no number from 0 to 1.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise GfpupError(f"fidelity {value!r} is no number from 0 to 1 (most like the input): choose one, such as 0.5")
    return float(value)
