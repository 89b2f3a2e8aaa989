"""The convolutions with fewer multiplications against the ordinary ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from golden import fill_randomly

from gfpup.models.nets import convolution
from gfpup.models.nets.convolution import (
    BilinearConv,
    Border,
    NearestConv,
    WinogradConv,
    bilinear_then_conv,
    doubled,
    spread_taps,
    weight_of,
    winograd,
    winograd_suits,
    winograd_taps,
)
from gfpup.models.nets.rewrites import rewrite, suits


def noise(*shape: int, seed: int = 3) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("strip_bytes", [1, 3000, 10**9])
@pytest.mark.parametrize("border", ["zeros", "reflect"])
@torch.no_grad()
def test_winograd_is_the_convolution(border: Border, strip_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "STRIP_BYTES", strip_bytes)
    x, weight, bias = noise(2, 3, 20, 7), noise(5, 3, 3, 3, seed=4), noise(5, seed=5)
    padded = F.pad(x, (1, 1, 1, 1), mode="constant" if border == "zeros" else "reflect")
    kept = x.clone()
    torch.testing.assert_close(winograd(x, winograd_taps(weight), bias, border=border), F.conv2d(padded, weight, bias))
    assert torch.equal(x, kept)


@torch.no_grad()
def test_winograd_triples_rounding_at_most() -> None:
    x, weight = noise(1, 64, 64, 64).float(), (noise(64, 64, 3, 3, seed=4) / 24).float()
    exact = F.conv2d(x.double(), weight.double(), padding=1)
    error = (winograd(x, winograd_taps(weight), None) - exact).abs().max()
    assert error < 5e-6 * exact.abs().max()


@pytest.mark.parametrize(("shape", "takes"), [((32, 32), True), ((34, 40), False), ((8, 8), False)])
def test_winograd_takes_large_maps_with_rows_in_fours(shape: tuple[int, int], takes: bool) -> None:
    assert winograd_suits(torch.empty(1, 1, *shape)) is takes
    assert not winograd_suits(torch.empty(1, 1, *shape, dtype=torch.bfloat16))
    assert not winograd_suits(torch.empty(1, 1, *shape, device="meta"))


@pytest.mark.parametrize("strip_bytes", [1, 1500, 10**9])
@pytest.mark.parametrize("size", [(2, 2), (5, 4), (16, 3)])
@pytest.mark.parametrize(
    "conv", [NearestConv(4, 6), NearestConv(4, 6, bias=False, border="reflect"), BilinearConv(4, 6)], ids=lambda c: repr(c)[:24]
)
@torch.no_grad()
def test_upsampling_after_the_convolution_is_upsampling_before_it(
    conv: torch.nn.Conv2d, size: tuple[int, int], strip_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convolution, "SPREAD_BYTES", strip_bytes)
    conv = (
        type(conv)(4, 6)
        if isinstance(conv, BilinearConv)
        else type(conv)(4, 6, bias=conv.bias is not None, border=conv.padding_mode)
    )
    fill_randomly(conv, seed=8).double()
    x = noise(2, 4, *size)
    plain = conv(x)
    assert plain.shape == (2, 6, 2 * size[0], 2 * size[1])
    torch.testing.assert_close(rewrite(conv)(x), plain)


@torch.no_grad()
def test_bilinear_is_exact_to_the_corners() -> None:
    """Pixels whose sums lack taps beyond the edge: one row, one column, four corners."""
    x, weight = torch.ones(1, 1, 4, 4, dtype=torch.float64), torch.ones(1, 1, 3, 3, dtype=torch.float64)
    out = bilinear_then_conv(x, spread_taps(weight))
    assert out[0, 0, 0].tolist() == [4, 6, 6, 6, 6, 6, 6, 4] and out[0, 0, :, 7].tolist() == [4, 6, 6, 6, 6, 6, 6, 4]
    assert (out[..., 1:-1, 1:-1] - 9).abs().max() < 1e-12
    torch.testing.assert_close(out, F.conv2d(doubled(x), weight, padding=1))


@torch.no_grad()
def test_a_tracer_sees_the_ordinary_convolution() -> None:
    conv = rewrite(fill_randomly(WinogradConv(2, 2)))
    assert suits(torch.empty(1))
    graph = torch.jit.trace(conv, torch.empty(1, 2, 32, 32), check_trace=False).inlined_graph
    assert str(graph).count("aten::_convolution") == 1


@pytest.mark.parametrize("make", [lambda: NearestConv(3, 5, border="reflect"), lambda: BilinearConv(3, 5)])
@torch.no_grad()
def test_a_tracer_sees_the_weight_itself(make: Callable[[], torch.nn.Conv2d]) -> None:
    """The rewritten form holds its weight turned; elsewhere than in eager mode on a CPU it is turned back, to the bit."""
    plain, conv, x = fill_randomly(make(), seed=5), rewrite(fill_randomly(make(), seed=5)), noise(2, 3, 8, 6).float()
    assert "weight" not in dict(conv.named_parameters())
    assert torch.equal(weight_of(conv.spread), plain.weight)
    traced = torch.jit.trace(conv, x, check_trace=False)
    assert str(traced.inlined_graph).count("aten::_convolution") == 1
    torch.testing.assert_close(traced(x), plain(x))


@torch.no_grad()
def test_low_precision_takes_the_ordinary_convolution() -> None:
    conv = rewrite(fill_randomly(WinogradConv(8, 8)).to(torch.bfloat16))
    x = noise(1, 8, 32, 32).to(torch.bfloat16)
    assert torch.equal(conv(x), F.conv2d(x, conv.weight, conv.bias, padding=1))
