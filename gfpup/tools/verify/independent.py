"""The same networks as other projects wrote them: the official packages, and spandrel, each where it is installed.

Their old imports are mended in `gfpup.models.backends.upstream_imports`, which is asked first. What is here is how each network
is built, and which part of its answer is the one that gfpup's own gives.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from gfpup.core.torchvision_shim import cure
from gfpup.models.backends import upstream_imports

Outputs = Mapping[str, torch.Tensor]
Read = Callable[[nn.Module, torch.Tensor], Outputs]


@dataclass(frozen=True)
class Official:
    """A network of the official packages: where its class is, what it is built with, and how its answer is read."""

    module: str
    attribute: str
    arguments: Mapping[str, Any]
    read: Read


def _whole(network: nn.Module, x: torch.Tensor) -> Outputs:
    return {"output": network(x)}


def _first(network: nn.Module, x: torch.Tensor) -> Outputs:
    return {"output": network(x)[0]}


def _stored_noise(network: nn.Module, x: torch.Tensor) -> Outputs:
    return {"output": network(x, return_rgb=False, randomize_noise=False)[0]}


def _embedding(network: nn.Module, x: torch.Tensor) -> Outputs:
    return {"embedding": network(x)}


def _anchors(network: nn.Module, x: torch.Tensor) -> Outputs:
    return dict(zip(("loc", "conf", "landmarks"), network(x), strict=True))


def _fidelities(network: nn.Module, x: torch.Tensor) -> Outputs:
    painted = {}
    for w in (0.0, 0.5, 1.0):
        painted[f"output_w{w}"], logits = network(x, weight=w)
    return {"logits": logits, **painted}


_RRDB = {"num_in_ch": 3, "num_out_ch": 3, "num_feat": 64, "num_block": 23, "num_grow_ch": 32}
_GFPGAN = {
    "out_size": 512,
    "num_style_feat": 512,
    "channel_multiplier": 2,
    "decoder_load_path": None,
    "fix_decoder": False,
    "num_mlp": 8,
    "input_is_latent": True,
    "different_w": True,
    "narrow": 1,
    "sft_half": True,
}

# Source of the arguments: GFPGANer, FaceRestoreHelper, facexlib's init functions and Real-ESRGAN's inference script.
OFFICIAL: dict[str, Official] = {
    "gfpgan": Official("gfpgan.archs.gfpganv1_clean_arch", "GFPGANv1Clean", _GFPGAN, _stored_noise),
    "restoreformer": Official("gfpgan.archs.restoreformer_arch", "RestoreFormer", {}, _first),
    "retinaface-resnet50": Official("facexlib.detection.retinaface", "RetinaFace", {"network_name": "resnet50"}, _anchors),
    "retinaface-mobilenet0.25": Official(
        "facexlib.detection.retinaface", "RetinaFace", {"network_name": "mobile0.25"}, _anchors
    ),
    "bisenet": Official("facexlib.parsing.bisenet", "BiSeNet", {"num_class": 19}, _first),
    "parsenet": Official("facexlib.parsing.parsenet", "ParseNet", {"in_size": 512, "out_size": 512, "parsing_ch": 19}, _first),
    "rrdbnet-x2": Official("basicsr.archs.rrdbnet_arch", "RRDBNet", {**_RRDB, "scale": 2}, _whole),
    "rrdbnet-x4": Official("basicsr.archs.rrdbnet_arch", "RRDBNet", {**_RRDB, "scale": 4}, _whole),
    "arcface-resnet18": Official(
        "gfpgan.archs.arcface_arch", "ResNetArcFace", {"block": "IRBlock", "layers": (2, 2, 2, 2), "use_se": False}, _embedding
    ),
    "arcface-ir-se50": Official(
        "facexlib.recognition.arcface_arch", "Backbone", {"num_layers": 50, "drop_ratio": 0.6, "mode": "ir_se"}, _embedding
    ),
}

SPANDREL: dict[str, Read] = {
    "gfpgan": _stored_noise,
    "restoreformer": _first,
    "codeformer": _fidelities,
    "rrdbnet-x2": _whole,
    "rrdbnet-x4": _whole,
}
"""The architectures that spandrel builds from their state dict alone; CodeFormer is in spandrel_extra_arches."""

PROJECTS = ("upstream", "spandrel")


def lacking(project: str, architecture: str) -> str | None:
    """Why `project` cannot say anything about `architecture`, in one sentence; None: it can. Imports nothing."""
    if architecture not in (OFFICIAL if project == "upstream" else SPANDREL):
        have = "the official packages have" if project == "upstream" else "spandrel has"
        return f"{have} no {architecture}"
    if project == "upstream":
        absent: tuple[str, ...] = upstream_imports.missing()
        return f"not installed: {', '.join(absent)} (after torch: {upstream_imports.INSTALL})" if absent else None
    needed = ("spandrel", "spandrel_extra_arches") if architecture == "codeformer" else ("spandrel",)
    absent = tuple(name for name in needed if find_spec(name) is None)
    return f"not installed: {', '.join(absent)} (pip install {' '.join(absent)})" if absent else None


def outputs(project: str, architecture: str, state: Mapping[str, torch.Tensor], x: torch.Tensor) -> Outputs:
    """What `project`'s network of `architecture`, strictly filled with `state`, answers to `x`: float32, on the CPU."""
    # RestoreFormer's constructor prints; stdout is for results.
    with warnings.catch_warnings(), redirect_stdout(sys.stderr), torch.inference_mode():
        warnings.simplefilter("ignore")
        if project == "spandrel":
            return SPANDREL[architecture](_by_spandrel(architecture, state), x)
        return OFFICIAL[architecture].read(_by_the_official_code(architecture, state), x)


def _by_the_official_code(architecture: str, state: Mapping[str, torch.Tensor]) -> nn.Module:
    upstream_imports.official()
    row = OFFICIAL[architecture]
    arguments = dict(row.arguments)
    if architecture.startswith("retinaface"):
        arguments["device"] = torch.device("cpu")
    network: nn.Module = getattr(import_module(row.module), row.attribute)(**arguments)
    network.load_state_dict(dict(state), strict=True)
    return network.eval()


def _by_spandrel(architecture: str, state: Mapping[str, torch.Tensor]) -> nn.Module:
    cure()
    spandrel: Any = import_module("spandrel")
    if architecture == "codeformer":
        import_module("spandrel_extra_arches").install(ignore_duplicates=True)
    # It may rename and drop entries of the dictionary that it is given.
    network: nn.Module = spandrel.ModelLoader(device="cpu").load_from_state_dict(dict(state)).model
    return network.eval().float()
