"""Networks that choose codes and then paint them: one graph in float32, and two in bfloat16, which only paints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from gfpup.models import engines


@dataclass(frozen=True, eq=False)
class Stages:
    """A network three times over, sharing its weights.

    `whole(*crops, *dials)` is the restored face. `choosing(*crops)` gives a tuple of tensors, of which
    `painting(*dials, *chosen)` makes the same face.
    """

    whole: nn.Module
    choosing: nn.Module
    painting: nn.Module


def prepare_stages(
    stages: Stages,
    crops: Sequence[torch.Tensor],
    dials: Sequence[torch.Tensor] = (),
    *,
    engine: str,
    dtype: str = "float32",
    folder: Path | None = None,
) -> Callable[..., tuple[torch.Tensor, ...]]:
    """Like `engines.prepare` for `stages.whole(*crops, *dials)`; what chooses the codes is float32 in any precision.

    Raises:
        GfpupError: the engine cannot be used here, or cannot make a graph of this network.
        OutputError: the folder of graphs cannot be written.
    """
    if not (engines.of(engine).lowers and dtype == "bfloat16"):
        return engines.prepare(stages.whole, (*crops, *dials), engine=engine, dtype=dtype, folder=folder)
    chosen = _shaped_like(stages.choosing, crops)
    choose = engines.prepare(stages.choosing, crops, engine=engine, dtype="float32", folder=folder)
    paint = engines.prepare(stages.painting, (*dials, *chosen), engine=engine, dtype=dtype, folder=folder)
    count = len(crops)
    return lambda *given: paint(*given[count:], *choose(*given[:count]))


def _shaped_like(module: nn.Module, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Zeros of the shapes and dtypes of `module(*inputs)`, which is not computed."""
    state = {name: each.to("meta") for name, each in (*module.named_parameters(), *module.named_buffers())}
    outputs = torch.func.functional_call(module, state, tuple(each.to("meta") for each in inputs))
    return [torch.zeros(each.shape, dtype=each.dtype, device=inputs[0].device) for each in outputs]
