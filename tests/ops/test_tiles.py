"""Tiles: every pixel once, no seam, whatever the size."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gfpup.core.errors import GfpupError
from gfpup.ops.tiles import Tile, iterate_bands, plan_tiles, run_tiled, run_tiled_pixels

SIZES = [(1, 1), (1, 300), (5, 7), (32, 32), (33, 32), (64, 65), (100, 37), (129, 250)]
GRIDS = [(32, 0), (32, 8), (32, 16), (37, 9), (64, 24)]


def random_picture(*shape: int, seed: int = 3) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def enlarge(x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


@pytest.mark.parametrize("size_hw", SIZES)
@pytest.mark.parametrize(("tile_px", "overlap_px"), GRIDS)
def test_a_plan_covers_the_picture_and_nothing_else(size_hw: tuple[int, int], tile_px: int, overlap_px: int) -> None:
    covered = np.zeros(size_hw, int)
    for tile in plan_tiles(size_hw, tile_px=tile_px, overlap_px=overlap_px):
        assert 0 < tile.height <= tile_px and 0 < tile.width <= tile_px
        assert tile.top >= 0 and tile.top + tile.height <= size_hw[0]
        assert tile.left >= 0 and tile.left + tile.width <= size_hw[1]
        assert tile.top % 4 == 0 and tile.left % 4 == 0
        covered[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] += 1
    assert covered.min() >= 1


@pytest.mark.parametrize("width", [65, 100, 101, 127, 128, 300])
def test_neighbours_share_at_least_the_overlap(width: int) -> None:
    tiles = plan_tiles((20, width), tile_px=64, overlap_px=13)
    assert all(a.left + a.width - b.left >= 13 for a, b in pairwise(tiles))
    assert tiles[-1].left + tiles[-1].width == width


def test_a_picture_within_one_tile_is_one_tile() -> None:
    assert plan_tiles((30, 20), tile_px=32, overlap_px=8) == [Tile(0, 0, 30, 20)]
    assert plan_tiles((3000, 2000), tile_px=0, overlap_px=8) == [Tile(0, 0, 3000, 2000)]


@pytest.mark.parametrize("size_hw", SIZES)
@pytest.mark.parametrize(("tile_px", "overlap_px"), GRIDS)
def test_identity_gives_the_same_bits(size_hw: tuple[int, int], tile_px: int, overlap_px: int) -> None:
    image = random_picture(1, 3, *size_hw)
    assert torch.equal(run_tiled(lambda x: x, image, scale=1, tile_px=tile_px, overlap_px=overlap_px), image)
    assert torch.equal(run_tiled(enlarge, image, scale=2, tile_px=tile_px, overlap_px=overlap_px), enlarge(image))


@pytest.mark.parametrize("size_hw", [(100, 37), (70, 129)])
def test_weights_sum_to_one(size_hw: tuple[int, int]) -> None:
    """Each tile alone painted white, all others black: the pictures of all tiles add up to white."""
    grid = {"tile_px": 32, "overlap_px": 12}
    count = len(plan_tiles(size_hw, **grid))
    total = torch.zeros(1, 1, *size_hw, dtype=torch.float64)
    for white in range(count):
        calls = iter(range(count))
        shape = torch.zeros(1, 1, *size_hw, dtype=torch.float64)
        part = run_tiled(lambda x, calls=calls, white=white: torch.full_like(x, next(calls) == white), shape, scale=1, **grid)
        assert part.min() >= 0 and part.max() == 1
        total += part
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-12)


def test_tiles_that_disagree_meet_in_a_smooth_slope() -> None:
    calls = iter(range(100))
    out = run_tiled(
        lambda x: torch.full_like(x, float(next(calls) % 2)), torch.zeros(1, 1, 8, 104), scale=1, tile_px=40, overlap_px=16
    )[0, 0, 0]
    assert out[0] == 0 and out.max() == 1
    # The outer quarters of an overlap belong to one tile alone; across the middle 8 pixels the step is 1/8.
    assert out.diff().abs().max() == pytest.approx(1 / 8)
    assert out[24:28].eq(0).all() and out[36:40].eq(1).all()


@pytest.mark.parametrize("size_hw", [(90, 75), (64, 200)])
def test_context_within_a_quarter_of_the_overlap_is_exact(size_hw: tuple[int, int]) -> None:
    """A filter of radius 4 sees beyond the tile only in pixels that are thrown away: no difference, seam or not."""
    image = random_picture(1, 1, *size_hw).double()
    kernel = random_picture(1, 1, 9, 9, seed=5).double()
    calls = []

    def smooth(x: torch.Tensor) -> torch.Tensor:
        calls.append(tuple(x.shape[2:]))
        return F.conv2d(x, kernel, padding=4)

    tiled = run_tiled(smooth, image, scale=1, tile_px=48, overlap_px=16)
    assert len(calls) > 2 and max(max(call) for call in calls) <= 48
    torch.testing.assert_close(tiled, smooth(image), rtol=1e-12, atol=1e-12)


def test_bands_come_one_by_one_and_in_order() -> None:
    image = random_picture(1, 3, 150, 70)
    calls = []

    def fn(x: torch.Tensor) -> torch.Tensor:
        calls.append(x.shape)
        return enlarge(x)

    columns = len({tile.left for tile in plan_tiles((150, 70), tile_px=32, overlap_px=8)})
    next_row = 0
    bands = iterate_bands(fn, lambda tile: tile.of(image), (150, 70), scale=2, tile_px=32, overlap_px=8)
    for index, (top, band) in enumerate(bands):
        assert len(calls) == (index + 1) * columns, "a band needs one row of tiles, no more"
        assert top == next_row and band.shape[2] <= 64 and band.shape[3] == 140
        assert torch.equal(band, enlarge(image)[:, :, top : top + band.shape[2]])
        next_row = top + band.shape[2]
    assert next_row == 300


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size_hw", [(1, 1), (70, 45), (33, 129)])
def test_whole_numbers_go_through_unchanged(dtype: type[np.uint8 | np.uint16], size_hw: tuple[int, int]) -> None:
    pixels = np.random.default_rng(6).integers(0, np.iinfo(dtype).max + 1, (*size_hw, 3)).astype(dtype)
    before = pixels.copy()
    out = run_tiled_pixels(lambda x: x, pixels, scale=1, tile_px=32, overlap_px=8)
    assert out.dtype == dtype and np.array_equal(out, pixels)
    double = run_tiled_pixels(enlarge, pixels, scale=2, tile_px=32, overlap_px=8)
    assert np.array_equal(double, pixels.repeat(2, axis=0).repeat(2, axis=1))
    assert np.array_equal(pixels, before)


def test_values_outside_the_range_are_clipped_and_the_rest_rounded() -> None:
    pixels = np.full((40, 40, 3), 100, np.uint8)
    assert (run_tiled_pixels(lambda x: x - 1, pixels, scale=1, tile_px=32, overlap_px=8) == 0).all()
    assert (run_tiled_pixels(lambda x: x + 1, pixels, scale=1, tile_px=32, overlap_px=8) == 255).all()
    assert (run_tiled_pixels(lambda x: x + 0.6 / 255, pixels, scale=1, tile_px=32, overlap_px=8) == 101).all()


def test_fn_sees_floats_between_0_and_1() -> None:
    pixels = np.array([[[0, 128, 255]]], np.uint8)
    seen = []
    run_tiled_pixels(lambda x: seen.append(x) or x, pixels, scale=1, tile_px=0, overlap_px=0)
    torch.testing.assert_close(seen[0], torch.tensor([0.0, 128 / 255, 1.0]).reshape(1, 3, 1, 1))


@pytest.mark.parametrize(
    ("tile_px", "overlap_px", "words"),
    [(31, 16, "at least 32"), (2, 0, "at least 4"), (-1, 0, "not possible"), (64, -8, "not possible")],
)
def test_impossible_tiles_are_refused_with_the_remedy(tile_px: int, overlap_px: int, words: str) -> None:
    with pytest.raises(GfpupError, match=words):
        plan_tiles((100, 100), tile_px=tile_px, overlap_px=overlap_px)


def test_a_function_of_another_scale_is_a_bug() -> None:
    with pytest.raises(ValueError, match="not scale 2"):
        run_tiled(lambda x: x, torch.zeros(1, 3, 8, 8), scale=2, tile_px=0, overlap_px=0)


@pytest.mark.parametrize("scale", [1, 2])
def test_rows_of_tiles_fade_as_columns_do(scale: int) -> None:
    def painted(shape: tuple[int, int]) -> torch.Tensor:
        calls = iter(range(100))
        return run_tiled(
            lambda x: torch.full((*x.shape[:2], x.shape[2] * scale, x.shape[3] * scale), float(next(calls) % 2)),
            torch.zeros(1, 1, *shape),
            scale=scale,
            tile_px=40,
            overlap_px=16,
        )[0, 0]

    down, across = painted((104, 8)), painted((8, 104))
    torch.testing.assert_close(down, across.T)
    assert down[:, 0].diff().abs().max() == pytest.approx(1 / (8 * scale))
