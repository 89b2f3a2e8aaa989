"""GFPGAN against the official output, and its layers against slower ways to compute the same."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from golden import Golden, difference, fill_randomly

from gfpup.models.nets.gfpgan import GFPGAN
from gfpup.models.nets.rewrites import rewrite
from gfpup.models.nets.stylegan2 import ConstantInput, ModulatedConv, StyleConv, ToRGB, channels_at, noise_sizes, seeded_noise

PLAIN_TOLERANCE = 2e-5


def small(*, seed: int = 0, plain: bool = False, out_size: int = 32) -> GFPGAN:
    """All parts at 32 pixels and a sixteenth of the channels, randomly filled, in float64."""
    network = GFPGAN(out_size=out_size, narrow=1 / 16, style_features=24, mlp_layers=2)
    fill_randomly(network, seed=seed).double()
    return network if plain else rewrite(network)


def faces(count: int, *, seed: int = 5, size: int = 32) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


@torch.inference_mode()
def test_meets_the_official_output(shared: Path) -> None:
    """As published; test_gfpgan_backend.py holds the rewritten form to the same output."""
    golden = Golden.load(shared, "gfpgan")
    with torch.device("meta"):
        network = GFPGAN()
    golden.load_into(network)
    golden.check_output(network(golden.rgb()), PLAIN_TOLERANCE)


@pytest.mark.parametrize("demodulate", [False, True])
@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("plain", [False, True])
@torch.no_grad()
def test_modulated_convolution_is_one_convolution_a_sample(demodulate: bool, double: bool, plain: bool) -> None:
    conv = ModulatedConv(6, 5, 3, 7, demodulate=demodulate, double=double, size=64)
    fill_randomly(conv, seed=3).double()
    given = conv.weight[0].clone()
    if not plain:
        rewrite(conv)
    generator = torch.Generator().manual_seed(11)
    x = torch.randn(3, 6, 8, 8, generator=generator, dtype=torch.float64)
    styles = torch.randn(3, 7, generator=generator, dtype=torch.float64)
    out = conv(x, styles, gain=1.5)
    for row in range(3):
        scale = conv.modulation.weight @ styles[row] + conv.modulation.bias
        weight = given.clone()
        for channel in range(6):
            weight[:, channel] *= scale[channel]
        if demodulate:
            for channel in range(5):
                weight[channel] /= math.sqrt(float((weight[channel] ** 2).sum()) + 1e-8)
        source = x[row : row + 1]
        if double:
            source = F.interpolate(source, size=(16, 16), mode="bilinear", align_corners=False)
        torch.testing.assert_close(out[row : row + 1], 1.5 * F.conv2d(source, weight, padding=1), rtol=1e-10, atol=1e-10)


@torch.no_grad()
def test_style_convolution_adds_noise_and_bias_after_the_gain() -> None:
    layer = StyleConv(4, 6, 5)
    fill_randomly(layer, seed=2).double()
    x, style = torch.randn(2, 4, 8, 8, dtype=torch.float64), torch.randn(2, 5, dtype=torch.float64)
    noise = torch.randn(1, 1, 8, 8, dtype=torch.float64)
    bare = layer.modulated_conv(x, style)
    expected = F.leaky_relu(bare * math.sqrt(2) + layer.weight * noise + layer.bias, 0.2)
    torch.testing.assert_close(layer(x, style, noise), expected)


@torch.no_grad()
def test_to_rgb_adds_to_the_upsampled_picture() -> None:
    layer = ToRGB(4, 5)
    fill_randomly(layer, seed=4).double()
    x, style = torch.randn(2, 4, 8, 8, dtype=torch.float64), torch.randn(2, 5, dtype=torch.float64)
    flat = torch.full((2, 3, 4, 4), 0.25, dtype=torch.float64)
    torch.testing.assert_close(layer(x, style, flat), layer(x, style) + 0.25)


def test_constant_input_is_the_same_for_every_sample() -> None:
    constant = fill_randomly(ConstantInput(3))(4)
    assert constant.shape == (4, 3, 4, 4)
    assert torch.equal(constant[0], constant[3])


def test_channels_follow_the_published_table() -> None:
    sizes = [4, 8, 16, 32, 64, 128, 256, 512]
    assert [channels_at(size) for size in sizes] == [512, 512, 512, 512, 512, 256, 128, 64]
    assert [channels_at(size, narrow=0.5) for size in sizes] == [256, 256, 256, 256, 256, 128, 64, 32]


def test_the_whole_network_stays_on_its_device() -> None:
    """On the meta device any tensor made elsewhere raises; the counts are those of the official checkpoint."""
    with torch.device("meta"):
        network = GFPGAN()
    assert all(tensor.is_meta for tensor in network.state_dict().values())
    assert len(network.state_dict()) == 285
    assert sum(parameter.numel() for parameter in network.parameters()) == 86_444_252
    for noise in (None, seeded_noise(1)):
        out = network(torch.empty(2, 3, 512, 512, device="meta"), noise)
        assert out.is_meta and out.shape == (2, 3, 512, 512)


@torch.no_grad()
def test_the_fast_form_equals_the_plain_form() -> None:
    for seed, size in ((1, 32), (2, 64)):
        x = faces(2, size=size)
        fast, plain = small(seed=seed, out_size=size), small(seed=seed, plain=True, out_size=size)
        assert difference(fast(x), plain(x)) < 1e-12


@torch.no_grad()
def test_row_i_depends_on_face_i_alone() -> None:
    network, x = small(), faces(3)
    together = network(x)
    for row in range(3):
        assert difference(together[row : row + 1], network(x[row : row + 1])) < 1e-12
    other = x.clone()
    other[1] = faces(1, seed=9)[0]
    changed = network(other)
    assert torch.equal(changed[[0, 2]], together[[0, 2]])
    assert not torch.equal(changed[1], together[1])


@torch.no_grad()
def test_noise_is_stored_and_no_call_draws_any() -> None:
    network, x = small(), faces(1)
    before = torch.get_rng_state()
    first = network(x)
    assert torch.equal(first, network(x))
    assert torch.equal(before, torch.get_rng_state())
    stored = [getattr(network.stylegan_decoder.noises, f"noise{i}") for i in range(len(noise_sizes(32)))]
    assert torch.equal(first, network(x, stored))
    assert difference(network(x, seeded_noise(1, out_size=32)), first) > 1e-3


@torch.no_grad()
def test_every_noise_map_reaches_the_picture() -> None:
    network, x = small(), faces(1)
    reference = network(x)
    for index, size in enumerate(noise_sizes(32)):
        maps = [getattr(network.stylegan_decoder.noises, f"noise{i}") for i in range(len(noise_sizes(32)))]
        maps[index] = torch.zeros(1, 1, size, size)
        assert not torch.equal(network(x, maps), reference), index


def test_seeded_noise_depends_on_its_seed_alone() -> None:
    first = seeded_noise(7)
    torch.manual_seed(123)
    torch.randn(5)
    again = seeded_noise(7)
    assert [tuple(each.shape) for each in first] == [(1, 1, size, size) for size in noise_sizes(512)]
    assert noise_sizes(512) == [4, 8, 8, 16, 16, 32, 32, 64, 64, 128, 128, 256, 256, 512, 512]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, seeded_noise(8), strict=True))
    assert abs(float(first[-1].std()) - 1.0) < 0.01


@torch.no_grad()
def test_training_parts_do_not_touch_the_output() -> None:
    network, x = small(), faces(1)
    before = network(x)
    for part in (network.toRGB, network.stylegan_decoder.style_mlp):
        for parameter in part.parameters():
            parameter.fill_(float("nan"))
    assert torch.equal(network(x), before)


@torch.no_grad()
def test_the_input_is_left_alone_and_layout_and_precision_are_followed() -> None:
    network, x = small().float(), faces(2).float()
    kept = x.clone()
    reference = network(x)
    assert torch.equal(x, kept)
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    assert difference(network(x.contiguous(memory_format=torch.channels_last)), reference) < 1e-4
    low = network.to(torch.bfloat16)(x.to(torch.bfloat16))
    assert low.dtype == torch.float32
    assert difference(low, reference) < 0.05
