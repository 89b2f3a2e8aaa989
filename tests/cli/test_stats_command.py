"""`gfpup stats` and `gfpup score --stats`: a reference set measured once gives the number of the reference faces themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import Run
from pictures import save

from gfpup.core.types import Float64, UInt8
from gfpup.evaluation import metrics
from gfpup.evaluation.metrics import features as networks
from gfpup.evaluation.metrics.set_level import MINIMUM
from gfpup.evaluation.metrics.statistics import read_statistics
from gfpup.evaluation.protocols import BASICSR, VGG_FIDELITY
from gfpup.records.scores import read as read_scores

SIDE = 512


class Small:
    """Eight numbers a picture in place of a network."""

    protocol = BASICSR
    statistics = None

    @classmethod
    def load(cls, files: Any, *, device: str = "cpu") -> Small:
        return cls()

    def features(self, crop: UInt8) -> Float64:
        return np.array([*crop[::64, ::64].reshape(-1, 3).mean(axis=0), *crop[5, 5:10, 0]], np.float64)


class SmallVGG(Small):
    protocol = VGG_FIDELITY


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(networks, "EXTRACTORS", {"fid": (Small, ()), "precision": (SmallVGG, ())})
    rows = {
        name: metrics.MetricFacts(name, "set_level", True, (0, None), "x", "y", f"{__name__}:{entry}", level="set")
        for name, entry in (("fid_reference", "Small"), ("precision", "SmallVGG"))
    }
    monkeypatch.setattr(metrics, "TABLE", {**metrics.TABLE, **rows})
    monkeypatch.setitem(MINIMUM, "fid_reference", 4)
    monkeypatch.setitem(MINIMUM, "precision", 4)
    rng = np.random.default_rng(1)
    for folder in ("results", "references"):
        (tmp_path / folder).mkdir()
        for i in range(6):
            save(tmp_path / folder / f"{i}.png", np.full((SIDE, SIDE, 3), rng.integers(0, 255, 3), np.uint8))
    return tmp_path


def test_statistics_give_the_number_of_the_references(folders: Path, gfpup: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert gfpup("stats", "--input", "references", "--output", "ref.npz", "--device", "cpu") == 0
    assert "6 pictures, features of inception-basicsr" in capsys.readouterr().out
    assert read_statistics(folders / "ref.npz").moments.count == 6
    common = ("score", "--restored", "results", "--metrics", "fid_reference", "--quiet", "--device", "cpu")
    assert gfpup(*common, "--reference", "references", "--output", "a") == 0
    assert gfpup(*common, "--stats", "ref.npz", "--output", "b") == 0
    (with_faces,), (with_stats,) = (
        [score for score in read_scores(folders / out / "scores.csv") if score.metric == "fid_reference"] for out in "ab"
    )
    assert with_stats.value == pytest.approx(with_faces.value)
    summary = json.loads((folders / "b" / "scores.json").read_text())
    computed = summary["computed"]["fid_reference"]
    assert summary["protocols"]["fid_reference"]["name"] == "fid_reference" and computed["statistics"]["pictures"] == 6
    assert len(computed["statistics"]["sha256"]) == 64


def test_precision_keeps_its_features(folders: Path, gfpup: Run) -> None:
    assert gfpup("stats", "--input", "references", "--output", "m.npz", "--protocol", "precision", "--device", "cpu") == 0
    common = ("score", "--restored", "references", "--metrics", "precision", "--quiet", "--device", "cpu")
    assert gfpup(*common, "--stats", "m.npz", "--output", "c") == 0
    assert [score.value for score in read_scores(folders / "c" / "scores.csv")] == [1.0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("stats", "--input", "references"), "needs --output FILE"),
        (("stats", "--input", "references", "--output", "x.pth"), "invalid value 'x.pth' for --output"),
        (("stats", "--input", "nowhere", "--output", "x.npz"), "no folder nowhere"),
        (("stats", "--input", "references", "--output", "x.npz", "--protocol", "kid"), "kid"),
        (
            ("score", "--restored", "results", "--metrics", "psnr", "--stats", "no.npz", "--output", "o"),
            "no statistics at no.npz",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(
    words: tuple[str, ...], said: str, folders: Path, gfpup: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gfpup(*words) == 2
    assert said in capsys.readouterr().err


def test_statistics_that_no_metric_compares_are_refused(folders: Path, gfpup: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert gfpup("stats", "--input", "references", "--output", "ref.npz", "--device", "cpu") == 0
    assert gfpup("score", "--restored", "results", "--metrics", "psnr", "--stats", "ref.npz", "--output", "o") == 2
    assert "for the metric fid_reference: add it to --metrics" in capsys.readouterr().err


def test_indrmse_is_taken_against_the_posterior_means(folders: Path, gfpup: Run) -> None:
    (folders / "means").mkdir()
    for i in range(6):
        save(folders / "means" / f"{i}.png", np.full((SIDE, SIDE, 3), 10 * i, np.uint8))
        save(folders / "results" / f"{i}.png", np.full((SIDE, SIDE, 3), 10 * i + i, np.uint8))
    words = ("score", "--restored", "results", "--posterior-mean", "means", "--metrics", "indrmse", "--output", "d", "--quiet")
    assert gfpup(*words) == 0
    (score,) = read_scores(folders / "d" / "scores.csv")
    assert (score.metric, score.photo) == ("indrmse", "")
    assert score.value == pytest.approx(np.sqrt(np.mean(np.square(np.arange(6)))))
