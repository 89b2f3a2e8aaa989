"""The base of the methods that estimate a face, add noise and follow a flow: ELIR in a latent space, PMRF in pixels."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Unpack

import torch

from gfpup.core.errors import GfpupError
from gfpup.core.types import BackendSpec
from gfpup.models import engines
from gfpup.models.backends import noise
from gfpup.models.backends.network import NetworkBackend, Options, Part

NOISE_SEED = 2025
"""What the stored noise is drawn from. Source: `seed` of ELIR's official configuration."""
MOST_STEPS = 1000
"""More would change nothing that can be seen."""


class FlowBackend(NetworkBackend):
    """The estimate of least error, some noise, `steps` Euler steps along a flow.

    The official codes draw new noise in every call. Here it is always the same; with a `seed` it is drawn from the seed and the
    crop's own pixels. `steps` 0 shows the estimate, without noise: softer and, by squared error, closer to the original.
    """

    usual_steps: ClassVar[int]
    """The steps of the official script."""

    def __init__(self, network: Any, *, seed: int | None = None, steps: int | None = None, **options: Unpack[Options]) -> None:
        self._seed = seed
        self._stored: torch.Tensor | None = None
        """The noise that every face gets where no seed is given, on the network's device."""
        self.steps = self.usual_steps if steps is None else checked_steps(steps)
        super().__init__(network, **options)

    @classmethod
    def parameters_of(cls, spec: BackendSpec) -> dict[str, Any]:
        """The steps, 0 to 1000, and the seed of the noise, None for the stored one."""
        return {"seed": spec.seed, "steps": checked_steps(spec.parameters.get("steps", cls.usual_steps))}

    @staticmethod
    @abstractmethod
    def noise_shape(crops: torch.Tensor) -> tuple[int, ...]:
        """The shape of the noise of one of `crops` (n, 3, h, w)."""

    @classmethod
    def signed(cls, network: Any, *, side_px: int = 512) -> Signed:
        """The network on faces in [-1, 1], as other methods take them, with the stored noise as a part of it."""
        crop = torch.zeros(1, 3, side_px, side_px, device=next(network.parameters()).device)
        stored = noise.drawn(crop, cls.noise_shape(crop), seed=None, stored=NOISE_SEED)
        return Signed(network, stored, steps=cls.usual_steps)

    def _prepare(self, network: Any, crop: torch.Tensor, *, engine: str, dtype: str) -> engines.Graph:
        inputs = (crop.to(self._dtype), *self._noise(crop))
        return engines.prepare(Restoring(network, steps=self.steps), inputs, engine=engine, dtype=dtype)

    def _restore(self, crops: torch.Tensor) -> torch.Tensor:
        x = crops.to(self._dtype).contiguous(memory_format=torch.channels_last)
        return self._run(x, *self._noise(crops))[0].float().contiguous()

    def _noise(self, crops: torch.Tensor) -> list[torch.Tensor]:
        shape = self.noise_shape(crops)
        if not self.steps:
            return []
        if self._seed is not None:
            return [noise.drawn(crops, shape, seed=self._seed, stored=NOISE_SEED)]
        if self._stored is None or self._stored.shape[1:] != shape:
            self._stored = noise.drawn(crops[:1], shape, seed=None, stored=NOISE_SEED)
        return [self._stored.expand(len(crops), *shape)]


class Restoring(Part):
    """The network with its noise as a second input, left out for no steps."""

    def __init__(self, network: Any, *, steps: int) -> None:
        super().__init__(network)
        self.steps = steps

    def forward(self, x: torch.Tensor, *noise: torch.Tensor) -> torch.Tensor:
        restored: torch.Tensor = self.network(x, *noise, steps=self.steps)
        return restored


class Signed(Restoring):
    """The network on faces in [-1, 1], with `stored` noise (1, ...)."""

    noise: torch.Tensor

    def __init__(self, network: Any, stored: torch.Tensor, *, steps: int) -> None:
        super().__init__(network, steps=steps)
        self.register_buffer("noise", stored.contiguous())

    def forward(self, x: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return super().forward((x + 1) / 2, self.noise) * 2 - 1


def checked_steps(value: Any) -> int:
    """Return `value` as a number of steps.

    Raises: GfpupError: it is not a whole number from 0 to 1000.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_STEPS:
        raise GfpupError(f"invalid steps {value!r}: expected a whole number from 0 (the estimate alone) to {MOST_STEPS}")
    return value
