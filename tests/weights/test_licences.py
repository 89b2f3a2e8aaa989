"""Consent is asked once per user, given by flag, environment or memory; contested licences warn once."""

from __future__ import annotations

from pathlib import Path

import pytest

from gfpup.core.errors import LicenceError
from gfpup.weights import licences
from gfpup.weights.catalogue import CATALOGUE, find


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GFPUP_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.delenv("GFPUP_ACCEPT_LICENCES", raising=False)
    return tmp_path / "config"


def test_non_commercial_weights_need_consent() -> None:
    with pytest.raises(LicenceError, match=r"--accept-licence s-lab-1\.0") as error:
        licences.require(find("codeformer"))
    assert "S-Lab" in str(error.value) and "\n" not in str(error.value)
    assert not licences.is_accepted("s-lab-1.0")


def test_consent_by_flag_environment_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    codeformer = find("codeformer")
    licences.require(codeformer, ["s-lab-1.0"])
    assert licences.how_accepted("s-lab-1.0", ["s-lab-1.0"]) == "given with the command"
    assert not licences.is_accepted("s-lab-1.0")  # the flag alone is not remembered: accept() is
    monkeypatch.setenv("GFPUP_ACCEPT_LICENCES", " s-lab-1.0 , polyform-noncommercial-1.0.0,")
    licences.require(codeformer)
    assert licences.how_accepted("polyform-noncommercial-1.0.0") == "given by GFPUP_ACCEPT_LICENCES"
    monkeypatch.delenv("GFPUP_ACCEPT_LICENCES")
    licences.accept("s-lab-1.0")
    licences.require(codeformer)
    assert (licences.how_accepted("s-lab-1.0") or "").startswith("remembered since 20")
    assert not licences.is_accepted("polyform-noncommercial-1.0.0")


def test_consent_to_one_is_not_consent_to_another() -> None:
    licences.accept("polyform-noncommercial-1.0.0")
    licences.require_licence("polyform-noncommercial-1.0.0", what="pyiqa metrics")
    with pytest.raises(LicenceError):
        licences.require(find("codeformer"), ["polyform-noncommercial-1.0.0"])


def test_free_and_contested_weights_need_none() -> None:
    for checkpoint in CATALOGUE:
        if checkpoint.commercial_use != "no":
            licences.require(checkpoint)
    assert licences.needing_consent() == ("polyform-noncommercial-1.0.0", "s-lab-1.0", "gpen-unstated")


def test_misspelt_ids_are_told(monkeypatch: pytest.MonkeyPatch, config: Path) -> None:
    with pytest.raises(LicenceError, match=r"did you mean 's-lab-1\.0'"):
        licences.accept("S-Lab-1")
    assert not config.exists()
    monkeypatch.setenv("GFPUP_ACCEPT_LICENCES", "s-lab")
    with pytest.raises(LicenceError, match="GFPUP_ACCEPT_LICENCES names 's-lab'"):
        licences.is_accepted("s-lab-1.0")


def test_contested_and_unknown_warn_once() -> None:
    warning = licences.warning_for(find("gfpgan-v1.4"))
    assert warning is not None and "contested" in warning
    assert licences.warning_for(find("gfpgan-v1.4")) == warning  # asking is not saying
    assert licences.warn_once(find("gfpgan-v1.4")) == warning
    assert licences.warn_once(find("gfpgan-v1.4")) is None
    assert licences.warn_once(find("gfpgan-v1.3")) is None  # one licence, one warning
    assert "PSFRGAN" in (licences.warn_once(find("parsenet")) or "")
    assert licences.warn_once(find("parsenet")) is None
    assert "unknown" in (licences.warn_once(find("arcface-ir-se50")) or "")
    assert licences.warn_once(find("arcface-resnet18")) is not None  # unknown licences are cases of their own
    assert licences.warn_once(find("restoreformer")) is None
    licences.accept("s-lab-1.0")  # one file keeps both
    assert licences.warn_once(find("parsenet")) is None


@pytest.mark.parametrize("content", ["{", "[]", '{"accepted": 3}'])
def test_a_damaged_memory_is_said(config: Path, content: str) -> None:
    config.mkdir()
    (config / "licences.json").write_text(content)
    with pytest.raises(LicenceError, match="delete the file"):
        licences.require(find("codeformer"))


def test_nowhere_to_remember(config: Path) -> None:
    config.write_text("a file where the folder should be")
    with pytest.raises(LicenceError, match="GFPUP_ACCEPT_LICENCES"):
        licences.accept("s-lab-1.0")
    assert licences.warn_once(find("parsenet")) is not None
