"""docs/old-photos.md: its commands run as they stand, in their order; those that need checkpoints are planned."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from gfpup.cli.main import main

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "old-photos.md").read_text(encoding="utf-8")
COMMANDS = [
    line.strip()
    for block in re.findall(r"^```bash\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
    if line.strip()
]
RUNS = [line for line in COMMANDS if line.startswith("gfpup run ")]
WITHOUT_WEIGHTS = [line for line in RUNS if "--backend classical --detector cascade" in line]
LEARNED = [line for line in RUNS if line not in WITHOUT_WEIGHTS]
OTHER = [
    "gfpup weights fetch gfpgan-v1.4 retinaface-resnet50 bisenet",
    "gfpup report restored/",
    "gfpup report restored/ restored-gfpgan/ --output comparison.html",
    "gfpup weights import GFPGANv1.4.pth",
    "gfpup weights list",
    "gfpup doctor",
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without weights or network, with the example photos in the folder that the page names."""
    monkeypatch.chdir(tmp_path)
    for name in ("CONFIG", "WEIGHTS", "CACHE"):
        monkeypatch.setenv(f"GFPUP_{name}_DIR", str(tmp_path / f".{name.lower()}"))
    monkeypatch.setenv("GFPUP_WEIGHTS_URL", "http://127.0.0.1:9")
    monkeypatch.delenv("GFPUP_ACCEPT_LICENCES", raising=False)
    shutil.copytree(ROOT / "examples" / "photos", "old-photos")
    return tmp_path


def words(line: str) -> list[str]:
    return shlex.split(line)[1:]


def test_every_command_of_the_page_is_tried_below() -> None:
    assert set(COMMANDS) == {*RUNS, *OTHER}
    assert len(WITHOUT_WEIGHTS) >= 4 and len(LEARNED) >= 6


def test_the_reader_hears_of_checkpoints_before_the_first_command_that_needs_one() -> None:
    first = min(PAGE.index(line) for line in LEARNED)
    assert "need checkpoints" in PAGE[:first] and "511 MB" in PAGE[:first]


def test_what_needs_no_weights_runs_for_real_in_the_order_of_the_page(folder: Path) -> None:
    photos = {path.name for path in (folder / "old-photos").iterdir()}
    originals = {path.name: path.read_bytes() for path in (folder / "old-photos").iterdir()}
    for line in COMMANDS:
        if line in WITHOUT_WEIGHTS:
            assert main(words(line)) == 0, line
        elif line == "gfpup report restored/":
            assert main(words(line)) == 0, line
            assert (folder / "restored" / "report.html").is_file()
            shutil.copytree("restored", "restored-gfpgan")  # in place of the learned method's results
        elif line.startswith("gfpup report "):
            assert main(words(line)) == 0, line
            assert (folder / "comparison.html").is_file()
        elif line in ("gfpup weights list", "gfpup doctor"):
            offline = ["--offline"] if line == "gfpup doctor" else []
            assert main([*words(line), *offline]) in (0, 1), line
    results = {path.name for path in (folder / "restored").iterdir()}
    assert results >= photos | {"manifest.json", "manifest.jsonl"}
    assert {path.name for path in Path("softer").iterdir()} >= {"astronaut_old.jpg"}
    assert {path.name: path.read_bytes() for path in (folder / "old-photos").iterdir()} == originals
    left = (folder / "left-alone" / "manifest.json").read_text(encoding="utf-8")
    assert '"restored": false' in left, "the box of --leave-alone holds the face"


@pytest.mark.parametrize("line", LEARNED)
def test_a_learned_method_is_planned_and_the_plan_names_what_is_missing(
    line: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main([*words(line), "--dry-run"]) == 0
    plan = capfd.readouterr().out
    assert "plan for 3 photos" in plan
    assert "missing" in plan or "--auto" in line
    assert not list(folder.rglob("*.pth*")), "a dry run downloads nothing"
