"""`gfpup doctor`: a row a check, JSON, and an exit status that says whether a default run would begin."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gfpup.cli import doctor
from gfpup.cli.main import main
from gfpup.core.errors import GfpupError
from gfpup.machine import hardware
from gfpup.tools.check import Check


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hardware, "probe", lambda: hardware.Machine(2, 16 * 10**9))
    monkeypatch.setenv("GFPUP_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("GFPUP_WEIGHTS_DIR", str(tmp_path / "weights"))
    for name in ("GFPUP_ACCEPT_LICENCES", "GFPUP_WEIGHTS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_exit_status_says_whether_a_default_run_would_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gfpup.tools.doctor.supplies._unreachable", lambda address: "no network")
    assert main(["doctor"]) == 1
    said = capsys.readouterr()
    assert (
        "problem  default run" in said.out
        and "-> gfpup weights import FILE" in said.out
        and said.err.rstrip().endswith(" 1 problem")
    )
    monkeypatch.setattr("gfpup.tools.doctor.supplies._unreachable", lambda address: None)
    assert main(["doctor"]) == 0
    capsys.readouterr()
    assert main(["doctor", "--offline"]) == 0
    assert "not tried" in capsys.readouterr().out


@pytest.mark.parametrize("columns", [60, 80, 99, 100, 140])
def test_a_terminal_breaks_no_word(columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    doctor.run(["--offline"])
    whole = capsys.readouterr().out.split()
    monkeypatch.setenv("COLUMNS", str(columns))
    doctor.run(["--offline"])
    said = capsys.readouterr().out
    assert [word.rstrip(":") for word in said.split()] == [word.rstrip(":") for word in whole]
    assert all(len(line) <= columns or len(line.split()[-1]) > 30 for line in said.splitlines()), (
        "only a long path may be longer"
    )


def test_a_check_is_a_row_and_its_remedy_a_line() -> None:
    check = Check("weights", "bisenet", "warning", "is not here", "gfpup weights fetch bisenet")
    first, second = doctor.as_text(check, width=120).splitlines()
    assert first.split() == ["warning", "weights", "bisenet", "is", "not", "here"]
    assert second.strip() == "-> gfpup weights fetch bisenet" and second.index("->") == first.index("is not here")
    assert doctor.as_text(check, width=30).splitlines() == [
        "warning  weights: bisenet",
        "         is not here",
        "         -> gfpup weights",
        "         fetch bisenet",
    ]
    assert doctor.as_text(check, width=None).splitlines() == [first, second]


def test_json_is_one_object_with_every_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.run(["--offline", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["status"] == 0 and facts["ok"] + facts["warning"] + facts["problem"] == len(facts["checks"])
    assert {"group", "name", "status", "found", "remedy"} == set(facts["checks"][0])


def test_problems_alone_and_other_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").touch()
    assert doctor.run(["--offline", "--problems", "--output", "taken", "--weights-dir", str(tmp_path / "w")]) == 1
    printed = capsys.readouterr().out
    rows = [line for line in printed.splitlines() if not line.startswith(" ")]
    assert rows and not any(row.startswith("ok") for row in rows)
    assert "taken is a file" in " ".join(printed.split())  # wrapped where the folder's name is long


def test_unknown_flags_are_refused_and_help_ends_in_three_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(GfpupError, match="gfpup doctor --help explains"):
        doctor.run(["--fix"])
    assert main(["doctor", "--help"]) == 0
    assert all(line.startswith("  gfpup doctor") for line in capsys.readouterr().out.splitlines()[-3:])
