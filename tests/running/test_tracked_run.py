"""Runs and sweeps in MLflow as they go: when by default, where, what is handed to jobs, and what a failure costs (nothing)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from builders import Run, manifest
from pictures import save

from gfpup.tracking.store import children, client, last_sweep, store_uri


@pytest.fixture
def face(tmp_path: Path, portrait: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One aligned face, in an environment where tracking is as it is by default."""
    monkeypatch.delenv("GFPUP_TRACKING")
    (tmp_path / "in").mkdir()
    save(tmp_path / "in" / "face.png", cv2.resize(portrait, (512, 512)))
    return tmp_path / "in"


def store_of(folder: Path) -> tuple[Any, str]:
    store = client(store_uri(str(folder / "mlruns")))
    return store, store.get_experiment_by_name("gfpup").experiment_id


def tracking_of(folder: Path) -> dict[str, Any] | None:
    found: dict[str, Any] | None = manifest(folder)["tracking"]
    return found


def test_a_plain_run_is_not_tracked_a_scored_one_is(gfpup: Run, face: Path, tmp_path: Path) -> None:
    words = ("run", "-i", face, "--aligned", "--backend", "classical", "-q")
    assert gfpup(*words, "-o", tmp_path / "a") == 0
    assert tracking_of(tmp_path / "a") is None and not (tmp_path / "mlruns").exists()
    assert gfpup(*words, "-o", tmp_path / "b", "--metrics", "psnr") == 0
    store, experiment = store_of(tmp_path)
    (run,) = store.search_runs([experiment])
    record = tracking_of(tmp_path / "b")
    assert record is not None and record["run_id"] == run.info.run_id and record["failure"] is None
    assert run.info.status == "FINISHED" and "mean_photo/psnr_to_input" in run.data.metrics
    assert gfpup(*words, "-o", tmp_path / "c", "--metrics", "psnr", "--tracking", "none") == 0
    assert gfpup(*words, "-o", tmp_path / "b", "--metrics", "psnr") == 0, "nothing is left to do"
    assert len(store.search_runs([experiment])) == 1
    assert tracking_of(tmp_path / "b") == record


def test_a_sweep_is_a_run_with_its_jobs_below_it(gfpup: Run, face: Path, tmp_path: Path) -> None:
    words = ("sweep", "-i", face, "--aligned", "--backend", "identity,classical", "-q", "-o", tmp_path / "out")
    assert gfpup(*words) == 0
    store, experiment = store_of(tmp_path)
    parent = last_sweep(store, [experiment])
    assert parent is not None and parent.info.status == "FINISHED"
    jobs = children(store, parent.info.run_id)
    assert {job.info.run_name for job in jobs} == {"identity", "classical"}
    assert {file.path for file in store.list_artifacts(parent.info.run_id)} >= {"report.html", "contact_sheet.jpg", "jobs.json"}
    pictures = {job.info.run_name: {file.path for file in store.list_artifacts(job.info.run_id, "images")} for job in jobs}
    assert all(len(found) > 0 for found in pictures.values())
    assert gfpup(*words) == 0, "again: nothing is left to do"
    assert len(store.search_runs([experiment])) == 3
    (tmp_path / "out" / "backend=identity" / "face.png").unlink()
    assert gfpup(*words) == 0, "again: one photo is missing"
    again = children(store, parent.info.run_id)
    assert {job.info.run_name for job in again} == {"identity", "classical"} and len(again) == 2


@pytest.mark.parametrize("step", ["_replace", "_close"], ids=["at the start", "at the end"])
def test_of_a_killed_run_nothing_is_left_beside_the_resumed_one(gfpup: Run, face: Path, tmp_path: Path, step: str) -> None:
    killed = """
import os, sys
from gfpup.cli.main import main
from gfpup.tracking.tracker import Tracker
setattr(Tracker, sys.argv[1], lambda *_: os._exit(9))
main(sys.argv[2:])
"""
    words = [
        "run",
        "-i",
        str(face),
        "--aligned",
        "--backend",
        "classical",
        "-q",
        "--metrics",
        "psnr",
        "-o",
        str(tmp_path / "out"),
    ]
    assert subprocess.run([sys.executable, "-c", killed, step, *words], cwd=tmp_path).returncode == 9
    store, experiment = store_of(tmp_path)
    assert [run.info.status for run in store.search_runs([experiment])] == ["RUNNING"]
    assert gfpup(*words) == 0
    (run,) = store.search_runs([experiment])
    record = tracking_of(tmp_path / "out")
    assert record is not None and (record["run_id"], record["failure"]) == (run.info.run_id, None)
    assert run.info.status == "FINISHED" and "mean_photo/psnr_to_input" in run.data.metrics
    logged = json.loads(Path(store.download_artifacts(run.info.run_id, "manifest.json")).read_text())
    assert logged == manifest(tmp_path / "out")


def test_a_store_that_cannot_be_used_costs_no_photo(
    gfpup: Run, face: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.db").write_bytes(b"no database" * 100)
    words = ("-i", face, "--aligned", "-q", "--tracking-uri", tmp_path / "broken.db")
    assert gfpup("sweep", *words, "--backend", "identity,classical", "-o", tmp_path / "out") == 0
    said = capfd.readouterr().err
    assert "cannot be used" in said and "goes on untracked" in said
    assert (tmp_path / "out" / "backend=classical" / "face.png").is_file()
    assert gfpup("run", *words, "--backend", "identity", "--tracking", "mlflow", "-o", tmp_path / "one") == 0
    record = tracking_of(tmp_path / "one")
    assert record is not None and "gfpup track" in record["failure"]
    assert "gfpup track" in capfd.readouterr().err
    assert gfpup("track", tmp_path / "one", "--uri", tmp_path / "mlruns") == 0


def test_a_password_is_not_recorded(gfpup: Run, face: Path, tmp_path: Path) -> None:
    words = ("-i", face, "--aligned", "-q", "--backend", "identity", "-o", tmp_path / "out")
    uri = "http://someone:secret@127.0.0.1:9/"
    assert gfpup("run", *words, "--tracking", "mlflow", "--tracking-uri", uri) == 0
    assert "secret" not in (tmp_path / "out" / "manifest.json").read_text()
    assert "secret" not in (tmp_path / "out" / "manifest.jsonl").read_text()
