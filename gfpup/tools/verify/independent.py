"""The same networks as other projects implement them: the official packages and spandrel, if they are installed.

`gfpup.models.backends.upstream_imports` builds the official networks. Here is which part of an output corresponds to that of
gfpup's own network.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from gfpup.core.torchvision_shim import cure
from gfpup.models.backends import upstream_imports

Outputs = Mapping[str, torch.Tensor]
Read = Callable[[nn.Module, torch.Tensor], Outputs]


def _named(*names: str, **arguments: Any) -> Read:
    """Call a network with `arguments` and name its first outputs."""

    def read(network: nn.Module, x: torch.Tensor) -> Outputs:
        answer = network(x, **arguments)
        return dict(zip(names, (answer,) if isinstance(answer, torch.Tensor) else answer, strict=False))

    return read


def _fidelities(network: nn.Module, x: torch.Tensor) -> Outputs:
    restored = {}
    for w in (0.0, 0.5, 1.0):
        restored[f"output_w{w}"], logits = network(x, weight=w)
    return {"logits": logits, **restored}


_output = _named("output")
_stored_noise = _named("output", return_rgb=False, randomize_noise=False)
_embedding = _named("embedding")
_anchors = _named("loc", "conf", "landmarks")

OFFICIAL: dict[str, Read] = dict.fromkeys(("restoreformer", "bisenet", "parsenet", "rrdbnet-x2", "rrdbnet-x4"), _output)
OFFICIAL |= dict.fromkeys(("retinaface-resnet50", "retinaface-mobilenet0.25"), _anchors)
OFFICIAL |= dict.fromkeys(("arcface-resnet18", "arcface-ir-se50"), _embedding) | {"gfpgan": _stored_noise}
"""How the outputs of the official packages' networks are read."""

SPANDREL: dict[str, Read] = dict.fromkeys(("restoreformer", "rrdbnet-x2", "rrdbnet-x4"), _output)
SPANDREL |= {"gfpgan": _stored_noise, "codeformer": _fidelities}
"""The architectures that spandrel builds from the state dict alone; CodeFormer is in spandrel_extra_arches."""

PROJECTS = ("upstream", "spandrel")


def lacking(project: str, architecture: str) -> str | None:
    """Why `project` cannot check `architecture`, in one sentence; None if it can. Imports nothing."""
    if architecture not in (OFFICIAL if project == "upstream" else SPANDREL):
        return f"{'the official packages do' if project == 'upstream' else 'spandrel does'} not have {architecture}"
    if project == "upstream":
        absent: tuple[str, ...] = upstream_imports.missing()
        return f"not installed: {', '.join(absent)} (after torch: {upstream_imports.INSTALL})" if absent else None
    needed = ("spandrel", "spandrel_extra_arches") if architecture == "codeformer" else ("spandrel",)
    absent = tuple(name for name in needed if find_spec(name) is None)
    return f"not installed: {', '.join(absent)} (pip install {' '.join(absent)})" if absent else None


def outputs(project: str, architecture: str, state: Mapping[str, torch.Tensor], x: torch.Tensor) -> Outputs:
    """The outputs of `project`'s network of `architecture`, with the weights `state`, for `x`: float32, on the CPU."""
    # RestoreFormer's constructor prints; stdout is for results.
    with warnings.catch_warnings(), redirect_stdout(sys.stderr), torch.inference_mode():
        warnings.simplefilter("ignore")
        if project == "spandrel":
            return SPANDREL[architecture](_by_spandrel(architecture, state), x)
        network = upstream_imports.build(architecture)
        network.load_state_dict(dict(state), strict=True)
        return OFFICIAL[architecture](network.eval(), x)


def _by_spandrel(architecture: str, state: Mapping[str, torch.Tensor]) -> nn.Module:
    cure()
    spandrel: Any = import_module("spandrel")
    if architecture == "codeformer":
        import_module("spandrel_extra_arches").install(ignore_duplicates=True)
    # It may rename and remove entries of the dictionary it is given.
    network: nn.Module = spandrel.ModelLoader(device="cpu").load_from_state_dict(dict(state)).model
    return network.eval().float()
