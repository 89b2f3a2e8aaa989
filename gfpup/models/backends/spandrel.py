"""Any checkpoint that spandrel can open: as a method for faces, or as what enlarges the rest of the photo.

gfpup's own reader reads the file and runs nothing in it; spandrel only recognises the architecture and builds the network.
"""

from __future__ import annotations

import math
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import cv2
import numpy as np
import torch

from gfpup.core import torchvision_shim
from gfpup.core.errors import CheckpointError, GfpupError, PhotoError
from gfpup.core.types import BackendSpec, Pixels
from gfpup.models.nets.loading import DTYPES, dtype_of, only_checkpoint, recognise
from gfpup.ops.tiles import ALIGN_PX, plan_tiles, run_tiled, run_tiled_pixels
from gfpup.weights.checkpoint import read_state_dict

if TYPE_CHECKING:
    from types import ModuleType

TILE_PX, TILE_OVERLAP_PX = 256, 32
"""As for Real-ESRGAN (`gfpup.restoration.background`), which was measured; another network may want a larger overlap."""

GREY = (0.299, 0.587, 0.114)
"""Source: ITU-R BT.601; what makes one channel of three."""

_MISFITS = (RuntimeError, LookupError, ValueError, TypeError, AttributeError, AssertionError, ArithmeticError)
"""What spandrel raises where it took tensors for an architecture's and they do not fit; it has no error of its own for that."""


class AnyArchitecture:
    """Opens a checkpoint of any architecture that spandrel knows, and restores faces with it.

    What enlarges is averaged back to the crop's size; what takes one channel gets red, green and blue by turns. Each crop is a
    call of its own. CodeFormer and RestoreFormer++ are not among spandrel's architectures.

    Source: github.com/chaiNNer-org/spandrel.
    """

    def __init__(self, model: Any, *, memory_efficient: bool = False) -> None:
        """Take a spandrel ImageModelDescriptor; `memory_efficient` works in tiles where that does no harm."""
        self._model = model
        self._tiled = memory_efficient and model.purpose != "FaceSR" and _may_be_tiled(model)

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
        align = _align(self._model)
        tile_px = max(TILE_PX, 2 * align)
        return run_tiled(self._at_its_size, crop, scale=1, tile_px=tile_px, overlap_px=TILE_OVERLAP_PX, align_px=align)

    def _at_its_size(self, picture: torch.Tensor) -> torch.Tensor:
        out = compute(self._model, picture)
        return out if self._model.scale == 1 else torch.nn.functional.avg_pool2d(out, self._model.scale)


class AnyUpsampler:
    """Enlarges a photo by any super-resolution or restoration checkpoint that spandrel can open, tile by tile.

    `scale` is the network's. A photo whose three channels are equal stays grey.
    """

    def __init__(self, model: Any, *, tile_px: int | None = None, tile_overlap_px: int = TILE_OVERLAP_PX) -> None:
        """Take a spandrel ImageModelDescriptor; the other arguments and the errors are those of `load`."""
        if model.purpose == "FaceSR":
            raise CheckpointError(
                f"the checkpoint holds {model.architecture.name}, which restores aligned faces, not backgrounds: "
                "give it as --backend spandrel --model-path"
            )
        self._tile_px = (TILE_PX if _may_be_tiled(model) else 0) if tile_px is None else tile_px
        self._overlap_px, self._align_px = tile_overlap_px, _align(model)
        plan_tiles((1, 1), tile_px=self._tile_px, overlap_px=tile_overlap_px, align_px=self._align_px)
        self.scale = int(model.scale)
        self._model = model

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        device: str = "cpu",
        dtype: str = "float32",
        tile_px: int | None = None,
        tile_overlap_px: int = TILE_OVERLAP_PX,
    ) -> Self:
        """Load the checkpoint at `path`, whose hash is not looked at here.

        `dtype` is "float32", or "bfloat16" where the architecture can. `tile_px` is the largest side of a tile, in pixels of
        the photo; it bounds the memory. 0: no tiles. None: 256, or no tiles where spandrel says that the architecture
        needs to see the whole picture. Neighbouring tiles share `tile_overlap_px`, at most half a tile.

        Raises:
            GfpupError: spandrel is not installed, an impossible precision, or a tile too small for its overlap.
            CheckpointError: spandrel knows no architecture that fits, or one for faces or masks.
        """
        return cls(open_checkpoint(path, device=device, dtype=dtype), tile_px=tile_px, tile_overlap_px=tile_overlap_px)

    @torch.inference_mode()
    def __call__(self, pixels: Pixels, to_hw: tuple[int, int]) -> Pixels:
        """Enlarge (h, w, 3) uint8 or uint16 RGB to `to_hw`, in the same dtype.

        Where `to_hw` is a whole fraction of the network's own scale, each tile is averaged down before it is rounded; any other
        size is resized from it, by area where it shrinks, else by Lanczos.

        Raises: PhotoError: the output is not finite, or a tile does not fit into the device's memory.
        """
        height, width = pixels.shape[:2]
        whole = [s for s in range(1, self.scale) if self.scale % s == 0 and to_hw == (height * s, width * s)]
        scale = whole[0] if whole else self.scale
        is_grey = np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(pixels[..., 0], pixels[..., 2])

        def enlarge(tile: torch.Tensor) -> torch.Tensor:
            out = self._finite(tile)
            if scale != self.scale:
                out = torch.nn.functional.avg_pool2d(out, self.scale // scale)
            return (out * out.new_tensor(GREY).reshape(1, 3, 1, 1)).sum(1, keepdim=True).expand_as(out) if is_grey else out

        tiles = {"tile_px": self._tile_px, "overlap_px": self._overlap_px, "align_px": self._align_px}
        done = run_tiled_pixels(enlarge, pixels, scale=scale, device=self._model.device, **tiles)
        if done.shape[:2] == to_hw:
            return done
        shrinks = to_hw[0] < done.shape[0] or to_hw[1] < done.shape[1]
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LANCZOS4
        return cv2.resize(done, (to_hw[1], to_hw[0]), interpolation=how)  # type: ignore[return-value]

    def _finite(self, tile: torch.Tensor) -> torch.Tensor:
        name = self._model.architecture.name
        try:
            out = compute(self._model, tile)
        except torch.OutOfMemoryError as error:
            raise PhotoError(
                f"a tile of {tile.shape[3]}x{tile.shape[2]} px does not fit into the memory of {self._model.device}: "
                "give a smaller --tile, or --background none"
            ) from error
        if not out.isfinite().all():
            raise PhotoError(f"the output of {name} is not finite in a tile of this photo: give --background none")
        return out


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

    spandrel pads what its architecture asks for and cuts it off again, and clips the output. Its GFPGAN alone is called past
    it: spandrel 0.4.2 hands that network [0, 1] where it was trained on [-1, 1], and draws new noise in every call.
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


def _may_be_tiled(model: Any) -> bool:
    return bool(model.tiling.name == "SUPPORTED")  # not what looks at the whole picture, or tiles by itself


def _align(model: Any) -> int:
    """Tiles start at multiples of this, so that the network's windows lie as in the whole picture."""
    return math.lcm(ALIGN_PX, model.size_requirements.multiple_of)
