"""Dense blocks of 3x3 convolutions with a quarter of the multiplications: Winograd's F(4x4, 3x3), exact but for rounding.

Each convolution of a dense block reads the block's input and what all convolutions before it made. Winograd's method cuts a
map into squares of 4x4 pixels and turns each, with the pixels around it, into 36 numbers a channel; the convolution is then 36
matrix products. Here a channel is turned once and read by all convolutions after it, which is what makes the method pay for so
few channels. The convolutions advance together, each one a band of rows behind the one before it, so that what they share stays
in the processor's cache.

Maps lie in *phases*, (4, 4, c, h / 4 + 2, w / 4 + 2): pixel (4y + i, 4x + j) is at [i, j, :, y + 1, x + 1], and the border is
zero. In this order the 36 pixels of all squares of a row are 36 runs of memory.

Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, for F(4x4, 3x3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gfpup.models.nets.convolution import TAPS
from gfpup.models.nets.rewrites import suits

SIDE = 4
"""Of a square, in px."""

BAND_SQUARES = 128
"""Squares that a step computes at least: with fewer the calls cost more than the products, with more the parts leave the
cache. Source: experiments/022-background."""

SMALLEST_PX = 64 * 64
"""Of a map; on smaller ones the calls cost what the products save."""

FROM_PIXELS = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
TO_PIXELS = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))
"""Along one side, six pixels become six numbers, and six products four pixels. Source: Lavin and Gray, B and A transposed."""

EVERYWHERE = 7
"""The product that enters all 16 pixels with factor 1: the place for the bias."""

NEIGHBOURS = ((slice(0, 1), slice(3, 4), -1), (slice(1, 5), slice(0, 4), 0), (slice(5, 6), slice(0, 1), 1))
"""Along one side: which of the six pixels are which phases of the square before, of the square itself, and of the one after."""


def pays(x: Tensor) -> bool:
    """Whether `dense_block` takes a map and pays: one picture, float32, on a CPU, of at least 64x64 px."""
    return suits(x) and x.dtype == torch.float32 and len(x) == 1 and x.shape[2] * x.shape[3] >= SMALLEST_PX


def to_phases(x: Tensor) -> Tensor:
    """Put a map (1, c, h, w) into phases; sizes that 4 does not divide are filled up with zeros."""
    _, c, h, w = x.shape
    x = F.pad(x, (0, -w % SIDE, 0, -h % SIDE))[0].unflatten(1, (-1, SIDE)).unflatten(3, (-1, SIDE))
    out = x.new_zeros(SIDE, SIDE, c, x.shape[1] + 2, x.shape[3] + 2)
    out[..., 1:-1, 1:-1] = x.permute(2, 4, 0, 1, 3)
    return out


def from_phases(phases: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """The map (1, c, h, w), channels innermost, of which `to_phases` made `phases`."""
    h, w = size_hw
    x = phases[..., 1:-1, 1:-1].permute(3, 0, 4, 1, 2).flatten(2, 3).flatten(0, 1)
    return x[:h, :w].permute(2, 0, 1)[None]


def inside(size_hw: tuple[int, int]) -> Tensor | None:
    """Where phases lie within a map of `size_hw` px: 1 there 0 where it was filled up, (4, 4, 1, h / 4, w / 4); None: all."""
    if not any(size % SIDE for size in size_hw):
        return None
    return to_phases(torch.ones(1, 1, *size_hw))[..., 1:-1, 1:-1]


@dataclass(frozen=True)
class Step:
    """A convolution of a dense block: it reads channels up to `stop`, of which those from `start` are new; its 36 matrices."""

    start: int
    stop: int
    matrices: Tensor
    bias: Tensor


def steps(convolutions: Sequence[nn.Conv2d]) -> list[Step]:
    """What a dense block's convolutions are in Winograd's form; it takes a thousandth of the block's time."""
    taps = torch.tensor(TAPS, dtype=torch.float64)
    kernel = torch.kron(taps, taps)
    stops = [conv.in_channels for conv in convolutions]
    made = []
    for conv, (start, stop) in zip(convolutions, pairwise([0, *stops]), strict=True):
        assert conv.bias is not None
        rows = conv.weight.permute(2, 3, 0, 1).reshape(9, -1).double()
        made.append(Step(start, stop, (kernel @ rows).float().view(36, -1, stop), conv.bias[:, None]))
    return made


@dataclass(frozen=True)
class _Views:
    """What one convolution reads and writes in one band: the places of numbers in the buffers of `DenseBlocks`."""

    gather: list[tuple[Tensor, Tensor]]
    gathered: Tensor
    transformed: Tensor
    seen: Tensor
    products: Tensor
    biased: Tensor
    flat_products: Tensor
    flat_pixels: Tensor
    pixels: Tensor
    made: Tensor
    within: Tensor | None
    inputs: Tensor


