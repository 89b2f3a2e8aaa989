"""PMRF against the official outputs, and its parts against independent arithmetic."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from golden import Golden, difference, fill_randomly

from gfpup.models.nets import pmrf, swinir
from gfpup.models.nets.neighbourhood import neighbourhood_attention
from gfpup.models.nets.pmrf import NOISE_SCALE, PMRF
from gfpup.models.nets.rewrites import rewrite

PLAIN_TOLERANCE, REORDERED_TOLERANCE = 1e-4, 5e-4
"""Of the parity folder's README, second column."""


def small(*, seed: int = 5) -> PMRF:
    """All parts, a level with local attention and one with global, and a group of SwinIR, randomly filled."""
    return fill_randomly(PMRF(widths=(64, 128), depths=(2, 1), groups=1), seed=seed)  # type: ignore[return-value]


def face(*, side: int = 64, count: int = 1) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(8))


def drawn(*shape: int, seed: int = 2) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.slow
@pytest.mark.timeout(900)
@torch.inference_mode()
def test_meets_the_official_outputs(shared: Path) -> None:
    golden = Golden.load(shared, "pmrf")
    with torch.device("meta"):
        network = PMRF()
    golden.load_into(network)
    noise = torch.from_numpy(golden.fill("noises.0", (1, 3, 512, 512), salt=golden.facts["salt"]))
    estimate = network.estimate(golden.rgb(low=0.0))
    golden.check_output(estimate, PLAIN_TOLERANCE, key="mmse")
    source = estimate.clamp(0, 1) + NOISE_SCALE * noise
    golden.check_output(network.velocity(source, 0.4), PLAIN_TOLERANCE, key="velocity_t0.4")
    golden.check_output(network.follow(source, steps=3), PLAIN_TOLERANCE, key="output_3_steps")


def test_builds_on_the_meta_device_with_the_official_keys(shared: Path) -> None:
    with torch.device("meta"):
        network = PMRF()
    Golden.load(shared, "pmrf").check_keys(network)
    assert sum(parameter.numel() for parameter in network.parameters()) == 160_460_210 + 15_792_587


def test_what_no_file_fills_is_as_officially(shared: Path) -> None:
    golden = Golden.load(shared, "pmrf")
    for heads, name in ((4, "down_levels.0.0"), (8, "down_levels.1.0"), (16, "mid_level.0")):
        kept = torch.from_numpy(golden.arrays[f"kept:model.{name}.self_attn.pos_emb.freqs"])
        torch.testing.assert_close(pmrf.Rotary(heads).freqs, kept, rtol=1e-6, atol=0)


def by_definition(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, window: int) -> torch.Tensor:
    """Each query's window is shifted to lie inside, place by place."""
    out = torch.empty_like(q)
    height, width = q.shape[2:4]
    for y in range(height):
        for x in range(width):
            top, left = min(max(y - window // 2, 0), height - window), min(max(x - window // 2, 0), width - window)
            square = (slice(None), slice(None), slice(top, top + window), slice(left, left + window))
            keys, values = k[square].flatten(2, 3), v[square].flatten(2, 3)
            scores = torch.einsum("nhd,nhkd->nhk", q[:, :, y, x], keys).softmax(-1)
            out[:, :, y, x] = torch.einsum("nhk,nhkd->nhd", scores, values)
    return out


@pytest.mark.parametrize(("height", "width"), [(7, 7), (8, 16), (24, 32), (10, 9), (16, 12)])
def test_neighbourhood_attention_is_its_definition(height: int, width: int) -> None:
    q, k, v = (drawn(2, 3, height, width, 8, seed=seed) for seed in range(3))
    torch.testing.assert_close(neighbourhood_attention(q, k, v, window=7), by_definition(q, k, v, 7))


def test_a_window_as_large_as_the_picture_is_global_attention() -> None:
    q, k, v = (drawn(1, 2, 7, 7, 4, seed=seed) for seed in range(3))
    flat = (each.flatten(2, 3) for each in (q, k, v))
    expected = torch.nn.functional.scaled_dot_product_attention(*flat, scale=1.0).unflatten(2, (7, 7))
    torch.testing.assert_close(neighbourhood_attention(q, k, v, window=7), expected)


def test_fewer_places_than_a_window_are_refused() -> None:
    q = drawn(1, 1, 6, 8, 4)
    with pytest.raises(ValueError, match="6 x 8"):
        neighbourhood_attention(q, q, q, window=7)


def test_windows_and_patches_have_inverses() -> None:
    x = drawn(2, 16, 24, 5)
    assert torch.equal(swinir.from_windows(swinir.to_windows(x), 16, 24), x)
    assert torch.equal(pmrf.unmerged(pmrf.merged(x, 4), 4), x)


def test_only_places_that_a_shift_brought_together_are_masked() -> None:
    mask = swinir.shifted_mask(16, 16)
    assert mask.shape == (4, 64, 64) and not mask[0].any()
    assert (mask[3].unique() == torch.tensor([-100.0, 0.0])).all() and torch.equal(mask[3], mask[3].T)
    assert (mask[1] == 0).float().mean() == 0.5 and (mask[3] == 0).float().mean() == 0.25


def test_relative_positions_count_from_the_upper_left() -> None:
    index = swinir.relative_positions()
    assert index.min() == 0 and index.max() == 224 and (index.diagonal() == 112).all()


@torch.inference_mode()
def test_the_flow_is_eulers_method() -> None:
    network, start = small(), face()
    half = start + 0.5 * network.velocity(start, 0.0)
    torch.testing.assert_close(network.follow(start, steps=2), half + 0.5 * network.velocity(half, 0.5))
    assert torch.equal(network.follow(start, steps=0), start)


@torch.inference_mode()
def test_without_steps_it_is_the_estimate_within_the_range() -> None:
    network, x = small(), face()
    assert torch.equal(network(x, steps=0), network.estimate(x).clamp(0, 1))


@torch.inference_mode()
def test_the_rewritten_network_differs_by_rounding_and_rows_by_themselves() -> None:
    x, noise = face(count=2), drawn(2, 3, 64, 64).float()
    together = small()(x, noise, steps=2)
    rewritten = rewrite(small())
    for row in range(2):
        alone = rewritten(x[row : row + 1].contiguous(memory_format=torch.channels_last), noise[row : row + 1], steps=2)
        assert difference(alone, together[row : row + 1]) < REORDERED_TOLERANCE
