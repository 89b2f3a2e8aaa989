"""The official implementation behind our interface, and our networks and paste held to it.

All of it but the first few tests needs basicsr, gfpgan, facexlib and torchvision, and is skipped with that reason otherwise.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from golden import Golden
from torch import nn

from gfpup.core.errors import CheckpointError, GfpupError
from gfpup.core.types import BackendSpec, Metadata, Photo
from gfpup.models.backends import gfpgan as backend_gfpgan
from gfpup.models.backends import upstream, upstream_imports
from gfpup.models.nets.gfpgan import GFPGAN
from gfpup.models.nets.loading import load_strictly
from gfpup.models.nets.restoreformer import RestoreFormer
from gfpup.models.nets.stylegan2 import noise_sizes
from gfpup.ops import geometry
from gfpup.photos.read import read_photo
from gfpup.weights.checkpoint import read_state_dict

ABSENT = upstream_imports.missing()
needs_official = pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)} ({upstream_imports.INSTALL})")
SALT = 41
PHOTOS = ("four_small_faces.jpg", "old_couple.png", "one_face_small.jpg", "three_people.png", "two_people.jpg")


class Same(nn.Module):
    """Stands where the official network does: gives the picture back, remembers how it was called."""

    def __init__(self, answer: str = "same") -> None:
        super().__init__()
        self.answer = answer
        self.calls: list[dict[str, Any]] = []

    def forward(self, x: torch.Tensor, **options: Any) -> tuple[torch.Tensor]:
        self.calls.append(options)
        if self.answer == "nan":
            return (x * torch.nan,)
        if self.answer == "error":
            raise RuntimeError("the device is on fire\nand more")
        return (x,)


def crops_of(seed: int, count: int = 1) -> torch.Tensor:
    """Smooth pictures in whole levels, as the pipeline gives them: (n, 3, 512, 512) float32 in [0, 1]."""
    coarse = torch.rand(count, 3, 9, 9, generator=torch.Generator().manual_seed(seed))
    fine = nn.functional.interpolate(coarse, (512, 512), mode="bicubic", align_corners=True).clamp(0, 1)
    return (fine * 255).round() / 255


def difference(mine: torch.Tensor, golden: torch.Tensor) -> float:
    """The parity folder's measure: the largest |mine - golden| / (std + |golden|), in float64."""
    a, b = mine.double(), golden.double()
    return float(((a - b).abs() / (b.std(unbiased=False) + b.abs())).max())


def to_unit(x: torch.Tensor) -> torch.Tensor:
    """[-1, 1] to [0, 1], cut to it."""
    return (x.clamp(-1, 1) + 1) / 2


def remember(network: nn.Module) -> list[torch.Tensor]:
    """A list to which each forward of `network` adds its picture."""
    seen: list[torch.Tensor] = []
    network.register_forward_hook(lambda module, inputs, outputs: seen.append(outputs[0].clone()))
    return seen


# Without the packages.


def test_missing_packages_are_said_in_one_sentence_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream_imports, "find_spec", lambda name: None if name in ("gfpgan", "facexlib") else object())
    upstream_imports.official.cache_clear()
    with pytest.raises(GfpupError, match="gfpgan, facexlib are not installed") as caught:
        upstream.Upstream.load(BackendSpec("upstream"))
    upstream_imports.official.cache_clear()
    assert upstream_imports.INSTALL in str(caught.value)
    assert "--no-deps" in upstream_imports.INSTALL and "\n" not in str(caught.value)


def test_missing_needs_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream_imports, "find_spec", lambda name: None if name == "tqdm" else object())
    upstream_imports.official.cache_clear()
    with pytest.raises(GfpupError, match=r"need tqdm, which is not installed.*gfpup\[upstream\]"):
        upstream_imports.official()
    upstream_imports.official.cache_clear()


