"""Checkpoints of small real architectures, written to files, opened through gfpup and compared with spandrel's own call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from golden import fill_randomly

from gfpup.core import torchvision_shim
from gfpup.core.errors import CheckpointError, GfpupError, PhotoError
from gfpup.core.types import BackendSpec
from gfpup.models.backends import spandrel as any_architecture
from gfpup.models.backends.spandrel import AnyArchitecture, compute, open_checkpoint
from gfpup.restoration.any_background import AnyUpsampler

Crops = Callable[..., torch.Tensor]


@pytest.fixture(scope="module")
def spandrel() -> Any:
    torchvision_shim.cure()
    return pytest.importorskip("spandrel", reason="spandrel is not installed (gfpup[spandrel])")


def compact(scale: int, *, seed: int = 3, channels: int = 3) -> torch.nn.Module:
    from spandrel.architectures.Compact import Compact

    torch.manual_seed(seed)
    return Compact(num_in_ch=channels, num_out_ch=channels, num_feat=8, num_conv=2, upscale=scale).eval()


def written(network: torch.nn.Module, path: Path) -> Path:
    torch.save({"params": network.state_dict()}, path)
    return path


def backend(path: Path, **more: Any) -> AnyArchitecture:
    return AnyArchitecture.load(BackendSpec("spandrel", checkpoints={"backend": path}, **more))


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_a_face_is_what_spandrel_makes_of_it_at_the_crops_size(spandrel: Any, tmp_path: Path, crops: Crops, scale: int) -> None:
    path = written(compact(scale), tmp_path / "compact.pth")
    x = crops(2, side=32)
    restored = backend(path).restore(x)
    direct = spandrel.ModelLoader().load_from_file(path)
    assert direct.scale == scale and direct.architecture.id == "Compact"
    for row in range(2):
        theirs = direct(x[row : row + 1])
        area = theirs.reshape(1, 3, 32, scale, 32, scale).mean((3, 5))
        torch.testing.assert_close(restored[row : row + 1], area, rtol=0, atol=1e-6)
    assert restored.dtype == torch.float32 and restored.shape == x.shape
    assert float(restored.min()) >= 0 and float(restored.max()) <= 1
    assert torch.equal(backend(path).restore(x.flip(0)).flip(0), restored), "no row depends on another or on the order"
    assert backend(path).restore(x[:0]).shape == (0, 3, 32, 32)


def test_an_own_network_in_its_official_keys_is_opened_too(spandrel: Any, tmp_path: Path, crops: Crops) -> None:
    """Real-ESRGAN's RRDBNet of ours and spandrel's ESRGAN are independent code for one file format."""
    from gfpup.models.nets.rrdbnet import RRDBNet

    network = fill_randomly(RRDBNet(scale=4, blocks=2), seed=61).eval()
    model = open_checkpoint(written(network, tmp_path / "esrgan.pth"))
    x = crops(1, side=24)
    mine, theirs = network(x).clamp(0, 1), compute(model, x)
    assert (model.architecture.id, model.scale) == ("ESRGAN", 4)
    torch.testing.assert_close(theirs, mine, rtol=1e-4, atol=1e-4)
    assert float(mine.detach().std()) > 0.01


def test_a_safetensors_file_and_bfloat16(spandrel: Any, tmp_path: Path, crops: Crops) -> None:
    from safetensors.torch import save_file

    network, x = compact(2), crops(1, side=32)
    save_file(network.state_dict(), tmp_path / "compact.safetensors")
    exact = backend(tmp_path / "compact.safetensors").restore(x)
    torch.testing.assert_close(exact, backend(written(network, tmp_path / "c.pth")).restore(x), rtol=0, atol=0)
    low = backend(tmp_path / "compact.safetensors", dtype="bfloat16").restore(x)
    assert low.dtype == torch.float32 and not torch.equal(low, exact)
    torch.testing.assert_close(low, exact, rtol=0, atol=0.03)


def test_one_channel_gets_the_three_colours_by_turns(spandrel: Any, tmp_path: Path, crops: Crops) -> None:
    path = written(compact(2, channels=1), tmp_path / "grey.pth")
    x = crops(1, side=32)
    direct = spandrel.ModelLoader().load_from_file(path)
    expected = torch.cat([direct(x[:, i : i + 1]) for i in range(3)], dim=1)
    assert torch.equal(compute(open_checkpoint(path), x), expected)
    assert backend(path).restore(x).shape == x.shape


def test_memory_efficient_tiles_what_may_be_tiled(
    spandrel: Any, tmp_path: Path, crops: Crops, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(compact(2), tmp_path / "compact.pth")
    monkeypatch.setattr(any_architecture, "TILE_PX", 48)
    monkeypatch.setattr(any_architecture, "TILE_OVERLAP_PX", 24)
    x = crops(1, side=96)
    lean, seen = backend(path, memory_efficient=True), []
    lean._model.model.register_forward_pre_hook(lambda _, args: seen.append(max(args[0].shape[2:])))
    torch.testing.assert_close(lean.restore(x), backend(path).restore(x), rtol=0, atol=1e-6)
    assert len(seen) > 4 and max(seen) == 48


@pytest.mark.slow
def test_gfpgan_through_spandrel_is_our_gfpgan(spandrel: Any, tmp_path: Path, crops: Crops) -> None:
    """spandrel's network is independent code; called in the range that it was trained in, it gives our pictures."""
    from gfpup.models.backends.gfpgan import GFPGAN
    from gfpup.models.nets import gfpgan

    with torch.device("meta"):
        network = gfpgan.GFPGAN()
    path = written(fill_randomly(network, seed=62), tmp_path / "gfpgan.pth")
    x = crops(1, side=512)
    ours = GFPGAN.load(BackendSpec("gfpgan", checkpoints={"backend": path})).restore(x).clamp(0, 1)
    theirs = backend(path)
    assert theirs._model.architecture.id == "GFPGAN"
    assert float((theirs.restore(x) - ours).abs().max()) < 5e-3 and float(ours.std()) > 0.05
    with pytest.raises(CheckpointError, match="GFPGAN, which restores aligned faces"):
        AnyUpsampler(theirs._model)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_the_background_is_what_spandrel_makes_of_it(spandrel: Any, tmp_path: Path, depth: Any) -> None:
    path = written(compact(4, seed=7), tmp_path / "compact.pth")
    top = np.iinfo(depth).max
    photo = np.random.default_rng(8).integers(0, top, (30, 41, 3), depth, endpoint=True)
    direct = spandrel.ModelLoader().load_from_file(path)
    floats = direct(torch.from_numpy(photo.astype(np.float32) / top).permute(2, 0, 1)[None])
    up = AnyUpsampler.load(path, tile_px=0)

    def levels(picture: torch.Tensor) -> np.ndarray:
        return np.rint(picture[0].permute(1, 2, 0).numpy() * top)

    done = up(photo, (120, 164))
    assert done.dtype == depth and up.scale == 4
    assert np.abs(done - levels(floats)).max() <= 1
    half = up(photo, (60, 82))
    assert np.abs(half - levels(torch.nn.functional.avg_pool2d(floats, 2))).max() <= 1
    assert up(photo, (33, 50)).shape == (33, 50, 3) and up(photo, (200, 200)).shape == (200, 200, 3)
    tiled = AnyUpsampler.load(path, tile_px=16, tile_overlap_px=8)(photo, (120, 164)).astype(int)
    assert np.abs(tiled - done).max() <= 0.02 * top


