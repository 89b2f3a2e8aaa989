"""`gfpup vote`: a trial of a sweep and a folder; its votes counted into tables, the report and MLflow; what it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from builders import Run
from raters import write_votes

from gfpup.analysis.vote import read_trial
from gfpup.tracking.store import client, store_uri


@pytest.fixture
def trial(tmp_path: Path, finished_sweep: Path, gfpup: Run) -> Path:
    """A trial of a copy of the finished sweep, `out`, and of a folder of its own results, `again`."""
    shutil.copytree(finished_sweep, tmp_path / "out")
    (tmp_path / "again").mkdir()
    for i, path in enumerate(sorted((tmp_path / "out" / "backend=classical").glob("[abc]*.*g"))):
        source = sorted((tmp_path / "out" / "backend=identity").glob("[abc]*.*g"))[(i + 1) % 3]
        shutil.copy(source, tmp_path / "again" / path.with_suffix(source.suffix).name)
    assert gfpup("vote", "out", "again", "--output", "trial", "--crop-px", "96", "--show", "photos") == 0
    return tmp_path / "trial"


def voted(trial: Path) -> list[Path]:
    liking = {"identity": 0.0, "classical": 1.0, "again": -1.0}
    return [write_votes(trial.parent / f"v{i}.csv", read_trial(trial), f"r{i}", liking, noise=0.7, seed=i) for i in range(5)]


def test_votes_of_a_sweep_reach_compare_the_report_and_mlflow(
    trial: Path, gfpup: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gfpup("track", "out", "--uri", "mlruns", "--max-images", "0") == 0
    assert gfpup("vote", "--collect", *voted(trial), "--trial", "trial") == 0
    said = capsys.readouterr()
    assert "how often metrics agree with people" in said.out and "too few for a verdict" in said.out
    assert "gfpup compare and report now show people's strengths" in said.err
    assert not list((trial.parent / "again").glob("*.csv")), "nothing is written into a folder of pictures"
    assert gfpup("compare", "out") == 0
    assert "people_better, higher is better" in capsys.readouterr().out
    assert gfpup("report", "out") == 0
    assert "people_same_person" in (trial.parent / "out" / "report.html").read_text()
    store = client(store_uri("mlruns"))
    for _ in range(2):
        assert gfpup("track", "out", "--uri", "mlruns", "--max-images", "0") == 0
        runs = store.search_runs([each.experiment_id for each in store.search_experiments()])
        strengths = {run.info.run_name: run.data.metrics.get("mean_photo/people_better") for run in runs}
        assert strengths["classical"] > strengths["identity"]


def test_the_command_prints_the_page_and_its_size(trial: Path, gfpup: Run, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert gfpup("vote", "out", "--output", "two", "--repeats", "0", "--questions", "better") == 0
    said = capsys.readouterr()
    assert said.out == "two/vote.html\n" and "3 pairs of faces and 0 repeated, 1 question, 2 methods: 0." in said.err


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "csv", "json"])
def test_the_result_has_every_form(trial: Path, gfpup: Run, capsys: pytest.CaptureFixture[str], form: str) -> None:
    capsys.readouterr()
    assert gfpup("vote", "--collect", *voted(trial), "--trial", "trial", "--format", form) == 0
    begins = {
        "text": "better: 45 votes",
        "markdown": "**better: 45",
        "latex": r"\begin{table}",
        "csv": "question,",
        "json": "{\n",
    }
    assert capsys.readouterr().out.startswith(begins[form])
    assert (trial / "votes.csv").is_file() and (trial / "votes.json").is_file()
    assert gfpup("vote", "out", "again", "--output", "trial") == 2
    assert "trial holds the votes of a finished trial: give another --output" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["out"], "a trial needs a folder: give --output DIR"),
        (["out", "--output", "t", "--pairs", "0"], "invalid value '0' for --pairs: expected a whole number of 1 or more"),
        (["out", "--output", "t", "--questions", "beter"], "better"),
        (["out", "--output", "t", "--show", "face"], "faces"),
        (["--output", "t"], "a vote needs at least two methods, and 0 was given"),
        (["--collect", "a.csv"], "counting votes needs files and their trial"),
        (["--collect", "a.csv", "--trial", "nothing"], "there is no trial in nothing"),
    ],
)
def test_what_is_wrong_is_one_sentence(gfpup: Run, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert gfpup("vote", *words) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
