"""What a side runs: plain networks left plain, the detector's work done and its answer replaced, answers apart from noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gfpup.core.types import Face, UInt8
from gfpup.ops import geometry
from gfpup.tools.bench import worker
from gfpup.tools.bench.request import Request, Side, Workload
from gfpup.tools.bench.sides import NetworkAlone, Planted, _Plain, choices, faces, run_of
from gfpup.tools.bench.weights import Weights


def test_a_batch_holds_faces_that_differ() -> None:
    x = faces(Side("gfpup", "identity", batch=3))
    assert x.shape == (3, 3, 512, 512) and x.dtype == torch.float32
    assert 0 <= float(x.min()) < 0.1 and 0.9 < float(x.max()) <= 1 and not torch.equal(x[0], x[1])


def test_identity_gives_its_faces_back() -> None:
    side = Side("gfpup", "identity", batch=2)
    output, stages = run_of(side)()
    assert torch.equal(output, faces(side)) and stages == {}


class Double(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.is_contiguous() and not torch.is_inference_mode_enabled()
        return x


def test_plain_means_torchs_layout_and_no_inference_mode() -> None:
    x = torch.rand(1, 3, 8, 8)
    assert torch.allclose(NetworkAlone(Double(), lambda network, x: network(x)).restore(x), x, atol=1e-6)
    wrapped = _Plain(Double())
    assert torch.equal(wrapped(x.contiguous(memory_format=torch.channels_last)), x)
    assert not list(wrapped.parameters()), "what rewrites a network must not find this one's layers"


def test_the_detector_works_and_the_planted_faces_are_found() -> None:
    seen: list[tuple[int, ...]] = []

    class Blind:
        def detect(self, rgb: UInt8) -> list[Face]:
            seen.append(rgb.shape)
            return []

    face = Face((0.0, 0.0, 9.0, 9.0), 1.0, np.asarray(geometry.TEMPLATE_512_XY))
    assert Planted(Blind(), [face]).detect(np.zeros((5, 6, 3), np.uint8)) == [face] and seen == [(5, 6, 3)]


@pytest.mark.parametrize("count", [0, 2])
def test_a_photo_goes_through_all_stages(count: int) -> None:
    load = Workload(size_wh=(240, 180), faces=count, face_px=80, detector="cascade", mask="feather")
    output, stages = run_of(Side("gfpup", "identity", workload=load))()
    assert output.shape == (360, 480, 3) and output.dtype == torch.uint8
    assert ("restore" in stages) == bool(count)


def test_the_worker_holds_a_side() -> None:
    side = Request(backends=("identity",), threads=1).side("gfpup", "identity", {})
    assert worker.load(side) > 0
    assert worker.once()["wall"] > 0
    assert worker.output().shape == (1, 3, 512, 512)
    assert worker.usage()["cpu"] > 0 and worker.codes() is None


def test_a_code_books_choices_are_shown_and_those_of_others_are_not(tmp_path: Path) -> None:
    """In whatever precision the decoder paints, and rewritten or not, the same codes."""
    request = Request(backends=("restoreformer",), weights_dir=tmp_path / "none")
    path = Weights(request, tmp_path, say=lambda line: None).of("restoreformer", "plain")[0]["backend"]
    checkpoints = {"backend": path}
    plain = choices(Side("plain", "restoreformer", checkpoints=checkpoints))
    own = choices(Side("gfpup", "restoreformer", checkpoints=checkpoints, dtype="bfloat16"))
    path.unlink()
    assert plain is not None and own is not None
    assert len(own["codes"]) == 256 and len(set(own["codes"])) > 1
    assert own["codes"] == plain["codes"]
    assert 0 < own["margin"] == pytest.approx(plain["margin"], rel=0.5)
    for name, backend, engine in (("upstream", "restoreformer", "eager"), ("gfpup", "restoreformer", "openvino")):
        assert choices(Side(name, backend, engine=engine, checkpoints=checkpoints)) is None
    assert choices(Side("gfpup", "gfpgan")) is None and choices(Side("gfpup", "identity")) is None
