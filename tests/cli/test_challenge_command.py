"""`gfpup score --protocol ntire-2026` judges a folder, names the faces that fell, and keeps five and six terms apart."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import Run
from pictures import save

from gfpup.core.types import Float64, Score, UInt8
from gfpup.evaluation import ntire
from gfpup.evaluation.metrics import facts
from gfpup.evaluation.metrics.set_level import FaceSets
from gfpup.evaluation.scorer import Scorer
from gfpup.records import challenge, rescore
from gfpup.records.scores import read as read_scores

COUNTS = {"CelebA": 2, "LFW-Test": 1, "CelebChild-Test": 1, "WebPhoto-Test": 1, "WIDER-Test": 1}
POINTS = [[38, 52], [74, 52], [56, 72], [42, 92], [71, 92]]
"""About where AdaFace's template has them, so that the crop is the picture."""


class Constant:
    def __init__(self, metric: str, value: float) -> None:
        self.metric, self.of = metric, value

    def score(self, restored: UInt8, reference: UInt8 | None) -> Score:
        return Score(self.metric, self.of, facts(self.metric).higher_is_better)


class Identity:
    def embed_crop(self, crop: UInt8) -> Float64:
        return crop.reshape(-1, 3).mean(axis=0).astype(np.float64) - 128


class Colours:
    protocol, statistics = "colours", None

    def features(self, crop: UInt8) -> Float64:
        return crop.reshape(-1, 3).mean(axis=0)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six results in the folders of their sets; that of the first face shows another person than its input."""
    monkeypatch.setattr(ntire, "COUNTS", COUNTS)
    values = {"clipiqa": 0.7, "maniqa": 0.6, "musiq": 70.0, "niqe_pyiqa": 4.0}

    def load(names: Any, resolver: Any, *, device: str = "cpu", statistics: Any = None) -> Scorer:
        loaded: dict[str, Any] = {name: Constant(name, value) for name, value in values.items()}
        scorer = Scorer(loaded | {"identity_adaface": Identity()}, {}, names, device=device)
        scorer.sets = FaceSets({"fid": Colours()})
        monkeypatch.setattr(FaceSets, "scores", lambda self: (Score("fid", 40.0, False),))
        return scorer

    monkeypatch.setattr(rescore, "load_metrics", load)
    names = [f"{of_set}_{i}" for of_set, count in COUNTS.items() for i in range(count)]
    rows = []
    for number, name in enumerate(names):
        colour = np.full((112, 112, 3), (200, 100, 60), np.uint8)
        (tmp_path / "lq").mkdir(exist_ok=True)
        (tmp_path / "out" / "set").mkdir(parents=True, exist_ok=True)
        save(tmp_path / "lq" / f"{name}.png", colour)
        save(tmp_path / "out" / "set" / f"{name}.png", 255 - colour if number == 0 else colour)
        rows.append([name, name.rpartition("_")[0].replace("WIDER", "Wider"), *np.ravel(POINTS)])
    with (tmp_path / "faces.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("filename", "dataset", *challenge.POINTS), *rows])
    with (tmp_path / "eval.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("Filename", "MUSIQ", "QALIGN"), *((f"{name}.png", 1, 4.5) for name in names)])
    return tmp_path


WORDS = ("--restored", "out", "--input", "lq", "--landmarks", "faces.csv", "--device", "cpu")
FIVE = 0.7 + 0.6 + 0.7 + 0.6 + 0.6


def test_five_terms_have_a_name_of_their_own(folders: Path, gfpup: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert gfpup("score", "--protocol", "ntire-2026", *WORDS, "--output", "scores") == 0
    out = capsys.readouterr().out
    assert f"ntire_2026_five_terms: {FIVE:.4f}" in out and "identity: passed; 1 faces lie below" in out
    assert "set/CelebA_0.png (CelebA): -" in out and "below 0.5" in out
    found = {(row.metric, row.photo): row for row in read_scores(folders / "scores" / "scores.csv")}
    assert found["ntire_2026_five_terms", ""].value == pytest.approx(FIVE) and ("ntire_2026", "") not in found
    assert found["identity_ntire", "set/CelebA_1.png"].value == pytest.approx(1)
    assert found["niqe_pyiqa", "set/LFW-Test_0.png"].taken_from == "PNG"
    told = json.loads((folders / "scores" / "scores.json").read_text())
    assert told["challenge"]["passed"] and told["challenge"]["fallen"][0]["threshold"] == 0.5
    assert told["protocols"]["fid"]["name"] == "fid" and "basicsr" in told["computed"]["fid"]["implementation"]


def test_with_q_align_there_are_six(folders: Path, gfpup: Run, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("score", "--protocol", "ntire-2025", *WORDS, "--qalign", "eval.csv", "--output", "scores", "--json")
    assert gfpup(*words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["metric"] == "ntire_2025" and told["total"] == pytest.approx(FIVE + 0.9)
    assert told["challenge"]["thresholds"]["WIDER-Test"] == 0.3


def test_too_many_lost_identities_fail(folders: Path, gfpup: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ntire, "ALLOWED", 0)
    assert gfpup("score", "--protocol", "ntire-2026", *WORDS, "--output", "scores", "--quiet") == 1
    assert json.loads((folders / "scores" / "scores.json").read_text())["challenge"]["passed"] is False


def test_an_incomplete_set_has_no_score(folders: Path, gfpup: Run, capsys: pytest.CaptureFixture[str]) -> None:
    (folders / "out" / "set" / "LFW-Test_0.png").unlink()
    assert gfpup("score", "--protocol", "ntire-2026", *WORDS, "--output", "scores") == 1
    out = capsys.readouterr().out
    assert "ntire_2026_five_terms: not given" in out and "LFW-Test has 0 of its 1 faces" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--protocol", "ntire-2024", *WORDS, "--output", "o"), "did you mean"),
        (("--protocol", "ntire-2026", "--restored", "out", "--output", "o"), "needs --input DIR, --landmarks CSV"),
        (("--protocol", "ntire-2026", *WORDS, "--metrics", "psnr", "--output", "o"), "fixes the metrics"),
        (("--protocol", "ntire-2026", *WORDS, "--qalign", "faces.csv", "--output", "o"), "has no column Filename"),
        (("--protocol", "ntire-2026", *WORDS[:-4], "--landmarks", "no.csv", "--output", "o"), "no table at no.csv"),
    ],
)
def test_what_cannot_be_judged_is_refused(
    words: tuple[str, ...], said: str, folders: Path, gfpup: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gfpup("score", *words) == 2
    assert said in capsys.readouterr().err


def test_results_without_a_partner_are_refused_by_name(folders: Path, gfpup: Run, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("score", "--protocol", "ntire-2026", *WORDS, "--output", "o")
    save(folders / "out" / "stranger.png", np.zeros((8, 8, 3), np.uint8))
    assert gfpup(*words) == 2
    assert "stranger.png has no line in faces.csv" in capsys.readouterr().err
    (folders / "out" / "stranger.png").unlink()
    (folders / "lq" / "CelebA_1.png").unlink()
    assert gfpup(*words) == 2
    assert "CelebA_1.png has no input of its name below lq" in capsys.readouterr().err
