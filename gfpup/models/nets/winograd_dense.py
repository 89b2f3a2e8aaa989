"""Dense blocks of 3x3 convolutions with a quarter of the multiplications: Winograd's F(4x4, 3x3), exact but for rounding.

Each convolution of a dense block reads the block's input and what all convolutions before it made. Winograd's method cuts a
map into squares of 4x4 pixels and turns each, with the pixels around it, into 36 numbers a channel; the convolution is then 36
matrix products. Here a channel is turned once and read by all convolutions after it, which is what makes the method pay for so
few channels. The convolutions advance together, each one a row of squares behind the one before it, so that what they share
stays in the processor's cache.

Maps lie in *phases*, (4, 4, h / 4 + 2, c, w / 4 + 2): pixel (4y + i, 4x + j) is at [i, j, y + 1, :, x + 1], and the border is
zero. In this order each of the 36 pixels is one run of memory for all squares and channels of a row; the columns of the border
are computed with the others, and made zero again.

Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, for F(4x4, 3x3).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gfpup.models.nets.convolution import TAPS
from gfpup.models.nets.rewrites import suits

SIDE = 4
"""Of a square, in px."""

SMALLEST_PX = 64 * 64
"""Of a map; on smaller ones the calls cost what the products save."""

MOST_THREADS = 2
"""One for the last convolution of a block, one for the four before it, which cost about the same together."""

ALIGNED = 8
"""Squares in a row, with its border, are a multiple of this, or the products would be a fifth slower."""

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
    """Whether `DenseBlocks` takes a map and pays: one of at least 64x64 px, float32, on a CPU with one or two threads."""
    small = x.shape[2] * x.shape[3] < SMALLEST_PX
    return suits(x) and x.dtype == torch.float32 and len(x) == 1 and not small and torch.get_num_threads() <= MOST_THREADS


def to_phases(x: Tensor) -> Tensor:
    """Put a map (1, c, h, w) into phases; sizes that 4 does not divide are filled up with zeros."""
    _, c, h, w = x.shape
    x = F.pad(x, (0, -w % SIDE, 0, -h % SIDE))[0].unflatten(1, (-1, SIDE)).unflatten(3, (-1, SIDE))
    wide = x.shape[3] + 2
    out = x.new_zeros(SIDE, SIDE, x.shape[1] + 2, c, wide + -wide % ALIGNED)
    out[:, :, 1:-1, :, 1 : wide - 1] = x.permute(2, 4, 1, 0, 3)
    return out


def from_phases(phases: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """The map (1, c, h, w), channels innermost, of which `to_phases` made `phases`."""
    h, w = size_hw
    x = phases[:, :, 1:-1, :, 1:].permute(2, 0, 4, 1, 3).flatten(2, 3).flatten(0, 1)
    return x[:h, :w].permute(2, 0, 1)[None]


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
    """What one convolution reads and writes in one row: the places of numbers in the buffers of `DenseBlocks`."""

    gather: list[tuple[Tensor, Tensor]]
    gathered: Tensor
    transformed: Tensor
    seen: Tensor
    products: Tensor
    biased: Tensor
    flat_products: Tensor
    inputs: Tensor
    made: Tensor
    within: Tensor


class DenseBlocks:
    """Computes dense blocks on float32 maps of one size, one after another, in the same memory.

    `channels` are what each convolution of a block reads, the same in all blocks. Each convolution but the last is followed by
    a leaky ReLU of `slope`; of the last, `scale` times its output is added to the block's input. Use it in a `with` statement.
    """

    def __init__(self, size_hw: tuple[int, int], channels: Sequence[int], *, slope: float, scale: float) -> None:
        self._slope, self._scale, self._channels = slope, scale, [0, *channels]
        self._within = to_phases(torch.ones(1, 1, *size_hw))
        self._rows, self._wide = self._within.shape[2] - 2, self._within.shape[4]
        self._features = self.room(channels[-1] - channels[0])
        self._transformed = torch.empty(len(channels) + 2, 36, channels[-1], self._wide)
        # The last convolution may be computed beside the others.
        self._gathered, self._products = (torch.empty(2, 36 * channels[-1] * self._wide) for _ in range(2))
        there, back = torch.tensor(FROM_PIXELS, dtype=torch.float32), torch.tensor(TO_PIXELS, dtype=torch.float32)
        self._there, self._back = torch.kron(there, there), torch.kron(back, back)
        self._views: dict[tuple[int, int, int, int], _Views] = {}

    def __enter__(self) -> Self:
        self._threads = torch.get_num_threads()
        self._beside = ThreadPoolExecutor(1) if self._threads > 1 else None
        torch.set_num_threads(1)  # of each call: two threads that compute different convolutions need not wait for each other
        return self

    def __exit__(self, *_: object) -> None:
        torch.set_num_threads(self._threads)
        if self._beside is not None:
            self._beside.shutdown()

    def room(self, channels: int) -> Tensor:
        """Zeros for a map of that many channels, in phases."""
        return torch.zeros(SIDE, SIDE, self._rows + 2, channels, self._wide)

    def compute(self, x: Tensor, block: Sequence[Step], *, out: Tensor) -> Tensor:
        """Compute a block of `x` into `out`, which is another map of the same size; both are of `room` or `to_phases`."""
        last = len(block) - 1
        for moment in range(self._rows + last + 1):
            # Convolution k computes row r while k + 1 computes r - 1, whose neighbours below are then there; the last one
            # computes r - 2, so that it need not wait for the one before it.
            final = partial(self._step, block[last], last, moment - last - 1, x, out)
            beside = None if self._beside is None else self._beside.submit(final)
            for number in range(last):
                self._step(block[number], number, moment - number, x, out)
            final() if beside is None else beside.result()
        return out

    @torch.inference_mode()
    def _step(self, step: Step, number: int, row: int, x: Tensor, out: Tensor) -> None:
        if not 0 <= row < self._rows:
            return
        key = number, row, x.data_ptr(), out.data_ptr()
        if (at := self._views.get(key)) is None:  # made once: each time they would take as long as a product
            at = self._views[key] = self._made_views(number, row, x, out)
        for there, here in at.gather:
            there.copy_(here)
        torch.mm(self._there, at.gathered, out=at.transformed)
        torch.bmm(step.matrices, at.seen, out=at.products)
        at.biased.add_(step.bias)
        made = at.made.view(SIDE * SIDE, -1)
        if number + 2 == len(self._channels):
            torch.addmm(at.inputs, self._back, at.flat_products, alpha=self._scale, out=made)
            at.made.mul_(at.within)
        else:
            torch.mm(self._back, at.flat_products, out=made)
            F.leaky_relu_(at.made.mul_(at.within), self._slope)

    def _made_views(self, number: int, row: int, x: Tensor, out: Tensor) -> _Views:
        first, start, stop = self._channels[1], *self._channels[number : number + 2]
        last = number + 2 == len(self._channels)
        new = x if number == 0 else self._features[:, :, :, start - first : stop - first]
        gathered = self._gathered[int(last)][: 36 * (stop - start) * self._wide].view(6, 6, stop - start, self._wide)
        gather = []
        for down, phase_down, y in NEIGHBOURS:
            for across, phase_across, shift in NEIGHBOURS:
                here = new[phase_down, phase_across, 1 + row + y]
                # One column to the side is one number further in memory: what comes from another channel falls on the border.
                here = here.as_strided(here.shape, here.stride(), here.storage_offset() + shift)
                gather.append((gathered[down, across], here))
        slot = self._transformed[row % len(self._transformed)]
        outputs = first if last else self._channels[number + 2] - stop
        products = self._products[int(last)][: 36 * outputs * self._wide].view(36, outputs, self._wide)
        made = out if last else self._features[:, :, :, stop - first : stop - first + outputs]
        return _Views(
            gather, gathered.view(36, -1), slot[:, start:stop].view(36, -1), slot[:, :stop], products, products[EVERYWHERE],
            products.view(36, -1), x[:, :, 1 + row].view(SIDE * SIDE, -1), made[:, :, 1 + row], self._within[:, :, 1 + row],
        )  # fmt: skip
