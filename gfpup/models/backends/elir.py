"""ELIR, the light one: an estimate and a short flow in the latent space of a tiny autoencoder."""

from __future__ import annotations

import torch

from gfpup.models.backends.flow import FlowBackend
from gfpup.models.nets import elir


class ELIR(FlowBackend):
    """ELIR: the encoder, the estimate, five steps of the flow, the decoder.

    Source: Cohen et al., "Efficient Image Restoration via Latent Consistency Flow Matching", BMVC 2025;
    github.com/eladc-git/ELIR.
    """

    architecture = "elir"
    usual_steps = elir.STEPS

    @staticmethod
    def noise_shape(crops: torch.Tensor) -> tuple[int, ...]:
        """The shape of the latent of a crop."""
        return elir.LATENT_CHANNELS, crops.shape[2] // elir.LATENT_SCALE, crops.shape[3] // elir.LATENT_SCALE
