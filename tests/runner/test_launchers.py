"""Odd paths through Hydra's launchers: what the user typed is what every job gets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pictures import save

Run = Callable[..., int]

ODD = 'it\'s a=b, ${c} [d] "é" 照片'


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_odd_paths_survive_a_sweep(gfpup: Run, tmp_path: Path, portrait: np.ndarray, launcher: str) -> None:
    if launcher == "joblib":
        pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="the extra gfpup[joblib] is not installed")
    folder = tmp_path / ODD
    folder.mkdir()
    save(folder / f"{ODD}.png", portrait)
    out = tmp_path / f"out {ODD}"
    words = ("-i", folder, "-o", out, "--aligned", "--backend", "identity,classical", "--suffix", "_'x", "-q", "-m")
    assert gfpup("run", *words, f"hydra/launcher={launcher}") == 0
    for backend in ("identity", "classical"):
        record = json.loads((out / f"backend={backend}/manifest.json").read_text())
        assert record["status"] == "done"
        assert Path(record["photos"][0]["output"]).name == f"{ODD}_'x.png"
        assert Path(record["photos"][0]["output"]).is_file()
        assert record["argv"][-1] == f"hydra/launcher={launcher}"
