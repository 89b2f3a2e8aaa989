"""The features and distances of FID and precision are BasicSR's and torch-fidelity's, on real faces."""

from __future__ import annotations

import sys
from importlib import import_module, util
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from session import session_files

from gfpup.core.torchvision_shim import cure
from gfpup.core.types import Float64, UInt8
from gfpup.evaluation import metrics
from gfpup.evaluation.metrics.distances import frechet_to_moments, moments, precision
from gfpup.evaluation.metrics.features import InceptionBasicSR, InceptionFFHQ, InceptionFidelity
from gfpup.evaluation.metrics.set_level import set_score
from gfpup.evaluation.protocols import BASICSR
from gfpup.models.nets.inception import PatchedInception, resized_like_tensorflow
from gfpup.tools.verify.goldens import filled

needs_basicsr = pytest.mark.skipif(None in map(find_spec, ("basicsr", "torchvision")), reason="basicsr is not installed")
needs_fidelity = pytest.mark.skipif(find_spec("torch_fidelity") is None, reason="torch-fidelity is not installed")


@pytest.fixture(scope="module")
def weights() -> Path:
    """The checkpoint as pytorch-fid publishes it, filled with deterministic numbers; written once a session."""

    def write(part: Path) -> None:
        with torch.device("meta"):
            shapes = {name: tuple(tensor.shape) for name, tensor in PatchedInception().state_dict().items()}
        torch.save(filled(shapes, salt=1, gain={}), part)

    return session_files.once("inception-filled.pth", write)


@pytest.fixture(scope="module")
def faces(shared: Path) -> list[UInt8]:
    """Three faces of other sizes than 299."""
    folder = shared / "data"
    paths = ("reference_faces/ffhq_00000000.png", "degraded_faces/0143.png", "published_outputs/face_2_gfpgan_v1.4.jpg")
    return [np.ascontiguousarray(cv2.imread(str(folder / path))[:, :, ::-1]) for path in paths]


def basicsr_module(name: str, **beside: ModuleType) -> Any:
    """A file of BasicSR without its package, whose import needs a torchvision of its own time."""
    spec = find_spec("basicsr")
    assert spec is not None and spec.origin is not None
    path = Path(spec.origin).parent / name
    found = util.spec_from_file_location(f"official_{path.stem}", path)
    assert found is not None and found.loader is not None
    module = util.module_from_spec(found)
    with pytest.MonkeyPatch.context() as patch:
        for key, value in beside.items():
            patch.setitem(sys.modules, key.replace("__", "."), value)
        found.loader.exec_module(module)
    return module


def basicsr_fid(weights: Path) -> tuple[Any, Any]:
    """BasicSR's module of FID, and its Inception with the weights of the file."""
    cure()
    inception = basicsr_module("archs/inception.py")
    state = torch.load(weights, weights_only=True)
    inception.load_url = lambda *_, **__: state
    fid = basicsr_module(
        "metrics/fid.py", basicsr=ModuleType("basicsr"), basicsr__archs=ModuleType("a"), basicsr__archs__inception=inception
    )
    return fid, fid.load_patched_inception_v3("cpu")


@needs_basicsr
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_fids_features_are_basicsrs(weights: Path, faces: list[UInt8]) -> None:
    fid, network = basicsr_fid(weights)
    # As calculate_fid_folder.py reads a file: float32 in [0, 1], then (x - 0.5) / 0.5.
    faces = faces[:2]
    pictures = [(torch.from_numpy(face.transpose(2, 0, 1).astype(np.float32) / 255)[None] - 0.5) / 0.5 for face in faces]
    expected = fid.extract_inception_features(pictures, network, device="cpu").double().numpy()
    mine = InceptionBasicSR.load({"inception-fid": weights})
    found = np.stack([mine.features(face) for face in faces])
    assert np.abs(found - expected).max() <= 1e-5 * expected.std()
    assert mine.protocol == BASICSR and found.shape == (2, 2048)


@needs_basicsr
@pytest.mark.parametrize("n", [40, 400])
def test_fid_is_basicsrs_on_the_same_features(n: int) -> None:
    inception: Any = ModuleType("inception")
    inception.InceptionV3 = None
    fid = basicsr_module(
        "metrics/fid.py", basicsr=ModuleType("basicsr"), basicsr__archs=ModuleType("a"), basicsr__archs__inception=inception
    )
    restored, reference = features(n, 64, 1), moments(features(900, 64, 2, 0.3))
    theirs = fid.calculate_fid(restored.mean(0), np.cov(restored, rowvar=False), reference.mean, reference.covariance)
    # Their root of a singular product, where n < d, is inexact.
    assert frechet_to_moments(restored, reference) == pytest.approx(theirs, rel=1e-9 if n > 64 else 1e-4)