def test_the_module_imports_none_of_them() -> None:
    code = (
        "import sys, gfpup.models.backends.upstream\n"
        "print(sorted({'basicsr', 'gfpgan', 'facexlib', 'pyiqa', 'torchvision'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


# The cures.


@needs_official
def test_importing_them_reaches_no_network_and_cures_the_old_name() -> None:
    code = (
        "import socket\n"
        "def refuse(*args, **options): raise AssertionError('network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from gfpup.models.backends.upstream_imports import official\n"
        "official(); official()\n"
        "import basicsr.data.degradations as d, torch\n"
        "print(tuple(d.rgb_to_grayscale(torch.zeros(1, 3, 4, 4)).shape))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "(1, 1, 4, 4)"


@needs_official
def test_the_helper_is_the_official_one_and_its_loaders_come_back() -> None:
    module: Any = upstream_imports.official().helper_module
    before = module.init_detection_model, module.init_parsing_model
    parser = nn.Identity()
    helper = upstream_imports.helper(upscale=2, detector=None, parser=parser, device="cpu")
    assert type(helper) is module.FaceRestoreHelper
    assert helper.face_det is None and helper.face_parse is parser and helper.use_parse
    assert not upstream_imports.helper(upscale=2, detector=None, parser=None, device="cpu").use_parse
    assert (module.init_detection_model, module.init_parsing_model) == before


# Networks.


@pytest.fixture(scope="module")
def gfpgan_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An official GFPGAN checkpoint with random weights: none of them zero, so that no part of the network is silent."""
    generator = torch.Generator().manual_seed(SALT)
    torch.manual_seed(SALT)
    network = upstream_imports.build("gfpgan")
    state = {k: v.detach() + 0.02 * torch.randn(v.shape, generator=generator) for k, v in network.state_dict().items()}
    path = tmp_path_factory.mktemp("gfpgan") / "GFPGANv1.3.pth"
    torch.save({"params_ema": state}, path)
    yield path
    path.unlink()


@needs_official
def test_the_official_gfpgan_equals_ours(gfpgan_file: Path) -> None:
    spec = BackendSpec("upstream", {"gfpgan-v1.3": gfpgan_file}, {"version": 1.3})
    theirs = upstream.Upstream.load(spec)
    seen = remember(theirs.network)
    with torch.device("meta"):
        ours = GFPGAN()
    load_strictly(ours, read_state_dict(gfpgan_file), name="gfpgan", path=gfpgan_file)
    ours.eval()
    crops = crops_of(5)
    with torch.inference_mode():
        mine = ours(crops * 2 - 1)
    restored = theirs.restore(crops)
    assert seen[0].std() > 0.05
    assert difference(mine, seen[0]) <= 2e-5
    assert (to_unit(mine) - restored).abs().max() * 255 <= 0.51  # what rounding to whole levels costs
    # A seed means the same noise to the official network and to ours, and is no longer there in the next call.
    theirs = replace(theirs, seed=3)
    seeded = theirs.restore(crops)
    assert difference(seen[1], seen[0]) > 1e-3
    assert (to_unit(backend_gfpgan.GFPGAN(ours, seed=3).restore(crops) * 2 - 1) - seeded).abs().max() * 255 <= 0.51
    noises: Any = theirs.network.stylegan_decoder
    assert torch.equal(noises.noises.noise3, read_state_dict(gfpgan_file)["stylegan_decoder.noises.noise3"])


@needs_official
def test_the_official_restoreformer_equals_ours(shared: Path, tmp_path: Path) -> None:
    golden = Golden.load(shared, "restoreformer")
    state = golden.state()
    path = tmp_path / "RestoreFormer.pth"
    torch.save({"params": state}, path)
    theirs = upstream.Upstream.load(BackendSpec("upstream", {"backend": path}, seed=1))
    seen = remember(theirs.network)
    with torch.device("meta"):
        ours = RestoreFormer()
    load_strictly(ours, state, name="restoreformer", path=path)
    ours.eval()
    crop = golden.rgb(low=0.0).flip(3)
    with torch.inference_mode():
        mine = ours(crop * 2 - 1)
    restored = theirs.restore(crop)
    assert difference(mine, seen[0]) <= 1e-4
    assert (to_unit(seen[0]) - restored).abs().max() * 255 <= 0.501
    path.unlink()


@needs_official
def test_what_cannot_be_loaded_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "detector.pth"
    with pytest.raises(GfpupError, match=r"no version .1\.1.; it takes 1\.2, 1\.3"):
        upstream.Upstream.load(BackendSpec("upstream", {}, {"version": "1.1"}))
    with pytest.raises(GfpupError, match=r"needs the checkpoint gfpgan-v1\.4"):
        upstream.Upstream.load(BackendSpec("upstream", {"gfpgan-v1.3": path}))
    with pytest.raises(GfpupError, match="float32 as published, not in bfloat16"):
        upstream.Upstream.load(BackendSpec("upstream", {"gfpgan-v1.4": path}, dtype="bfloat16"))
    torch.save({"params": {"some.weight": torch.zeros(3)}}, path)
    with pytest.raises(CheckpointError, match="give a RetinaFace checkpoint"):
        upstream_imports.detection_network(path, device="cpu")
    with pytest.raises(CheckpointError, match="give backend 'upstream' a GFPGAN"):
        upstream.Upstream.load(BackendSpec("upstream", {"backend": path}))


# A crop through GFPGANer.enhance.


@needs_official
def test_a_crop_comes_back_level_by_level() -> None:
    crops = torch.cat([crops_of(6), torch.arange(256).repeat(3, 512, 2)[None] / 255])
    network = Same()
    restored = upstream.Upstream(network).restore(crops)
    assert restored.dtype == torch.float32
    assert torch.equal(restored, crops)
    assert [call["randomize_noise"] for call in network.calls] == [False, False]
    assert network.calls[0]["return_rgb"] is False


class Noisy(nn.Module):
    """As much of GFPGAN as has noise: the picture plus the last of the stored maps."""

    def __init__(self) -> None:
        super().__init__()
        self.stylegan_decoder = nn.Module()
        self.stylegan_decoder.noises = nn.Module()
        for i, side in enumerate(noise_sizes(512)):
            self.stylegan_decoder.noises.register_buffer(f"noise{i}", torch.zeros(1, 1, side, side))

    def forward(self, x: torch.Tensor, **options: Any) -> tuple[torch.Tensor]:
        noises: Any = self.stylegan_decoder.noises
        return (x + 0.1 * noises.noise14,)


@needs_official
def test_seeded_noise_comes_from_the_face_and_not_from_the_order_of_calls() -> None:
    crops = crops_of(7, 2)
    network = Noisy()
    backend = upstream.Upstream(network, seed=11)
    before = torch.random.get_rng_state()
    both = backend.restore(crops)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(backend.restore(crops[1:]), both[1:])
    assert 0.02 < (both - crops).std() < 0.06
    assert not torch.equal(both[0] - crops[0], both[1] - crops[1])
    assert not torch.equal(upstream.Upstream(network, seed=12).restore(crops), both)
    assert torch.equal(upstream.Upstream(network).restore(crops), crops)


@needs_official
def test_a_failure_is_not_swallowed(capsys: pytest.CaptureFixture[str]) -> None:
    assert upstream.Upstream(Same("nan")).restore(crops_of(8)).isnan().all()
    with pytest.raises(RuntimeError, match="on fire"):
        upstream.Upstream(Same("error")).restore(crops_of(8))
    assert capsys.readouterr().out == ""


# A whole photo.


@pytest.fixture(scope="module")
def detector(shared: Path) -> nn.Module:
    return upstream_imports.detection_network(shared / "weights" / "retinaface_mobilenet0.25.pth", device="cpu")


@needs_official
@pytest.mark.parametrize("name", PHOTOS)
def test_the_official_path_finds_the_published_faces(shared: Path, detector: nn.Module, name: str) -> None:
    photo = read_photo(shared / "data" / "photos" / name)
    expected = json.loads((shared / "parity" / "detections.json").read_text())["photos"][name]["faces"]
    network = Same()
    (restored,) = upstream.UpstreamRestorer(upstream.Upstream(network, detector=detector))([photo])
    h, w = photo.size_hw
    assert restored.pixels.shape == (2 * h, 2 * w, 3) and restored.pixels.dtype == np.uint8
    assert len(restored.faces) == len(expected) == len(network.calls)
    for face, truth in zip(restored.faces, expected, strict=True):
        assert face.restored and face.crop is not None
        np.testing.assert_allclose(face.face.landmarks_xy, truth["landmarks_xy"], atol=0.01)
        corners = np.array([[0.0, 0.0], [w, h]])
        mine, golden = (geometry.apply(np.array(a), corners) for a in (face.crop.affine, truth["affine"]))
        np.testing.assert_allclose(mine, golden, atol=0.1)
    assert any("square mask" in warning for warning in restored.warnings)


@needs_official
@pytest.mark.parametrize(("answer", "reason"), [("nan", upstream.NOT_FINITE), ("error", "the device is on fire")])
def test_a_failed_face_is_named_and_not_pasted(shared: Path, detector: nn.Module, answer: str, reason: str) -> None:
    photo = read_photo(shared / "data" / "photos" / "one_face_small.jpg")
    done = upstream.Upstream(Same(answer), detector=detector).enhance(photo.rgb8, upscale=1)
    (face,) = done.faces
    assert face.failed and not face.restored and face.output is None and face.reason == reason
    np.testing.assert_array_equal(done.pixels, photo.rgb8)


@needs_official
def test_a_photo_without_faces_is_resized_and_says_so(detector: nn.Module) -> None:
    pixels = np.full((60, 80, 3), 40000, np.uint16)
    photo = Photo(Path("grey.png"), pixels, Metadata("PNG"), alpha=np.full((60, 80), 65535, np.uint16))
    (restored,) = upstream.UpstreamRestorer(upstream.Upstream(Same(), detector=detector))([photo])
    assert restored.faces == () and restored.pixels.dtype == np.uint16 and restored.pixels.shape == (120, 160, 3)
    assert np.abs(restored.pixels.astype(int) - 40000).max() <= 128
    assert restored.alpha is not None and restored.alpha.shape == (120, 160) and restored.alpha.dtype == np.uint16
    assert any("no face" in w for w in restored.warnings) and any("8 bits" in w for w in restored.warnings)


@needs_official
def test_a_photo_needs_a_detector() -> None:
    with pytest.raises(GfpupError, match="needs a RetinaFace checkpoint"):
        upstream.Upstream(Same()).enhance(np.zeros((8, 8, 3), np.uint8))