class DenseBlocks:
    """Computes dense blocks on float32 maps of one size, one after another, in the same memory.

    `channels` are what each convolution of a block reads, the same in all blocks. Each convolution but the last is followed by
    a leaky ReLU of `slope`; of the last, `scale` times its output is added to the block's input.
    """

    def __init__(self, size_hw: tuple[int, int], channels: Sequence[int], *, slope: float, scale: float) -> None:
        self._slope, self._scale, self._channels = slope, scale, [0, *channels]
        self._within = inside(size_hw)
        self._high, self._wide = (-(-size // SIDE) for size in size_hw)
        rows = min(self._high, -(-BAND_SQUARES // self._wide))
        self._bands = [(top, min(top + rows, self._high)) for top in range(0, self._high, rows)]
        most = rows * self._wide * channels[-1]
        self._features = self.room(channels[-1] - channels[0])
        self._transformed = torch.empty(len(channels) + 1, 36 * most)
        self._gathered, self._products, self._pixels = (torch.empty(count * most) for count in (36, 36, 16))
        there, back = torch.tensor(FROM_PIXELS, dtype=torch.float32), torch.tensor(TO_PIXELS, dtype=torch.float32)
        self._there, self._back = torch.kron(there, there), torch.kron(back, back)
        self._views: dict[tuple[int, int, int, int], _Views] = {}

    def room(self, channels: int) -> Tensor:
        """Zeros for a map of that many channels, in phases."""
        return torch.zeros(SIDE, SIDE, channels, self._high + 2, self._wide + 2)

    def compute(self, x: Tensor, block: Sequence[Step], *, out: Tensor) -> Tensor:
        """Compute a block of `x` into `out`, which is another map of the same size; both are of `room` or `to_phases`."""
        for moment in range(len(self._bands) + len(block) - 1):
            # Convolution k computes band b while k + 1 computes b - 1, whose lower neighbours are then there.
            for number, step in enumerate(block[: moment + 1]):
                if moment - number < len(self._bands):
                    self._step(step, self._views_of(number, moment - number, x, out), last=number + 1 == len(block))
        return out

    def _step(self, step: Step, at: _Views, *, last: bool) -> None:
        for there, here in at.gather:
            there.copy_(here)
        torch.mm(self._there, at.gathered, out=at.transformed)
        torch.bmm(step.matrices, at.seen, out=at.products)
        at.biased.add_(step.bias)
        torch.mm(self._back, at.flat_products, out=at.flat_pixels)
        if at.within is not None:
            at.pixels.mul_(at.within)
        if last:
            torch.add(at.inputs, at.pixels, alpha=self._scale, out=at.made)
        else:
            at.made.copy_(F.leaky_relu_(at.pixels, self._slope))

    def _views_of(self, number: int, band: int, x: Tensor, out: Tensor) -> _Views:
        """The views are made once: on small bands they would take as long as the products."""
        key = number, band, x.data_ptr(), out.data_ptr()
        if key not in self._views:
            self._views[key] = self._made_views(number, band, x, out)
        return self._views[key]

    def _made_views(self, number: int, band: int, x: Tensor, out: Tensor) -> _Views:
        top, end = self._bands[band]
        wide, squares = self._wide, (end - top) * self._wide
        first, start, stop = self._channels[1], *self._channels[number : number + 2]
        new = x if number == 0 else self._features[:, :, start - first : stop - first]
        gathered = self._gathered[: 36 * (stop - start) * squares].view(6, 6, stop - start, end - top, wide)
        gather = [
            (gathered[down, across], new[phase_down, phase_across, :, 1 + top + y : 1 + end + y, 1 + x_ : 1 + x_ + wide])
            for down, phase_down, y in NEIGHBOURS
            for across, phase_across, x_ in NEIGHBOURS
        ]
        slot = self._transformed[band % len(self._transformed)][: 36 * self._channels[-1] * squares].view(36, -1, squares)
        last = number + 2 == len(self._channels)
        outputs = first if last else self._channels[number + 2] - stop
        products = self._products[: 36 * outputs * squares].view(36, outputs, squares)
        pixels = self._pixels[: 16 * outputs * squares].view(SIDE, SIDE, outputs, end - top, wide)
        rows = (..., slice(1 + top, 1 + end), slice(1, -1))
        made = out if last else self._features[:, :, stop - first : stop - first + outputs]
        return _Views(
            gather, gathered.view(36, -1), slot[:, start:stop].view(36, -1), slot[:, :stop], products, products[EVERYWHERE],
            products.view(36, -1), pixels.view(16, -1), pixels, made[rows],
            None if self._within is None else self._within[..., top:end, :], x[rows],
        )  # fmt: skip
