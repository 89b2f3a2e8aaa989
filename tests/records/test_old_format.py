"""Runs that earlier versions left can still be read, compared, reported and scored."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gfpup.analysis.compare import compare
from gfpup.analysis.report import write_report
from gfpup.cli.main import main
from gfpup.records.run_record import read_lines, read_record, read_scored
from gfpup.records.scores import summarise

DATA = Path(__file__).parent / "data" / "old_format"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    shutil.copytree(DATA, tmp_path / "old")
    return tmp_path / "old"


def test_record_lines_and_scores_are_read(old: Path) -> None:
    record = read_record(old / "out" / "identity")
    assert record.status == "done" and [photo.name for photo in record.photos] == ["a.png", "b.jpg"]
    assert record.pixels["backend"] == "identity" and record.failures == {}
    assert record.mean("psnr_to_input", "faces") == 60.65054441467862
    assert {score.taken_from for score in record.scores} == {""}
    lines = read_lines(old / "out" / "identity" / "manifest.jsonl")
    assert list(lines.photos) == ["a.png", "b.jpg"] and lines.pixels == record.pixels


def test_they_are_compared_and_reported(old: Path) -> None:
    comparison = compare(read_scored([old / "out"]))
    assert comparison.runs == ("classical", "identity") and comparison.photos == 2
    page = write_report([old / "out"], old / "report.html").read_text(encoding="utf-8")
    assert "psnr_to_input" in page and "a.png" in page


def test_scoring_one_again_never_mixes_what_it_was_taken_from(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GFPUP_CONFIG_DIR", str(old / "config"))
    folder, photos = old / "out" / "identity", old / "photos"
    assert main(["score", str(folder), "--input", str(photos), "--metrics", "psnr", "--quiet"]) == 0
    psnr = {
        score.photo: score for score in read_record(folder).scores if score.metric == "psnr_to_input" and score.face is None
    }
    assert psnr["a.png"].taken_from == "PNG" and psnr["b.jpg"].taken_from == "JPEG 95"
    assert psnr["a.png"].value == 65.48531566471178, "a file without loss holds what was in memory"
    assert psnr["b.jpg"].value < 60
    for line in summarise(read_record(folder).scores)["scores"]:
        assert line["metric"] != "psnr_to_input" or ("taken_from" not in line and line["n"] == 2)
