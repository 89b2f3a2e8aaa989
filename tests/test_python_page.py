"""docs/python.md: every block runs, in order, and no public name is left out."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from pictures import portrait
from PIL import Image

import gfpup

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.usefixtures("forked_runs")
def test_every_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("CONFIG", "WEIGHTS", "CACHE"):
        monkeypatch.setenv(f"GFPUP_{name}_DIR", str(tmp_path / name.lower()))
    Path("photos").mkdir()
    for path in ("old.jpg", "truth.png", "photos/a.png", "photos/b.jpg"):
        Image.fromarray(portrait()).save(path)
    names: dict[str, object] = {}
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"docs/python.md, block {number + 1}", "exec"), names)
    result = names["result"]
    assert isinstance(result, gfpup.RestoredPhoto) and len(result.faces) == 1
    assert np.asarray(names["after"]).shape == (512, 512, 3)
    assert {path.name for path in Path().iterdir()} >= {"new.jpg", "out", "mlruns"}


def test_the_blocks_were_found() -> None:
    assert len(BLOCKS) == PAGE.count("```python") >= 8


def test_every_public_function_is_on_the_page() -> None:
    for name in gfpup.__all__:
        if name[0].islower():
            assert f"`{name}(" in PAGE and f"gfpup.{name}" in PAGE, name
