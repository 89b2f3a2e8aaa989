"""The example package of a backend: installed for itself, found by its entry point, run and refused like a built-in one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import skimage.data

from gfpup.core import registry
from gfpup.core.errors import GfpupError
from gfpup.models import backends

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the example, built from a copy: a build leaves files beside its source."""
    folder = tmp_path_factory.mktemp("plugin")
    source = shutil.copytree(ROOT / "examples" / "plugin", folder / "source")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(folder / "site"), str(source)], check=True, timeout=120)
    return folder / "site"


class Done(NamedTuple):
    """A finished command."""

    status: int
    out: str
    err: str


RUN_ALL = """
import contextlib, io, json, sys
from gfpup.cli.main import main
for words in json.loads(sys.stdin.read()):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        status = main(words)
    print(json.dumps([status, out.getvalue(), err.getvalue()]))
"""
PHOTO = ("run", "--input", "photo.png", "--detector", "cascade")
COMMANDS = {
    "plain": (*PHOTO, "--upscale=1", "--json", "-q", "--output=0", "--backend=unsharp", "restore.amount=0"),
    "sharp": (*PHOTO, "--upscale=1", "--json", "-q", "--output=2", "--backend=unsharp", "restore.amount=2"),
    "no such parameter": (*PHOTO, "--output=out", "--backend=unsharp", "restore.fidelity=0.5"),
    "no such value": (*PHOTO, "--output=out", "--backend=unsharp", "restore.amount=much"),
    "slip": ("run", "--input", "photo.png", "--backend", "unsharq"),
    "list": ("backends", "--json"),
    "sweep": (*PHOTO, "--output=sweep", "-q", "--backend=identity,unsharp", "+restore.amount=1", "-m"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the commands run in, with photo.png: one face that the cascade finds, a little out of focus."""
    folder = tmp_path_factory.mktemp("commands")
    portrait = np.ascontiguousarray(skimage.data.astronaut()[:256, 96:352, ::-1])
    cv2.imwrite(str(folder / "photo.png"), cv2.GaussianBlur(portrait, (0, 0), 1.2))
    return folder


@pytest.fixture(scope="module")
def done(installed: Path, folder: Path) -> dict[str, Done]:
    """What became of COMMANDS, run one after the other in one process with the example among its packages."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(installed), str(ROOT)]),
        "GFPUP_CONFIG_DIR": str(folder / "config"),
        "GFPUP_WEIGHTS_DIR": str(folder / "weights"),
    }
    ended = subprocess.run(
        [sys.executable, "-c", RUN_ALL],
        input=json.dumps(list(COMMANDS.values())),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return dict(zip(COMMANDS, (Done(*json.loads(line)) for line in ended.stdout.splitlines()), strict=True))


def sharpness(picture: np.ndarray) -> float:
    return float(cv2.Laplacian(picture, cv2.CV_64F)[80:176, 80:176].std())


def test_the_example_restores_a_photo(done: dict[str, Done], folder: Path) -> None:
    for name in ("plain", "sharp"):
        assert done[name].status == 0, done[name].err
        assert json.loads(done[name].out)["faces_restored"] == 1
    photo = cv2.imread(str(folder / "photo.png"))
    plain, sharp = (cv2.imread(str(folder / amount / "photo.png")) for amount in ("0", "2"))
    assert plain.shape == sharp.shape == photo.shape
    assert sharpness(sharp) > 1.1 * sharpness(plain), "the parameter arrives"
    assert np.array_equal(sharp[:20], photo[:20]), "what is no face stays"
    manifest = json.loads((folder / "2" / "manifest.json").read_text())
    assert manifest["plan"]["pixels"]["backend"] == "unsharp"
    assert manifest["plan"]["pixels"]["parameters"] == {"amount": 2}


def test_a_parameter_that_it_does_not_have_is_refused(done: dict[str, Done], folder: Path) -> None:
    refused = done["no such parameter"]
    assert refused.status == 2
    assert "restore.fidelity does not apply to backend 'unsharp', which has amount" in refused.err
    refused = done["no such value"]
    assert refused.status == 2 and "restore.amount='much'" in refused.err
    assert "Traceback" not in refused.err and not (folder / "out").exists()


def test_a_slip_of_the_pen_finds_it(done: dict[str, Done]) -> None:
    status, out, err = done["slip"]
    assert (status, out) == (2, "")
    assert "there is no backend 'unsharq': did you mean 'unsharp'?" in err
    listed = done["list"]
    assert listed.status == 0, listed.err
    (row,) = (row for row in json.loads(listed.out) if row["name"] == "unsharp")
    assert row["parameters"] == ["amount"] and row["summary"].startswith("sharpens")


def test_one_sweep_over_it_and_a_built_in_method(done: dict[str, Done], folder: Path) -> None:
    assert done["sweep"].status == 0, done["sweep"].err
    results = {path.parent.name: path.read_bytes() for path in (folder / "sweep").rglob("photo.png")}
    assert len(results) == len(set(results.values())) == 2, sorted(results)


@pytest.mark.parametrize("value", ["gfpup_no_such_module:Method", "gfpup.core.types:NoSuchClass"])
def test_a_package_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    broken = EntryPoint("torn", value, "gfpup.backends")
    monkeypatch.setattr(registry, "entry_points", lambda group: [broken])
    assert backends.canonical("torn") == "torn"
    with pytest.raises(GfpupError, match="the backend 'torn' of an installed package cannot be imported"):
        backends.facts("torn")
