"""Enlarge what lies around the faces: by Lanczos, or by Real-ESRGAN in tiles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gfpup.core.errors import CheckpointError, GfpupError, PhotoError
from gfpup.core.types import Pixels
from gfpup.ops.resize import resize
from gfpup.ops.tiles import ALIGN_PX, plan_tiles, run_tiled_pixels

if TYPE_CHECKING:
    import torch

    from gfpup.models.nets.rrdbnet import RRDBNet

SCALES = {"rrdbnet-x2": 2, "rrdbnet-x4": 4}

TILE_PX = 256
"""Bounds the memory: on two cores a photo of 800x640 px took 0.22 GB at scale 2, with tiles of 512 0.83 GB. With the overlap
1.24 times the photo's pixels are computed, 1.09 times with tiles of 512."""

TILE_OVERLAP_PX = 32
"""With the published weights and tiles of 96 px, four photos are 35 to 49 dB from the untiled result with 8, 43 to 53 with 32.

Source: experiments/022-background. (With random weights, which look less far, 109 dB with 32.)"""

GREY = (0.299, 0.587, 0.114)  # Source: ITU-R BT.601, as the official enhancer makes grey of its output


class TiledUpsampler:
    """Enlarges photos tile by tile by a network of its own `scale`; `name` is what messages call it.

    `tile_px` is the largest side of a tile in pixels of the photo (0: no tiles), `tile_overlap_px` what neighbours share, at
    most half a tile. Each kind of network adds `load` and says how it computes a tile.
    """

    def __init__(
        self,
        network: Any,
        *,
        name: str,
        device: str,
        dtype: str,
        tile_px: int = TILE_PX,
        tile_overlap_px: int = TILE_OVERLAP_PX,
        align_px: int = ALIGN_PX,
    ) -> None:
        plan_tiles((1, 1), tile_px=tile_px, overlap_px=tile_overlap_px, align_px=align_px)  # refuses bad sizes now
        self.scale = int(network.scale)
        self._network, self._name, self._device, self._dtype = network, name, device, dtype
        self._tile_px, self._tile_overlap_px, self._align_px = tile_px, tile_overlap_px, align_px

    def __call__(self, pixels: Pixels, to_hw: tuple[int, int]) -> Pixels:
        """Enlarge (h, w, 3) uint8 or uint16 RGB to `to_hw`, in the same dtype; a photo of three equal channels stays grey.

        Where `to_hw` is a whole fraction of the network's own scale, each tile is averaged down before it is rounded, so that
        the larger picture never exists; any other size is resized from it.

        Raises: PhotoError: the output is not finite, or a tile does not fit into the device's memory.
        """
        import torch

        from gfpup.models.nets.constants import per_channel

        height, width = pixels.shape[:2]
        whole = [s for s in range(1, self.scale) if self.scale % s == 0 and to_hw == (height * s, width * s)]
        scale = whole[0] if whole else self.scale
        grey = all(np.array_equal(pixels[..., 0], pixels[..., channel]) for channel in (1, 2))

        finite: list[torch.Tensor] = []

        def enlarge(tile: torch.Tensor) -> torch.Tensor:
            out = self._run(tile)
            finite.append(out.isfinite().all())  # looked at when all tiles are done: a GPU is not waited for at each
            out = out.clamp_(0, 1)
            if scale != self.scale:
                out = torch.nn.functional.avg_pool2d(out, self.scale // scale)
            if not grey:
                return out
            weights = per_channel(GREY, device=out.device, dtype=out.dtype)
            return (out * weights).sum(1, keepdim=True).expand_as(out)

        tiles = {"tile_px": self._tile_px, "overlap_px": self._tile_overlap_px, "align_px": self._align_px}
        with torch.inference_mode():
            done = run_tiled_pixels(enlarge, pixels, scale=scale, device=self._device, **tiles)
            self._require(finite)
        return done if done.shape[:2] == to_hw else resize(done, to_hw)

    def run(self, tile: torch.Tensor) -> torch.Tensor:
        """The network's bare output: (1, 3, h, w) float32 RGB in [0, 1] to (1, 3, h * scale, w * scale) float32.

        Raises: PhotoError: it is not finite, or the device's memory is too small for it.
        """
        out = self._run(tile)
        self._require([out.isfinite().all()])
        return out

    def _run(self, tile: torch.Tensor) -> torch.Tensor:
        import torch

        try:
            return self._compute(tile)
        except torch.OutOfMemoryError as error:
            what = f"a tile of {tile.shape[3]}x{tile.shape[2]} px does not fit into the memory of {self._device}"
            raise PhotoError(f"{what}: give a smaller --tile, or --background none") from error

    def _require(self, finite: Sequence[torch.Tensor]) -> None:
        import torch

        if not torch.stack(list(finite)).all():
            remedy = "" if self._dtype == "float32" else "compute in float32, or "
            what = f"{self._name}'s output in {self._dtype} is not finite in a tile of this photo"
            raise PhotoError(f"{what}: {remedy}give --background none")

    def _compute(self, tile: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


class RealESRGAN(TiledUpsampler):
    """Real-ESRGAN x2plus or x4plus: a network that draws the detail a photo has lost, at `scale` 2 or 4, tile by tile.

    What differs from the official enhancer: tiles overlap and fade into each other, there cut hard, 10 px into their margins; a
    size below the network's is averaged by area, there sampled by Lanczos, which aliases; float32, there float16; a photo of
    three equal channels stays grey, there only a file of one channel. As there, only an odd size is padded.

    Source: Wang et al., "Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data" (ICCV Workshops
    2021); github.com/xinntao/Real-ESRGAN.
    """

    def __init__(self, network: RRDBNet, *, device: str = "cpu", dtype: str = "float32", **tiles: int) -> None:
        from gfpup.models.nets.loading import DTYPES
        from gfpup.models.nets.rewrites import rewrite

        if dtype not in DTYPES:
            raise GfpupError(f"Real-ESRGAN cannot run in {dtype}: choose {' or '.join(DTYPES)}")
        super().__init__(network, name="Real-ESRGAN", device=device, dtype=dtype, **tiles)
        self._network = rewrite(network.eval().requires_grad_(False).to(device, DTYPES[dtype]))

    @classmethod
    def load(cls, path: Path, *, device: str = "cpu", dtype: str = "float32", **tiles: int) -> Self:
        """Load an official checkpoint, or one trained from it; its tensors tell the scale and the number of blocks.

        `dtype` is "float32", or "bfloat16": faster, 46 dB from it with the published weights, so not for 16-bit photos.
        `tiles` are the sizes that `TiledUpsampler` takes.

        Raises:
            CheckpointError: the file is not a checkpoint, or not one of Real-ESRGAN's RRDBNet at scale 2 or 4.
            GfpupError: another dtype, or a tile too small for its overlap.
        """
        return cls(cls.network(path), device=device, dtype=dtype, **tiles)

    @staticmethod
    def network(path: Path) -> RRDBNet:
        """The network of a checkpoint, in the official order of operations; errors as `load`."""
        import torch

        from gfpup.models.nets.loading import load_strictly, recognise
        from gfpup.models.nets.rrdbnet import RRDBNet
        from gfpup.weights.checkpoint import read_state_dict

        state = read_state_dict(path)
        kind = recognise(state)
        if kind not in SCALES:
            what = f"{path} holds {kind or 'an unknown network'}, not Real-ESRGAN"
            raise CheckpointError(f"{what}: give RealESRGAN_x2plus.pth or RealESRGAN_x4plus.pth")
        # The anime variant of x4plus has 6 blocks in place of 23.
        blocks = len({entry.split(".")[1] for entry in state if entry.startswith("body.")})
        with torch.device("meta"):
            network = RRDBNet(scale=SCALES[kind], blocks=blocks)
        load_strictly(network, state, name=kind, path=path)
        return network

    def _compute(self, tile: torch.Tensor) -> torch.Tensor:
        import torch

        from gfpup.models.nets.loading import DTYPES

        out: torch.Tensor = self._network(tile.to(DTYPES[self._dtype], memory_format=torch.channels_last)).float()
        return out
