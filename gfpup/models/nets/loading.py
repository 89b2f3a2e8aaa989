"""A network from its checkpoint: built without memory, filled strictly, laid out for speed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from gfpup.core.errors import CheckpointError, GfpupError
from gfpup.core.types import BackendSpec
from gfpup.machine.allocator import trim_memory
from gfpup.models.nets.rewrites import rewrite
from gfpup.models.table import ARCHITECTURES
from gfpup.weights.checkpoint import read_state_dict

Network = TypeVar("Network", bound=nn.Module)

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def load_network(make: Callable[[], Network], path: Path, *, name: str, device: str = "cpu", plain: bool = False) -> Network:
    """Build `make()`, fill it from the checkpoint at `path`, and put it on `device`: in eval mode, float32, without gradients.

    `name` is the architecture's name in `gfpup.models.table`. `plain` leaves the network as the
    official code computes it, for comparison; otherwise it is rewritten for speed (`gfpup.models.nets.rewrites`).

    Raises:
        CheckpointError: the file is not a checkpoint, or holds another architecture.
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


def load_strictly(
    network: torch.nn.Module, state: Mapping[str, torch.Tensor], *, name: str, path: Path, ignore: frozenset[str] = frozenset()
) -> None:
    """Put every tensor of `state` into `network`, in float32, or refuse with what was found and what was expected.

    The network may have been built on the meta device: it then takes the state's own tensors. `name` is the
    architecture's name in `gfpup.models.table`; `ignore` lists entries of the file that the network does not have.

    Raises:
        CheckpointError: a tensor is missing, unexpected or of another shape; the message names the first.
    """
    expected = network.state_dict()
    # BatchNorm's counter came with PyTorch 0.4.1; older checkpoints lack it and nothing at inference reads it.
    given = {k: v for k, v in state.items() if k in expected or k not in ignore}
    for entry, tensor in expected.items():
        if entry not in given and entry.endswith("num_batches_tracked"):
            given[entry] = torch.zeros(tensor.shape, dtype=tensor.dtype)
    fault = _first_fault(given, expected)
    if fault is not None:
        kind = recognise(state)
        if kind is None:
            looks = "of no known network"
        elif kind == name:
            looks = f"of a {kind} of another size or version"
        else:
            looks = f"of {kind}"
        raise CheckpointError(
            f"{path} does not hold the weights of {name}: its {len(state)} tensors look like those {looks}, "
            f"where {len(expected)} were expected, and {fault}; give a checkpoint of {name}"
        )
    owned = {k: v.detach().to(dtype=expected[k].dtype).contiguous() for k, v in given.items()}
    network.load_state_dict(owned, strict=True, assign=any(tensor.is_meta for tensor in expected.values()))
    left = [k for k, v in (*network.named_parameters(), *network.named_buffers()) if v.is_meta]
    if left:
        raise RuntimeError(f"{name} keeps {left[0]!r} outside its state dict, so it cannot be built on the meta device")


def _first_fault(given: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> str | None:
    missing = next((k for k in expected if k not in given), None)
    if missing is not None:
        return f"{missing!r} is missing"
    unexpected = next((k for k in given if k not in expected), None)
    if unexpected is not None:
        return f"{unexpected!r} is not expected"
    for entry, tensor in expected.items():
        found = tuple(given[entry].shape)
        if found != tuple(tensor.shape):
            return f"{entry!r} has shape {found} instead of {tuple(tensor.shape)}"
    return None


def recognise(state: Mapping[str, torch.Tensor]) -> str | None:
    """The architecture that a state dict belongs to, by its name in `gfpup.models.table`; None for an unknown one."""
    for name, row in ARCHITECTURES.items():
        fits = all(key in state for key in row.keys) and not any(key in state for key in row.without)
        if fits and all(key in state and tuple(state[key].shape) == shape for key, shape in row.shapes.items()):
            return name
    return None


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
