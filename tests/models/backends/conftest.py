"""What the tests of the learned backends share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from golden import Golden
from official import written


@pytest.fixture
def crops() -> Callable[..., torch.Tensor]:
    """Makes `count` square crops as the pipeline does: float32 (n, 3, side, side), whole levels over 255."""

    def make(count: int, *, side: int, seed: int = 5) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.randint(0, 256, (count, 3, side, side), generator=generator).float() / 255

    return make


@pytest.fixture(scope="module")
def official(
    shared: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[tuple[Golden, Path]]:
    """The golden that the test's parameter names, and its checkpoint in the official format: written once, then deleted."""
    golden = Golden.load(shared, request.param)
    with written(golden, tmp_path_factory.mktemp("official")) as path:
        yield golden, path


@pytest.fixture
def encoded_once() -> Callable[[Any], None]:
    """Lets a network with a codebook encode the one face of a test once: after that it only decodes."""

    def remember(network: Any) -> None:
        encode, seen = network.encode, []

        def encoded(x: torch.Tensor) -> Any:
            if not seen:
                seen.append((x.clone(), encode(x)))
            assert torch.equal(x, seen[0][0]), "another face"
            return seen[0][1]

        network.encode = encoded

    return remember


@pytest.fixture
def check_restored() -> Callable[..., None]:
    """Holds restored crops in [0, 1] to a golden in [-1, 1]: the float within a tolerance, the picture within a level."""

    def check(restored: torch.Tensor, golden: Golden, tolerance: float, *, key: str = "output") -> None:
        assert restored.dtype == torch.float32
        golden.check_output(restored.double() * 2 - 1, tolerance, key=key)
        stride = golden.facts["outputs"][key]["stride"]
        mine = (restored[..., ::stride, ::stride].clamp(0, 1) * 255).round().numpy()
        theirs = np.rint(np.clip((golden.arrays[key].astype(np.float64) + 1) / 2, 0, 1) * 255)
        assert np.abs(mine - theirs).max() <= 1

    return check
