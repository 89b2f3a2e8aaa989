"""ELIR from an official file: the official picture, noise that belongs to a face, its steps, and what is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from golden import Golden, difference, fill_randomly

from gfpup.core.errors import CheckpointError, GfpupError
from gfpup.core.types import BackendSpec
from gfpup.models.backends import noise
from gfpup.models.backends.elir import ELIR
from gfpup.models.backends.flow import NOISE_SEED
from gfpup.models.nets import elir

REORDERED_TOLERANCE = 5e-4
Crops = Callable[..., torch.Tensor]


@pytest.fixture(scope="module")
def network() -> elir.ELIR:
    """The whole network with random weights: it takes 64x64 crops and costs little."""
    with torch.device("meta"):
        network = elir.ELIR()
    return fill_randomly(network, seed=23)  # type: ignore[return-value]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("official", ["elir"], indirect=True)
def test_an_official_file_gives_the_official_picture(official: tuple[Golden, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A smaller one, of rows and range, is beside it; tests/models/nets/test_elir.py holds the stages to the golden."""
    golden, path = official
    given = torch.from_numpy(golden.fill("noises.0", (1, 16, 64, 64), salt=golden.facts["salt"]))
    monkeypatch.setattr(noise, "drawn", lambda *_, **__: given)
    backend = ELIR.load(BackendSpec("elir", checkpoints={"elir": path}))
    golden.check_output(backend.restore(golden.rgb(low=0.0)), REORDERED_TOLERANCE)


def test_range_and_rows(network: elir.ELIR, crops: Crops) -> None:
    backend, x = ELIR(network), crops(2, side=64)
    together = backend.restore(x)
    assert together.dtype == torch.float32 and together.shape == x.shape
    assert torch.equal(backend.restore(x), together)
    stored = noise.drawn(x[:1], (16, 8, 8), seed=None, stored=NOISE_SEED)
    for row in range(2):
        assert difference(together[row : row + 1], network(x[row : row + 1], stored)) < REORDERED_TOLERANCE


def test_seeded_noise_belongs_to_the_seed_and_the_face(network: elir.ELIR, crops: Crops) -> None:
    x, before = crops(2, side=64), torch.get_rng_state()
    seeded = ELIR(network, seed=7)
    first = seeded.restore(x[:1])
    assert torch.equal(ELIR(network, seed=7).restore(x[:1]), first)
    assert difference(ELIR(network, seed=8).restore(x[:1]), first) > 1e-3
    assert difference(ELIR(network).restore(x[:1]), first) > 1e-3
    assert difference(seeded.restore(x.flip(0))[1:], first) < REORDERED_TOLERANCE
    assert torch.equal(before, torch.get_rng_state())


def test_the_number_of_steps_belongs_to_the_method(network: elir.ELIR, crops: Crops) -> None:
    x = crops(1, side=64)
    estimate = network(x, steps=0)
    alone = ELIR(network, steps=0).restore(x)
    assert difference(alone, estimate) < REORDERED_TOLERANCE
    assert torch.equal(ELIR(network, steps=0, seed=3).restore(x), alone)
    assert difference(ELIR(network, steps=2).restore(x), ELIR(network).restore(x)) > 1e-3


def test_signed_is_the_same_network_for_faces_from_minus_one(network: elir.ELIR, crops: Crops) -> None:
    x = crops(1, side=64)
    restored = ELIR.signed(network, side_px=64)(x * 2 - 1) / 2 + 0.5
    assert difference(restored, ELIR(network).restore(x)) < REORDERED_TOLERANCE


def test_bfloat16_keeps_the_picture(network: elir.ELIR, crops: Crops) -> None:
    x = crops(1, side=64)
    exact = ELIR(network).restore(x)
    restored = ELIR(copy.deepcopy(network), dtype=torch.bfloat16).restore(x)
    assert restored.dtype == torch.float32 and not torch.equal(restored, exact)
    assert (restored - exact).std() < 0.1 * exact.std()


@pytest.mark.parametrize("steps", [-1, 1001, 2.0, True, "5", None])
def test_steps_outside_their_range_are_refused_before_a_file_is_opened(steps: object) -> None:
    with pytest.raises(GfpupError, match="steps") as error:
        ELIR.load(BackendSpec("elir", checkpoints={"elir": Path("nowhere.pth")}, parameters={"steps": steps}))
    assert repr(steps) in str(error.value) and "from 0" in str(error.value)


def test_float16_and_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"params": {"quantize.embedding.weight": torch.zeros(1024, 256)}}, path)
    with pytest.raises(GfpupError, match="float16"):
        ELIR.load(BackendSpec("elir", checkpoints={"elir": path}, dtype="float16"))
    with pytest.raises(CheckpointError, match="does not hold the weights of elir"):
        ELIR.load(BackendSpec("elir", checkpoints={"elir": path}))
