"""A network from its checkpoint: built without memory, filled strictly, laid out for speed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from gfpup.core.errors import GfpupError
from gfpup.core.types import BackendSpec
from gfpup.machine.allocator import trim_memory
from gfpup.models.nets.rewrites import rewrite
from gfpup.weights.checkpoint import load_strictly, read_state_dict

Network = TypeVar("Network", bound=nn.Module)

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def load_network(make: Callable[[], Network], path: Path, *, name: str, device: str = "cpu", plain: bool = False) -> Network:
    """Build `make()`, fill it from the checkpoint at `path`, and put it on `device`: in eval mode, float32, without gradients.

    `name` is the architecture's name as `gfpup.weights.checkpoint.recognise` gives it. `plain` leaves the network as the
    official code computes it, for comparison; otherwise it is rewritten for speed (`gfpup.models.nets.rewrites`).

    Raises:
        CheckpointError: the file is no checkpoint, or one of another architecture.
    """
    return fill_network(make, read_state_dict(path), path, name=name, device=device, plain=plain)


def fill_network(
    make: Callable[[], Network],
    state: dict[str, torch.Tensor],
    path: Path,
    *,
    name: str,
    device: str | torch.device = "cpu",
    plain: bool = False,
) -> Network:
    """`load_network` from a state dict that was read from `path`; it is emptied, so that no tensor is held twice.

    Raises:
        CheckpointError: the state is of another architecture.
    """
    with torch.device("meta"):
        network = make()
    load_strictly(network, state, name=name, path=path)
    state.clear()
    network = network.eval().requires_grad_(False).to(device)
    if not plain:
        rewrite(network)
    trim_memory()  # what the file and the rewriting needed for a moment: 200 MB for GFPGAN
    return network


def only_checkpoint(spec: BackendSpec) -> Path:
    """The one checkpoint that `spec` brings.

    Raises:
        GfpupError: there is none, or more than one.
    """
    if len(spec.checkpoints) != 1:
        names = ", ".join(spec.checkpoints) or "none"
        raise GfpupError(f"backend {spec.name!r} is loaded from one checkpoint and was given {names}: name exactly one file")
    (path,) = spec.checkpoints.values()
    return path


def dtype_of(spec: BackendSpec) -> torch.dtype:
    """The precision that `spec` asks for: float32 or bfloat16.

    Raises:
        GfpupError: another one. float16 ends at 65,504; GFPGAN and CodeFormer are known to exceed it; others were not tried.
    """
    if spec.dtype not in DTYPES:
        why = ", which overflows in networks of its kind" if spec.dtype == "float16" else ""
        raise GfpupError(f"backend {spec.name!r} cannot run in {spec.dtype}{why}: choose float32 or bfloat16")
    return DTYPES[spec.dtype]
