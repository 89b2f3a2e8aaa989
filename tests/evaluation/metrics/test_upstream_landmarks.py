"""LMD is a mean distance in pixels, over facexlib's network filled from a file."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from gfpup.core.torchvision_shim import cure
from gfpup.evaluation import metrics
from gfpup.evaluation.metrics import MetricError
from gfpup.evaluation.metrics.upstream_landmarks import landmark_distance, peaks


def test_distance_is_the_mean_of_distances() -> None:
    a = np.zeros((2, 2))
    assert landmark_distance(a, a) == 0.0
    assert landmark_distance(a, np.array([[3.0, 4.0], [0.0, 1.0]])) == pytest.approx(3.0)


def test_peaks_lean_towards_the_higher_neighbour_and_stay_inside() -> None:
    heatmaps = np.zeros((3, 64, 64))
    heatmaps[0, 10, 20], heatmaps[0, 10, 21], heatmaps[0, 9, 20] = 1.0, 0.5, 0.2
    heatmaps[1, 63, 63] = 1.0
    heatmaps[2, 0, 0] = 1.0
    assert peaks(heatmaps).tolist() == [[20.75, 10.25], [63.75, 63.75], [0.25, 0.25]]


def test_without_facexlib_the_reason_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("gfpup.evaluation.metrics.upstream_landmarks.find_spec", lambda name: None)
    with pytest.raises(MetricError, match="lmd needs facexlib"):
        metrics.load("lmd", {"alignment-wflw-4hg": tmp_path / "x.pth"})


@pytest.mark.skipif(find_spec("facexlib") is None, reason="facexlib is not installed")
def test_the_network_is_facexlibs_and_filled_strictly(tmp_path: Path) -> None:
    cure()
    from facexlib.alignment.awing_arch import FAN

    torch.manual_seed(11)
    path = tmp_path / "fan.pth"
    torch.save({"state_dict": FAN(num_modules=4, num_landmarks=98, device="cpu").state_dict()}, path)
    metric = metrics.load("lmd", {"alignment-wflw-4hg": path})
    rng = np.random.default_rng(3)
    a, b = (rng.integers(0, 256, (512, 512, 3), np.uint8) for _ in range(2))
    assert metric.score(a, a).value == 0.0
    score = metric.score(a, b)
    assert score.value is not None and 0 < score.value < 512 * 2**0.5 and not score.higher_is_better
    assert metric.score(a, None).missing_reason
    torch.save({"state_dict": {"conv1.weight": torch.zeros(1)}}, path)
    with pytest.raises(MetricError, match="does not hold the network of lmd"):
        metrics.load("lmd", {"alignment-wflw-4hg": path})


def test_peaks_look_at_both_neighbours_next_to_the_border() -> None:
    heatmaps = np.zeros((4, 8, 8))
    heatmaps[:, 1, 1] = 1.0
    heatmaps[0, 1, 0] = heatmaps[1, 0, 1] = heatmaps[2, 1, 2] = heatmaps[3, 2, 1] = 0.5
    assert peaks(heatmaps).tolist() == [[1.25, 1.5], [1.5, 1.25], [1.75, 1.5], [1.5, 1.75]]
    heatmaps[:, 6, 6] = 2.0
    heatmaps[0, 6, 7] = heatmaps[1, 7, 6] = heatmaps[2, 6, 5] = heatmaps[3, 5, 6] = 0.5
    assert peaks(heatmaps).tolist() == [[6.75, 6.5], [6.5, 6.75], [6.25, 6.5], [6.5, 6.25]]
