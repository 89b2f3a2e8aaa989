"""RRDBNet against the official output, at any size, whole and in tiles."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from golden import Golden, fill_randomly

from gfpup.models.nets.rrdbnet import RRDBNet, pad_to_multiple
from gfpup.ops.tiles import run_tiled

PLAIN_TOLERANCE = 2e-5


def picture(*shape: int, seed: int = 3) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def small(scale: int, *, seed: int = 1, blocks: int = 1) -> RRDBNet:
    with torch.device("meta"):
        network = RRDBNet(scale=scale, blocks=blocks)
    fill_randomly(network, seed=seed)
    return network


@torch.inference_mode()
def test_meets_the_official_output(shared: Path) -> None:
    golden = Golden.load(shared, "rrdbnet_x2")
    with torch.device("meta"):
        network = RRDBNet(scale=2)
    golden.load_into(network)
    golden.check_output(network(golden.rgb(low=0.0)[:, :, :128, :128]), PLAIN_TOLERANCE)


@pytest.mark.slow
@torch.inference_mode()
def test_tiles_equal_the_whole_to_60_db(shared: Path) -> None:
    golden = Golden.load(shared, "rrdbnet_x2")
    with torch.device("meta"):
        network = RRDBNet(scale=2)
    golden.load_into(network)
    photo = golden.rgb(low=0.0)[:, :, 100:301, 90:299]
    whole = network(photo)
    tiled = run_tiled(network, photo, scale=2, tile_px=128, overlap_px=32)
    assert 10 * torch.log10(1 / (tiled - whole).square().mean()) > 60


@pytest.mark.parametrize(("scale", "count"), [(2, 16_703_171), (4, 16_697_987)])
def test_builds_on_the_meta_device_with_the_official_count(scale: int, count: int) -> None:
    with torch.device("meta"):
        network = RRDBNet(scale=scale)
        out = network(torch.empty(1, 3, 31, 18))
    assert out.shape == (1, 3, 31 * scale, 18 * scale)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("size_hw", [(1, 1), (1, 6), (7, 2), (9, 13), (8, 8)])
@torch.inference_mode()
def test_takes_any_size(scale: int, size_hw: tuple[int, int]) -> None:
    out = small(scale)(picture(2, 3, *size_hw))
    assert out.shape == (2, 3, size_hw[0] * scale, size_hw[1] * scale)
    assert out.isfinite().all()


@torch.inference_mode()
def test_an_odd_size_is_mirrored_and_cut() -> None:
    network = small(2)
    odd = picture(1, 3, 9, 7)
    mirrored = torch.cat([odd, odd[:, :, 7:8]], dim=2)
    mirrored = torch.cat([mirrored, mirrored[:, :, :, 5:6]], dim=3)
    assert torch.equal(network(odd), network(mirrored)[:, :, :18, :14])


def test_padding_leaves_what_fits_and_repeats_what_is_too_short() -> None:
    even = picture(1, 3, 4, 6)
    assert pad_to_multiple(even, multiple=2) is even
    assert torch.equal(pad_to_multiple(even[:, :, :1, :1], multiple=2), even[:, :, :1, :1].expand(1, 3, 2, 2))
    assert pad_to_multiple(picture(1, 3, 5, 3), multiple=4).shape == (1, 3, 8, 4)


@torch.inference_mode()
def test_each_row_depends_on_its_own_picture() -> None:
    network = small(2).double()
    pair = picture(2, 3, 10, 12).double()
    torch.testing.assert_close(network(pair)[1:], network(pair[1:]), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("scale", [2, 4])
@torch.inference_mode()
def test_small_network_in_tiles_equals_the_whole_to_60_db(scale: int) -> None:
    """Odd sizes too: tiles keep to the grid that the whole picture is unshuffled on."""
    network = small(scale, seed=9)
    photo = picture(1, 3, 75, 61)
    whole = network(photo)
    tiled = run_tiled(network, photo, scale=scale, tile_px=48, overlap_px=20)
    error = (tiled - whole).square().mean() / whole.var()
    assert 10 * torch.log10(1 / error) > 60


def test_another_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="not 3"):
        RRDBNet(scale=3)
