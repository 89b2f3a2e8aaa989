"""GPEN against the official output, and against the same network written out plainly, with other weights and pictures."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from golden import Golden, difference, fill_randomly

from gfpup.models.nets.gpen import GPEN, EqualLinear, EqualModulatedConv, Kernel
from gfpup.models.nets.rewrites import rewrite
from gfpup.models.networks import NETWORKS

PLAIN_TOLERANCE, REORDERED_TOLERANCE = 2e-5, 1e-4
State = dict[str, torch.Tensor]


def small(*, seed: int = 0, plain: bool = False, size: int = 32) -> GPEN:
    """All parts at 32 pixels and a sixteenth of the channels, randomly filled, in float64."""
    network = GPEN(size, narrow=1 / 16, style_features=24, mlp_layers=2)
    kernels = {name: each.double() for name, each in network.state_dict().items() if name.endswith(".kernel")}
    state = fill_randomly(network, seed=seed).double().state_dict()
    # Random weights of unit variance, which is what equalised learning rates expect.
    for name, each in state.items():
        if name.endswith("weight") and each.ndim > 1:
            each.mul_(each[0].numel() ** 0.5)
    network.load_state_dict(state | kernels)
    network.requires_grad_(False)
    return network if plain else rewrite(network)


def faces(count: int, *, seed: int = 5, size: int = 32) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


@torch.inference_mode()
def test_meets_the_official_output(shared: Path) -> None:
    """As published; test_gpen_backend.py holds the rewritten form to the same output."""
    golden = Golden.load(shared, "gpen512")
    with torch.device("meta"):
        network = GPEN()
    golden.check_output(golden.load_into(network)(golden.rgb()), PLAIN_TOLERANCE)


@pytest.mark.slow
@torch.inference_mode()
def test_the_larger_one_meets_the_official_output_plain_and_rewritten(shared: Path) -> None:
    golden, row = Golden.load(shared, "gpen1024"), NETWORKS["gpen-1024"]
    with torch.device("meta"):
        network = row.make()
    golden.load_into(network).requires_grad_(False)
    x = row.feed(golden.rgb8)
    golden.check_output(network(x), PLAIN_TOLERANCE)
    golden.check_output(rewrite(network)(x.contiguous(memory_format=torch.channels_last)), REORDERED_TOLERANCE)


def test_the_larger_one_has_the_official_entries(shared: Path) -> None:
    golden = Golden.load(shared, "gpen1024")
    with torch.device("meta"):
        network = GPEN(1024)
        golden.check_keys(network)
        assert network(torch.empty(2, 3, 1024, 1024, device="meta")).shape == (2, 3, 1024, 1024)


@pytest.mark.parametrize(("seed", "size"), [(1, 32), (2, 64), (3, 128)])
@torch.no_grad()
def test_both_forms_equal_the_network_written_out(seed: int, size: int) -> None:
    x, plain = faces(2, seed=seed, size=size), small(seed=seed, plain=True, size=size)
    expected = torch.cat([written_out(plain.state_dict(), face[None]) for face in x])
    assert expected.std() > 0.01
    assert difference(plain(x), expected) < 1e-11
    assert difference(small(seed=seed, size=size)(x), expected) < 1e-11
    assert difference(rewrite(plain)(x.contiguous(memory_format=torch.channels_last)), expected) < 1e-11


def written_out(state: State, x: torch.Tensor) -> torch.Tensor:
    """One face through the network by its definition, layer by layer, with zeros put between pixels where it enlarges."""
    levels = 1 + max(int(name[3]) for name in state if name.startswith("ecd"))
    features = [activated(F.conv2d(x, unit(state["ecd0.0.0.weight"])), state["ecd0.0.1.bias"])]
    for level in range(1, levels):
        name = f"ecd{level}.0"
        soft = blurred(F.pad(features[-1], (2, 2, 2, 2)), state[f"{name}.0.kernel"])
        features.append(activated(F.conv2d(soft, unit(state[f"{name}.1.weight"]), stride=2), state[f"{name}.2.bias"]))
    flat = features[-1].flatten(1)
    style = activated(flat @ unit(state["final_linear.0.weight"]).T, state["final_linear.0.bias"])
    style = style / (style.square().mean() + 1e-8).sqrt()
    for layer in range(1, 1 + sum(name.startswith("generator.style.") for name in state) // 2):
        weight, bias = state[f"generator.style.{layer}.weight"], state[f"generator.style.{layer}.bias"]
        style = activated(style @ (unit(weight) * 0.01).T, bias * 0.01)
    out = styled(state, "generator.conv1", state["generator.input.input"], style, features[-1])
    picture = modulated(state, "generator.to_rgb1.conv", out, style, demodulate=False) + state["generator.to_rgb1.bias"]
    for level, encoded in enumerate(reversed(features[:-1])):
        out = styled(state, f"generator.convs.{2 * level}", out, style, encoded)
        out = styled(state, f"generator.convs.{2 * level + 1}", out, style, encoded)
        name = f"generator.to_rgbs.{level}"
        enlarged = blurred(F.pad(apart(picture), (2, 1, 2, 1)), state[f"{name}.upsample.kernel"])
        picture = enlarged + modulated(state, f"{name}.conv", out, style, demodulate=False) + state[f"{name}.bias"]
    return picture


def styled(state: State, name: str, x: torch.Tensor, style: torch.Tensor, encoded: torch.Tensor) -> torch.Tensor:
    both = torch.cat([modulated(state, f"{name}.conv", x, style), state[f"{name}.noise.weight"] * encoded], 1)
    return activated(both, state[f"{name}.activate.bias"])


def modulated(state: State, name: str, x: torch.Tensor, style: torch.Tensor, *, demodulate: bool = True) -> torch.Tensor:
    weight = state[f"{name}.weight"][0]
    weight = weight / math.sqrt(weight[0].numel())
    scale = style @ unit(state[f"{name}.modulation.weight"]).T + state[f"{name}.modulation.bias"]
    weight = weight * scale[0][None, :, None, None]
    if demodulate:
        weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
    if f"{name}.blur.kernel" not in state:
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2)
    # A transposed convolution is a convolution of the pixels set apart with the weight turned by 180 degrees.
    spread = F.conv2d(F.pad(apart(x), (2, 1, 2, 1)), weight.flip(2, 3))
    return blurred(F.pad(spread, (1, 1, 1, 1)), state[f"{name}.blur.kernel"])


def apart(x: torch.Tensor) -> torch.Tensor:
    """Zeros after each pixel and each row."""
    n, c, h, w = x.shape
    out = x.new_zeros(n, c, 2 * h, 2 * w)
    out[..., ::2, ::2] = x
    return out


def blurred(x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    n, c, h, w = x.shape
    return F.conv2d(x.reshape(n * c, 1, h, w), kernel.flip(0, 1)[None, None]).view(n, c, h - 3, w - 3)


def activated(x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    x = x + bias.view(1, -1, *[1] * (x.ndim - 2))
    return torch.where(x > 0, x, 0.2 * x) * math.sqrt(2)


def unit(weight: torch.Tensor) -> torch.Tensor:
    return weight / math.sqrt(weight[0].numel())


@torch.no_grad()
def test_row_i_depends_on_face_i_alone() -> None:
    network, x = small(), faces(3)
    together = network(x)
    for row in range(3):
        assert difference(together[row : row + 1], network(x[row : row + 1])) < 1e-12


@torch.no_grad()
def test_the_input_is_left_alone_and_precision_is_followed() -> None:
    network, x = small().float(), faces(2).float()
    kept = x.clone()
    reference = network(x)
    assert torch.equal(x, kept) and torch.equal(network(x), reference)
    low = network.to(torch.bfloat16)(x.to(torch.bfloat16))
    assert low.dtype == torch.float32 and 0 < difference(low, reference) < 0.1


@torch.no_grad()
def test_strips_of_an_enlarging_convolution_meet_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = EqualModulatedConv(4, 6, 3, 5, double=True)
    fill_randomly(layer, seed=4).double()
    x, style = torch.randn(2, 4, 12, 8, dtype=torch.float64), torch.randn(2, 5, dtype=torch.float64)
    expected = layer.requires_grad_(False)(x, style)
    rewrite(layer)
    for strip_bytes in (1, 10_000, 2**30):
        monkeypatch.setattr("gfpup.models.nets.convolution.SPREAD_BYTES", strip_bytes)
        assert difference(layer(x, style), expected) < 1e-12


def test_a_flat_picture_stays_flat_inside_when_it_is_enlarged_and_blurred() -> None:
    flat = torch.full((1, 3, 8, 8), 0.5)
    torch.testing.assert_close(Kernel(gain=4.0).doubled(flat)[..., 1:-1, 1:-1], torch.full((1, 3, 14, 14), 0.5))
    torch.testing.assert_close(Kernel()(flat)[..., 2:-2, 2:-2], torch.full((1, 3, 5, 5), 0.5))


@torch.no_grad()
def test_the_mapping_network_multiplies_weight_and_bias_by_its_rate() -> None:
    slow, usual = EqualLinear(6, 4, activated=True, rate=0.01), EqualLinear(6, 4, activated=True)
    fill_randomly(slow, seed=1).requires_grad_(False)
    usual.load_state_dict(slow.state_dict())
    x = torch.randn(3, 6)
    torch.testing.assert_close(slow(x), usual(x) * 0.01)
