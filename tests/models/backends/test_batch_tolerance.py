"""A face in a batch against the same face alone: what `placement.BATCH_TOLERANCE` promises of float32 on a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from golden import Golden

from gfpup.core.types import BackendSpec
from gfpup.models import backends

METHODS = ["gfpgan", "codeformer", "restoreformer", "restoreformerpp", "elir"]


@pytest.mark.parametrize(
    ("official", "device"),
    [("gfpgan", "cpu"), *(pytest.param(name, "cuda", marks=pytest.mark.gpu) for name in METHODS)],
    indirect=["official"],
)
def test_a_face_in_a_batch_is_within_a_level_of_itself_alone(official: tuple[Golden, Path], device: str) -> None:
    """With whole networks. A CPU, where a run takes one face at a time, computes batches too."""
    golden, path = official
    torch.backends.cudnn.allow_tf32 = False  # as a run has it
    face = golden.rgb(low=0.0)
    crops = torch.cat([face.roll(8 * i, dims=3) for i in range(2 if device == "cpu" else 3)]).to(device)
    backend = backends.load(BackendSpec(golden.name, checkpoints={"any name": path}, device=device))
    together, alone = backend.restore(crops), torch.cat([backend.restore(crop[None]) for crop in crops])
    levels = [out.clamp(0, 1).mul(255).round() for out in (together, alone)]
    assert (levels[0] - levels[1]).abs().max() <= 1