def test_a_grey_photo_stays_grey(spandrel: Any, tmp_path: Path) -> None:
    up = AnyUpsampler.load(written(compact(2), tmp_path / "compact.pth"))
    grey = np.repeat(np.random.default_rng(9).integers(0, 256, (20, 20, 1), np.uint8), 3, axis=2)
    done = up(grey, (40, 40))
    assert np.array_equal(done[..., 0], done[..., 1]) and np.array_equal(done[..., 0], done[..., 2])
    assert done.std() > 1


def test_windows_lie_as_in_the_whole_picture_and_global_looks_are_not_tiled(spandrel: Any) -> None:
    class Told:
        """What a descriptor says of itself."""

        purpose, scale, device, dtype = "SR", 2, "cpu", torch.float32
        architecture = SimpleNamespace(name="a network")

        def __init__(self, multiple_of: int, tiling: str) -> None:
            self.size_requirements = spandrel.SizeRequirements(multiple_of=multiple_of)
            self.tiling = spandrel.ModelTiling[tiling]

    assert AnyUpsampler(Told(6, "SUPPORTED"))._align_px == 12
    assert AnyUpsampler(Told(1, "SUPPORTED"))._tile_px == any_architecture.TILE_PX
    for tiling in ("DISCOURAGED", "INTERNAL"):
        assert AnyUpsampler(Told(1, tiling))._tile_px == 0
        assert AnyUpsampler(Told(1, tiling), tile_px=128)._tile_px == 128, "asked for"
    with pytest.raises(GfpupError, match="too small for overlap 32"):
        AnyUpsampler(Told(8, "SUPPORTED"), tile_px=32)


