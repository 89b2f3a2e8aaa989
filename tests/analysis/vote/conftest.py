"""A trial of three folders of pictures whose method names stand nowhere else, and one of a sweep."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pictures
import pytest
from raters import METHODS

from gfpup.analysis.vote import make_trial


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory, portrait: np.ndarray) -> Path:
    """Twelve photos by three methods, each in its folder, and in `input` what they were made from."""
    root = tmp_path_factory.mktemp("vote")
    for i in range(12):
        photo = cv2.resize(np.roll(portrait, 20 * i, axis=1), (160, 120))
        pictures.save(root / "input" / f"{i}.jpg", cv2.GaussianBlur(photo, (0, 0), 2))
        for method, blur in METHODS.items():
            pictures.save(root / method / f"{i}.png", cv2.GaussianBlur(photo, (0, 0), blur) if blur else photo)
    return root


@pytest.fixture(scope="session")
def trial_folder(folders: Path) -> Path:
    """The trial of the three; tests only collect votes in it."""
    given = [folders / method for method in METHODS]
    make_trial(given, folders / "trial", degraded=folders / "input", pairs=36, crop_px=128)
    return folders / "trial"


@pytest.fixture
def swept(tmp_path: Path, finished_sweep: Path) -> Path:
    """A copy of the finished sweep, in `out`, and a trial of it, in `trial`."""
    shutil.copytree(finished_sweep, tmp_path / "out")
    make_trial([tmp_path / "out"], tmp_path / "trial", crop_px=96)
    return tmp_path
