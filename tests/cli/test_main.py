"""The command itself: verbs, help, completion, Hydra's own flags behind the verb, exit status."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from gfpup.cli.main import main, run_help
from gfpup.cli.overrides import FLAGS


def test_help_answers_at_once_and_ends_in_commands(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "gfpup", "--help"], check=True, capture_output=True)
    assert time.perf_counter() - began < 3, "nothing heavy may be imported for the help"
    for words in ([], ["--help"], ["run", "--help"], ["weights", "--help"], ["backends", "--help"]):
        assert main(words) == 0
        lines = capsys.readouterr().out.splitlines()
        assert all(line.startswith("  gfpup ") for line in lines[-3:]), words
        assert max(len(line) for line in lines) <= 132


def test_the_help_of_run_shows_each_flag_with_its_override() -> None:
    text = run_help()
    for flag in FLAGS.values():
        assert flag.name in text
        assert f"[{flag.key}=" in text


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
    assert main(["backends", "show", "rf++"]) == 0
    assert "restoreformerpp" in capsys.readouterr().out
