"""One page for the tests of a module: a real `gfpup app` behind a password, with the shared detector."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gfpup.analysis.vote import make_trial

USER, PASSWORD = "anna", "correct horse"


@dataclass(frozen=True)
class Served:
    """A page: its address, who may enter, its folder, the folder that it may open, and the words that every run of it gets."""

    address: str
    user: str
    password: str
    folder: Path
    opened: Path
    extra: tuple[str, ...]
    process: subprocess.Popen[str]


@pytest.fixture(scope="module")
def served(shared: Path, tmp_path_factory: pytest.TempPathFactory, finished_sweep: Path) -> Iterator[Served]:
    pytest.importorskip("gradio", reason="gradio is not installed")
    root = tmp_path_factory.mktemp("app")
    (root / "password.txt").write_text(PASSWORD + "\n")
    (root / "opened").mkdir()
    shutil.copytree(finished_sweep, root / "opened" / "sweep")
    make_trial([finished_sweep], root / "trial")
    detector = shared / "weights" / "retinaface_mobilenet0.25.pth"
    found_by = ("retinaface-mobilenet0.25", "--detector-path", str(detector)) if detector.is_file() else ("cascade",)
    extra = ("--detector", *found_by, "--background", "none", "--no-download")
    flags = ["--no-browser", "--folder", str(root / "page"), "--open", str(root / "opened"), "--trial", str(root / "trial")]
    environment = os.environ | {"GFPUP_CONFIG_DIR": str(root / "config"), "GFPUP_WEIGHTS_DIR": str(root / "weights")}
    process = subprocess.Popen(
        [sys.executable, "-m", "gfpup", "app", *flags, "--auth", f"{USER}:{root / 'password.txt'}", "--", *extra],
        stderr=subprocess.PIPE, text=True, env=environment, cwd=root / "opened",
    )  # fmt: skip
    assert process.stderr is not None
    assert "raters vote at http" in process.stderr.readline()
    said = process.stderr.readline()
    assert "the page is at" in said, said + process.stderr.read()
    yield Served(said.split(" is at ")[1].split()[0], USER, PASSWORD, root / "page", root / "opened", extra, process)
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=60)[1]
    assert process.returncode == 0
    assert "gfpup/app/" not in rest, rest  # no error was one of ours
    assert not any((root / "page").iterdir())  # uploads and results are gone, the folder that the user named is not
