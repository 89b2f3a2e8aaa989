"""Which codes a code-book network chooses, and how close a decision came to another: what faster arithmetic might change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from gfpup.bench.forward import faces
from gfpup.bench.request import Side, architecture
from gfpup.nets.codeformer import CodeFormer
from gfpup.nets.loading import DTYPES, load_network
from gfpup.nets.restoreformer import RestoreFormer, RestoreFormerPlusPlus
from gfpup.nets.vqgan import smallest_margin
from gfpup.verify.networks import NETWORKS

CODE_BOOKS = ("codeformer", "restoreformer", "restoreformerpp")


@torch.inference_mode()
def choices(side: Side) -> dict[str, Any] | None:
    """The codes of the faces that `side` restores, in a row, and the smallest margin (`nets.vqgan.smallest_margin`).

    None for networks without a code book, and for engines and official code, which do not show what they chose. The network is
    loaded once more, so ask after the memory was read.
    """
    name = architecture(side.backend)
    if name not in CODE_BOOKS or side.name == "upstream" or side.engine != "eager":
        return None
    path = Path(side.checkpoints["backend"])
    network = load_network(NETWORKS[name].built, path, name=name, device=side.device, plain=side.name == "plain")
    assert isinstance(network, CodeFormer | RestoreFormer | RestoreFormerPlusPlus)
    network.decoder_to(DTYPES[side.dtype])
    x = faces(side) * 2 - 1
    scores = network.logits(x) if isinstance(network, CodeFormer) else -network.distances(x)
    return {"codes": scores.argmax(dim=2).flatten().tolist(), "margin": smallest_margin(scores)}
