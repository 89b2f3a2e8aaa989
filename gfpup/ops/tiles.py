"""Tiles: run a function over a picture of any size, piece by piece, without seams and within the memory of a piece.

Neighbouring tiles read `overlap_px` of the same pixels: the outer quarters are thrown away (there a network lacks context), and
across the middle half one tile fades into the next by `a + w * (b - a)`, so that where both agree the result is theirs, bit for
bit. A picture is cut evenly into as few tiles as its size allows, none padded; they start at multiples of `align_px`, because
networks that unshuffle pixels would otherwise see another grid than in the whole picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from gfpup.core.errors import GfpupError
from gfpup.core.transfer import download, upload
from gfpup.core.types import Pixels

if TYPE_CHECKING:
    import torch

    Compute = Callable[[torch.Tensor], torch.Tensor]

ALIGN_PX = 4
"""Divides by every grid in use: RRDBNet unshuffles by 2 at scale 2, by 4 at scale 1."""


@dataclass(frozen=True)
class Tile:
    """A rectangle of input pixels to read: rows [top, top + height), columns [left, left + width)."""

    top: int
    left: int
    height: int
    width: int

    def of(self, planes: Any) -> Any:
        """The tile's part of an array or tensor (..., h, w)."""
        return planes[..., self.top : self.top + self.height, self.left : self.left + self.width]


@dataclass(frozen=True)
class _Span:
    """One tile along one axis: it reads [start, stop); it is blended in over [fade_start, fade_stop), alone after that."""

    start: int
    stop: int
    fade_start: int
    fade_stop: int


def plan_tiles(size_hw: tuple[int, int], *, tile_px: int, overlap_px: int, align_px: int = ALIGN_PX) -> list[Tile]:
    """Cover a picture of `size_hw` pixels, each at least 1, with overlapping tiles, row by row.

    `tile_px` is the largest side of a tile, or 0 for the whole picture in one; neighbours share `overlap_px` at least, at most
    half a tile; tiles start at multiples of `align_px`. The last of a row or column may be up to `align_px - 1` smaller.

    Raises: GfpupError (a tile that is too small for its overlap, or a negative number).
    """
    rows, columns = _plan_axes(size_hw, tile_px=tile_px, overlap_px=overlap_px, align_px=align_px)
    return [_tile(row, column) for row in rows for column in columns]


def run_tiled(
    fn: Compute, image: torch.Tensor, *, scale: int, tile_px: int, overlap_px: int, align_px: int = ALIGN_PX
) -> torch.Tensor:
    """Compute `fn(image)` tile by tile, into one tensor (1, d, h * scale, w * scale) of the dtype and device of `fn`'s.

    `fn` maps (1, c, h, w) to (1, d, h * scale, w * scale), floating point; `image` is (1, c, h, w) of whatever dtype, range and
    device `fn` takes. The sizes, in input pixels, and the errors are those of `plan_tiles`.
    """
    height, width = image.shape[2:]
    out: torch.Tensor | None = None
    grid = {"tile_px": tile_px, "overlap_px": overlap_px, "align_px": align_px}
    for top, band in iterate_bands(fn, lambda tile: tile.of(image), (height, width), scale=scale, **grid):
        if out is None:
            out = band.new_empty((*band.shape[:2], height * scale, width * scale))
        out[:, :, top : top + band.shape[2]] = band
    assert out is not None
    return out


def run_tiled_pixels(
    fn: Compute,
    pixels: Pixels,
    *,
    scale: int,
    tile_px: int,
    overlap_px: int,
    align_px: int = ALIGN_PX,
    device: str | torch.device = "cpu",
) -> Pixels:
    """Compute `fn` over an (h, w, 3) uint8 or uint16 photo: floats exist for one tile and one band, never for the photo.

    `fn` maps (1, 3, h, w) float32 in [0, 1] on `device` to (1, 3, h * scale, w * scale), about in [0, 1]; bands are blended
    there. Returns (h * scale, w * scale, 3) in the dtype of `pixels`, clipped and rounded to the nearest, halves to even. The
    sizes and the errors are those of `plan_tiles`.
    """
    import torch

    top_value = float(np.iinfo(pixels.dtype).max)
    # Rounded on the device, so that a quarter of the bytes travels; torch can do little with uint16.
    kind = torch.uint8 if pixels.dtype == np.uint8 else torch.int32
    height, width, channels = pixels.shape
    out: Pixels = np.empty((height * scale, width * scale, channels), pixels.dtype)
    # A view, not a copy. Torch has no arithmetic on uint16; each tile is made float32 by way of numpy instead.
    planes = pixels.transpose(2, 0, 1)[None]

    def read(tile: Tile) -> torch.Tensor:
        return upload(np.ascontiguousarray(tile.of(planes), dtype=np.float32), device) / top_value

    grid = {"tile_px": tile_px, "overlap_px": overlap_px, "align_px": align_px}
    for top, band in iterate_bands(fn, read, (height, width), scale=scale, **grid):
        whole = download(band[0].float().mul(top_value).round_().clamp_(0, top_value).to(kind))
        out[top : top + whole.shape[1]] = whole.transpose(1, 2, 0)
    return out


