"""The official packages (basicsr, gfpgan, facexlib) on today's torch: every cure that their age needs is in this file.

Their constructors download weights and unpickle them; here every network is built empty and filled from a file that gfpup has
verified and read by itself, and `helper` hands them over, so that no official downloader is ever reached.
"""

from __future__ import annotations

import sys
import threading
import warnings
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch

from gfpup.core.errors import CheckpointError, GfpupError
from gfpup.core.torchvision_shim import cure
from gfpup.models.nets.loading import load_strictly, recognise
from gfpup.weights.checkpoint import read_state_dict

PACKAGES = ("basicsr", "gfpgan", "facexlib")
NEEDS = ("torchvision", "scipy", "tqdm", "yaml", "requests")
INSTALL = "pip install --no-deps --no-build-isolation basicsr==1.4.2 gfpgan==1.3.8 facexlib==0.3.0 pyiqa==0.1.16"
"""The one command, for an environment that has torch already; declared the ordinary way they bring a second torch (5.6 GB)."""

RETINAFACES = ("retinaface-resnet50", "retinaface-mobilenet0.25")
"""The catalogue's architectures of facexlib's detector."""

_GONE = "torchvision.transforms.functional_tensor"
_swapping = threading.Lock()
_RRDB = {"num_in_ch": 3, "num_out_ch": 3, "num_feat": 64, "num_block": 23, "num_grow_ch": 32}
_SIZES = {"out_size": 512, "num_style_feat": 512, "channel_multiplier": 2, "num_mlp": 8, "narrow": 1}
_MODES = {"decoder_load_path": None, "fix_decoder": False, "input_is_latent": True, "different_w": True, "sft_half": True}
_RETINAFACE = "facexlib.detection.retinaface:RetinaFace"
_ARCFACE = {"block": "IRBlock", "layers": (2, 2, 2, 2), "use_se": False}
_IR_SE50 = {"num_layers": 50, "drop_ratio": 0.6, "mode": "ir_se"}

# Source of the arguments: GFPGANer, FaceRestoreHelper, facexlib's init functions and Real-ESRGAN's inference script.
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "gfpgan": ("gfpgan.archs.gfpganv1_clean_arch:GFPGANv1Clean", _SIZES | _MODES),
    "restoreformer": ("gfpgan.archs.restoreformer_arch:RestoreFormer", {}),
    "retinaface-resnet50": (_RETINAFACE, {"network_name": "resnet50"}),
    "retinaface-mobilenet0.25": (_RETINAFACE, {"network_name": "mobile0.25"}),
    "bisenet": ("facexlib.parsing.bisenet:BiSeNet", {"num_class": 19}),
    "parsenet": ("facexlib.parsing.parsenet:ParseNet", {"in_size": 512, "out_size": 512, "parsing_ch": 19}),
    "rrdbnet-x2": ("basicsr.archs.rrdbnet_arch:RRDBNet", {**_RRDB, "scale": 2}),
    "rrdbnet-x4": ("basicsr.archs.rrdbnet_arch:RRDBNet", {**_RRDB, "scale": 4}),
    "arcface-resnet18": ("gfpgan.archs.arcface_arch:ResNetArcFace", _ARCFACE),
    "arcface-ir-se50": ("facexlib.recognition.arcface_arch:Backbone", _IR_SE50),
}
"""The networks of the official packages by the catalogue's architecture: where each class is, and what it is built with."""


def missing() -> tuple[str, ...]:
    """The packages that the official path needs and that are not installed; nothing is imported."""
    return tuple(name for name in (*PACKAGES, *NEEDS) if find_spec(name) is None)


