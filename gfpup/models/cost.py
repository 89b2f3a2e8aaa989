"""What a network costs, counted from the network itself: its parameters, and the operations for one face."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from gfpup.models.networks import NETWORKS

_DIALS = {"codeformer": {"fidelity": 0.5}}
"""What a network takes beside the face; its cost does not depend on it."""


class Cost(NamedTuple):
    """`millions` of parameters; `gflop`, operations for one face, 10^9, a multiplication and its addition counted as two."""

    millions: float
    gflop: float


def counted(architecture: str) -> Cost:
    """Count the network `architecture` of the table as the official code computes it, for its own size of face.

    Nothing is computed: the network and the face are on the meta device. Convolutions and matrix products are counted, and
    nothing else, which adds under 1 %. Parameters are all that the checkpoint has, those that only training needs included.
    """
    row = NETWORKS[architecture]
    network = row.built().eval().requires_grad_(False)
    face = row.feed(np.zeros((512, 512, 3), np.uint8)).to("meta")
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Cost(round(parameters / 1e6, 1), round(operations(network, face, **_DIALS.get(architecture, {})) / 1e9, 1))


def operations(network: nn.Module, x: torch.Tensor, **options: float) -> int:
    """The operations of `network(x, **options)`, both on the meta device: of convolutions and matrix products, as above."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(x, **options)
    return int(counter.get_total_flops())
