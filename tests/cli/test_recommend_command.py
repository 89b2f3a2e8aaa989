"""`gfpup recommend`: a command on stdout, reasons on stderr, everything as JSON, and refusals in a sentence."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gfpup.cli import recommend
from gfpup.cli.main import main
from gfpup.core.errors import GfpupError
from gfpup.core.types import Score
from gfpup.records.scores import write


@pytest.fixture(autouse=True)
def no_consents(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GFPUP_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.delenv("GFPUP_ACCEPT_LICENCES", raising=False)


def test_stdout_is_the_command_and_stderr_the_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recommend", "--priority", "speed", "--vram", "6", "--input", "my photos/", "--output", "o"]) == 0
    said = capsys.readouterr()
    assert said.out == "gfpup run --input 'my photos/' --backend codeformer --output o\n"
    assert said.err.startswith("because asked for speed") and "may not hold on your machine" in said.err
    assert "warning: codeformer is non-commercial" in said.err and "\nor gfpgan-1.4 (" in said.err


def test_the_command_runs_as_it_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    monkeypatch.setenv("GFPUP_WEIGHTS_DIR", str(tmp_path / "weights"))
    Image.new("RGB", (80, 60)).save(tmp_path / "a photo.png")
    words = ["--use-case", "archive", "--vram", "0", "--input", str(tmp_path / "a photo.png"), "--output", str(tmp_path / "o")]
    assert recommend.run(words) == 0
    command = shlex.split(capsys.readouterr().out)
    assert command[0] == "gfpup" and main([*command[1:], "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["pixels"]["backend"], plan["pixels"]["parameters"], plan["device"]) == ("gfpgan", {"version": "1.3"}, "cpu")


def test_json_holds_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert recommend.run(["--use-case", "professional", "--priority", "speed", "--vram", "3.5", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["backend"], facts["guide"], facts["tier"], facts["hardware"]["gpu_gb"]) == (
        "gfpgan",
        "codeformer",
        "low",
        3.5,
    )
    assert facts["command"].endswith("--metrics full --memory-efficient --output out/")
    assert facts["alternatives"][0]["command"].startswith("gfpup run ") and facts["warnings"] and facts["reasons"]


def test_this_machine_is_probed_unless_another_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gfpup.machine import hardware

    machine = hardware.Machine(8, 32 * 10**9, (hardware.Gpu("Made up", 12 * 10**9, 11 * 10**9),))
    monkeypatch.setattr(hardware, "probe", lambda: machine)
    assert recommend.run(["--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["tier"] == "high" and facts["hardware"]["name"] == "Made up"


def test_without_a_probe_no_torch_is_loaded() -> None:
    code = "import sys; from gfpup.cli.main import main; main(['recommend', '--vram', '6']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_measured_runs_decide_and_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, loss, seconds in (("gfpgan", 0.3, 2.0), ("restoreformerpp", 0.2, 5.0)):
        folder = tmp_path / "out" / f"backend={name}"
        folder.mkdir(parents=True)
        values = [loss + i / 100 for i in range(12)]
        rows = [Score("lpips", value, False, photo=f"{i}.png") for i, value in enumerate(values)]
        write(folder, rows + [Score("seconds", seconds, False, photo=f"{i}.png") for i in range(12)])
        plan = {"pixels": {"backend": name, "parameters": {}, "device": "cpu"}}
        document = {"status": "done", "plan": plan, "photos": [], "hardware": {}}
        (folder / "manifest.json").write_text(json.dumps(document))
    words = ["--vram", "12", "--measured", str(tmp_path / "out")]
    assert recommend.run([*words, "--priority", "quality"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("gfpup run --input photos/ --backend restoreformerpp ")
    assert "decided by lpips" in said.err and "the guide takes RestoreFormer++ too" in said.err
    rows = {line.split()[0]: line for line in said.err.splitlines() if line.endswith(("taken", "worse"))}
    assert rows["restoreformerpp"].endswith("taken") and rows["gfpgan"].endswith("worse")
    assert recommend.run([*words, "--priority", "speed", "--metric", "lpips"]) == 0
    assert "--backend gfpgan" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--use-case", "hobby"], "invalid value 'hobby' for --use-case"),
        (["--priority", "cheap"], "expected one of quality, speed, natural, general"),
        (["--vram", "-1"], "invalid value '-1' for --vram"),
        (["--vram", "nan"], "invalid value 'nan' for --vram"),
        (["--measured", "nowhere"], "there is no folder nowhere"),
        (["--measured", "a", "--experiment", "b"], "exclude each other"),
        (["--tracking-uri", "x"], "give its name too"),
        (["--metric", "ssim"], "--metric chooses among measurements"),
        (["--confidence", "1"], "invalid value '1' for --confidence"),
        (["--seed", "-1"], "invalid value '-1' for --seed"),
        (["speed"], "gfpup recommend --help explains"),
        (["--experiment", "x"], "there is no store at"),
    ],
)
def test_what_means_nothing_is_refused(words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GfpupError, match=said):
        recommend.run(words)


def test_help_ends_in_three_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recommend", "--help"]) == 0
    assert all(line.startswith("  gfpup recommend") for line in capsys.readouterr().out.splitlines()[-3:])
