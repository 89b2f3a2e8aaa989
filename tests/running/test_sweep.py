"""Sweeps: what means the same is done once, what failed is told at the end, and the same command does only what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from builders import Run
from pictures import save

from gfpup.records import scores
from gfpup.running import sweep
from gfpup.running.run import objective_of


@pytest.fixture
def faces(tmp_path: Path, portrait: np.ndarray) -> Path:
    """Two aligned faces: quick to restore."""
    for name, picture in (("one.png", portrait), ("two.png", np.ascontiguousarray(portrait[:, ::-1]))):
        (tmp_path / "faces").mkdir(exist_ok=True)
        save(tmp_path / "faces" / name, cv2.resize(picture, (512, 512)))
    return tmp_path / "faces"


def job(folder: Path, number: int) -> sweep.Job:
    return sweep.Job(folder, folder, folder / f"job{number}", number)


def finish(folder: Path, status: str = "done") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps({"status": status, "photos": []}))


def test_the_first_to_ask_does_the_work(tmp_path: Path) -> None:
    first, second, other = job(tmp_path, 0), job(tmp_path, 1), job(tmp_path, 2)
    assert sweep.claim(first, "a") == first.output
    assert sweep.claim(second, "a") == first.output
    assert sweep.claim(other, "b") == other.output
    assert sweep.claim(first, "a") == first.output, "asking again changes nothing"
    assert json.loads((second.output / sweep.SAME_AS).read_text()) == {"same_as": "../job0", "key": "a"}
    assert not (first.output / sweep.SAME_AS).exists()


def test_a_double_stays_one_when_the_sweep_is_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "_PATIENCE_SECONDS", 0.2)
    first, second = job(tmp_path, 0), job(tmp_path, 1)
    sweep.claim(first, "a")
    sweep.claim(second, "a")
    finish(first.output)
    forget(tmp_path)
    assert sweep.claim(second, "a") == first.output, "although it asks first"
    forget(tmp_path)
    assert sweep.claim(second, "changed") == second.output
    assert not (second.output / sweep.SAME_AS).exists()


def test_a_double_of_what_never_ended_takes_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "_PATIENCE_SECONDS", 0.2)
    first, second = job(tmp_path, 0), job(tmp_path, 1)
    sweep.claim(first, "a")
    sweep.claim(second, "a")
    finish(first.output, "failed")
    forget(tmp_path)
    assert sweep.claim(second, "a") == second.output


def forget(folder: Path) -> None:
    for path in (folder / sweep.STATUS_FOLDER / sweep.CLAIMS).iterdir():
        path.unlink()


def test_a_job_without_an_end_and_a_double_are_told_right(tmp_path: Path) -> None:
    sweep.leave_status(job(tmp_path, 0), ["x=1"], status=1, error="no room")
    sweep.leave_status(job(tmp_path, 1), ["x=2"], status=None)
    sweep.leave_status(job(tmp_path, 2), ["x=3"], status=0, same_as=tmp_path / "job0")
    jobs = sweep.statuses(tmp_path)
    assert [found["status"] for found in jobs] == [1, 1, 1]
    assert "without a status" in sweep.reason(jobs[1])
    assert sweep.exit_status([]) == 2
    assert sweep.exit_status([{"status": 2}, {"status": 2}]) == 2
    assert sweep.exit_status([{"status": 2}, {"status": 0}]) == 1
    assert sweep.exit_status([{"status": 0}, {"status": 130}]) == 130


def test_what_means_the_same_runs_once(gfpup: Run, faces: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ("sweep", "-i", faces, "-o", tmp_path / "out", "--aligned", "--metrics", "psnr")
    words += ("--backend", "identity,classical", "--fidelity", "0.3,0.7")
    assert gfpup(*words) == 0
    done = {path.parent.name for path in (tmp_path / "out").glob("*/manifest.json")}
    doubles = {path.parent.name: json.loads(path.read_text())["same_as"] for path in (tmp_path / "out").glob("*/same_as.json")}
    assert done == {"backend=identity,restore.fidelity=0.3", "backend=classical,restore.fidelity=0.3"}
    assert doubles == {
        "backend=identity,restore.fidelity=0.7": "../backend=identity,restore.fidelity=0.3",
        "backend=classical,restore.fidelity=0.7": "../backend=classical,restore.fidelity=0.3",
    }
    assert "means the same as" in capfd.readouterr().err
    page = (tmp_path / "out" / "report.html").read_text()
    assert "means the same as" in page and (tmp_path / "out" / "contact_sheet.jpg").is_file()


def test_a_setting_that_a_method_does_not_use_starts_no_second_job(gfpup: Run, faces: Path, tmp_path: Path) -> None:
    words = ("sweep", "-i", faces, "-o", tmp_path / "out", "--aligned", "-q", "--no-report", "--restored", faces)
    assert gfpup(*words, "--backend", "identity,precomputed,classical", "--strength", "0.5,1") == 0
    done = {path.parent.name for path in (tmp_path / "out").glob("*/manifest.json")}
    assert done == {f"backend={name},restore.strength=0.5" for name in ("identity", "precomputed", "classical")} | {
        "backend=classical,restore.strength=1"
    }
    assert len(list((tmp_path / "out").glob("*/same_as.json"))) == 2


def test_failures_are_told_at_the_end_and_repaired_by_the_same_command(
    gfpup: Run, faces: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    good = (faces / "two.png").read_bytes()
    (faces / "two.png").write_bytes(good[:500])
    words = ("sweep", "-i", faces, "-o", tmp_path / "out", "--aligned", "-q", "--no-download")
    words += ("--backend", "identity,codeformer,classical")
    assert gfpup(*words) == 1
    said = capfd.readouterr().err
    assert "3 of the 3 jobs begun failed" in said and "1 of 2 photos failed" in said and "forbids commercial use" in said
    first = (tmp_path / "out" / "backend=identity" / "one.png").stat().st_ctime_ns
    (faces / "two.png").write_bytes(good)
    assert gfpup(*words) == 1, "codeformer is refused still"
    said = capfd.readouterr().err
    assert "1 of the 3 jobs begun failed" in said and "1 of 2 photos failed" not in said
    assert (tmp_path / "out" / "backend=identity" / "one.png").stat().st_ctime_ns == first
    assert (tmp_path / "out" / "backend=classical" / "two.png").is_file()


def test_ranges_choices_and_one_backend(gfpup: Run, faces: Path, tmp_path: Path) -> None:
    words = ("sweep", "-i", faces, "-o", tmp_path / "out", "--aligned", "--backend", "classical", "-q", "--no-report")
    assert gfpup(*words, "restore.strength=range(0.5,1.01,0.5)", "write.ext=choice(png,webp)") == 0
    folders = {path.parent.name for path in (tmp_path / "out").glob("*/manifest.json")}
    assert len(folders) == 4 and "restore.strength=0.5,write.ext=webp" in folders
    assert not (tmp_path / "out" / "report.html").exists()


def test_a_dry_sweep_leaves_nothing(gfpup: Run, faces: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ("sweep", "-i", faces, "-o", tmp_path / "out", "--aligned", "--backend", "identity,classical", "--dry-run")
    assert gfpup(*words) == 0
    assert not (tmp_path / "out").exists()
    assert capfd.readouterr().out.count("plan for 2 photos") == 2


def test_a_study_of_conf_and_one_of_the_user_s(gfpup: Run, faces: Path, tmp_path: Path) -> None:
    words = ("sweep", "--experiment", "001-baselines", "-i", faces, "-o", tmp_path / "out", "--aligned", "-q")
    assert gfpup(*words) == 0
    assert {path.parent.name for path in (tmp_path / "out").glob("*/scores.csv")} == {"backend=identity", "backend=classical"}
    own = tmp_path / "own" / "experiment"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("# @package _global_\nrestore:\n  strength: 0.25\n")
    words = ("run", "--experiment", "mine", "--config-dir", tmp_path / "own", "-i", faces, "-o", tmp_path / "b", "--aligned")
    assert gfpup(*words, "--backend", "identity", "-q") == 0
    assert json.loads((tmp_path / "b" / "manifest.json").read_text())["plan"]["pixels"]["strength"] == 0.25


def test_the_objective_is_the_mean_of_a_metric(
    gfpup: Run, faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("run", "-i", faces, "-o", tmp_path / "out", "--aligned", "--backend", "classical", "-q")
    assert gfpup(*words, "--reference", faces, "--metrics", "psnr", "objective=psnr") == 0
    rows = scores.read(tmp_path / "out" / "scores.csv")
    values = [row.value for row in rows if row.metric == "psnr" and row.face is None and row.value is not None]
    assert objective_of(tmp_path / "out", "psnr") == pytest.approx(sum(values) / 2)
    assert objective_of(tmp_path / "out", "ssim") is None and objective_of(tmp_path / "nowhere", "psnr") is None
    assert gfpup(*words, "--overwrite", "objective=lpips") == 2
    assert "is not measured" in capsys.readouterr().err


def test_what_is_there_is_not_loaded_again(gfpup: Run, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("run", "-i", faces, "-o", tmp_path / "out", "--aligned", "--backend", "classical", "-q", "--metrics")
    assert gfpup(*words, "psnr") == 0
    before = (tmp_path / "out" / "manifest.json").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("gfpup.running.components.load", None)
        assert gfpup(*words, "psnr") == 0, "nothing is missing: nothing is loaded"
    assert (tmp_path / "out" / "manifest.json").read_bytes() == before
    restored = (tmp_path / "out" / "one.png").stat().st_ctime_ns
    assert gfpup(*words, "psnr,ssim") == 0, "one metric is missing: scored from the files"
    assert (tmp_path / "out" / "one.png").stat().st_ctime_ns == restored
    found = {(row.photo, row.metric) for row in scores.read(tmp_path / "out" / "scores.csv") if row.face is None}
    assert found == {(photo, metric) for photo in ("one.png", "two.png") for metric in ("psnr_to_input", "ssim_to_input")}


def test_a_dry_sweep_points_at_nothing(gfpup: Run, faces: Path, tmp_path: Path) -> None:
    words = ("sweep", "-i", faces, "-o", tmp_path / "out", "--aligned", "--backend", "identity", "--fidelity", "0.3,0.5")
    assert gfpup(*words, "--dry-run", "-q") == 0
    assert not (tmp_path / "out").exists()


def test_a_dry_sweep_says_what_is_refused(gfpup: Run, faces: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ("sweep", "-i", faces, "-o", tmp_path / "out", "--aligned", "--backend", "identity,classical", "--dry-run")
    assert gfpup(*words, "--detection-threshold", "7") == 2
    assert "all 2" in (said := capfd.readouterr().err) and "invalid value '7' for --detection-threshold" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "{file}"], "is a file; give another folder"),
        (["-o", "{file}/out"], "is a file; give another folder"),
        (["-o", "out", "restore.strength=rang(0,1,0.5)"], "cannot be read"),
        (["-o", "out", "hydra/sweeper=optunas"], "there is no hydra/sweeper=optunas here"),
    ],
)
def test_what_hydra_would_say_at_length(
    gfpup: Run, faces: Path, words: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    file = str(faces / "one.png")
    given = [word.replace("{file}", file) for word in words]
    assert gfpup("sweep", "-i", faces, "--aligned", "--backend", "identity,classical", "-q", *given) == 2
    err = capfd.readouterr().err
    assert said in err and err.count("\n") == 1 and "Traceback" not in err


def test_a_study_that_sweeps_is_no_single_run(
    gfpup: Run, faces: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert gfpup("run", "--experiment", "001-baselines", "-i", faces, "-o", tmp_path / "out", "--aligned", "-q") == 2
    assert "gfpup sweep runs it" in capfd.readouterr().err and not (tmp_path / "out").exists()
