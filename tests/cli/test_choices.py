"""Names of configuration groups: known ones pass, unknown ones are refused in one sentence."""

from __future__ import annotations

import pytest

from gfpup.cli.choices import choices, known_choices
from gfpup.cli.main import main
from gfpup.core.errors import GfpupError


def test_known_names_pass_and_aliases_are_replaced() -> None:
    assert known_choices(["backend=rf++,identity", "tracking=none", "restore.upscale=2", "-m"]) == [
        "backend=restoreformerpp,identity",
        "tracking=none",
        "restore.upscale=2",
        "-m",
    ]
    assert "001-baselines" in choices("experiment") and choices("restore") == [] and choices("../conf") == []


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("tracking=mlfow", "did you mean 'mlflow'"),
        ("hardware=huge", "there is no hardware 'huge'"),
        ("background=none,realesrga", "did you mean 'realesrgan'"),
        ("experiment=002", "there is no experiment '002'"),
        ("backend=gfpgn", "did you mean 'gfpgan'"),
    ],
)
def test_unknown_names_are_refused(override: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(GfpupError, match=said):
        known_choices([override])
    assert main(["sweep", "-i", "x", override]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_own_folders_may_hold_any_name() -> None:
    assert known_choices(["experiment=mine", "--config-dir", "own"]) == ["experiment=mine", "--config-dir", "own"]


def test_a_launcher_that_is_not_there_names_its_extra() -> None:
    pytest.importorskip("hydra")
    try:
        import hydra_plugins.hydra_joblib_launcher  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        with pytest.raises(GfpupError, match=r"gfpup\[joblib\]"):
            known_choices(["hydra/launcher=joblib"])
    else:
        assert known_choices(["hydra/launcher=joblib"]) == ["hydra/launcher=joblib"]
