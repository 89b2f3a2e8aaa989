"""FID and KID equal independent formulas on random features, are refused for small sets, and need no pairs."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import linalg

from gfpup.core.torchvision_shim import cure
from gfpup.core.types import Float64, UInt8
from gfpup.evaluation import metrics
from gfpup.evaluation.metrics import MetricError
from gfpup.evaluation.metrics.distances import frechet_distance, frechet_to_moments, kernel_distance, moments, precision
from gfpup.evaluation.metrics.set_level import MINIMUM, FaceSets, indrmse, set_score
from gfpup.evaluation.metrics.statistics import Statistics, statistics_of


def features(n: int, d: int, seed: int, shift: float = 0.0) -> Float64:
    rng = np.random.default_rng(seed)
    return np.maximum(rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) / np.sqrt(d) + shift, 0)


@pytest.mark.parametrize(("n", "m", "d"), [(300, 200, 16), (200, 300, 64), (40, 500, 64), (30, 25, 64)])
def test_fid_equals_the_textbook_formula(n: int, m: int, d: int) -> None:
    a, b = features(n, d, 1), features(m, d, 2, 0.3)
    ca, cb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = linalg.sqrtm(ca @ cb)
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(ca + cb - 2 * np.real(root))
    # The textbook's root of a singular product is what is inexact where n < d.
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9 if min(n, m) > d else 1e-4)


def test_fid_equals_torchmetrics() -> None:
    cure()
    from torchmetrics.image.fid import _compute_fid

    a, b = (torch.from_numpy(features(400, 32, seed)) for seed in (3, 4))
    expected = float(_compute_fid(a.mean(0), torch.cov(a.T), b.mean(0), torch.cov(b.T)))
    assert frechet_distance(a.numpy(), b.numpy()) == pytest.approx(expected, rel=1e-9)


def test_fid_of_normal_sets_is_the_closed_form() -> None:
    rng = np.random.default_rng(6)
    a, b = rng.normal(0, 1, (200_000, 3)), rng.normal(2, 3, (200_000, 3))
    assert frechet_distance(a, b) == pytest.approx(3 * (2**2 + (3 - 1) ** 2), rel=0.01)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_kid_equals_the_sum_over_pairs_and_torchmetrics() -> None:
    a, b = features(13, 7, 8), features(11, 7, 9, 0.2)

    def kernel(x: Float64, y: Float64) -> float:
        return float((x @ y / 7 + 1) ** 3)

    within = [
        sum(kernel(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j) / (len(x) * (len(x) - 1))
        for x in (a, b)
    ]
    between = sum(kernel(x, y) for x in a for y in b) / (len(a) * len(b))
    assert kernel_distance(a, b) == pytest.approx(sum(within) - 2 * between, rel=1e-12)
    cure()
    from torchmetrics.image.kid import poly_mmd

    same = a[:11], b
    assert kernel_distance(*same) == pytest.approx(float(poly_mmd(*(torch.from_numpy(x) for x in same))), rel=1e-9)


def test_kid_is_unbiased() -> None:
    values = [
        kernel_distance(features(60, 5, i), features(60, 5, i + 1000) * 0 + features(60, 5, i, 0)[::-1]) for i in range(3)
    ]
    assert all(np.isfinite(values))
    rng = np.random.default_rng(10)
    null = [kernel_distance(rng.normal(size=(50, 4)), rng.normal(size=(50, 4))) for _ in range(200)]
    assert abs(np.mean(null)) < 4 * np.std(null) / np.sqrt(200) and min(null) < 0 < max(null)


def test_too_few_rows_are_a_bug() -> None:
    for measure in (frechet_distance, kernel_distance):
        with pytest.raises(ValueError, match="two rows"):
            measure(np.zeros((1, 3)), np.zeros((5, 3)))


def test_small_sets_are_refused_with_their_sizes() -> None:
    for name, least in MINIMUM.items():
        rows = list(features(least, 8, 1))
        refused = set_score(name, rows, rows[:-1])
        assert (
            refused.value is None
            and str(least) in str(refused.missing_reason)
            and str(least - 1) in str(refused.missing_reason)
        )
        assert set_score(name, rows, rows).value == pytest.approx(float(name == "precision"), abs=1e-6) or name == "kid"
        assert "no reference" in str(set_score(name, rows, []).missing_reason)


class MeanColour:
    """Three features a picture: enough to see that the sets are gathered."""

    protocol = "mean colour"
    statistics: Statistics | None = None

    def features(self, crop: UInt8) -> Float64:
        return crop.reshape(-1, 3).mean(axis=0)


def test_faces_are_gathered_one_by_one() -> None:
    rng = np.random.default_rng(2)
    sets = FaceSets({"fid_reference": MeanColour()})
    rows: dict[bool, list[Float64]] = {True: [], False: []}
    for i in range(2 * MINIMUM["fid_reference"] + 7):
        crop = rng.integers(0, 200 if i % 2 else 255, (4, 4, 3), np.uint8)
        rows[bool(i % 2)].append(crop.reshape(-1, 3).mean(axis=0))
        (sets.add_restored if i % 2 else sets.add_reference)(crop)
    (score,) = sets.scores()
    assert score.value == pytest.approx(frechet_distance(np.array(rows[True]), np.array(rows[False])))


def test_without_torch_fidelity_the_reason_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gfpup.evaluation.metrics.features.find_spec", lambda name: None)
    with pytest.raises(MetricError, match="torch-fidelity"):
        metrics.load("fid_torchmetrics", {"inception-fid": tmp_path / "x.pth"})


@pytest.mark.skipif(find_spec("torch_fidelity") is None, reason="torch-fidelity is not installed")
def test_inceptions_features_are_torchmetrics(tmp_path: Path) -> None:
    cure()
    from torch_fidelity import feature_extractor_inceptionv3 as module
    from torchmetrics.image.fid import NoTrainInceptionV3

    with torch.device("meta"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(module.FeatureExtractorInceptionV3, "load_state_dict", lambda *_, **__: None)
        patch.setattr(module.FeatureExtractorInceptionV3, "to", lambda self, *_: self)
        shapes = module.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"]).state_dict()
    generator = torch.Generator().manual_seed(3)
    state = {}
    for key, value in shapes.items():
        scale = (2 / value[0].numel()) ** 0.5 if value.ndim >= 2 else 0.1
        noise = (
            torch.randn(value.shape, generator=generator) * scale if value.dtype.is_floating_point else torch.zeros(value.shape)
        )
        state[key] = noise.abs() + 0.5 if key.endswith(("running_var", "bn.weight")) else noise.to(value.dtype)
    path = tmp_path / "inception.pth"
    torch.save(state, path)
    crop = np.random.default_rng(1).integers(0, 256, (64, 48, 3), np.uint8)
    theirs = NoTrainInceptionV3("inception-v3-compat", ["2048"], str(path))
    with torch.no_grad():
        expected = theirs(torch.from_numpy(crop.transpose(2, 0, 1).copy())[None])[0].double().numpy()
    inception = metrics.load("fid_torchmetrics", {"inception-fid": path})
    assert inception.features(crop) == pytest.approx(expected, rel=1e-5)  # type: ignore[attr-defined]
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(MetricError, match="does not hold the Inception network"):
        metrics.load("fid_torchmetrics", {"inception-fid": path})


def test_fid_needs_a_hundred_faces_a_set_and_kid_fifty() -> None:
    for name, least in (("fid", 100), ("kid", 50)):
        enough, few = list(features(least, 4, 1)), list(features(least - 1, 4, 1))
        assert set_score(name, enough, enough).value is not None
        assert set_score(name, few, enough).value is None and set_score(name, enough, few).value is None


def test_two_rows_are_enough_for_a_distance() -> None:
    a, b = np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([[3.0, 0.0], [5.0, 0.0]])
    assert frechet_distance(a, b) == pytest.approx(9.0)
    assert kernel_distance(a, b) == pytest.approx(1.0 + 8.5**3 - (1 + 1 + 4**3 + 6**3) / 2)


def test_fid_to_moments_is_that_to_their_features() -> None:
    for n, m, d in ((300, 200, 16), (40, 500, 64), (30, 90, 64)):
        a, b = features(n, d, 1), features(m, d, 2, 0.3)
        assert frechet_to_moments(a, moments(b)) == pytest.approx(frechet_distance(a, b), rel=1e-7)
    with pytest.raises(ValueError, match="two rows"):
        frechet_to_moments(a[:1], moments(b))
    with pytest.raises(ValueError, match="cannot be compared"):
        frechet_to_moments(a[:, :3], moments(b))
    with pytest.raises(ValueError, match="two rows"):
        moments(a[:1])


def test_precision_counts_those_inside_a_ball() -> None:
    line = np.arange(10, dtype=np.float64)[:, None]  # the third neighbour is 2 away inside, 3 at the ends
    found = np.array([[4.5], [-3.0], [-3.1], [12.0], [12.1], [9.0]])
    assert precision(found, line) == pytest.approx(4 / 6)
    assert precision(line, line) == 1
    with pytest.raises(ValueError, match="4 reference rows"):
        precision(line, line[:3])


def test_precision_in_blocks_is_that_of_a_whole() -> None:
    a, b = features(1500, 4, 1), features(1100, 4, 2, 0.2)
    distances = np.linalg.norm(b[:, None] - b[None], axis=2)
    radii = np.sort(distances, axis=1)[:, 3]
    expected = (np.linalg.norm(a[:, None] - b[None], axis=2) <= radii).any(axis=1).mean()
    assert precision(a, b) == pytest.approx(expected, abs=2 / 1500)


def test_statistics_stand_in_for_the_references() -> None:
    a, b = features(120, 8, 1), features(150, 8, 2, 0.3)
    for name in ("fid", "fid_reference", "fid_fidelity"):
        found = set_score(name, list(a), statistics_of(b, protocol="x")).value
        assert found == pytest.approx(frechet_distance(a, b), rel=1e-7)
    kept = statistics_of(b, protocol="x", keep=True)
    assert set_score("precision", list(a), kept).value == precision(a, b)
    assert "keeps no features" in str(set_score("precision", list(a), statistics_of(b, protocol="x")).missing_reason)
    few = set_score("fid", list(a[:99]), kept)
    assert few.value is None and "99 restored faces" in str(few.missing_reason)
    assert "fewer than 100" in str(set_score("fid", list(a), statistics_of(b[:50], protocol="x")).missing_reason)


def test_features_of_one_protocol_are_computed_once_a_face() -> None:
    class Counting(MeanColour):
        seen = 0

        def features(self, crop: UInt8) -> Float64:
            Counting.seen += 1
            return super().features(crop)

    sets = FaceSets({"fid": Counting(), "fid_reference": Counting(), "indrmse": None})
    crop = np.zeros((4, 4, 3), np.uint8)
    sets.add_restored(crop)
    assert Counting.seen == 1
    sets.add_reference(crop)
    assert Counting.seen == 2
    sets.statistics = {"mean colour": statistics_of(features(100, 3, 1), protocol="mean colour")}
    sets.add_reference(crop)
    assert Counting.seen == 2  # statistics stand in their place
    assert [score.metric for score in sets.emptied().scores()] == ["fid", "fid_reference", "indrmse"]


def test_indrmse_is_the_root_of_the_mean_square() -> None:
    sets = FaceSets({"indrmse": None})
    assert "--posterior-mean" in str(sets.scores()[0].missing_reason)
    black = np.zeros((4, 4, 3), np.uint8)
    sets.add_posterior_mean(black, black + 3, of="a.png")
    sets.add_posterior_mean(black + 4, black, of="b.png")
    (score,) = sets.scores()
    assert score.value == pytest.approx(((9 + 16) / 2) ** 0.5) and not score.higher_is_better
    assert indrmse([9.0, 16.0]) == score
