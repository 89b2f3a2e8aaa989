"""The example package of a backend: installed for itself, found by its entry point, run and refused like a built-in one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from gfpup.core import registry
from gfpup.core.errors import GfpupError
from gfpup.models import backends

ROOT = Path(__file__).resolve().parents[2]
Gfpup = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the example, built from a copy: a build leaves files beside its source."""
    folder = tmp_path_factory.mktemp("plugin")
    source = shutil.copytree(ROOT / "examples" / "plugin", folder / "source")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(folder / "site"), str(source)], check=True, timeout=120)
    return folder / "site"


@pytest.fixture
def gfpup(installed: Path, tmp_path: Path) -> Gfpup:
    """`gfpup(*words)` runs the command in an empty folder and a process of its own, the example among its packages."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(installed), str(ROOT)]),
        "GFPUP_CONFIG_DIR": str(tmp_path / "config"),
        "GFPUP_WEIGHTS_DIR": str(tmp_path / "weights"),
    }

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "gfpup", *words]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=180)

    return run


@pytest.fixture
def photo(tmp_path: Path) -> np.ndarray:
    """photo.png in the command's folder: (256, 256, 3) BGR with one face that the cascade finds, a little out of focus."""
    portrait = np.ascontiguousarray(skimage.data.astronaut()[:256, 96:352, ::-1])
    blurred = cv2.GaussianBlur(portrait, (0, 0), 1.2)
    cv2.imwrite(str(tmp_path / "photo.png"), blurred)
    return blurred


def sharpness(picture: np.ndarray) -> float:
    return float(cv2.Laplacian(picture, cv2.CV_64F)[80:176, 80:176].std())


def test_the_example_restores_a_photo(gfpup: Gfpup, photo: np.ndarray, tmp_path: Path) -> None:
    run = ("run", "--input", "photo.png", "--detector", "cascade", "--upscale", "1", "--json", "--quiet")
    for amount in ("0", "2"):
        words = ("--output", amount, "--backend", "unsharp", f"restore.amount={amount}")
        done = gfpup(*run, *words)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["faces_restored"] == 1
    plain, sharp = (cv2.imread(str(tmp_path / amount / "photo.png")) for amount in ("0", "2"))
    assert plain.shape == sharp.shape == photo.shape
    assert sharpness(sharp) > 1.1 * sharpness(plain), "the parameter arrives"
    assert np.array_equal(sharp[:20], photo[:20]), "what is no face stays"
    manifest = json.loads((tmp_path / "2" / "manifest.json").read_text())
    assert manifest["plan"]["pixels"]["backend"] == "unsharp"
    assert manifest["plan"]["pixels"]["parameters"] == {"amount": 2}


def test_a_parameter_that_it_does_not_have_is_refused(gfpup: Gfpup, photo: np.ndarray, tmp_path: Path) -> None:
    done = gfpup("run", "--input", "photo.png", "--detector", "cascade", "--backend", "unsharp", "restore.fidelity=0.5")
    assert done.returncode == 2
    assert "restore.fidelity does not apply to backend 'unsharp', which has amount" in done.stderr
    done = gfpup("run", "--input", "photo.png", "--detector", "cascade", "--backend", "unsharp", "restore.amount=much")
    assert done.returncode == 2 and "restore.amount='much'" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "out" / "photo.png").exists()


def test_a_slip_of_the_pen_finds_it(gfpup: Gfpup) -> None:
    done = gfpup("run", "--input", "photo.png", "--backend", "unsharq")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no backend 'unsharq': did you mean 'unsharp'?" in done.stderr
    listed = gfpup("backends", "--json")
    assert listed.returncode == 0, listed.stderr
    (row,) = (row for row in json.loads(listed.stdout) if row["name"] == "unsharp")
    assert row["parameters"] == ["amount"] and row["summary"].startswith("sharpens")


def test_one_sweep_over_it_and_a_built_in_method(gfpup: Gfpup, photo: np.ndarray, tmp_path: Path) -> None:
    words = ("--backend", "identity,unsharp", "+restore.amount=1", "-m")
    done = gfpup("run", "--input", "photo.png", "--detector", "cascade", "--output", "sweep", "--quiet", *words)
    assert done.returncode == 0, done.stderr
    results = {path.parent.name: path.read_bytes() for path in (tmp_path / "sweep").rglob("photo.png")}
    assert len(results) == len(set(results.values())) == 2, sorted(results)


@pytest.mark.parametrize("value", ["gfpup_no_such_module:Method", "gfpup.core.types:NoSuchClass"])
def test_a_package_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    broken = EntryPoint("torn", value, "gfpup.backends")
    monkeypatch.setattr(registry, "entry_points", lambda group: [broken])
    assert backends.canonical("torn") == "torn"
    with pytest.raises(GfpupError, match="the backend 'torn' of an installed package cannot be imported"):
        backends.facts("torn")
