"""GPEN at 512 and 1024 px: one architecture in two sizes."""

from __future__ import annotations

from typing import Any, Unpack

import torch

from gfpup.core.errors import GfpupError
from gfpup.core.types import BackendSpec
from gfpup.models import engines
from gfpup.models.backends.network import NetworkBackend, Options
from gfpup.models.nets import gpen
from gfpup.ops.geometry import TEMPLATES

SMALL_PX = 100.0
"""The side of a face's box below which the official script smooths it. Source: face_enhancement.py of yangxy/GPEN."""


class GPEN(NetworkBackend):
    """GPEN: a StyleGAN2 that takes the features of the damaged face where it would take noise.

    Faces are cut by the template of the official script, or with `template="ffhq"` by the one of every other method; faces
    under 100 px in the photo are smoothed, as there, unless `smooth_small` is False. The official script fits the template by
    least squares; here it is fitted as for every method, so that one bad landmark does not turn the face.

    Source: Yang et al., "GAN Prior Embedded Network for Blind Face Restoration in the Wild", CVPR 2021; github.com/yangxy/GPEN.
    """

    architecture = "gpen"

    def __init__(
        self, network: gpen.GPEN, *, template: str = "gpen", smooth_small: bool = True, **options: Unpack[Options]
    ) -> None:
        self.crop_px = network.size
        self.smooth_below_px = SMALL_PX if smooth_small else 0.0
        if template != "ffhq":
            self.template_xy = TEMPLATES[template]
        options.setdefault("side_px", network.size)
        super().__init__(network, **options)

    @classmethod
    def architecture_of(cls, spec: BackendSpec) -> str:
        """ "gpen" for 512, "gpen-1024" for 1024."""
        version = str(spec.parameters.get("version", "512"))
        return cls.architecture if version == "512" else f"{cls.architecture}-{version}"

    @classmethod
    def parameters_of(cls, spec: BackendSpec) -> dict[str, Any]:
        """Template and smoothing.

        Raises: GfpupError: an unknown template, or a `smooth_small` that is neither true nor false.
        """
        template, smooth_small = str(spec.parameters.get("template", "gpen")), spec.parameters.get("smooth_small", True)
        if template not in TEMPLATES:
            raise GfpupError(f"invalid value {template!r} for restore.template: choose {' or '.join(TEMPLATES)}.")
        if not isinstance(smooth_small, bool):
            raise GfpupError(f"invalid value {smooth_small!r} for restore.smooth_small: expected true or false.")
        return {"template": template, "smooth_small": smooth_small}

    def _prepare(self, network: Any, crop: torch.Tensor, *, engine: str, dtype: str) -> engines.Graph:
        return engines.prepare(network, (crop.to(self._dtype),), engine=engine, dtype=dtype)

    def _forward(self, x: torch.Tensor, crops: torch.Tensor) -> torch.Tensor:
        return self._run(x.to(self._dtype))[0]
