"""CodeFormer from an official file: the official pictures at three fidelities, and what is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from golden import Golden, fill_randomly
from torch import nn

from gfpup.core.errors import CheckpointError, GfpupError
from gfpup.core.types import BackendSpec
from gfpup.models.backends.codeformer import CodeFormer
from gfpup.models.nets import codeformer

REORDERED_TOLERANCE = 5e-3
Crops = Callable[..., torch.Tensor]


@pytest.fixture(scope="module")
def network() -> codeformer.CodeFormer:
    """The whole network with random weights and places for 2x2 codes: it takes 64x64 crops and costs little."""
    with torch.device("meta"):
        network = codeformer.CodeFormer()
    fill_randomly(network, seed=41)
    network.position_emb = nn.Parameter(torch.randn(4, 512, generator=torch.Generator().manual_seed(32)))
    return network


@pytest.mark.parametrize("official", ["codeformer"], indirect=True)
def test_an_official_file_gives_the_official_pictures(
    official: tuple[Golden, Path], check_restored: Callable[..., None], encoded_once: Callable[[object], None]
) -> None:
    golden, path = official
    crops = golden.rgb(low=0.0)
    backend = CodeFormer.load(BackendSpec("codeformer", checkpoints={"codeformer": path}, parameters={"fidelity": 1}))
    encoded_once(backend._network)
    check_restored(backend.restore(crops), golden, REORDERED_TOLERANCE, key="output_w1.0")
    for fidelity in (0.0, 0.5):
        other = CodeFormer(backend._network, fidelity=fidelity)
        check_restored(other.restore(crops), golden, REORDERED_TOLERANCE, key=f"output_w{fidelity}")
    x = golden.rgb().contiguous(memory_format=torch.channels_last)
    assert backend._network.codes(x)[0].tolist() == golden.arrays["codes"].tolist()


def test_range_rows_and_fidelity(network: codeformer.CodeFormer, crops: Crops) -> None:
    backend, x = CodeFormer(network), crops(2, side=64)
    together = backend.restore(x)
    assert torch.equal(backend.restore(x), together)
    for row in range(2):
        alone = x[row : row + 1]
        expected = network(alone * 2 - 1, fidelity=0.5) / 2 + 0.5
        torch.testing.assert_close(together[row : row + 1], expected, rtol=1e-3, atol=1e-3)
    other = CodeFormer(network, fidelity=0.9)
    assert not torch.allclose(other.restore(x), together)


def test_bfloat16_lowers_the_decoder_and_keeps_every_code(network: codeformer.CodeFormer, crops: Crops) -> None:
    x = crops(1, side=64)
    logits, exact = network.scores(x * 2 - 1), CodeFormer(network).restore(x)
    low = CodeFormer(copy.deepcopy(network), dtype=torch.bfloat16)
    assert torch.equal(low._network.scores(x * 2 - 1), logits)
    restored = low.restore(x)
    assert restored.dtype == torch.float32 and not torch.equal(restored, exact)
    assert (restored - exact).std() < 0.1 * exact.std()


@pytest.mark.parametrize("fidelity", [-0.01, 1.5, float("nan"), True, "0.5", None])
def test_fidelity_outside_its_range_is_refused_before_a_file_is_opened(fidelity: object) -> None:
    with pytest.raises(GfpupError, match="fidelity") as error:
        CodeFormer.load(
            BackendSpec("codeformer", checkpoints={"codeformer": Path("nowhere.pth")}, parameters={"fidelity": fidelity})
        )
    assert repr(fidelity) in str(error.value) and "0 to 1" in str(error.value)


def test_float16_and_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"params": {"quantize.embedding.weight": torch.zeros(1024, 256)}}, path)
    with pytest.raises(GfpupError, match="float16"):
        CodeFormer.load(BackendSpec("codeformer", checkpoints={"codeformer": path}, dtype="float16"))
    with pytest.raises(CheckpointError, match="does not hold the weights of codeformer"):
        CodeFormer.load(BackendSpec("codeformer", checkpoints={"codeformer": path}))
