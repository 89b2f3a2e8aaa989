"""Fixtures every test may use. `shared` is the folder of goldens, photos and weights that lies beside a checkout."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("GFPUP_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared folder, or a skip that says where it was looked for."""
    if not (SHARED / "parity").is_dir():
        pytest.skip(f"no shared folder at {SHARED} (set GFPUP_SHARED to its path)")
    return SHARED
