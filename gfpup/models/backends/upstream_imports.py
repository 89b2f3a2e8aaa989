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

RETINAFACES = {"retinaface-resnet50": "resnet50", "retinaface-mobilenet0.25": "mobile0.25"}
"""The catalogue's architectures by facexlib's names."""

_GONE = "torchvision.transforms.functional_tensor"
_swapping = threading.Lock()


_OFFICIAL = {
    "restorer": ("gfpgan", "GFPGANer"),
    "gfpgan": ("gfpgan.archs.gfpganv1_clean_arch", "GFPGANv1Clean"),
    "restoreformer": ("gfpgan.archs.restoreformer_arch", "RestoreFormer"),
    "retinaface": ("facexlib.detection.retinaface", "RetinaFace"),
    "parsenet": ("facexlib.parsing.parsenet", "ParseNet"),
}


def missing() -> tuple[str, ...]:
    """The packages that the official path needs and that are not installed; nothing is imported."""
    return tuple(name for name in (*PACKAGES, *NEEDS) if find_spec(name) is None)


@cache
def official() -> SimpleNamespace:
    """Import the official classes by the names of `_OFFICIAL`, cured, and FaceRestoreHelper's module as `helper_module`.

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
    classes = {name: getattr(import_module(of), cls) for name, (of, cls) in _OFFICIAL.items()}
    return SimpleNamespace(**classes, helper_module=import_module("facexlib.utils.face_restoration_helper"))


def restoration_network(path: Path, *, device: str) -> torch.nn.Module:
    """Build the official network that `path` belongs to, GFPGAN (clean) or RestoreFormer, as GFPGANer does; strictly filled.

    Raises: GfpupError, CheckpointError: the packages are missing; the file is not a checkpoint of either network.
    """
    state = read_state_dict(path)
    name = recognise(state)
    if name == "gfpgan":
        # Source: gfpgan/utils.py, GFPGANer.__init__ with arch "clean", channel_multiplier 2.
        sizes = {"out_size": 512, "num_style_feat": 512, "channel_multiplier": 2, "num_mlp": 8, "narrow": 1}
        modes = {"fix_decoder": False, "input_is_latent": True, "different_w": True, "sft_half": True}
        network = official().gfpgan(decoder_load_path=None, **sizes, **modes)
    elif name == "restoreformer":
        network = official().restoreformer()
    else:
        holds = name or "no known network"
        raise CheckpointError(f"{path} holds {holds}; give backend 'upstream' a GFPGAN 1.2, 1.3 or 1.4, or a RestoreFormer.")
    return _filled(network, state, name=name, path=path, device=device)


def detection_network(path: Path, *, device: str) -> torch.nn.Module:
    """Build facexlib's RetinaFace of the size that the checkpoint `path` holds; as `restoration_network`."""
    state = read_state_dict(path)
    name = recognise(state)
    if name not in RETINAFACES:
        raise CheckpointError(f"{path} holds {name or 'no known network'}; give a RetinaFace checkpoint.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torchvision's, about an argument's old name
        network = official().retinaface(network_name=RETINAFACES[name], device=torch.device(device))
    return _filled(network, state, name=name, path=path, device=device)


def parsing_network(path: Path, *, device: str) -> torch.nn.Module:
    """Build facexlib's ParseNet, which draws the paste mask of the official path; as `restoration_network`."""
    state = read_state_dict(path)
    network = official().parsenet(in_size=512, out_size=512, parsing_ch=19)
    return _filled(network, state, name="parsenet", path=path, device=device)


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


def _filled(network: Any, state: dict[str, torch.Tensor], *, name: str, path: Path, device: str) -> torch.nn.Module:
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
