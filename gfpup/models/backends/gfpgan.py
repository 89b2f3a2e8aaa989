"""GFPGAN 1.2, 1.3 and 1.4: one architecture, three sets of weights."""

from __future__ import annotations

import hashlib
from typing import Self

import torch
from torch import nn

from gfpup.core.types import BackendSpec
from gfpup.models import engines
from gfpup.models.nets import gfpgan
from gfpup.models.nets.loading import dtype_of, load_network, only_checkpoint
from gfpup.models.nets.stylegan2 import noise_sizes, seeded_noise


class GFPGAN:
    """GFPGAN: a generative face prior, steered by what is left of the face.

    The official restorer draws fresh noise for every call, so that no result can be had twice. Here the noise is the one
    stored in the checkpoint; with a `seed` it is drawn from the seed and the crop's own pixels, so that a face looks the same
    in any batch, in any order and on any device.

    Source: Wang et al., "Towards Real-World Blind Face Restoration with Generative Facial Prior", CVPR 2021;
    github.com/TencentARC/GFPGAN.
    """

    def __init__(
        self,
        network: gfpgan.GFPGAN,
        *,
        dtype: torch.dtype = torch.float32,
        seed: int | None = None,
        memory_efficient: bool = False,
        engine: str = "eager",
        side_px: int = 512,
    ) -> None:
        # A runtime that lowers precision by itself wants the network and its input in float32.
        self._dtype = torch.float32 if engines.of(engine).lowers else dtype
        self._seed = seed
        self._network = network.to(self._dtype)
        device = next(network.parameters()).device
        self._one_by_one = memory_efficient or (engine != "eager" and device.type == "cpu")
        crop = torch.zeros(1, 3, side_px, side_px, dtype=self._dtype, device=device)
        noise = [] if seed is None else [torch.zeros(1, 1, size, size, device=device) for size in noise_sizes(side_px)]
        precision = str(dtype).removeprefix("torch.")
        self._run = engines.prepare(Flat(self._network), (crop, *noise), engine=engine, dtype=precision)
        if engine != "eager":
            del self._network  # the graph has its own copy of the weights

    @classmethod
    def load(cls, spec: BackendSpec) -> Self:
        """Load the one checkpoint of `spec`, in float32 or bfloat16.

        Raises:
            GfpupError: not one checkpoint, float16, in which this decoder overflows, or an engine that cannot be had.
            CheckpointError: the checkpoint is not GFPGAN's (the clean architecture).
        """
        dtype = dtype_of(spec)
        engines.require(spec.engine, device=spec.device, dtype=spec.dtype)
        network = load_network(gfpgan.GFPGAN, only_checkpoint(spec), name="gfpgan", device=spec.device)
        return cls(network, dtype=dtype, seed=spec.seed, memory_efficient=spec.memory_efficient, engine=spec.engine)

    @torch.inference_mode()
    def restore(self, crops: torch.Tensor) -> torch.Tensor:
        """Restore aligned crops: float32 (n, 3, 512, 512) RGB in [0, 1], to the same shape, dtype and about the same range.

        Row i depends on crop i alone. To the bit on a CPU only one crop a call does so: the 4x4 convolutions and the wide
        linear layer round differently in a batch.
        """
        return torch.cat([self._forward(part) for part in (crops.split(1) if self._one_by_one else [crops])])

    def _forward(self, crops: torch.Tensor) -> torch.Tensor:
        x = crops.mul(2).sub(1).to(self._dtype, memory_format=torch.channels_last)
        noise = [] if self._seed is None else [each.to(crops.device) for each in _noise_of(crops, self._seed)]
        (restored,) = self._run(x, *noise)
        return restored.float().add(1).div(2).contiguous()


class Flat(nn.Module):
    """The network with its noise maps as inputs of their own, as a graph can have them; with none, the stored ones."""

    def __init__(self, network: gfpgan.GFPGAN) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor, *noise: torch.Tensor) -> torch.Tensor:
        restored: torch.Tensor = self.network(x, list(noise) or None)
        return restored


def _noise_of(crops: torch.Tensor, seed: int) -> list[torch.Tensor]:
    """Noise maps (n, 1, s, s) for each size, row i from `seed` and the levels of crop i."""
    rows = [seeded_noise(_seed_of(crop, seed), out_size=crop.shape[-1]) for crop in crops]
    return [torch.cat(maps) for maps in zip(*rows, strict=True)]


def _seed_of(crop: torch.Tensor, seed: int) -> int:
    """Mix `seed` with a crop's 8-bit levels; they, unlike the floats, are the same on every device."""
    levels = crop.mul(255).round().clamp(0, 255).to("cpu", torch.uint8).contiguous().numpy()
    digest = hashlib.blake2b(f"{seed} ".encode() + levels.tobytes(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
