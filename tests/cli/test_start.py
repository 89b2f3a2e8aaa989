"""How much is imported before anything is done: a command answers at once, and a run takes in only what it uses."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

from gfpup.running.process import uncollected

IMPORTED = "import sys; from gfpup.cli.main import main; status = main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
HEAVY = {"torch", "lightning", "hydra", "omegaconf", "numpy", "cv2", "rich", "mlflow", "pandas", "matplotlib", "scipy", "PIL"}


def modules_after(*words: object) -> set[str]:
    done = subprocess.run([sys.executable, "-c", IMPORTED, *map(str, words)], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stderr.split()}


def test_help_answers_at_once() -> None:
    seconds = []
    for _ in range(3):
        began = os.times()
        subprocess.run([sys.executable, "-m", "gfpup", "--help"], check=True, capture_output=True)
        ended = os.times()
        seconds.append(ended.children_user + ended.children_system - began.children_user - began.children_system)
    assert min(seconds) < 0.3, "CPU seconds, as others may use the machine"


def test_help_imports_nothing_heavy() -> None:
    for words in (["--help"], ["run", "--help"], ["version"]):
        assert not modules_after(*words) & HEAVY, words


def test_backends_are_listed_without_torch() -> None:
    began = os.times()
    found = modules_after("backends")
    ended = os.times()
    assert not found & {"torch", "lightning", "mlflow", "pandas", "matplotlib", "cv2"}
    spent = ended.children_user + ended.children_system - began.children_user - began.children_system
    assert spent < 1.0


def test_a_plain_run_imports_no_tracking_and_no_other_engine(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((40, 40, 3), 128, np.uint8))
    words = ("run", "-i", tmp_path / "a.png", "-o", tmp_path / "out", "--backend", "classical", "--detector", "cascade", "-q")
    found = modules_after(*words)
    assert "lightning" in found, "the spy sees nothing"
    # Not torchvision: Lightning imports it where it is installed.
    assert not found & {
        "mlflow",
        "pandas",
        "onnxruntime",
        "onnx",
        "openvino",
        "spandrel",
        "tensorboard",
        "sklearn",
    }


def test_the_collector_is_as_it_was_after_importing() -> None:
    assert gc.isenabled()
    with uncollected():
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
