"""The weights that a run lacks are named all at once; the command that fetches them takes the flags of a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from machines import NO_GPU, request

from gfpup.cli.main import main
from gfpup.core.errors import CheckpointError
from gfpup.planning.missing import missing_checkpoints, plan_or_name_missing
from gfpup.planning.planner import open_resolver
from gfpup.weights.download import DownloadError


def names(*overrides: str) -> list[str]:
    return [checkpoint.name for checkpoint in missing_checkpoints(request(*overrides), NO_GPU)]


def test_all_that_a_run_needs_is_listed_and_nothing_is_fetched(tmp_path: Path) -> None:
    here = f"weights.dir={tmp_path / 'w'}"
    assert names(here) == ["gfpgan-v1.4", "retinaface-resnet50", "bisenet"]
    assert names(here, "detect.name=cascade", "paste.mask=feather") == ["gfpgan-v1.4"]
    assert names(here, "backend=classical", "detect.name=cascade") == []
    assert not (tmp_path / "w").exists()


def test_the_refusal_names_all_and_the_way_out(tmp_path: Path) -> None:
    settings = request(f"weights.dir={tmp_path}", "weights.download=false")
    with pytest.raises(CheckpointError) as error:
        plan_or_name_missing(settings, NO_GPU, open_resolver(settings))
    said = str(error.value)
    for part in ("gfpup weights fetch gfpgan-v1.4 retinaface-resnet50 bisenet", "(511 MB)", "offline", "--backend classical"):
        assert part in said
    assert "\n" not in said


def test_fetching_for_a_run_takes_its_flags(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--backend", "classical", "--detector", "cascade", "--weights-dir", str(tmp_path)]
    assert main(["weights", "fetch", "--for", "run", *flags]) == 0
    assert "all that this run needs is here" in capsys.readouterr().err
    assert main(["weights", "fetch", "--for", "run", "--backand", "x"]) == 2
    assert "did you mean --backend?" in capsys.readouterr().err
    assert main(["weights", "fetch", "--for", "classical", *flags[2:]]) == 0
    assert main(["weights", "verify", "--for", "run"]) == 2
    assert "gfpup weights fetch --for run" in capsys.readouterr().err


def test_fetching_for_a_method_shows_the_sum_of_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise DownloadError("cannot be reached")

    monkeypatch.setattr("gfpup.weights.store.download", unreachable)
    monkeypatch.setenv("GFPUP_CONFIG_DIR", str(tmp_path / "config"))
    assert main(["weights", "fetch", "--for", "gfpgan", "--device", "cpu", "--weights-dir", str(tmp_path / "w")]) == 2
    err = capsys.readouterr().err
    assert "fetching gfpgan-v1.4, retinaface-resnet50, bisenet (511 MB)" in err and "could not be downloaded" in err
    assert main(["weights", "fetch", "--for", "gfpgn"]) == 2
    assert "gfpgan" in capsys.readouterr().err
