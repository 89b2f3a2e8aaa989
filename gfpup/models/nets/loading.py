"""A network from its checkpoint: built without memory, filled strictly, laid out for speed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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
State = dict[str, torch.Tensor]

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def load_network(
    make: Callable[[], Network], path: Path, *, name: str, device: str = "cpu", plain: bool = False, state: State | None = None
) -> Network:
    """Build `make()`, fill it from the checkpoint at `path`, and put it on `device`: in eval mode, float32, without gradients.

    `name` is the architecture's name in `gfpup.models.table`. `plain` leaves the network as the official code computes it, for
    comparison; otherwise it is rewritten for speed (`gfpup.models.nets.rewrites`). `state` is what was read from `path` before,
    if it was; it is emptied, so that no tensor is held twice.

    Raises: CheckpointError: the file is not a checkpoint, or holds another architecture.
    """
    if state is None:
        state = read_state_dict(path)
    with torch.device("meta"):
        network = make()
    load_strictly(network, state, name=name, path=path)
    state.clear()
    network = network.eval().requires_grad_(False).to(device)
    if not plain:
        rewrite(network)
    trim_memory()  # what the file and the rewriting needed for a moment: 200 MB for GFPGAN
    return network


def load_strictly(network: nn.Module, state: Mapping[str, torch.Tensor], *, name: str, path: Path) -> None:
    """Put every tensor of `state` into `network`, in float32, or refuse with what was found and what was expected.

    A network on the meta device takes the state's own tensors. `name` is the architecture's name in `gfpup.models.table`.

    Raises: CheckpointError: a tensor is missing, unexpected or of another shape; the message names the first.
    """
    expected, given = network.state_dict(), dict(state)
    # BatchNorm's counter came with PyTorch 0.4.1; older checkpoints lack it and nothing at inference reads it.
    for entry, tensor in expected.items():
        if entry not in given and entry.endswith("num_batches_tracked"):
            given[entry] = torch.zeros(tensor.shape, dtype=tensor.dtype)
    if fault := next(_faults(given, expected), None):
        kind = recognise(state)
        looks = "of no known network" if kind is None else f"of {kind}"
        if kind == name:
            looks = f"of a {kind} of another size or version"
        raise CheckpointError(
            f"{path} does not hold the weights of {name}: its {len(state)} tensors look like those {looks}, "
            f"where {len(expected)} were expected, and {fault}; give a checkpoint of {name}"
        )
    owned = {k: v.detach().to(dtype=expected[k].dtype).contiguous() for k, v in given.items()}
    network.load_state_dict(owned, strict=True, assign=any(tensor.is_meta for tensor in expected.values()))
    left = [k for k, v in (*network.named_parameters(), *network.named_buffers()) if v.is_meta]
    if left:
        raise RuntimeError(f"{name} keeps {left[0]!r} outside its state dict, so it cannot be built on the meta device")


def _faults(given: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> Iterator[str]:
    yield from (f"{entry!r} is missing" for entry in expected if entry not in given)
    yield from (f"{entry!r} is not expected" for entry in given if entry not in expected)
    for entry, tensor in expected.items():
        if (found := tuple(given[entry].shape)) != tuple(tensor.shape):
            yield f"{entry!r} has shape {found} instead of {tuple(tensor.shape)}"


def recognise(state: Mapping[str, torch.Tensor]) -> str | None:
    """The architecture that a state dict belongs to, by its name in `gfpup.models.table`; None for an unknown one."""
    for name, row in ARCHITECTURES.items():
        fits = all(key in state for key in row.keys) and not any(key in state for key in row.without)
        if fits and all(key in state and tuple(state[key].shape) == shape for key, shape in row.shapes.items()):
            return name
    return None


def only_checkpoint(spec: BackendSpec) -> Path:
    """The one checkpoint that `spec` brings.

    Raises: GfpupError: there is none, or more than one.
    """
    if len(spec.checkpoints) != 1:
        names = ", ".join(spec.checkpoints) or "none"
        raise GfpupError(f"backend {spec.name!r} is loaded from one checkpoint and was given {names}: name exactly one file")
    (path,) = spec.checkpoints.values()
    return path


def dtype_of(spec: BackendSpec) -> torch.dtype:
    """The precision that `spec` asks for: float32 or bfloat16.

    Raises: GfpupError: another one. float16 ends at 65,504, which GFPGAN and CodeFormer are known to exceed.
    """
    if spec.dtype not in DTYPES:
        why = ", which overflows in networks of its kind" if spec.dtype == "float16" else ""
        raise GfpupError(f"backend {spec.name!r} cannot run in {spec.dtype}{why}: choose float32 or bfloat16")
    return DTYPES[spec.dtype]