@cache
def official() -> SimpleNamespace:
    """Import what the official path is made of, cured: GFPGANer as `restorer`, FaceRestoreHelper's module as `helper_module`.

    Raises: GfpupError where packages are missing, with the command that installs them.
    """
    if absent := missing():
        names, verb = ", ".join(absent), "is" if len(absent) == 1 else "are"
        if set(absent) & set(PACKAGES):
            raise GfpupError(
                f"backend 'upstream' runs the official packages, and {names} {verb} not installed; "
                f"install them after torch with: {INSTALL}"
            )
        raise GfpupError(
            f"the official packages need {names}, which {verb} not installed; install gfpup's own "
            'list of their needs with: pip install "gfpup[upstream]"'
        )
    cure()
    _restore_functional_tensor()
    helper_module = import_module("facexlib.utils.face_restoration_helper")
    return SimpleNamespace(restorer=import_module("gfpgan").GFPGANer, helper_module=helper_module)


def build(architecture: str, *, device: str = "cpu") -> torch.nn.Module:
    """The official network of `NETWORKS`, untrained."""
    official()
    entry, arguments = NETWORKS[architecture]
    module, _, name = entry.partition(":")
    own = {"device": torch.device(device)} if architecture in RETINAFACES else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torchvision's, about an argument's old name
        network: torch.nn.Module = getattr(import_module(module), name)(**arguments, **own)
    return network


def restoration_network(path: Path, *, device: str) -> torch.nn.Module:
    """Build the official network that `path` belongs to, GFPGAN (clean) or RestoreFormer, as GFPGANer does; strictly filled.

    Raises: GfpupError, CheckpointError: the packages are missing; the file is not a checkpoint of either network.
    """
    state = read_state_dict(path)
    name = recognise(state)
    if name not in ("gfpgan", "restoreformer"):
        holds = name or "no known network"
        raise CheckpointError(f"{path} holds {holds}; give backend 'upstream' a GFPGAN 1.2, 1.3 or 1.4, or a RestoreFormer.")
    return _filled(state, name=name, path=path, device=device)


def detection_network(path: Path, *, device: str) -> torch.nn.Module:
    """Build facexlib's RetinaFace of the size that the checkpoint `path` holds; as `restoration_network`."""
    state = read_state_dict(path)
    name = recognise(state)
    if name not in RETINAFACES:
        raise CheckpointError(f"{path} holds {name or 'no known network'}; give a RetinaFace checkpoint.")
    return _filled(state, name=name, path=path, device=device)


def parsing_network(path: Path, *, device: str) -> torch.nn.Module:
    """Build facexlib's ParseNet, which draws the paste mask of the official path; as `restoration_network`."""
    return _filled(read_state_dict(path), name="parsenet", path=path, device=device)


def helper(*, upscale: float, detector: torch.nn.Module | None, parser: torch.nn.Module | None, device: str) -> Any:
    """Make a FaceRestoreHelper as GFPGANer does, with networks that are loaded already; `parser` None: the square mask."""
    module: Any = official().helper_module
    with _swapping:
        kept = module.init_detection_model, module.init_parsing_model
        module.init_detection_model = lambda *args, **options: detector
        module.init_parsing_model = lambda *args, **options: parser
        try:
            return module.FaceRestoreHelper(
                upscale, face_size=512, crop_ratio=(1, 1), use_parse=parser is not None, device=torch.device(device)
            )
        finally:
            module.init_detection_model, module.init_parsing_model = kept


def _filled(state: dict[str, torch.Tensor], *, name: str, path: Path, device: str) -> torch.nn.Module:
    network = build(name, device=device)
    load_strictly(network, state, name=name, path=path)
    done: torch.nn.Module = network.eval().requires_grad_(False).to(torch.device(device))
    return done


def _restore_functional_tensor() -> None:
    """Put the module that is gone since torchvision 0.17 in place, with the one function that basicsr imports from it."""
    if _GONE in sys.modules or find_spec(_GONE) is not None:
        return
    module: Any = ModuleType(_GONE)
    module.rgb_to_grayscale = import_module("torchvision.transforms.functional").rgb_to_grayscale
    sys.modules[_GONE] = module