def iterate_bands(
    fn: Compute,
    read: Callable[[Tile], torch.Tensor],
    size_hw: tuple[int, int],
    *,
    scale: int,
    tile_px: int,
    overlap_px: int,
    align_px: int = ALIGN_PX,
) -> Iterator[tuple[int, torch.Tensor]]:
    """Compute `fn` over the tiles that `read` gives and yield finished rows from the top: (first row, (1, d, rows, w * scale)).

    The other arguments and the errors are those of `run_tiled`. At any time one row of tiles is held, and the fade to the next.
    """
    rows, columns = _plan_axes(size_hw, tile_px=tile_px, overlap_px=overlap_px, align_px=align_px)
    fading: torch.Tensor | None = None
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        strip = _strip(fn, read, row, columns, scale=scale)
        band = strip[:, :, (row.fade_start - row.start) * scale :]
        if fading is not None and fading.shape[2]:
            count = fading.shape[2]
            band[:, :, :count] = _fade(fading, band[:, :, :count], axis=2)
        if following is not None:
            done = (following.fade_start - row.fade_start) * scale
            # A copy, so that the strip itself need not outlive its turn.
            fading = band[:, :, done : (following.fade_stop - row.fade_start) * scale].clone()
            band = band[:, :, :done]
        yield row.fade_start * scale, band
        del strip, band


def _strip(fn: Compute, read: Callable[[Tile], torch.Tensor], row: _Span, columns: list[_Span], *, scale: int) -> torch.Tensor:
    """Run one row of tiles and blend them left to right: (1, d, rows, w * scale)."""
    strip: torch.Tensor | None = None
    for column in columns:
        tile = _tile(row, column)
        patch = fn(read(tile))
        if patch.shape[2:] != (tile.height * scale, tile.width * scale):
            raise ValueError(f"fn made {tuple(patch.shape)} of a {tile.height}x{tile.width} tile, which is not scale {scale}")
        if strip is None:
            strip = patch.new_empty((*patch.shape[:3], columns[-1].stop * scale))
        start, stop = column.fade_start * scale, column.fade_stop * scale
        patch = patch[:, :, :, start - column.start * scale :]
        if stop > start:
            strip[:, :, :, start:stop] = _fade(strip[:, :, :, start:stop], patch[:, :, :, : stop - start], axis=3)
        strip[:, :, :, stop : column.stop * scale] = patch[:, :, :, stop - start :]
    assert strip is not None
    return strip


def _tile(row: _Span, column: _Span) -> Tile:
    return Tile(row.start, column.start, row.stop - row.start, column.stop - column.start)


def _fade(old: torch.Tensor, new: torch.Tensor, *, axis: int) -> torch.Tensor:
    """Fade from `old` to `new` along `axis`: weights at pixel centres, from almost 0 to almost 1."""
    import torch

    count = new.shape[axis]
    weights = (torch.arange(count, device=new.device, dtype=torch.float32) + 0.5) / count
    weights = weights.to(new.dtype).reshape([count if i == axis else 1 for i in range(4)])
    return old + weights * (new - old)


def _plan_axes(size_hw: tuple[int, int], *, tile_px: int, overlap_px: int, align_px: int) -> tuple[list[_Span], list[_Span]]:
    if tile_px < 0 or overlap_px < 0 or align_px < 1 or min(size_hw) < 1:
        raise GfpupError(
            f"tile {tile_px} with overlap {overlap_px} on a {size_hw[1]}x{size_hw[0]} picture is not possible: "
            "give sizes in pixels, tile 0 for no tiles"
        )
    aligned = tile_px // align_px * align_px
    least = max(align_px, 2 * (-(-overlap_px // align_px) * align_px))
    if tile_px and aligned < least:
        raise GfpupError(f"tile {tile_px} is too small for overlap {overlap_px}: give a tile of at least {least} pixels")
    rows, columns = (_plan_axis(size, tile=aligned or size, overlap=overlap_px, align=align_px) for size in size_hw)
    return rows, columns


def _plan_axis(size: int, *, tile: int, overlap: int, align: int) -> list[_Span]:
    shared = -(-overlap // align) * align
    # As many tiles as are needed, but evenly: the last one would else read again most of what the one before it read.
    count = max(1, -(-(size - shared) // max(tile - shared, 1)))
    even = -(-(size + (count - 1) * shared) // (count * align)) * align
    tile = min(tile, max(even, 2 * shared))
    stride = tile - shared
    starts = list(range(0, max(size - tile, 0), stride))
    # The smallest aligned start from which a tile reaches the edge.
    starts.append(-(-max(size - tile, 0) // align) * align)
    stops = [min(start + tile, size) for start in starts]
    middles = [(stop + start) // 2 for stop, start in zip(stops, starts[1:], strict=False)]
    bounds = [0, *middles, size]
    spans = [_Span(starts[0], stops[0], 0, 0)]
    for index, middle in enumerate(middles, start=1):
        # Shifted tiles may leave two seams close together; their fades must not meet.
        room = min(middle - bounds[index - 1], bounds[index + 1] - middle) // 2
        reach = min((stops[index - 1] - starts[index]) // 4, room, -(-overlap // 4))
        spans.append(_Span(starts[index], stops[index], middle - reach, middle + reach))
    assert all(a.fade_stop <= b.fade_start for a, b in pairwise(spans))
    return spans
