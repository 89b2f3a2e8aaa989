"""The background: sizes, Lanczos, and Real-ESRGAN from its file to the enlarged photo."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from golden import Golden, fill_randomly
from torch import nn

from gfpup.core.errors import CheckpointError, GfpupError, PhotoError
from gfpup.models.nets.rrdbnet import RRDBNet
from gfpup.ops.resize import output_size, resize
from gfpup.ops.tiles import plan_tiles
from gfpup.restoration.background import RealESRGAN

REORDERED_TOLERANCE = 1e-4


def photo(*size_hw: int, dtype: type = np.uint8, seed: int = 4) -> np.ndarray:
    """Smooth colours with some noise, over most of the range."""
    random = np.random.default_rng(seed)
    coarse = random.uniform(0.15, 0.85, (5, 5, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, size_hw[::-1], interpolation=cv2.INTER_LINEAR)
    noisy = np.clip(smooth + random.normal(0, 0.05, smooth.shape), 0, 1)
    return np.rint(noisy * np.iinfo(dtype).max).astype(dtype)


def psnr(mine: np.ndarray, other: np.ndarray) -> float:
    error = np.mean((mine.astype(np.float64) - other) ** 2)
    return float("inf") if error == 0 else 10 * np.log10(np.iinfo(mine.dtype).max ** 2 / error)


def small(scale: int = 2, *, seed: int = 1, blocks: int = 1) -> RRDBNet:
    """A network of one block with outputs about in [0, 1]."""
    with torch.device("meta"):
        network = RRDBNet(scale=scale, blocks=blocks)
    fill_randomly(network, seed=seed)
    with torch.no_grad():
        network.conv_last.weight.mul_(0.2)
        network.conv_last.bias.add_(0.5)
    return network


class Nearest(nn.Module):
    """Stands for a network: repeats pixels, and remembers the tiles it saw."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.tiles: list[tuple[int, int]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.tiles.append((x.shape[2], x.shape[3]))
        return nn.functional.interpolate(x, scale_factor=float(self.scale), mode="nearest")


class Failing(Nearest):
    """Stands for a network: raises `error`."""

    def __init__(self, error: Exception) -> None:
        super().__init__(2)
        self.error = error

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise self.error


@pytest.fixture(scope="module")
def golden(shared: Path) -> Golden:
    return Golden.load(shared, "rrdbnet_x2")


