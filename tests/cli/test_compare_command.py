"""`gfpup compare`: one table over runs and sweeps, in every form, to stdout and to a file."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from builders import Run
from PIL import Image

from gfpup.core.types import Score
from gfpup.records.scores import write


def scored(folder: Path, gain: float, n: int = 12, *, missing: str = "") -> None:
    """A scored run whose PSNR is `gain` above that of the run with gain 0, give or take."""
    rng = np.random.default_rng(5)
    base, jitter = rng.normal(25, 2, n), np.random.default_rng(len(folder.name)).normal(0, 0.1, n)
    rows = [Score("psnr", float(base[i] + gain + jitter[i] * bool(gain)), True, photo=f"{i}.png") for i in range(n)]
    rows += [Score("seconds", 1 + gain, False, photo=f"{i}.png") for i in range(n)]
    rows = [row for row in rows if row.photo != missing]
    folder.mkdir(parents=True)
    write(folder, rows)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    scored(tmp_path / "sweep" / "backend=identity", 0.0)
    scored(tmp_path / "sweep" / "backend=classical", 1.0, missing="3.png")
    scored(tmp_path / "sweep" / "backend=gfpgan", -1.0)
    return tmp_path / "sweep"


def test_a_sweep_is_all_of_its_runs(sweep: Path, gfpup: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert gfpup("compare", "sweep", "--baseline", "backend=identity", "--json") == 0
    table = json.loads(capsys.readouterr().out)
    assert table["runs"] == ["classical", "gfpgan", "identity"]
    assert table["photos"] == 11 and table["left_out"] == {"classical": 0, "gfpgan": 1, "identity": 1}
    lines = {line["run"]: line for line in table["lines"] if line["metric"] == "psnr"}
    assert lines["classical"]["verdict"] == "better" and lines["gfpgan"]["verdict"] == "worse"
    assert lines["classical"]["difference"] == pytest.approx(1, abs=0.1)
    assert table["ranking"]["psnr/photo"][0] == "classical"
    assert set(table["pareto_front_against_seconds"]["psnr/photo"]) >= {"classical", "gfpgan"}


def test_the_baseline_may_be_named_by_its_folder_and_the_seed_decides(
    sweep: Path, gfpup: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = []
    for words in ((), (), ("--seed", "9"), ("--confidence", "0.5")):
        runs = ("sweep/backend=classical", "sweep/backend=identity/scores.csv")
        assert gfpup("compare", *runs, "--baseline", sweep / "backend=identity", "--csv", *words) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1] != outputs[2] and outputs[3] != outputs[0]
    rows = list(csv.DictReader(io.StringIO(outputs[0])))
    assert {row["run"]: row["verdict"] for row in rows if row["metric"] == "psnr"}["identity"] == "baseline"


@pytest.mark.parametrize(
    ("flag", "file", "begins"),
    [
        (None, "t.md", "3 runs on the 11"),
        (None, "t.tex", "\\begin{table}"),
        (None, "t.csv", "metric,level"),
        (None, "t.json", "{"),
        ("--latex", "t.txt", "\\begin{table}"),
        (None, "t.txt", "3 runs on the 11"),
    ],
)
def test_the_file_has_the_form_of_its_name_or_the_one_asked_for(
    sweep: Path, gfpup: Run, flag: str | None, file: str, begins: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gfpup("compare", "sweep", "--output", file, *([flag] if flag else [])) == 0
    text = Path(file).read_text()
    assert text.startswith(begins) and ("|" in text) == (file == "t.md")
    printed = capsys.readouterr().out
    assert printed == text if flag else printed.startswith("3 runs on the 11 photos they share")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sweep/backend=identity",), "needs at least two runs"),
        (("sweep", "sweep/backend=identity"), "given twice"),
        (("sweep", "--baseline", "lanczos"), "unknown baseline 'lanczos'"),
        (("sweep", "empty"), "holds no scores.csv"),
        (("sweep", "absent"), "there is no folder absent"),
        (("sweep", "--confidence", "95"), "invalid value '95' for --confidence"),
        (("sweep", "--seed", "-2"), "invalid value '-2' for --seed"),
        (("sweep", "--json", "--csv"), "not allowed with"),
        (("sweep", "--published", "pmrf-celeba-test"), "3000 photos and the runs share 11"),
        (("sweep", "--published", "celeba-test"), "the numbers of pmrf-celeba-test are of 3000 photos"),
        (("sweep", "--columns", "a.csv"), "--columns has no effect without --by"),
        (("sweep", "--by", "height"), "invalid value 'height' for --by: expected face_px, pose, blur"),
        (("sweep", "--published", "mine"), "can be measured here: pmrf-celeba-test"),
    ],
)
def test_mistakes_are_refused_in_one_sentence(
    sweep: Path, gfpup: Run, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty").mkdir()
    assert gfpup("compare", *words) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.count("\n") == 1 and captured.out == ""


def test_few_photos_are_called_an_illustration(tmp_path: Path, gfpup: Run, capsys: pytest.CaptureFixture[str]) -> None:
    scored(tmp_path / "x" / "run", 0.0, 4)
    scored(tmp_path / "y" / "run", 1.0, 4)
    assert gfpup("compare", "x/run", "y/run") == 0
    text = capsys.readouterr().out
    assert "x/run" in text and "4 photos are too few for a claim" in text and "too few" in text


def test_the_help_ends_in_commands(gfpup: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert gfpup("compare", "--help") == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("  gfpup ") for line in lines[-3:]) and max(map(len, lines)) <= 132


def test_the_advice_for_a_folder_without_scores_runs_as_it_stands(
    tmp_path: Path, gfpup: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other tool").mkdir()
    Image.fromarray(np.full((32, 32, 3), 99, np.uint8)).save(tmp_path / "other tool" / "a.png")
    assert gfpup("compare", "other tool", "other tool") == 2
    advice = re.search(r"run (gfpup score --restored .*? --output \S+ ?\S+')", capsys.readouterr().err)
    assert advice is not None
    words = shlex.split(advice.group(1))
    assert gfpup(*words[1:], "--reference", "other tool", "--metrics", "psnr", "--quiet") == 0
    assert (tmp_path / "other tool-scores" / "scores.csv").is_file()
