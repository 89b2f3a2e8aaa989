"""3x3 convolutions with fewer multiplications than pixels times taps: exact but for rounding, for large maps on a CPU.

- Winograd's F(4, 3) along the height: four rows of output from six products instead of twelve. Along one side only, because the
  six smaller convolutions then stay convolutions, at which the library is best, and rounding grows only about threefold.
- Upsampling before a convolution is spreading pixels apart and adding up neighbours, under 1 1 (nearest) or 1 3 3 1 (bilinear);
  the convolution can come between the two, where three of four pixels are zero: a quarter of the multiplications.

Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016 (F(4, 3)); the order of upsampling and
convolving is that of StyleGAN2's own code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gfpup.models.nets.rewrites import Rewritable, suits

Border = Literal["zeros", "reflect"]

STRIP_BYTES = 4 * 2**20
"""Input at a time in `winograd`: its six parts then stay in the processor's cache. Source: experiments/006-exact-rewrites."""

SPREAD_BYTES = 16 * 2**20
"""Output at a time in `_spread_then_sum`, so that only the largest maps are cut. Source: experiments/006-exact-rewrites."""

TAPS = (
    (1 / 4, 0.0, 0.0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0.0, 0.0, 1.0),
)
"""From three taps to six. Source: Lavin and Gray, F(4, 3), the matrix G."""


class WinogradConv(nn.Conv2d, Rewritable):
    """A 3x3 convolution that keeps the size; rewritten, by `winograd`, at the price of twice its weight in memory."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True, border: Border = "zeros") -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=bias, padding_mode=border)
        self.border: Border = border
        self.register_buffer("taps", None, persistent=False)

    def rewrite(self) -> None:
        super().rewrite()
        self.taps = winograd_taps(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        if self.rewritten and winograd_suits(x):
            return winograd(x, self.taps, self.bias, border=self.border)
        return super().forward(x)


def winograd_suits(x: Tensor) -> bool:
    """Whether `winograd` takes `x` and pays: float32, rows in fours, and more work in the products than around them."""
    return suits(x) and x.dtype == torch.float32 and x.shape[2] % 4 == 0 and x.shape[2] * x.shape[3] >= 32 * 32


def winograd_taps(weight: Tensor) -> Tensor:
    """Turn a weight (out, in, 3, 3) into the six of `winograd`: (6, out, in, 1, 3), each with its channels innermost."""
    six = torch.einsum("tk,oikl->toil", torch.tensor(TAPS, dtype=torch.float64, device=weight.device), weight.double())
    return six.to(weight.dtype).transpose(2, 3).contiguous().transpose(2, 3).unsqueeze(3)


def winograd(x: Tensor, taps: Tensor, bias: Tensor | None, *, border: Border = "zeros") -> Tensor:
    """Convolve (n, in, h, w), float32, h a multiple of 4, with `winograd_taps`: (n, out, h, w)."""
    n, _, h, w = x.shape
    if border == "reflect":
        x = F.pad(x, (1, 1, 0, 0), mode="reflect")
    out = torch.empty((n, taps.shape[1], h, w), dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    rows = max(4, STRIP_BYTES // (x[:, :, :4].numel() * x.element_size()) * 4)
    for top in range(0, h, rows):
        _winograd_strip(x, top, min(top + rows, h), taps, bias, out)
    return out


def _winograd_strip(x: Tensor, top: int, end: int, taps: Tensor, bias: Tensor | None, out: Tensor) -> None:
    reflects = x.shape[3] > out.shape[3]

    def product(index: int, rows: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.conv2d(rows, taps[index], bias, padding=(0, 0 if reflects else 1))

    # Output rows 4i to 4i + 3 need input rows 4i - 1 (above) to 4i + 4 (below).
    d1, d2, d3, d4 = (x[:, :, top + i : end : 4] for i in range(4))
    above, below = x[:, :, max(top - 1, 3) : end - 1 : 4], x[:, :, top + 4 : end + 1 : 4]
    first = torch.sub(d4, d2, alpha=5)
    first[:, :, first.shape[2] - above.shape[2] :].add_(above, alpha=4)
    last = torch.mul(d1, 4).sub_(d3, alpha=5)
    last[:, :, : below.shape[2]].add_(below)
    if reflects and top == 0:
        first[:, :, 0].add_(x[:, :, 1], alpha=4)
    if reflects and end == x.shape[2]:
        last[:, :, -1].add_(x[:, :, -2])
    even, odd = torch.sub(d4, d2, alpha=4), torch.sub(d3, d1, alpha=4)
    # The second product enters all four rows with factor 1: the place for the bias.
    m0, m1, m2 = product(0, first), product(1, even + odd, bias), product(2, even.sub_(odd))
    even, odd = torch.sub(d4, d2), torch.sub(d3, d1)
    m3, m4, m5 = product(3, torch.add(even, odd, alpha=2)), product(4, even.sub_(odd, alpha=2)), product(5, last)

    near, near_odd = m1 + m2, m1.sub_(m2)
    far, far_odd = m3 + m4, m3.sub_(m4)
    torch.add(m0.add_(near), far, out=out[:, :, top:end:4])
    torch.add(near_odd, far_odd, alpha=2, out=out[:, :, top + 1 : end : 4])
    torch.add(near, far, alpha=4, out=out[:, :, top + 2 : end : 4])
    torch.add(near_odd.add_(m5), far_odd, alpha=8, out=out[:, :, top + 3 : end : 4])


class _DoublingConv(nn.Conv2d, Rewritable):
    """A 3x3 convolution of the input at twice its size; rewritten, at low resolution, from `spread` alone."""

    _enlarged: Callable[[Tensor], Tensor]
    _at_low_resolution: Callable[[Tensor], Tensor]

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True, border: Border = "zeros") -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=bias, padding_mode=border)
        self.register_buffer("spread", None, persistent=False)

    def rewrite(self) -> None:
        super().rewrite()
        self.spread = spread_taps(self.weight)
        del self.weight

    def forward(self, x: Tensor) -> Tensor:
        if self.rewritten and suits(x):
            return self._at_low_resolution(x)
        return self._conv_forward(self._enlarged(x), weight_of(self.spread) if self.rewritten else self.weight, self.bias)


class NearestConv(_DoublingConv):
    """Enlarges by repeating pixels."""

    def _enlarged(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2, mode="nearest")

    def _at_low_resolution(self, x: Tensor) -> Tensor:
        # Mirrored around its edge row, an enlarged picture goes on with that row once more: as if the small one repeated it.
        ones = self.spread.new_ones(2, 2)
        return _spread_then_sum(x, self.spread, ones, self.bias, repeats_edge=self.padding_mode == "reflect")


class BilinearConv(_DoublingConv):
    """Enlarges bilinearly."""

    def _enlarged(self, x: Tensor) -> Tensor:
        return doubled(x)

    def _at_low_resolution(self, x: Tensor) -> Tensor:
        return bilinear_then_conv(x, self.spread, self.bias)


def doubled(x: Tensor) -> Tensor:
    """Double height and width bilinearly, corners not aligned."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def spread_taps(weight: Tensor) -> Tensor:
    """Turn a weight (out, in, 3, 3) into that of the transposed convolution that spreads pixels apart: (in, out, 3, 3)."""
    return weight.detach().flip(2, 3).transpose(0, 1).contiguous(memory_format=torch.channels_last)


