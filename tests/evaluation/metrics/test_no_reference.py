"""The pyiqa metrics are pyiqa's, come from files only, and are missing with a reason, at once, where they cannot be had."""

from __future__ import annotations

import socket
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from gfpup.core.errors import GfpupError
from gfpup.core.torchvision_shim import cure
from gfpup.core.types import UInt8
from gfpup.evaluation import metrics
from gfpup.evaluation.metrics import MetricError

needs_pyiqa = pytest.mark.skipif(
    find_spec("pyiqa") is None or find_spec("torchvision") is None, reason="pyiqa or torchvision is not installed"
)


def picture(height: int, width: int, seed: int) -> UInt8:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 17.0
    base = np.stack([np.sin(rng.uniform(0.3, 3) * x + rng.uniform(0.3, 3) * y) for _ in range(3)], axis=2) * 60 + 128
    return np.clip(base + rng.normal(0, 10, base.shape), 0, 255).astype(np.uint8)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a metric tried to reach the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_without_pyiqa_the_reason_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("gfpup.evaluation.metrics.no_reference.find_spec", lambda name: object() if name == "clip" else None)
    for name in ("niqe_pyiqa", "musiq", "maniqa", "clipiqa", "topiq"):
        files = dict.fromkeys(metrics.facts(name).weights, tmp_path / "x.pth")
        with pytest.raises(MetricError, match=f"{name} needs pyiqa"):
            metrics.load(name, files)


@needs_pyiqa
@pytest.mark.usefixtures("no_network")
def test_networks_are_filled_strictly_from_a_file(tmp_path: Path) -> None:
    cure()
    from pyiqa.archs.musiq_arch import MUSIQ

    torch.manual_seed(5)
    theirs = MUSIQ(pretrained=False).eval()
    path = tmp_path / "musiq.pth"
    torch.save(theirs.state_dict(), path)
    rgb = picture(96, 128, 6)
    tensor = torch.from_numpy(rgb.transpose(2, 0, 1).copy())[None].float() / 255
    with torch.no_grad():
        expected = float(theirs(tensor))
    metric = metrics.load("musiq", {"musiq-koniq": path})
    assert metric.score(rgb, None).value == pytest.approx(expected, rel=1e-5)
    wide = np.zeros((64, 2048 * 32 + 1, 3), np.uint8)
    assert "million" in str(metric.score(wide, None).missing_reason)

    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(MetricError, match="does not hold the network of musiq"):
        metrics.load("musiq", {"musiq-koniq": path})


@needs_pyiqa
@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", ["maniqa", "topiq", "topiq_nr-face"])
def test_no_backbone_is_fetched_on_the_way(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "other.pth"
    torch.save({"a": torch.zeros(1)}, path)
    began = time.perf_counter()
    with pytest.raises(MetricError, match=f"does not hold the network of {name}"):
        metrics.load(name, {metrics.facts(name).weights[0]: path})
    assert time.perf_counter() - began < 40
    assert capfd.readouterr().out == ""


@needs_pyiqa
@pytest.mark.usefixtures("no_network")
def test_an_absent_file_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(GfpupError, match="no checkpoint at"):
        metrics.load("musiq", {"musiq-koniq": tmp_path / "absent.pth"})


def test_clip_iqa_needs_clips_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("gfpup.evaluation.metrics.no_reference.find_spec", lambda name: None)
    with pytest.raises(MetricError, match="package clip"):
        metrics.load("clipiqa", {"clip-rn50": tmp_path / "RN50.pt"})


@needs_pyiqa
@pytest.mark.usefixtures("no_network")
def test_niqe_pyiqa_is_pyiqas_default(shared: Path, tmp_path: Path) -> None:
    cure()
    from pyiqa.archs.niqe_arch import NIQE
    from scipy.io import savemat

    spec = find_spec("basicsr")
    if spec is None or spec.origin is None:
        pytest.skip("basicsr is not installed")
    stored = np.load(Path(spec.origin).parent / "metrics" / "niqe_pris_params.npz")
    # Other numbers than basicsr's, in the layout of pyiqa's file.
    path = tmp_path / "niqe_modelparameters.mat"
    savemat(path, {"mu_prisparam": stored["mu_pris_param"] * 1.1, "cov_prisparam": stored["cov_pris_param"] * 1.2})
    bgr = cv2.imread(str(shared / "data" / "photos" / "one_face_small.jpg"))
    rgb = np.ascontiguousarray(bgr[:, :, ::-1])
    with torch.no_grad():
        tensor = torch.from_numpy(rgb.transpose(2, 0, 1).copy())[None].float() / 255
        expected = float(NIQE(pretrained_model_path=str(path))(tensor))
    metric = metrics.load("niqe_pyiqa", {"niqe-pyiqa": path})
    found = metric.score(rgb, None).value
    assert found == pytest.approx(expected, abs=1e-3)
    assert found is not None and abs(found - float(metrics.load("niqe", {}).score(rgb, None).value or 0)) > 0.1
    path.write_bytes(b"another file")
    with pytest.raises(MetricError, match="does not hold the parameters of NIQE"):
        metrics.load("niqe_pyiqa", {"niqe-pyiqa": path})


@needs_pyiqa
@pytest.mark.slow
@pytest.mark.usefixtures("no_network")
def test_topiq_for_faces_is_built_without_a_detector_and_filled_strictly(tmp_path: Path) -> None:
    cure()
    from pyiqa.archs.topiq_arch import CFANet

    settings: dict[str, Any] = {"semantic_model_name": "resnet50", "model_name": "cfanet_nr_koniq_res50", "use_ref": False}
    torch.manual_seed(5)
    theirs = CFANet(**settings, backbone_pretrain=False, pretrained=False, test_img_size=512).eval()
    path = tmp_path / "topiq.pth"
    torch.save({"params": theirs.state_dict()}, path)
    metric = metrics.load("topiq_nr-face", {"topiq-nr-face": path})
    rgb = picture(128, 128, 6)
    tensor = torch.from_numpy(rgb.transpose(2, 0, 1).copy())[None].float() / 255
    with torch.no_grad():
        expected = float(theirs(tensor))
    assert metric.score(rgb, None).value == pytest.approx(expected, rel=1e-5)
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(MetricError, match="does not hold the network of topiq_nr-face"):
        metrics.load("topiq_nr-face", {"topiq-nr-face": path})
