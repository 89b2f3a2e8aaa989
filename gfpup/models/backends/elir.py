"""ELIR, the light one: an estimate and a short flow in the latent space of a tiny autoencoder."""

from __future__ import annotations

from typing import Any, Unpack

import torch

from gfpup.core.errors import GfpupError
from gfpup.core.types import BackendSpec
from gfpup.models import engines
from gfpup.models.backends import noise
from gfpup.models.backends.network import NetworkBackend, Options, Part
from gfpup.models.nets import elir

NOISE_SEED = 2025
"""What the stored noise is drawn from. Source: `seed` of the official configuration."""
MOST_STEPS = 1000
"""More would change nothing that can be seen."""


class ELIR(NetworkBackend):
    """ELIR: the encoder, the estimate of least error, some noise, `steps` steps along a flow, the decoder.

    The official code draws new noise in every call. Here it is always the same; with a `seed` it is drawn from the seed and the
    crop's own pixels. `steps` 0 shows the estimate, without noise: softer and, by squared error, closer to the original.

    Source: Cohen et al., "Efficient Image Restoration via Latent Consistency Flow Matching", BMVC 2025;
    github.com/eladc-git/ELIR.
    """

    architecture = "elir"

    def __init__(
        self, network: elir.ELIR, *, seed: int | None = None, steps: int = elir.STEPS, **options: Unpack[Options]
    ) -> None:
        self._seed, self._steps = seed, checked_steps(steps)
        super().__init__(network, **options)

    @classmethod
    def parameters_of(cls, spec: BackendSpec) -> dict[str, Any]:
        """The steps, 0 to 1000 (5), and the seed of the noise, None for the stored one."""
        return {"seed": spec.seed, "steps": checked_steps(spec.parameters.get("steps", elir.STEPS))}

    def _prepare(self, network: Any, crop: torch.Tensor, *, engine: str, dtype: str) -> engines.Graph:
        inputs = (crop.to(self._dtype), *self._noise(crop))
        return engines.prepare(Restoring(network, steps=self._steps), inputs, engine=engine, dtype=dtype)

    def _restore(self, crops: torch.Tensor) -> torch.Tensor:
        x = crops.to(self._dtype).contiguous(memory_format=torch.channels_last)
        return self._run(x, *self._noise(crops))[0].float().contiguous()

    def _noise(self, crops: torch.Tensor) -> list[torch.Tensor]:
        if self._steps == 0:
            return []
        return [noise.drawn(crops, latent_shape(crops), seed=self._seed, stored=NOISE_SEED)]


class Restoring(Part):
    """The network with its noise as a second input, left out for no steps."""

    def __init__(self, network: elir.ELIR, *, steps: int = elir.STEPS) -> None:
        super().__init__(network)
        self.steps = steps

    def forward(self, x: torch.Tensor, *noise: torch.Tensor) -> torch.Tensor:
        restored: torch.Tensor = self.network(x, *noise, steps=self.steps)
        return restored


class Signed(Restoring):
    """The network on faces in [-1, 1], as other methods take them, with the stored noise as a part of it."""

    def __init__(self, network: elir.ELIR, *, side_px: int = 512, steps: int = elir.STEPS) -> None:
        super().__init__(network, steps=steps)
        like = torch.zeros(1, 3, side_px, side_px, device=next(network.parameters()).device)
        self.register_buffer("noise", noise.drawn(like, latent_shape(like), seed=None, stored=NOISE_SEED).contiguous())

    def forward(self, x: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return super().forward((x + 1) / 2, self.noise) * 2 - 1


def latent_shape(crops: torch.Tensor) -> tuple[int, int, int]:
    """The shape of the latent of one of `crops` (n, 3, h, w)."""
    return elir.LATENT_CHANNELS, crops.shape[2] // elir.LATENT_SCALE, crops.shape[3] // elir.LATENT_SCALE


def checked_steps(value: Any) -> int:
    """Return `value` as a number of steps.

    Raises: GfpupError: it is not a whole number from 0 to 1000.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_STEPS:
        raise GfpupError(f"invalid steps {value!r}: expected a whole number from 0 (the estimate alone) to {MOST_STEPS}")
    return value