@pytest.fixture(scope="module")
def official_file(golden: Golden, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden's weights in the official file's format."""
    path = tmp_path_factory.mktemp("weights") / "RealESRGAN_x2plus.pth"
    torch.save({golden.facts["checkpoint_key"]: golden.state()}, path)
    return path


# --- sizes and Lanczos


def test_output_sizes() -> None:
    assert output_size((300, 401), 2.0) == (600, 802)
    assert output_size((300, 401), 1.5) == (450, 602)
    assert output_size((1, 9), 0.1) == (1, 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_resize_to_the_same_size_is_a_copy(dtype: type) -> None:
    before = photo(13, 7, dtype=dtype)
    after = resize(before, (13, 7))
    assert np.array_equal(after, before) and after.dtype == dtype and not np.shares_memory(after, before)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("to_hw", [(1, 1), (5, 9), (20, 14), (33, 40), (61, 80)])
def test_resize_keeps_dtype_and_flat_colours(dtype: type, to_hw: tuple[int, int]) -> None:
    top = np.iinfo(dtype).max
    flat = np.full((20, 14, 3), (0, top // 3, top), dtype)
    after = resize(flat, to_hw)
    assert after.shape == (*to_hw, 3) and after.dtype == dtype
    assert np.abs(after.astype(int) - flat[0, 0].astype(int)).max() <= 1


def test_resize_keeps_the_outer_edges_in_place() -> None:
    """A step at the middle stays at the middle: a shift of half a pixel would move its centre of mass."""
    step = np.full((4, 40), 20000, np.uint16)
    step[:, 20:] = 40000
    for width in (20, 60, 80, 120):
        after = resize(step, (4, width)).astype(np.float64)
        assert after.sum(axis=1) == pytest.approx([30000 * width] * 4, rel=0.002)


def test_resize_keeps_sixteen_bits() -> None:
    ramp = np.tile(np.arange(1000, 1600, 3, dtype=np.uint16), (4, 1))
    after = resize(ramp, (8, 400))
    assert len(np.unique(after[:, 20:-20])) > 300


# --- the official network


def test_the_official_file_meets_the_golden(golden: Golden, official_file: Path) -> None:
    upsample = RealESRGAN.load(official_file, tile_px=0)
    assert upsample.scale == 2
    with torch.inference_mode():
        golden.check_output(upsample.run(golden.rgb(low=0.0)[:, :, :128, :128]), REORDERED_TOLERANCE)


def test_the_photo_meets_the_golden_to_one_level(golden: Golden, official_file: Path) -> None:
    enlarged = RealESRGAN.load(official_file)(golden.rgb8[:128, :128], (256, 256))
    stride = golden.facts["outputs"]["output"]["stride"]
    expected = np.clip(golden.arrays["output"][0].transpose(1, 2, 0), 0, 1) * 255
    assert enlarged.dtype == np.uint8 and enlarged.shape == (256, 256, 3)
    assert np.abs(enlarged[::stride, ::stride] - expected).max() <= 0.51
    assert len(np.unique(enlarged)) > 200


def test_tiles_equal_the_whole_to_60_db(golden: Golden, official_file: Path) -> None:
    """In 16 bits, so that rounding hides nothing."""
    pixels = golden.rgb8[200:311, 190:259].astype(np.uint16) * 257
    to_hw = output_size(pixels.shape[:2], 2)
    whole = RealESRGAN.load(official_file, tile_px=0)(pixels, to_hw)
    tiled = RealESRGAN.load(official_file, tile_px=80)(pixels, to_hw)
    assert len(plan_tiles(pixels.shape[:2], tile_px=80, overlap_px=32)) == 2
    assert whole.dtype == np.uint16 and len(np.unique(whole)) > 10_000
    assert psnr(tiled, whole) > 60


# --- any network


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("seed", [2, 5])
def test_small_networks_in_tiles_equal_the_whole(scale: int, seed: int) -> None:
    pixels = photo(75, 101, dtype=np.uint16, seed=seed)
    to_hw = output_size((75, 101), scale)
    whole = RealESRGAN(small(scale, seed=seed), tile_px=0)(pixels, to_hw)
    tiled = RealESRGAN(small(scale, seed=seed), tile_px=48, tile_overlap_px=20)(pixels, to_hw)
    assert len(np.unique(whole)) > 5_000
    assert psnr(tiled, whole) > 60


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("size_hw", [(1, 1), (1, 6), (7, 2), (33, 41)])
@pytest.mark.parametrize("upscale", [1, 1.5, 2, 3, 4])
def test_takes_any_size_and_upscale(scale: int, size_hw: tuple[int, int], upscale: float) -> None:
    to_hw = output_size(size_hw, upscale)
    done = RealESRGAN(small(scale), tile_px=32, tile_overlap_px=8)(photo(*size_hw), to_hw)
    assert done.shape == (*to_hw, 3) and done.dtype == np.uint8


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("scale", "upscale"), [(2, 1), (2, 2), (4, 1), (4, 2), (4, 4)])
def test_pixels_that_the_network_only_repeats_come_back_to_the_bit(dtype: type, scale: int, upscale: int) -> None:
    pixels = photo(50, 37, dtype=dtype)
    done = RealESRGAN(Nearest(scale), tile_px=24, tile_overlap_px=8)(pixels, (50 * upscale, 37 * upscale))
    assert done.dtype == dtype
    assert np.array_equal(done, pixels.repeat(upscale, axis=0).repeat(upscale, axis=1))


@pytest.mark.parametrize("scale", [2, 4])
def test_a_whole_fraction_equals_averaging_the_whole_result(scale: int) -> None:
    pixels = photo(31, 26, dtype=np.uint16)
    upsample = RealESRGAN(small(scale))
    native = upsample(pixels, output_size((31, 26), scale))
    for upscale in (1, 2)[: scale // 2]:
        to_hw = output_size((31, 26), upscale)
        assert np.abs(upsample(pixels, to_hw).astype(int) - resize(native, to_hw)).max() <= 1


@pytest.mark.parametrize(("scale", "upscale"), [(2, 1.5), (2, 3), (2, 4), (4, 3), (4, 1.5)])
def test_other_sizes_are_resized_from_the_native_one(scale: int, upscale: float) -> None:
    pixels = photo(30, 22)
    upsample = RealESRGAN(small(scale))
    to_hw = output_size((30, 22), upscale)
    assert np.array_equal(upsample(pixels, to_hw), resize(upsample(pixels, (30 * scale, 22 * scale)), to_hw))


def test_the_same_photo_gives_the_same_bytes() -> None:
    pixels, other = photo(60, 70), photo(60, 70, seed=9)
    upsample = RealESRGAN(small(), tile_px=40, tile_overlap_px=12)
    first = upsample(pixels, (120, 140))
    upsample(other, (120, 140))
    again = RealESRGAN(small(), tile_px=40, tile_overlap_px=12)(pixels, (120, 140))
    assert np.array_equal(upsample(pixels, (120, 140)), first) and np.array_equal(again, first)


def test_a_photo_is_not_changed_and_may_be_a_view() -> None:
    pixels = photo(24, 20)
    before = pixels.copy()
    turned = RealESRGAN(small())(pixels[::-1, ::-1], (48, 40))
    assert np.array_equal(pixels, before)
    assert np.array_equal(turned, RealESRGAN(small())(np.ascontiguousarray(pixels[::-1, ::-1]), (48, 40)))


def test_a_grey_photo_stays_grey() -> None:
    grey = photo(40, 40)[..., :1].repeat(3, axis=2)
    upsample = RealESRGAN(small(), tile_px=0)
    done = upsample(grey, (80, 80))
    assert np.array_equal(done[..., 0], done[..., 1]) and np.array_equal(done[..., 0], done[..., 2])
    with torch.inference_mode():
        raw = upsample.run(torch.from_numpy(grey).permute(2, 0, 1)[None].float() / 255)[0].clamp(0, 1)
    assert (raw[0] - raw[1]).abs().max() > 0.05  # this network does tint
    luma = (0.299 * raw[0] + 0.587 * raw[1] + 0.114 * raw[2]).numpy() * 255
    assert np.abs(done[..., 0] - luma).max() <= 0.51


def test_one_coloured_pixel_makes_a_photo_coloured() -> None:
    pixels = photo(40, 40)[..., :1].repeat(3, axis=2)
    pixels[20, 20, 2] ^= 1
    done = RealESRGAN(small())(pixels, (80, 80))
    assert not np.array_equal(done[..., 0], done[..., 1])


def test_bfloat16_is_near_float32() -> None:
    pixels = photo(40, 56)
    exact = RealESRGAN(small())(pixels, (80, 112))
    low = RealESRGAN(small(), dtype="bfloat16")(pixels, (80, 112))
    assert psnr(low, exact) > 38
    assert not np.array_equal(low, exact)


# --- memory


def test_no_tile_is_larger_than_asked_for_and_none_is_left_out() -> None:
    network = Nearest(2)
    RealESRGAN(network, tile_px=64, tile_overlap_px=16)(photo(201, 330), (402, 660))
    assert max(max(tile) for tile in network.tiles) == 64
    assert len(network.tiles) == len(plan_tiles((201, 330), tile_px=64, overlap_px=16))
    network.tiles.clear()
    RealESRGAN(network, tile_px=0)(photo(201, 330), (402, 660))
    assert network.tiles == [(201, 330)]


@pytest.mark.parametrize(("scale", "upscale"), [(2, 2), (4, 1)])
def test_a_large_photo_needs_its_output_and_a_band(scale: int, upscale: int) -> None:
    """A photo averaged down from scale 4 never exists sixteen times as large."""
    pixels = photo(1600, 900)
    to_hw = output_size((1600, 900), upscale)
    tracemalloc.start()
    try:
        done = RealESRGAN(Nearest(scale), tile_px=64, tile_overlap_px=16)(pixels, to_hw)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    band = 64 * 900 * upscale**2 * 3 * 4
    # The check for grey holds one byte a pixel of the photo for a moment.
    assert peak < done.nbytes + 2 * band + 1600 * 900


# --- what is refused


@pytest.mark.parametrize("scale", [2, 4])
def test_scale_and_blocks_are_read_from_the_file(tmp_path: Path, scale: int) -> None:
    network = small(scale, blocks=2)
    torch.save({"params": network.state_dict()}, tmp_path / "anime.pth")
    upsample = RealESRGAN.load(tmp_path / "anime.pth")
    to_hw = output_size((20, 18), scale)
    assert upsample.scale == scale
    assert np.array_equal(upsample(photo(20, 18), to_hw), RealESRGAN(network)(photo(20, 18), to_hw))


def test_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    state = small().state_dict()
    torch.save({**state, "conv_first.weight": torch.zeros(64, 48, 3, 3)}, path)
    with pytest.raises(CheckpointError, match=r"holds an unknown network, not Real-ESRGAN.*RealESRGAN_x2plus\.pth"):
        RealESRGAN.load(path)
    torch.save({"ClassHead.0.conv1x1.weight": torch.zeros(1), "body.stage1.0.0.weight": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match=r"holds retinaface-mobilenet0\.25, not Real-ESRGAN"):
        RealESRGAN.load(path)
    torch.save({key: value for key, value in state.items() if key != "body.0.rdb2.conv3.bias"}, path)
    with pytest.raises(CheckpointError, match=r"rrdbnet-x2.*'body\.0\.rdb2\.conv3\.bias' is missing"):
        RealESRGAN.load(path)
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        RealESRGAN.load(tmp_path / "absent.pth")


def test_another_precision_is_refused() -> None:
    with pytest.raises(GfpupError, match="cannot run in float16: choose float32 or bfloat16"):
        RealESRGAN(small(), dtype="float16")


def test_impossible_tiles_are_refused_before_the_first_photo() -> None:
    with pytest.raises(GfpupError, match="tile 40 is too small for overlap 32"):
        RealESRGAN(small(), tile_px=40)
    with pytest.raises(GfpupError, match="tile -1"):
        RealESRGAN(small(), tile_px=-1)


@pytest.mark.parametrize(("dtype", "remedy"), [("float32", "give --background none"), ("bfloat16", "compute in float32, or")])
def test_an_output_that_is_not_finite_fails_the_photo(dtype: str, remedy: str) -> None:
    network = small()
    with torch.no_grad():
        network.conv_hr.bias[3] = float("nan")
    with pytest.raises(PhotoError, match=f"{dtype} is not finite.*{remedy}"):
        RealESRGAN(network, dtype=dtype)(photo(16, 16), (32, 32))


def test_too_little_memory_fails_the_photo_with_the_remedy() -> None:
    upsample = RealESRGAN(Failing(torch.OutOfMemoryError("CUDA out of memory")), tile_px=64)
    with pytest.raises(PhotoError, match="a tile of 64x64 px does not fit into the memory of cpu: give a smaller --tile"):
        upsample(photo(80, 80), (160, 160))
