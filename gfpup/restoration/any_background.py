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

    def __init__(self, model: Any, *, tile_px: int | None = None, **tiles: int) -> None:
        name = model.architecture.name
        if model.purpose == "FaceSR":
            raise CheckpointError(
                f"the checkpoint holds {name}, which restores aligned faces, not backgrounds: "
                "give it as --backend spandrel --model-path"
            )
        if tile_px is None:
            tile_px = spandrel.TILE_PX if spandrel.may_be_tiled(model) else 0
        device, dtype = str(model.device), str(model.dtype).removeprefix("torch.")
        align_px = spandrel.align_px(model)
        super().__init__(model, name=name, device=device, dtype=dtype, tile_px=tile_px, align_px=align_px, **tiles)

    @classmethod
    def load(cls, path: Path, *, device: str = "cpu", dtype: str = "float32", tile_px: int | None = None, **tiles: int) -> Self:
        """Load the checkpoint at `path`, whose hash is not looked at here.

        `dtype` is "float32", or "bfloat16" where the architecture can. Without a `tile_px` it is 256, or 0 where spandrel says
        that the architecture needs to see the whole picture.

        Raises:
            GfpupError: spandrel is not installed, an impossible precision, or a tile too small for its overlap.
            CheckpointError: spandrel knows no architecture that fits, or one for faces or masks.
        """
        return cls(spandrel.open_checkpoint(path, device=device, dtype=dtype), tile_px=tile_px, **tiles)

    def _compute(self, tile: torch.Tensor) -> torch.Tensor:
        return spandrel.compute(self._network, tile)
