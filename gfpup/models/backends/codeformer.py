"""CodeFormer, with its dial between quality and likeness."""

from __future__ import annotations

from typing import Any

import torch

from gfpup.core.errors import GfpupError
from gfpup.core.types import BackendSpec
from gfpup.models.backends.network import NetworkBackend, Part
from gfpup.models.engines.two_stage import Stages, prepare_stages
from gfpup.models.nets import codeformer

FIDELITY = 0.5
"""The default of the paper's w. Source: the official inference script."""


class CodeFormer(NetworkBackend):
    """CodeFormer: a transformer picks the codes of the clean face; `fidelity` says how much of the input comes back.

    `fidelity` 0 trusts the code book alone, 1 keeps most of the input. The code-book features get the input's mean and
    deviation (adain), as in the official inference. In bfloat16 only the painting part is lowered: what picks the codes
    stays float32, because rounding would pick others.

    Source: Zhou et al., "Towards Robust Blind Face Restoration with Codebook Lookup Transformer", NeurIPS 2022;
    github.com/sczhou/CodeFormer.
    """

    architecture = "codeformer"

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
        super().__init__(network, dtype=dtype, memory_efficient=memory_efficient, engine=engine)
        self._fidelity = checked_fidelity(fidelity)
        self._network: codeformer.CodeFormer | None = network if engine == "eager" else None  # a graph has its own weights
        if engine != "eager":
            # The fidelity is an input, so that one graph serves all of them.
            self._dial = torch.tensor(self._fidelity, device=self._device)
            stages = Stages(Whole(network), Choosing(network), Painting(network))
            crops = (self._example(side_px),)
            self._graph = prepare_stages(stages, crops, (self._dial,), engine=engine, dtype=self._precision)

    @classmethod
    def parameters_of(cls, spec: BackendSpec) -> dict[str, Any]:
        """The fidelity, 0 to 1 (0.5)."""
        return {"fidelity": checked_fidelity(spec.parameters.get("fidelity", FIDELITY))}

    def _forward(self, x: torch.Tensor, crops: torch.Tensor) -> torch.Tensor:
        restored: torch.Tensor
        if self._network is not None:
            restored = self._network(x, fidelity=self._fidelity)
        else:
            (restored,) = self._graph(x, self._dial)
        return restored


class Whole(Part):
    """The network with its fidelity, a scalar tensor, as an input beside the crops."""

    def forward(self, x: torch.Tensor, fidelity: torch.Tensor) -> torch.Tensor:
        restored: torch.Tensor = self.network(x, fidelity=fidelity)
        return restored


class Choosing(Part):
    """The part that chooses the codes: the codes, the latent, and the features to fuse by size."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        latent, features = self.network.encode(x)
        codes = self.network.logits_of(latent).argmax(dim=2)
        return (codes, latent, *(features[size] for size in codeformer.FUSE_CHANNELS))


class Painting(Part):
    """The part that paints what `Choosing` chose."""

    def forward(
        self, fidelity: torch.Tensor, codes: torch.Tensor, latent: torch.Tensor, *features: torch.Tensor
    ) -> torch.Tensor:
        named = dict(zip(codeformer.FUSE_CHANNELS, features, strict=True))
        return self.network.decode(codes, latent, named, fidelity=fidelity)


def checked_fidelity(value: Any) -> float:
    """Return `value` as a fidelity.

    Raises:
        GfpupError: it is not a number from 0 to 1.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise GfpupError(f"invalid fidelity {value!r}: expected a number from 0 to 1 (most like the input), such as 0.5")
    return float(value)
