"""GFPGAN from an official file: the official picture, noise that belongs to a face, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from golden import Golden, difference, fill_randomly

from gfpup.core.errors import CheckpointError, GfpupError
from gfpup.core.types import BackendSpec
from gfpup.models.backends.gfpgan import GFPGAN
from gfpup.models.nets import gfpgan

REORDERED_TOLERANCE = 1e-4
Crops = Callable[..., torch.Tensor]


def small(*, seed: int | None = None, weights: int = 3, dtype: torch.dtype = torch.float32) -> GFPGAN:
    """All parts at 32 pixels and a sixteenth of the channels, randomly filled."""
    network = gfpgan.GFPGAN(out_size=32, narrow=1 / 16, style_features=24, mlp_layers=2)
    return GFPGAN(fill_randomly(network, seed=weights), dtype=dtype, seed=seed)  # type: ignore[arg-type]


@pytest.mark.parametrize("official", ["gfpgan"], indirect=True)
def test_an_official_file_gives_the_official_picture(
    official: tuple[Golden, Path], check_restored: Callable[..., None]
) -> None:
    golden, path = official
    backend = GFPGAN.load(BackendSpec("gfpgan", checkpoints={"gfpgan-v1.4": path}))
    crops = golden.rgb(low=0.0)
    exact = backend.restore(crops)
    check_restored(exact, golden, REORDERED_TOLERANCE)
    assert torch.equal(crops, golden.rgb(low=0.0))


@pytest.mark.slow
@pytest.mark.parametrize("official", ["gfpgan"], indirect=True)
def test_bfloat16_stays_within_50_db_of_the_official_picture(official: tuple[Golden, Path]) -> None:
    """A processor without bfloat16 takes minutes."""
    golden, path = official
    crops = golden.rgb(low=0.0)
    exact = GFPGAN.load(BackendSpec("gfpgan", checkpoints={"gfpgan-v1.4": path})).restore(crops)
    low = GFPGAN.load(BackendSpec("gfpgan", checkpoints={"any name": path}, dtype="bfloat16")).restore(crops)
    error = (low.clamp(0, 1) - exact.clamp(0, 1)).square().mean()
    assert 0 < error < 10 ** (-50 / 10)


def test_range_is_zero_to_one_inside_and_out(crops: Crops) -> None:
    backend, x = small(), crops(1, side=32)
    expected = backend._network(x * 2 - 1) / 2 + 0.5
    torch.testing.assert_close(backend.restore(x), expected)


def test_row_i_depends_on_crop_i_alone(crops: Crops) -> None:
    for seed in (None, 4):
        backend, x = small(seed=seed), crops(3, side=32)
        together = backend.restore(x)
        for row in range(3):
            assert difference(together[row : row + 1], backend.restore(x[row : row + 1])) < 1e-4
        assert torch.equal(backend.restore(x), together)


def test_without_a_seed_the_noise_is_the_checkpoints(crops: Crops) -> None:
    backend, x = small(), crops(1, side=32)
    before = torch.get_rng_state()
    first = backend.restore(x)
    assert torch.equal(backend.restore(x), first)
    for each in backend._network.stylegan_decoder.noises.buffers():
        each.mul_(-1.0)
    assert not torch.equal(backend.restore(x), first)
    assert torch.equal(before, torch.get_rng_state())


def test_seeded_noise_belongs_to_the_seed_and_the_face(crops: Crops) -> None:
    x = crops(2, side=32)
    noise = small(seed=7)
    first = noise.restore(x[:1])
    assert torch.equal(small(seed=7).restore(x[:1]), first)
    assert difference(small(seed=8).restore(x[:1]), first) > 1e-3
    assert difference(small().restore(x[:1]), first) > 1e-3
    assert difference(noise.restore(x.flip(0))[1:], first) < 1e-4


def test_another_face_gets_other_noise(crops: Crops, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []

    def record(seed: int, *, out_size: int) -> list[torch.Tensor]:
        drawn.append(seed)
        return [torch.zeros(1, 1, out_size, out_size)]

    monkeypatch.setattr("gfpup.models.backends.gfpgan.seeded_noise", record)
    from gfpup.models.backends.gfpgan import _noise_of

    x = crops(2, side=32)
    nearly = x[:1].clone()
    nearly[0, 0, 0, 0] = (nearly[0, 0, 0, 0] * 255 + 3) % 256 / 255
    for batch in (x, x.flip(0), x[:1], x[:1] + 1e-6, nearly):
        _noise_of(batch, 7)
    a, b = drawn[:2]
    assert drawn == [a, b, b, a, a, a, drawn[-1]]
    assert len({a, b, drawn[-1]}) == 3
    _noise_of(x[:1], 8)
    assert drawn[-1] != a


def test_bfloat16_comes_back_as_float32(crops: Crops) -> None:
    x = crops(2, side=32)
    low, exact = small(dtype=torch.bfloat16, seed=2).restore(x), small(seed=2).restore(x)
    assert low.dtype == torch.float32 and not torch.equal(low, exact)
    assert difference(low, exact) < 0.05


@pytest.mark.parametrize(("dtype", "says"), [("float16", "overflows"), ("int8", "int8")])
def test_other_precisions_are_refused_before_a_file_is_opened(dtype: str, says: str) -> None:
    with pytest.raises(GfpupError, match=says) as error:
        GFPGAN.load(BackendSpec("gfpgan", checkpoints={"gfpgan-v1.4": Path("nowhere.pth")}, dtype=dtype))
    assert "bfloat16" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("names", [(), ("a", "b")])
def test_one_checkpoint_and_no_other_number(names: tuple[str, ...]) -> None:
    with pytest.raises(GfpupError, match="one checkpoint"):
        GFPGAN.load(BackendSpec("gfpgan", checkpoints=dict.fromkeys(names, Path("nowhere.pth"))))


def test_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"params_ema": {"position_emb": torch.zeros(256, 512), "feat_emb.weight": torch.zeros(512, 256)}}, path)
    with pytest.raises(CheckpointError, match="does not hold the weights of gfpgan"):
        GFPGAN.load(BackendSpec("gfpgan", checkpoints={"gfpgan-v1.4": path}))
