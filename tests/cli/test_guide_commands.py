"""Every command of docs/choose-backend.md runs as it stands there: the plan of all, and for real what needs no weights."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from golden import Golden
from official import written
from pictures import portrait
from PIL import Image

from gfpup.cli import infer
from gfpup.cli.main import main

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "choose-backend.md").read_text(encoding="utf-8")
COMMANDS = [
    line.strip()
    for block in re.findall(r"^ *```bash\n(.*?)^ *```", PAGE, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
    if line.strip() and not line.strip().startswith("#")
]
PLANNED = [line for line in COMMANDS if line.startswith(("gfpgan-infer ", "gfpup run ", "gfpup sweep "))]
RUN = [line for line in COMMANDS if line.startswith(("gfpup recommend ", "gfpup doctor", "gfpup backends"))]

# The lines of the guide that came with the old command, and of the issue that this page answers.
OLD = """\
--input photo.jpg --version 1.4
--input photo.jpg --version 1.3
--input photo.jpg --version 1.2
--input photo.jpg --backend codeformer
--input photo.jpg --backend restoreformer
--input family_photo.jpg --version 1.4
--input portrait.jpg --backend restoreformer --metrics detailed
--input photos/ --backend codeformer --bg_upsampler none
--input old_photo.jpg --version 1.3
--input old_photo.jpg --backend restoreformer
--input photo.jpg --backend restoreformer --upscale 2
--input photo.jpg --version 1.4 --bg_tile 400
--input photo.jpg --backend codeformer --bg_upsampler none
--input photo.jpg --device cpu --backend codeformer
--input test_photo.jpg --version 1.4 --metrics detailed --output v14/
--input test_photo.jpg --backend codeformer --metrics detailed --output cf/
--input test_photo.jpg --backend restoreformer --metrics detailed --output rf/
--input photo.jpg --version 1.4 --upscale 1
--input photo.jpg --version 1.4 --upscale 4
--input photo.jpg --version 1.4 --bg_tile 200
--input photo.jpg --backend codeformer --fidelity 0.8
--input photo.jpg --backend codeformer --detection_threshold 0.5
--input photo.jpg --backend restoreformer --high_quality
--input photo.jpg --backend restoreformer --memory_efficient
-i inputs -o results -v 1.3 -s 2 --bg_upsampler realesrgan --suffix restored --only_center_face --aligned --ext auto -w 0.5
""".splitlines()
NEW = """\
gfpup run --input photos/ --backend codeformer --output out/
gfpup run --input photos/ --backend restoreformerpp --metrics full --output out/
gfpup run --input photos/ --compile --output out/
gfpup run --input photos/ --device cpu --backend codeformer --output out/
gfpup run --input photos/ --backend ensemble --ensemble-backends gfpgan,codeformer --ensemble-weights 0.5,0.5 --output out/
gfpup run --input photos/ --auto --output out/
gfpup doctor
""".splitlines()


SWEEP = (
    "gfpup sweep --input photos/ --reference references/ --backend identity,classical --metrics psnr,ssim --output measured/"
)


def spoken(line: str) -> list[str]:
    return shlex.split(line, comments=True)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home without weights, network or GPU, with the files that the page names."""
    monkeypatch.chdir(tmp_path)
    for name in ("CONFIG", "WEIGHTS"):
        monkeypatch.setenv(f"GFPUP_{name}_DIR", str(tmp_path / f".{name.lower()}"))
    monkeypatch.setenv("GFPUP_WEIGHTS_URL", "http://127.0.0.1:9")
    photo = Image.fromarray(portrait())
    names = "photo.jpg family_photo.jpg portrait.jpg old_photo.jpg test_photo.jpg photos/a.jpg inputs/b.png references/a.png"
    for path in names.split():
        Path(path).parent.mkdir(exist_ok=True)
        photo.save(path)
    return tmp_path


REAL = [
    "gfpup run --input photos/ --backend classical --output out/",
    SWEEP,
    "gfpup recommend --priority quality --measured measured/",
    "gfpup recommend --priority quality --experiment gfpup",
]
PAIRS = [
    "gfpup degrade --input references/ --protocol gfpgan --output degraded/",
    "gfpup run --input degraded/ --reference references/ --backend classical --metrics fast --output out/",
]
BENCH = "gfpup bench --backend gfpgan,codeformer,restoreformerpp --against none"


def test_every_command_is_tried_below() -> None:
    assert set(COMMANDS) == {*PLANNED, *RUN, *REAL, *PAIRS, BENCH}


def test_the_page_has_every_line_that_was_promised() -> None:
    on_page = [spoken(line) for line in COMMANDS]
    missing = [line for line in OLD if ["gfpgan-infer", *spoken(line)] not in on_page]
    missing += [line for line in NEW if spoken(line) not in on_page]
    assert not missing
    assert {line.split()[0] for line in COMMANDS} == {"gfpup", "gfpgan-infer"}, "nothing else stands in its blocks"