def test_an_output_that_is_not_finite_is_said(spandrel: Any, tmp_path: Path) -> None:
    network = compact(2)
    with torch.no_grad():
        network.body[-1].bias.fill_(float("nan"))
    up = AnyUpsampler.load(written(network, tmp_path / "nan.pth"))
    with pytest.raises(PhotoError, match="RealESRGAN Compact's output in float32 is not finite"):
        up(np.zeros((8, 8, 3), np.uint8), (16, 16))


def test_what_cannot_be_opened_is_refused_in_a_sentence(spandrel: Any, tmp_path: Path) -> None:
    torch.save({"params": {"strange.weight": torch.zeros(3)}}, tmp_path / "strange.pth")
    with pytest.raises(CheckpointError, match=r"knows no architecture for .*strange\.pth"):
        backend(tmp_path / "strange.pth")
    state = compact(2).state_dict()
    torch.save({"params": state | {"body.1.weight": torch.zeros(9)}}, tmp_path / "torn.pth")
    with pytest.raises(CheckpointError, match=r"cannot build a network from .*torn\.pth") as error:
        backend(tmp_path / "torn.pth")
    assert "\n" not in str(error.value)
    theirs = ("position_emb", "idx_pred_layer.1.weight", "feat_emb.weight")
    torch.save({key: torch.zeros(1) for key in theirs}, tmp_path / "cf.pth")
    with pytest.raises(CheckpointError, match="holds codeformer, which gfpup runs by itself"):
        backend(tmp_path / "cf.pth")
    path = written(compact(2), tmp_path / "compact.pth")
    with pytest.raises(GfpupError, match="float16"):
        backend(path, dtype="float16")
    with pytest.raises(GfpupError, match="one checkpoint"):
        AnyArchitecture.load(BackendSpec("spandrel"))


def test_code_in_a_checkpoint_is_not_run(spandrel: Any, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    torch.save({"params": compact(2).state_dict(), "more": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(CheckpointError):
        backend(tmp_path / "trap.pth")
    assert not (tmp_path / "sprung").exists()


def test_without_the_package_one_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(any_architecture, "find_spec", lambda name: None)
    for load in (lambda: backend(tmp_path / "any.pth"), lambda: AnyUpsampler.load(tmp_path / "any.pth")):
        with pytest.raises(GfpupError, match=r"pip install 'gfpup\[spandrel\]'") as error:
            load()
        assert "\n" not in str(error.value)
