"""Fixtures every test may use. `shared` is the folder of goldens, photos and weights that lies beside a checkout."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("GFPUP_SHARED", ROOT.parent / "shared"))


@pytest.fixture(autouse=True)
def untracked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sweeps and scored runs go to MLflow by default, which takes seconds: tests of that set this otherwise."""
    monkeypatch.setenv("GFPUP_TRACKING", "none")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared folder, or a skip that says where it was looked for."""
    if not (SHARED / "parity").is_dir():
        pytest.skip(f"no shared folder at {SHARED} (set GFPUP_SHARED to its path)")
    return SHARED


@pytest.fixture(autouse=True)
def _own_stage_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or fills the stage cache of whoever runs it, nor another test's."""
    monkeypatch.setenv("GFPUP_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "stages" / secrets.token_hex(8)))
