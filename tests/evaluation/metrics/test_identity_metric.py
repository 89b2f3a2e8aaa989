"""Identity is a cosine of faces aligned as ArcFace wants them; Deg follows the published script."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from gfpup.core.errors import CheckpointError
from gfpup.core.types import UInt8
from gfpup.evaluation.metrics.identity import Deg, Identity, cosine, degrees
from gfpup.models.nets.arcface import ArcFaceIRSE50, ArcFaceResNet18
from gfpup.models.nets.loading import load_network


def filled(network: torch.nn.Module, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, value in network.state_dict().items():
        if value.ndim >= 2:
            state[key] = torch.randn(value.shape, generator=generator) * (2 / value[0].numel()) ** 0.5
        elif key.endswith(("running_var",)):
            state[key] = torch.rand(value.shape, generator=generator) + 0.5
        else:
            state[key] = value.clone()
    return state


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("arcface")
    paths = {"arcface-ir-se50": folder / "ir.pth", "arcface-resnet18": folder / "r18.pth"}
    torch.save(filled(ArcFaceIRSE50(), 7), paths["arcface-ir-se50"])
    torch.save({f"module.{k}": v for k, v in filled(ArcFaceResNet18(), 8).items()}, paths["arcface-resnet18"])
    return paths


def face(seed: int, side: int = 512) -> UInt8:
    noise = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)
    return np.asarray(cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)


def test_cosine_and_degrees() -> None:
    a, b = np.array([1.0, 0.0]), np.array([1.0, 1.0])
    assert cosine(a, a) == 1.0 and cosine(a, -a) == -1.0 and cosine(a, 5 * b) == pytest.approx(2**-0.5)
    assert cosine(a, 0 * a) == 0.0
    assert [degrees(c) for c in (1.0, 0.5, 0.0, -1.0)] == pytest.approx([0, 60, 90, 180])
    assert degrees(1.0 + 1e-9) == 0.0


def test_identity_of_the_same_face_and_of_others(files: dict[str, Path]) -> None:
    metric = Identity.load(files)
    same = metric.score(face(1), face(1))
    assert same.value == pytest.approx(1.0, abs=1e-6) and same.higher_is_better and same.metric == "identity"
    other = metric.score(face(1), face(2)).value
    assert other is not None and -1 <= other < 0.999
    assert other == metric.score(face(2), face(1)).value
    assert np.linalg.norm(metric.embed(face(3))) == pytest.approx(1.0, abs=1e-5)
    assert "no face" in str(metric.score(face(1), None).missing_reason)


def test_deg_is_the_published_scripts(files: dict[str, Path]) -> None:
    metric = Deg.load(files)
    # Loaded as the metric loads it: another layout of the weights rounds otherwise, and this is about what goes in.
    network = load_network(ArcFaceResNet18, files["arcface-resnet18"], name="arcface-resnet18")

    def published(rgb: UInt8) -> np.ndarray:
        """The script's steps: grey from the file, bilinear to 128, minus and by 127.5."""
        grey = cv2.cvtColor(rgb[:, :, ::-1].copy(), cv2.COLOR_BGR2GRAY)
        small = cv2.resize(grey, (128, 128), interpolation=cv2.INTER_LINEAR).astype(np.float32)
        with torch.no_grad():
            return network(torch.from_numpy((small - 127.5) / 127.5)[None, None])[0].numpy()

    a, b = published(face(4)), published(face(5))
    expected = np.arccos(np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b))) / np.pi * 180
    score = metric.score(face(4), face(5))
    assert metric.embed(face(4)) == pytest.approx(a, abs=1e-4 * float(np.abs(a).max()))
    assert score.value == pytest.approx(expected, abs=0.05) and expected > 1 and not score.higher_is_better
    assert metric.score(face(4), face(4)).value == pytest.approx(0.0, abs=0.1)


def test_another_network_is_refused(files: dict[str, Path]) -> None:
    with pytest.raises(CheckpointError):
        Identity.load({"arcface-ir-se50": files["arcface-resnet18"]})
