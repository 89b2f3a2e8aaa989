"""PMRF as a method: range, rows, noise, steps, what is said of its pace, training checkpoints, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from golden import difference, fill_randomly
from safetensors.torch import save_file

from gfpup.core.errors import CheckpointError, GfpupError
from gfpup.core.types import BackendSpec
from gfpup.models.backends.flow import NOISE_SEED
from gfpup.models.backends.noise import drawn
from gfpup.models.backends.pmrf import PMRF, pace
from gfpup.models.nets import pmrf
from gfpup.weights.checkpoint import read_state_dict

REORDERED_TOLERANCE = 5e-4
Crops = Callable[..., torch.Tensor]


def network() -> pmrf.PMRF:
    return fill_randomly(pmrf.PMRF(widths=(64, 128), depths=(1, 1), groups=1), seed=6)  # type: ignore[return-value]


def test_range_and_rows(crops: Crops) -> None:
    backend, x = PMRF(network(), steps=2, side_px=64), crops(2, side=64)
    together = backend.restore(x)
    assert together.dtype == torch.float32 and together.shape == x.shape
    assert torch.equal(backend.restore(x), together)
    stored = drawn(x[:1], (3, 64, 64), seed=None, stored=NOISE_SEED)
    for row in range(2):
        assert difference(together[row : row + 1], network()(x[row : row + 1], stored, steps=2)) < REORDERED_TOLERANCE


def test_seeded_noise_belongs_to_the_seed_and_the_face(crops: Crops) -> None:
    x = crops(2, side=64)
    seeded = PMRF(network(), seed=7, steps=1, side_px=64)
    first = seeded.restore(x[:1])
    assert difference(PMRF(network(), seed=8, steps=1, side_px=64).restore(x[:1]), first) > 1e-3
    assert difference(PMRF(network(), steps=1, side_px=64).restore(x[:1]), first) > 1e-3
    assert difference(seeded.restore(x.flip(0))[1:], first) < REORDERED_TOLERANCE


def test_no_steps_are_the_estimate(crops: Crops) -> None:
    x = crops(1, side=64)
    assert difference(PMRF(network(), steps=0, side_px=64).restore(x), network().estimate(x).clamp(0, 1)) < REORDERED_TOLERANCE


def test_bfloat16_keeps_the_picture(crops: Crops) -> None:
    x = crops(1, side=64)
    exact = PMRF(network(), steps=2, side_px=64).restore(x)
    restored = PMRF(network(), steps=2, side_px=64, dtype=torch.bfloat16).restore(x)
    assert restored.dtype == torch.float32 and not torch.equal(restored, exact)
    assert (restored - exact).std() < 0.1 * exact.std()


def test_a_slow_pace_is_said_once_before_the_first_face(
    crops: Crops, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    backend = PMRF(network(), steps=25, side_px=64)
    monkeypatch.setattr(backend, "seconds_of_a_step", lambda _: 8.0)
    monkeypatch.setattr(backend, "_run", lambda x, *_: (x,))
    backend.restore(crops(1, side=64))
    assert "8.0 s a step here, so about 3 min a face for 25 steps" in capsys.readouterr().err
    backend.restore(crops(1, side=64))
    assert capsys.readouterr().err == ""
    assert pace(0.1, 25) == ""


def test_the_averaged_weights_of_a_training_checkpoint_are_taken(tmp_path: Path) -> None:
    made = network()
    averages = [parameter + 1 for parameter in made.model.parameters()]
    state = made.state_dict()
    path = tmp_path / "training.ckpt"
    torch.save({"state_dict": state, "ema": {"decay": 0.9999, "shadow_params": averages}, "epoch": 3}, path)
    read = read_state_dict(path)
    for name, _ in made.named_parameters():
        expected = state[name] + 1 if name.startswith("model.") else state[name]
        assert torch.equal(read[name], expected), name
    assert torch.equal(read["model.time_emb.weight"], state["model.time_emb.weight"])
    torch.save({"state_dict": state, "ema": {"shadow_params": [*averages, torch.zeros(3)]}}, path)
    with pytest.raises(CheckpointError, match="averaged weights"):
        read_state_dict(path)


def test_networks_of_metrics_beside_it_are_ignored(tmp_path: Path) -> None:
    path, state = tmp_path / "model.safetensors", network().state_dict()
    save_file({**{k: v.contiguous() for k, v in state.items()}, "fid.real_sum": torch.zeros(4)}, path)
    assert set(read_state_dict(path)) == set(state)


def test_engines_steps_and_other_networks_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"params": {"quantize.embedding.weight": torch.zeros(1024, 256)}}, path)
    with pytest.raises(GfpupError, match="compile"):
        PMRF.load(BackendSpec("pmrf", checkpoints={"pmrf": path}, engine="compile"))
    with pytest.raises(GfpupError, match="steps"):
        PMRF.load(BackendSpec("pmrf", checkpoints={"pmrf": path}, parameters={"steps": 1.5}))
    with pytest.raises(CheckpointError, match="does not hold the weights of pmrf"):
        PMRF.load(BackendSpec("pmrf", checkpoints={"pmrf": path}))
