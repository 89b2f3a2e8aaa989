"""RestoreFormer and RestoreFormer++ from official files: the official pictures, and neither taken for the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from golden import Golden, fill_randomly

from gfpup.core.errors import CheckpointError, GfpupError
from gfpup.core.types import BackendSpec
from gfpup.models.backends.restoreformer import RestoreFormer, RestoreFormerPP
from gfpup.models.table import ARCHITECTURES

REORDERED_TOLERANCE = 5e-4
Crops = Callable[..., torch.Tensor]
BACKENDS = pytest.mark.parametrize("backend", [RestoreFormer, RestoreFormerPP])


def spec(path: Path, *, dtype: str = "float32") -> BackendSpec:
    return BackendSpec("restoreformer", checkpoints={"weights": path}, dtype=dtype)


@pytest.mark.parametrize(
    ("official", "backend", "other"),
    [("restoreformer", RestoreFormer, RestoreFormerPP), ("restoreformerpp", RestoreFormerPP, RestoreFormer)],
    indirect=["official"],
)
def test_an_official_file_gives_the_official_picture_and_is_not_taken_for_the_other(
    official: tuple[Golden, Path],
    backend: type[RestoreFormer],
    other: type[RestoreFormer],
    check_restored: Callable[..., None],
    encoded_once: Callable[[object], None],
) -> None:
    golden, path = official
    loaded = backend.load(spec(path))
    encoded_once(loaded._network)
    check_restored(loaded.restore(golden.rgb(low=0.0)), golden, REORDERED_TOLERANCE)
    x = golden.rgb().contiguous(memory_format=torch.channels_last)
    assert loaded._network.codes(x)[0].tolist() == golden.arrays["codes"].tolist()
    with pytest.raises(CheckpointError, match=f"look like those of {golden.name}"):
        other.load(spec(path))


@BACKENDS
@torch.inference_mode()
def test_range_rows_and_precision_at_64_pixels(backend: type[RestoreFormer], crops: Crops) -> None:
    with torch.device("meta"):
        network = ARCHITECTURES[backend.architecture].build()
    fill_randomly(network, seed=41)
    loaded, x = backend(network), crops(2, side=64)
    together, scores = loaded.restore(x), network.scores(x * 2 - 1)
    for row in range(2):
        expected = network(x[row : row + 1] * 2 - 1) / 2 + 0.5
        torch.testing.assert_close(together[row : row + 1], expected, rtol=1e-3, atol=1e-3)
    low = backend(network, dtype=torch.bfloat16)
    assert torch.equal(network.scores(x * 2 - 1), scores)
    lowered = low.restore(x)
    assert lowered.dtype == torch.float32 and not torch.equal(lowered, together)
    assert (lowered - together).std() < 0.1 * together.std()


@BACKENDS
def test_float16_is_refused_before_a_file_is_opened(backend: type[RestoreFormer]) -> None:
    with pytest.raises(GfpupError, match="float16") as error:
        backend.load(spec(Path("nowhere.pth"), dtype="float16"))
    assert "float32 or bfloat16" in str(error.value)