@needs_fidelity
def test_fids_and_precisions_features_are_torch_fidelitys(weights: Path, faces: list[UInt8]) -> None:
    cure()
    module = import_module("torch_fidelity.feature_extractor_inceptionv3")
    theirs = module.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(weights))
    mine = InceptionFidelity.load({"inception-fid": weights})
    for face in faces:
        (expected,) = theirs(torch.from_numpy(face.transpose(2, 0, 1).copy())[None])
        assert np.abs(mine.features(face) - expected[0].double().numpy()).max() <= 1e-3 * float(expected.std())


@needs_fidelity
def test_pictures_are_resized_as_torch_fidelity_does(faces: list[UInt8]) -> None:
    cure()
    resize = import_module("torch_fidelity.interpolate_compat_tensorflow").interpolate_bilinear_2d_like_tensorflow1x
    for face in faces:
        x = torch.from_numpy(face.transpose(2, 0, 1).copy())[None].float()
        for side in (299, 224):
            assert (resized_like_tensorflow(x, side) - resize(x, (side, side), align_corners=False)).abs().max() <= 1e-3


@needs_fidelity
def test_fid_and_precision_are_torch_fidelitys_on_the_same_features() -> None:
    cure()
    a, b = features(300, 32, 3), features(260, 32, 4, 0.2)
    tensors = [torch.from_numpy(x) for x in (a, b)]
    fid = import_module("torch_fidelity.metric_fid")
    moments_of = [fid.fid_features_to_statistics(x) for x in tensors]
    theirs = fid.fid_statistics_to_metric(*moments_of, verbose=False)["frechet_inception_distance"]
    assert set_score("fid_fidelity", list(a), list(b)).value == pytest.approx(theirs, rel=1e-7)
    prc = import_module("torch_fidelity.metric_prc").prc_features_to_metric(*tensors, verbose=False)
    assert precision(a, b) == pytest.approx(prc["precision"], abs=1e-6) and 0 < prc["precision"] < 1


def test_vggs_features_are_the_second_layer_rectified(faces: list[UInt8]) -> None:
    if find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    from gfpup.evaluation.metrics.features import VGG16

    class Network:
        def __call__(self, x: torch.Tensor) -> torch.Tensor:
            self.seen = x
            return x.flatten(1)

    network = Network()
    VGG16(network, "cpu").features(faces[0])
    x = torch.from_numpy(faces[0].transpose(2, 0, 1).copy())[None].float()
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = (resized_like_tensorflow(x, 224) / 255 - mean[:, None, None]) / deviation[:, None, None]
    assert network.seen.shape == (1, 3, 224, 224) and torch.allclose(network.seen, expected, atol=1e-5)


@pytest.mark.slow
@needs_fidelity
def test_the_whole_of_vgg_is_torch_fidelitys(faces: list[UInt8], tmp_path: Path) -> None:
    cure()
    torch.manual_seed(0)
    network: Any = import_module("torchvision.models").vgg16()
    path = tmp_path / "vgg16.pth"
    torch.save(network.state_dict(), path)
    module = import_module("torch_fidelity.feature_extractor_vgg16")
    theirs = module.FeatureExtractorVGG16("vgg16", ["fc2_relu"], feature_extractor_weights_path=str(path))
    mine: Any = metrics.load("precision", {"vgg16": path})
    (expected,) = theirs(torch.from_numpy(faces[0].transpose(2, 0, 1).copy())[None])
    assert np.abs(mine.features(faces[0]) - expected[0].double().numpy()).max() <= 1e-4 * float(expected.std())


def test_fid_is_taken_against_the_published_statistics(weights: Path, tmp_path: Path) -> None:
    reference = moments(features(300, 2048, 2)[:, :2048])
    path = tmp_path / "inception_FFHQ_512-f7b384ab.pth"
    torch.save({"name": "FFHQ", "size": 512, "mean": reference.mean, "cov": reference.covariance}, path)
    loaded = InceptionFFHQ.load({"inception-fid": weights, "inception-ffhq-512": path})
    assert loaded.statistics is not None and loaded.statistics.protocol == BASICSR
    restored = features(110, 2048, 1)
    expected = frechet_to_moments(restored, reference)
    assert set_score("fid", list(restored), loaded.statistics).value == pytest.approx(expected)


def features(n: int, d: int, seed: int, shift: float = 0.0) -> Float64:
    rng = np.random.default_rng(seed)
    if d > 100:
        return np.maximum(rng.normal(size=(n, d)) + shift, 0)
    return np.maximum(rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) / np.sqrt(d) + shift, 0)
