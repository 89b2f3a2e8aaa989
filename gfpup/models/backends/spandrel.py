"""Any checkpoint that spandrel can open: here as a method for faces (`gfpup.restoration.any_background`: for the rest).

gfpup's own reader reads the file and runs nothing in it; spandrel only recognises the architecture and builds the network.
"""

from __future__ import annotations

import math
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch

from gfpup.core import torchvision_shim
from gfpup.core.errors import CheckpointError, GfpupError
from gfpup.core.types import BackendSpec
from gfpup.models.nets.loading import DTYPES, dtype_of, only_checkpoint, recognise
from gfpup.ops.tiles import ALIGN_PX, run_tiled
from gfpup.weights.checkpoint import read_state_dict

if TYPE_CHECKING:
    from types import ModuleType

TILE_PX, TILE_OVERLAP_PX = 256, 32
"""As measured for Real-ESRGAN (`gfpup.restoration.background`); another network may want a larger overlap."""

# What spandrel raises where it took tensors for an architecture's and they do not fit.
_MISFITS = (RuntimeError, LookupError, ValueError, TypeError, AttributeError, AssertionError, ArithmeticError)


class AnyArchitecture:
    """Opens a checkpoint of any architecture that spandrel knows, and restores faces with it.

    What enlarges is averaged back to the crop's size; what takes one channel gets red, green and blue by turns. Each crop is a
    call of its own. CodeFormer and RestoreFormer++ are not among spandrel's architectures.

    Source: github.com/chaiNNer-org/spandrel.
    """

    def __init__(self, model: Any, *, memory_efficient: bool = False) -> None:
        """Take a spandrel ImageModelDescriptor; `memory_efficient` works in tiles where that does no harm."""
        self._model = model
        self._tiled = memory_efficient and model.purpose != "FaceSR" and may_be_tiled(model)

    @classmethod
    def load(cls, spec: BackendSpec) -> Self:
        """Load the one checkpoint of `spec`.

        Raises:
            GfpupError: spandrel is not installed, not one checkpoint, or a precision that the architecture cannot compute in.
            CheckpointError: spandrel knows no architecture that fits, or one that takes more than a picture.
        """
        dtype_of(spec)
        model = open_checkpoint(only_checkpoint(spec), device=spec.device, dtype=spec.dtype)
        return cls(model, memory_efficient=spec.memory_efficient)

    @torch.inference_mode()
    def restore(self, crops: torch.Tensor) -> torch.Tensor:
        """Restore aligned crops: float32 (n, 3, 512, 512) RGB in [0, 1], to the same shape, dtype and range."""
        return torch.cat([self._restore_one(crop) for crop in crops.split(1)]) if len(crops) else crops.clone()

    def _restore_one(self, crop: torch.Tensor) -> torch.Tensor:
        if not self._tiled:
            return self._at_its_size(crop)
        tiles = {"tile_px": max(TILE_PX, 2 * align_px(self._model)), "align_px": align_px(self._model)}
        return run_tiled(self._at_its_size, crop, scale=1, overlap_px=TILE_OVERLAP_PX, **tiles)

    def _at_its_size(self, picture: torch.Tensor) -> torch.Tensor:
        out = compute(self._model, picture)
        return out if self._model.scale == 1 else torch.nn.functional.avg_pool2d(out, self._model.scale)


def open_checkpoint(path: Path, *, device: str = "cpu", dtype: str = "float32") -> Any:
    """Open the checkpoint at `path` as a spandrel ImageModelDescriptor in eval mode, which takes 3 channels or 1.

    Raises:
        GfpupError: spandrel is not installed, or a precision that the architecture cannot compute in.
        CheckpointError: the file is not a checkpoint, or spandrel does not know its architecture, or it takes other inputs.
    """
    spandrel = _spandrel()
    if dtype not in DTYPES:
        raise GfpupError(f"spandrel's networks cannot run in {dtype} here: choose {' or '.join(DTYPES)}")
    state = read_state_dict(path)
    try:
        model = spandrel.ModelLoader().load_from_state_dict(state)
    except spandrel.UnsupportedModelError as error:
        kind = recognise(state)
        remedy = f"it holds {kind}, which gfpup runs by itself" if kind else "give a checkpoint that spandrel lists"
        raise CheckpointError(f"spandrel knows no architecture for {path}: {remedy}") from error
    except _MISFITS as error:
        first = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CheckpointError(f"spandrel cannot build a network from {path} ({first}): give a file that it lists") from error
    if not isinstance(model, spandrel.ImageModelDescriptor):
        raise CheckpointError(f"{path} holds {model.architecture.name}, which needs a mask beside a picture: give another file")
    channels = (model.input_channels, model.output_channels)
    if channels not in ((3, 3), (1, 1)):
        raise CheckpointError(
            f"{path} holds {model.architecture.name} from {channels[0]} channels to {channels[1]}: give one for colour or grey"
        )
    if dtype == "bfloat16" and not model.supports_bfloat16:
        raise GfpupError(f"{model.architecture.name} cannot run in bfloat16, says spandrel: choose float32")
    model.model.requires_grad_(False)
    return model.to(torch.device(device), DTYPES[dtype]).eval()


def compute(model: Any, picture: torch.Tensor) -> torch.Tensor:
    """Run a descriptor: (1, 3, h, w) float32 RGB in [0, 1] to (1, 3, h * scale, w * scale) float32 in [0, 1].

    spandrel pads, crops and clips. Its GFPGAN alone is called past it: spandrel 0.4.2 hands that network [0, 1] where it was
    trained on [-1, 1], and draws new noise in every call.
    """
    given = picture.to(model.dtype)
    if model.architecture.id == "GFPGAN":
        restored: torch.Tensor = model.model(given * 2 - 1, return_rgb=False, randomize_noise=False)[0]
        return restored.float().add(1).div(2).clamp_(0, 1)
    # (1, 1, h, w) each where the network takes one channel; its batch is one picture, so says spandrel.
    parts = [given] if model.input_channels == 3 else given.split(1, dim=1)
    return torch.cat([model(part) for part in parts], dim=1).float()


def _spandrel() -> ModuleType:
    if find_spec("spandrel") is None:
        raise GfpupError("opening any architecture needs spandrel, which is not installed: pip install 'gfpup[spandrel]'")
    torchvision_shim.cure()
    try:
        return import_module("spandrel")
    except ImportError as error:
        raise GfpupError(f"spandrel cannot be imported ({error}): pip install 'gfpup[spandrel]'") from error


def may_be_tiled(model: Any) -> bool:
    return bool(model.tiling.name == "SUPPORTED")  # not what looks at the whole picture, or tiles by itself


def align_px(model: Any) -> int:
    """Tiles start at multiples of this, so that the network's windows lie as in the whole picture."""
    return math.lcm(ALIGN_PX, model.size_requirements.multiple_of)
