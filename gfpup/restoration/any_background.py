"""Enlarge what lies around the faces by any super-resolution or restoration checkpoint that spandrel can open."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import torch

from gfpup.core.errors import CheckpointError
from gfpup.models.backends import spandrel
from gfpup.restoration.background import TiledUpsampler


class AnyUpsampler(TiledUpsampler):
    """A spandrel ImageModelDescriptor over the tiles of a photo."""

    def __init__(self, model: Any, *, tile_px: int | None = None, tile_overlap_px: int = spandrel.TILE_OVERLAP_PX) -> None:
        if model.purpose == "FaceSR":
            raise CheckpointError(
                f"the checkpoint holds {model.architecture.name}, which restores aligned faces, not backgrounds: "
                "give it as --backend spandrel --model-path"
            )
        if tile_px is None:
            tile_px = spandrel.TILE_PX if spandrel.may_be_tiled(model) else 0
        super().__init__(
            name=model.architecture.name,
            scale=int(model.scale),
            device=str(model.device),
            dtype=str(model.dtype).removeprefix("torch."),
            tile_px=tile_px,
            tile_overlap_px=tile_overlap_px,
            align_px=spandrel.align_px(model),
        )
        self._model = model

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        device: str = "cpu",
        dtype: str = "float32",
        tile_px: int | None = None,
        tile_overlap_px: int = spandrel.TILE_OVERLAP_PX,
    ) -> Self:
        """Load the checkpoint at `path`, whose hash is not looked at here.

        `dtype` is "float32", or "bfloat16" where the architecture can. `tile_px` is the largest side of a tile, in pixels of
        the photo; 0: no tiles. None: 256, or no tiles where spandrel says that the architecture needs to see the whole picture.
        Neighbouring tiles share `tile_overlap_px`, at most half a tile.

        Raises:
            GfpupError: spandrel is not installed, an impossible precision, or a tile too small for its overlap.
            CheckpointError: spandrel knows no architecture that fits, or one for faces or masks.
        """
        model = spandrel.open_checkpoint(path, device=device, dtype=dtype)
        return cls(model, tile_px=tile_px, tile_overlap_px=tile_overlap_px)

    def _compute(self, tile: torch.Tensor) -> torch.Tensor:
        return spandrel.compute(self._model, tile)
