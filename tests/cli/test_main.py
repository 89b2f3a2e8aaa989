"""The command itself: verbs, help, completion, Hydra's own flags behind the verb, exit status."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gfpup.cli.help import run_help
from gfpup.cli.main import main
from gfpup.planning.schema import FLAGS


def test_help_answers_at_once_and_ends_in_commands(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "gfpup", "--help"], check=True, capture_output=True)
    assert time.perf_counter() - began < 3, "nothing heavy may be imported for the help"
    for words in (
        [],
        ["--help"],
        ["run", "--help"],
        ["run", "--help-all"],
        ["completion"],
        ["weights", "--help"],
        ["backends", "--help"],
    ):
        assert main(words) == 0
        lines = capsys.readouterr().out.splitlines()
        assert all(line.startswith("  gfpup ") for line in lines[-3:]), words
        assert max(len(line) for line in lines) <= 132


def test_the_help_of_run_shows_each_flag_with_its_override() -> None:
    text = " ".join(run_help(everything=True).split())
    for flag, wanted in FLAGS.values():
        assert flag.name in text
        assert f"[{wanted.key}=" in text


def test_the_short_help_shows_ten_flags_and_where_the_others_are() -> None:
    text = run_help()
    shown = {word for line in text.splitlines() if line.startswith("  -") for word in line.split() if word.startswith("--")}
    assert shown == {flag.name for flag, _ in FLAGS.values() if flag.common}
    assert len(text.splitlines()) < 36 and "--help-all" in text and "gfpup completion" in text


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("gfpup ", {"run", "weights", "backends"}),
        ("gfpup ru", {"run"}),
        ("gfpup run --dev", {"--device"}),
        ("gfpup run backend=ident", {"backend=identity"}),
        ("gfpup run --input a.jpg --recursive detect.thr", {"detect.threshold="}),
        ("gfpup run --input ", set()),
        ("gfpup run --backend restoreformer", {"restoreformer", "restoreformerpp"}),
        ("gfpup run --detector ret", {"retinaface-resnet50", "retinaface-mobilenet0.25"}),
        ("gfpup run --metrics ", {"off", "fast", "full", "lpips", "psnr"}),
        ("gfpup run --metrics psnr,ss", {"psnr,ssim"}),
        ("gfpup run --mask=f", {"--mask=feather"}),
        ("gfpup run --accept-licence s-", {"s-lab-1.0"}),
        ("gfpup run --upscale ", set()),
        ("gfpup score --ref", {"--reference"}),
        ("gfpup completion ", {"bash", "zsh", "fish"}),
        ("gfpup sweep --experiment ", {"001-baselines", "all-methods"}),
    ],
)
def test_completion_knows_the_verb(
    line: str, expected: set[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMP_LINE", line)
    assert main(["-sc", "query=bash"]) == 0
    found = set(capsys.readouterr().out.split())
    assert expected <= found
    assert bool(found) == bool(expected)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_valid_and_completes(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "gfpup -sc query=" in script
    if shutil.which(shell) is None:
        return
    (tmp_path / "script").write_text(script)
    subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)


def test_completion_in_bash(tmp_path: Path) -> None:
    """Bash itself, with the command in its path, as after two presses of the tabulator."""
    (tmp_path / "gfpup").write_text(f'#!/bin/sh\nexec {sys.executable} -m gfpup "$@"\n')
    (tmp_path / "gfpup").chmod(0o755)
    line = "gfpup run --backend id"
    lines = [
        f'PATH="{tmp_path}:$PATH"', "source <(gfpup completion bash)", f'COMP_LINE="{line}"', "COMP_POINT=${#COMP_LINE}",
        "COMP_WORDS=(gfpup run --backend id)", "COMP_CWORD=3", "_gfpup", 'printf "%s\\n" "${COMPREPLY[@]}"',
    ]  # fmt: skip
    done = subprocess.run(["bash", "-c", "\n".join(lines)], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["identity"]


def test_hydra_s_flags_work_behind_the_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--upscale", "3", "--cfg", "job"]) == 0
    assert "upscale: 3" in capsys.readouterr().out
    assert main(["run", "--info", "searchpath"]) == 0
    assert "pkg://gfpup.conf" in capsys.readouterr().out
    assert main(["run", "-sc", "install=bash"]) == 0
    assert "complete" in capsys.readouterr().out


def test_unknown_verbs_and_backends_are_answered(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rnu"]) == 2
    assert "did you mean 'run'" in capsys.readouterr().err
    assert main(["backends", "show", "codefromer"]) == 2
    assert "did you mean 'codeformer'" in capsys.readouterr().err
    assert main(["weights", "fetch", "gfpgan-v1.9"]) == 2
    assert "gfpgan-v1.4" in capsys.readouterr().err


def test_backends_are_listed_with_their_sources(capsys: pytest.CaptureFixture[str]) -> None:
    import json

    assert main(["backends", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert {"gfpgan", "codeformer", "restoreformer", "restoreformerpp", "ensemble", "upstream"} <= set(rows)
    assert rows["restoreformerpp"]["published"]["FID"] == 41.15
    assert rows["codeformer"]["commercial_use"] == "no"
    assert rows["gfpgan"]["versions"] == ["1.2", "1.3", "1.4"]
    tables = {}
    for form in ("csv", "markdown", "latex"):
        assert main(["backends", f"--{form}"]) == 0
        tables[form] = capsys.readouterr().out
    assert tables["csv"].startswith("backend,M,GFLOP,MB,FID") and len(tables["csv"].splitlines()) == 1 + len(rows)
    assert "| restoreformerpp | 73.5 | 688 |" in tables["markdown"] and "PMRF (ICLR 2025)" in tables["markdown"]
    assert r"\toprule" in tables["latex"] and r"restoreformerpp & 73.5 & 688 &" in tables["latex"]
    assert main(["backends", "--csv", "--latex"]) == 2 and main(["backends", "show", "gfpgan", "--csv"]) == 2
    capsys.readouterr()
    assert main(["backends", "show", "rf++"]) == 0
    assert "restoreformerpp" in capsys.readouterr().out
