"""GFPGAN 1.2, 1.3 and 1.4: one architecture, three sets of weights."""

from __future__ import annotations

from typing import Any, Unpack

import torch

from gfpup.core.transfer import upload
from gfpup.core.types import BackendSpec
from gfpup.models import engines
from gfpup.models.backends.network import NetworkBackend, Options, Part
from gfpup.models.backends.noise import seeds_of
from gfpup.models.nets import gfpgan
from gfpup.models.nets.stylegan2 import noise_sizes, seeded_noise


class GFPGAN(NetworkBackend):
    """GFPGAN: a generative face prior, steered by what is left of the face.

    The official restorer draws new noise in every call. Here the noise is the one stored in the checkpoint; with a `seed` it is
    drawn from the seed and the crop's own pixels, so that a face looks the same in any batch, order and device.

    Source: Wang et al., "Towards Real-World Blind Face Restoration with Generative Facial Prior", CVPR 2021;
    github.com/TencentARC/GFPGAN.
    """

    architecture = "gfpgan"

    def __init__(self, network: gfpgan.GFPGAN, *, seed: int | None = None, **options: Unpack[Options]) -> None:
        self._seed = seed
        super().__init__(network, **options)

    @classmethod
    def parameters_of(cls, spec: BackendSpec) -> dict[str, Any]:
        """The seed of the noise, None for the stored one."""
        return {"seed": spec.seed}

    def _prepare(self, network: Any, crop: torch.Tensor, *, engine: str, dtype: str) -> engines.Graph:
        sizes = [] if self._seed is None else noise_sizes(crop.shape[-1])
        noise = [torch.zeros(1, 1, size, size, device=crop.device) for size in sizes]
        return engines.prepare(Flat(network), (crop.to(self._dtype), *noise), engine=engine, dtype=dtype)

    def _forward(self, x: torch.Tensor, crops: torch.Tensor) -> torch.Tensor:
        noise = [] if self._seed is None else [upload(each.numpy(), crops.device) for each in _noise_of(crops, self._seed)]
        return self._run(x.to(self._dtype), *noise)[0]


class Flat(Part):
    """The network with its noise maps as separate inputs, as a graph needs them; without any, the stored ones are used."""

    def forward(self, x: torch.Tensor, *noise: torch.Tensor) -> torch.Tensor:
        restored: torch.Tensor = self.network(x, list(noise) or None)
        return restored


def _noise_of(crops: torch.Tensor, seed: int) -> list[torch.Tensor]:
    """Noise maps (n, 1, s, s) for each size, row i from `seed` and the levels of crop i."""
    rows = [seeded_noise(each, out_size=crops.shape[-1]) for each in seeds_of(crops, seed)]
    return [torch.cat(maps) for maps in zip(*rows, strict=True)]
