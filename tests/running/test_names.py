"""Any name that the file system has goes through a run, its scores and its report."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from builders import Run, manifest
from pictures import save

from gfpup.records.scores import read as read_scores

NAME = os.fsdecode(b"caf\xe9 \xff.png")
CONTROL = "two\nlines \x1b[2J\r\x07.png"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_not_utf_8_is_restored_scored_compared_and_reported(
    gfpup: Run, tmp_path: Path, portrait: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "a.png", portrait)
    (tmp_path / "in").mkdir()
    (tmp_path / "a.png").rename(tmp_path / "in" / NAME)
    args = ("run", "-i", "in", "--aligned", "--metrics", "psnr", "--backend")
    for backend in ("identity", "classical"):
        assert gfpup(*args, backend, "-o", backend) == 0
    assert gfpup("run", "-i", f"in/{NAME}", "--aligned", "--backend", "identity", "-o", "one", "-q") == 0
    assert (tmp_path / "identity" / NAME).is_file()
    (line,) = manifest(tmp_path / "identity")["photos"]
    assert line["name"] == NAME
    assert {row.photo for row in read_scores(tmp_path / "identity/scores.csv")} == {NAME}
    assert gfpup("score", "identity", "--metrics", "psnr,ssim") == 0
    assert gfpup("report", "identity", "classical", "--output", "report.html") == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert r"caf\xe9 \xff" in page
    for name in ("table.md", "table.html", "table.csv"):
        assert gfpup("compare", "identity", "classical", "--output", name) == 0
    assert gfpup("degrade", "-i", "in", "-o", "degraded", "--protocol", "mild") == 0
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_control_characters_in_a_name_do_not_reach_the_screen(
    gfpup: Run, tmp_path: Path, portrait: np.ndarray, capfd: pytest.CaptureFixture[str]
) -> None:
    """A line feed would make two lines of one, and an escape sequence clears the terminal or worse."""
    save(tmp_path / "a.png", portrait)
    (tmp_path / "in").mkdir()
    (tmp_path / "a.png").rename(tmp_path / "in" / CONTROL)
    (tmp_path / "in" / f"bad {CONTROL}").write_bytes(b"no photo")
    (tmp_path / "in" / f"{CONTROL}.txt").touch()
    assert gfpup("run", "-i", "in", "--backend", "identity", "--detector", "cascade", "--metrics", "psnr", "-o", "out") == 1
    assert gfpup("run", "-i", f"gone {CONTROL}", "-o", "out") == 2
    assert gfpup("score", "out", "--metrics", "psnr") in (0, 1)
    assert (tmp_path / "out" / CONTROL).is_file()
    said = capfd.readouterr()
    assert not set("\x1b\r\x07") & set(said.out + said.err)
    assert said.err.count("bad two") >= 1 and r"two\nlines \x1b[2J\r\x07.png" in said.err
