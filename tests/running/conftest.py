"""Small photos that the suite makes itself, and the command called in this process."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from pictures import save

from gfpup.cli.main import main


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    """A photo (256, 256, 3) RGB with one face that the cascade finds."""
    return np.ascontiguousarray(skimage.data.astronaut()[:256, 96:352])


@pytest.fixture
def photos(tmp_path: Path, portrait: np.ndarray) -> Path:
    """A folder of four photos: three with a face, one without."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    save(folder / "a.png", portrait)
    save(folder / "b with space,=.jpg", np.ascontiguousarray(portrait[:, ::-1]))
    save(folder / "sub" / "c.png", cv2.resize(portrait, (300, 300)))
    save(folder / "empty.png", np.full((60, 90, 3), 120, np.uint8))
    return folder


@pytest.fixture
def gfpup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., int]]:
    """`gfpup(*words)` runs the command in an empty folder and returns its exit status."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GFPUP_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("GFPUP_WEIGHTS_DIR", str(tmp_path / "weights"))
    handlers = list(logging.getLogger().handlers)
    yield lambda *words: main([str(word) for word in words])
    if "joblib.externals.loky" in sys.modules:
        # joblib's processes outlive a sweep, with the folder and the environment of the test that started them.
        sys.modules["joblib.externals.loky"].get_reusable_executor().shutdown(wait=True)
    # Hydra leaves a handler that writes to this test's stderr, which is closed for the next one.
    logging.getLogger().handlers[:] = handlers