@pytest.mark.parametrize("line", dict.fromkeys(PLANNED))
def test_a_command_of_the_guide_is_planned(line: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    if "degraded/" in line:  # which the line before it on the page makes
        (folder / "references").rename(folder / "degraded")
        (folder / "references").mkdir()
        (folder / "references" / "a.png").write_bytes((folder / "degraded" / "a.png").read_bytes())
    before = sorted(path.name for path in folder.iterdir())
    program, *words = spoken(line)
    status = (infer.main if program == "gfpgan-infer" else main)([*words, "--dry-run"])
    said = capfd.readouterr()
    assert status == 0, said.err
    assert "plan for " in said.out
    assert not list(folder.rglob("manifest.json*")) and not list(folder.rglob("*.pth*")), "nothing is done, nothing fetched"
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize(
    "line", [line for line in dict.fromkeys(RUN) if "--measured" not in line and "--experiment" not in line]
)
def test_a_command_that_needs_no_photo_runs(line: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = spoken(line)[1:]
    offline = ["--offline", "--json"] if words[0] == "doctor" else []
    status = main([*words, *offline])
    said = capfd.readouterr()
    if words[0] == "doctor":  # weights are missing here, and it says so by its status
        assert status in (0, 1) and status == json.loads(said.out)["status"]
        return
    assert status == 0, said.err
    if words[0] == "recommend":
        advised = spoken(said.out.strip().splitlines()[-1])
        assert advised[:2] == ["gfpup", "run"], said.out
        assert main([*advised[1:], "--dry-run"]) == 0, "the command that it advises runs too"


def test_what_needs_no_weights_runs_for_real(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The page's own lines, without a network; the last reads the sweep back from MLflow."""
    monkeypatch.setenv("GFPUP_TRACKING", "auto")
    for line in REAL:
        capfd.readouterr()
        _, *words = spoken(line)
        assert main([*words, *(["--no-download", "--device", "cpu"] if words[0] != "recommend" else [])]) == 0, line
        if words[0] == "recommend":
            advised = spoken(capfd.readouterr().out.strip())
            assert advised[:2] == ["gfpup", "run"] and {"identity", "classical"} & set(advised)
    assert (folder / "out" / "a.jpg").is_file() and (folder / "measured" / "report.html").is_file()


def test_the_old_command_runs_for_real_without_weights(folder: Path) -> None:
    old = ["--input", "photo.jpg", "--backend", "classical", "--bg_upsampler", "none", "--upscale", "1", "--no-download"]
    assert infer.main([*old, "--metrics", "psnr", "--output", "v14/"]) == 0
    assert (folder / "v14" / "restored_imgs" / "photo.jpg").is_file()


def test_what_degrades_and_measures_runs_for_real(folder: Path) -> None:
    assert main(spoken(PAIRS[0])[1:]) == 0
    assert main([*spoken(PAIRS[1])[1:], "--no-download", "--device", "cpu"]) == 0
    means = (folder / "out" / "scores.json").read_text(encoding="utf-8")
    assert "psnr" in means and "psnr_to_input" not in means


def test_the_measurement_runs_for_real_with_a_method_that_costs_nothing(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = spoken(BENCH.replace("gfpgan,codeformer,restoreformerpp", "identity"))[1:]
    assert main([*words, "--repeat", "1", "--warmup", "0", "--threads", "1", "--device", "cpu", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)


@pytest.mark.parametrize(
    ("line", "golden"),
    [
        ("gfpgan-infer --input photo.jpg --version 1.4", "gfpgan"),
        ("gfpgan-infer --input photo.jpg --backend codeformer --fidelity 0.8", "codeformer"),
        ("gfpgan-infer --input photo.jpg --backend restoreformer --memory_efficient", "restoreformerpp"),
    ],
)
def test_a_learned_method_runs_for_real(
    line: str, golden: str, folder: Path, shared: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """With deterministic weights in a file as it is published, and consent given as scripts give it."""
    assert line in COMMANDS
    monkeypatch.setenv("GFPUP_ACCEPT_LICENCES", "s-lab-1.0")
    with written(Golden.load(shared, golden), folder) as weights:
        assert (
            infer.main([*spoken(line)[1:], "--model-path", str(weights), "--no-download", "--no-parse", "--device", "cpu"]) == 0
        )
    record = json.loads((folder / "results" / "manifest.json").read_text(encoding="utf-8"))
    assert record["status"] == "done" and record["plan"]["pixels"]["backend"] == golden
    for name in ("restored_imgs/photo.jpg", "cropped_faces/photo_00.png", "restored_faces/photo_00.png", "cmp/photo_00.png"):
        assert (folder / "results" / name).is_file(), name
    assert "the same as: gfpup run --input photo.jpg" in capfd.readouterr().err
