"""PMRF: the estimate of least squared error, carried to a natural face by a flow."""

from __future__ import annotations

import sys
import time
from typing import Any

import torch

from gfpup.core.errors import GfpupError
from gfpup.core.types import BackendSpec
from gfpup.models import engines
from gfpup.models.backends.flow import FlowBackend
from gfpup.models.nets import pmrf

SLOW_SECONDS = 60
"""A face that will take longer is announced."""


class PMRF(FlowBackend):
    """PMRF: SwinIR's estimate and 25 steps of an hourglass transformer; minutes a face on a processor.

    Before the first face that takes over a minute, the seconds of one step are measured and printed.

    Source: Ohayon, Michaeli and Elad, "Posterior-Mean Rectified Flow: Towards Minimum MSE Photo-Realistic Image Restoration",
    ICLR 2025; github.com/ohayonguy/PMRF.
    """

    architecture = "pmrf"
    usual_steps = pmrf.STEPS

    @classmethod
    def parameters_of(cls, spec: BackendSpec) -> dict[str, Any]:
        """As of every flow.

        Raises: GfpupError: an engine other than eager.
        """
        if spec.engine != "eager":
            raise GfpupError(f"backend 'pmrf' has no graph for --engine {spec.engine}: leave it out.")
        return super().parameters_of(spec)

    @staticmethod
    def noise_shape(crops: torch.Tensor) -> tuple[int, ...]:
        """The shape of a crop itself."""
        return tuple(crops.shape[1:])

    def _prepare(self, network: Any, crop: torch.Tensor, *, engine: str, dtype: str) -> engines.Graph:
        self._unmeasured = crop.device.type == "cpu" and self.steps > 1
        return super()._prepare(network, crop, engine=engine, dtype=dtype)

    def _restore(self, crops: torch.Tensor) -> torch.Tensor:
        if self._unmeasured:
            self._unmeasured = False
            said = pace(self.seconds_of_a_step(crops[:1]), self.steps)
            if said:
                print(f"gfpup: {said}", file=sys.stderr)
        return super()._restore(crops)

    @torch.inference_mode()
    def seconds_of_a_step(self, crop: torch.Tensor) -> float:
        """Measure one step of the flow on `crop` (1, 3, h, w)."""
        assert self._network is not None
        start = time.perf_counter()
        self._network.velocity(crop, 0.0)
        return time.perf_counter() - start


def pace(seconds: float, steps: int) -> str:
    """What to say of a face whose `steps` take so many seconds each; empty for one that takes under a minute."""
    if seconds * steps < SLOW_SECONDS:
        return ""
    minutes = seconds * steps / 60
    return (
        f"pmrf takes {seconds:.1f} s a step here, so about {minutes:.0f} min a face for {steps} steps; "
        "fewer --steps take less, and --steps 0 only estimates"
    )
