"""The same networks as other projects implement them: the official packages and spandrel, if they are installed.

`gfpup.models.backends.upstream_imports` makes the official packages importable. Here is how each network is built, and which
part of its output corresponds to that of gfpup's own network.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch
from torch import nn

from gfpup.core.torchvision_shim import cure
from gfpup.models.backends import upstream_imports

Outputs = Mapping[str, torch.Tensor]
Read = Callable[[nn.Module, torch.Tensor], Outputs]


class Official(NamedTuple):
    """A network of the official packages: where its class is, the arguments it is built with, and how its output is read."""

    module: str
    attribute: str
    arguments: Mapping[str, Any]
    read: Read


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

_RRDB = {"num_in_ch": 3, "num_out_ch": 3, "num_feat": 64, "num_block": 23, "num_grow_ch": 32}
_GFPGAN: dict[str, object] = {"out_size": 512, "num_style_feat": 512, "channel_multiplier": 2, "num_mlp": 8}
_GFPGAN |= {
    "narrow": 1,
    "sft_half": True,
    "decoder_load_path": None,
    "fix_decoder": False,
    "input_is_latent": True,
    "different_w": True,
}
_FACEXLIB = "facexlib.detection.retinaface"
_ARCFACE = {"block": "IRBlock", "layers": (2, 2, 2, 2), "use_se": False}
_IR_SE50 = {"num_layers": 50, "drop_ratio": 0.6, "mode": "ir_se"}

# Source of the arguments: GFPGANer, FaceRestoreHelper, facexlib's init functions and Real-ESRGAN's inference script.
OFFICIAL: dict[str, Official] = {
    "gfpgan": Official("gfpgan.archs.gfpganv1_clean_arch", "GFPGANv1Clean", _GFPGAN, _stored_noise),
    "restoreformer": Official("gfpgan.archs.restoreformer_arch", "RestoreFormer", {}, _output),
    "retinaface-resnet50": Official(_FACEXLIB, "RetinaFace", {"network_name": "resnet50"}, _anchors),
    "retinaface-mobilenet0.25": Official(_FACEXLIB, "RetinaFace", {"network_name": "mobile0.25"}, _anchors),
    "bisenet": Official("facexlib.parsing.bisenet", "BiSeNet", {"num_class": 19}, _output),
    "parsenet": Official("facexlib.parsing.parsenet", "ParseNet", {"in_size": 512, "out_size": 512, "parsing_ch": 19}, _output),
    "rrdbnet-x2": Official("basicsr.archs.rrdbnet_arch", "RRDBNet", {**_RRDB, "scale": 2}, _output),
    "rrdbnet-x4": Official("basicsr.archs.rrdbnet_arch", "RRDBNet", {**_RRDB, "scale": 4}, _output),
    "arcface-resnet18": Official("gfpgan.archs.arcface_arch", "ResNetArcFace", _ARCFACE, _embedding),
    "arcface-ir-se50": Official("facexlib.recognition.arcface_arch", "Backbone", _IR_SE50, _embedding),
}

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
        upstream_imports.official()
        module, attribute, arguments, read = OFFICIAL[architecture]
        cpu = {"device": torch.device("cpu")} if architecture.startswith("retinaface") else {}
        network: nn.Module = getattr(import_module(module), attribute)(**arguments, **cpu)
        network.load_state_dict(dict(state), strict=True)
        return read(network.eval(), x)


def _by_spandrel(architecture: str, state: Mapping[str, torch.Tensor]) -> nn.Module:
    cure()
    spandrel: Any = import_module("spandrel")
    if architecture == "codeformer":
        import_module("spandrel_extra_arches").install(ignore_duplicates=True)
    # It may rename and remove entries of the dictionary it is given.
    network: nn.Module = spandrel.ModelLoader(device="cpu").load_from_state_dict(dict(state)).model
    return network.eval().float()