def weight_of(spread: Tensor) -> Tensor:
    """The weight (out, in, 3, 3) that `spread_taps` was given."""
    return spread.transpose(0, 1).flip(2, 3).contiguous(memory_format=torch.channels_last)


def bilinear_then_conv(x: Tensor, spread: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve `doubled(x)`, x (n, in, h, w), with zeros around it, by what `spread_taps` gives: (n, out, 2h, 2w)."""
    quarter = torch.tensor((0.25, 0.75, 0.75, 0.25), dtype=x.dtype, device=x.device)
    out = _spread_then_sum(x, spread, torch.outer(quarter, quarter), bias, repeats_edge=True)
    # So far the picture went on beyond its edge; with zeros there the outermost rows and columns lack one of three taps.
    # `spread` holds the weight turned by 180 degrees: turned edges go in, and what comes out is turned back.
    turned = spread.transpose(0, 1)
    first, last = doubled(x[:, :, :2])[:, :, :2].flip(2, 3), doubled(x[:, :, -2:])[:, :, -2:].flip(2, 3)
    out[:, :, :1] = F.conv2d(first, turned[:, :, :2], bias, padding=(0, 1)).flip(3)
    out[:, :, -1:] = F.conv2d(last, turned[:, :, 1:], bias, padding=(0, 1)).flip(3)
    first, last = doubled(x[..., :2])[..., :2].flip(2, 3), doubled(x[..., -2:])[..., -2:].flip(2, 3)
    out[..., :1] = F.conv2d(first, turned[..., :2], bias, padding=(1, 0)).flip(2)
    out[..., -1:] = F.conv2d(last, turned[..., 1:], bias, padding=(1, 0)).flip(2)
    return out


def spread_then_blur(x: Tensor, spread: Tensor, kernel: Tensor) -> Tensor:
    """Spread the pixels of `x` (n, in, h, w) apart by `spread` (in, out, 3, 3) and blur: (n, out, 2h, 2w), zeros around it.

    `kernel` (4, 4) is symmetrical. Source: the upsampling convolution of StyleGAN2's official code.
    """
    return _spread_then_sum(x, spread, kernel, None, repeats_edge=False)


def _spread_then_sum(x: Tensor, spread: Tensor, kernel: Tensor, bias: Tensor | None, *, repeats_edge: bool) -> Tensor:
    """Spread the pixels of `x` (n, in, h, w) apart by the convolution `spread`, and sum under `kernel`: (n, out, 2h, 2w).

    Beyond its edge the picture goes on with its last row and column where `repeats_edge`, else with zeros. Strip by strip: the
    spread-out picture is larger than the result, and whole it would be the largest thing that a network holds.
    """
    n, _, h, w = x.shape
    outputs, size = spread.shape[1], len(kernel)
    kernel = kernel.expand(outputs, 1, size, size)

    def strip(top: int, end: int) -> Tensor:
        # One row of input above and below reaches into the strip.
        above, below = min(top, 1), min(h - end, 1)
        part = x[:, :, top - above : end + below]
        if repeats_edge or size > 2:
            part = F.pad(part, (1, 1, 1 - above, 1 - below), mode="replicate" if repeats_edge else "constant")
            apart = F.conv_transpose2d(part, spread, stride=2, padding=3 - size // 2)
        else:
            apart = F.conv_transpose2d(part, spread, stride=2)[:, :, 2 * above : 2 * (above + end - top) + size - 1]
        return F.conv2d(apart, kernel, bias, groups=outputs)

    rows = max(1, SPREAD_BYTES // (4 * n * outputs * w * x.element_size()))
    if rows >= h:
        return strip(0, h)
    out = torch.empty((n, outputs, 2 * h, 2 * w), dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    for top in range(0, h, rows):
        end = min(top + rows, h)
        out[:, :, 2 * top : 2 * end] = strip(top, end)
    return out
