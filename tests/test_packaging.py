"""What is shipped: every package and configuration file, and a wheel that works far from the checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_package_list_is_the_folders() -> None:
    listed = set(PYPROJECT["tool"]["setuptools"]["packages"])
    there = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "gfpup").rglob("__init__.py")}
    assert listed == there | {"gfpup.conf"}


def test_the_lock_is_pins_and_nothing_else() -> None:
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.!]+", line), line


CHOICES = sorted(
    f"{path.parent.relative_to(ROOT / 'conf').as_posix()}={path.stem}"
    for path in (ROOT / "conf").glob("*/*.yaml")
    if path.parent.name not in ("hydra", "experiment")
)


@pytest.mark.parametrize("choice", CHOICES)
def test_every_shipped_configuration_composes(choice: str) -> None:
    from omegaconf import OmegaConf

    from gfpup.planning.settings import read_settings

    with initialize_config_module("gfpup.conf", version_base="1.3"):
        config = compose("run", [choice, "source.paths=[a.jpg]"])
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    read_settings({str(key): value for key, value in plain.items()})


@pytest.mark.slow
def test_the_wheel_works_from_an_empty_folder(tmp_path: Path) -> None:
    """Built, installed into another environment that borrows this one's dependencies, and run where there is no checkout."""
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(build, check=True)
    (wheel,) = tmp_path.glob("gfpup-*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv/bin/python"
    site = next((tmp_path / "venv/lib").glob("python*/site-packages"))
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", str(wheel)], check=True)
    borrowed = next(path for path in map(Path, sys.path) if path.name == "site-packages")
    (site / "borrowed.pth").write_text(f"{borrowed}\n")
    (tmp_path / "empty").mkdir()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    where = subprocess.check_output(
        [python, "-c", "import gfpup; print(gfpup.__file__)"], cwd=tmp_path / "empty", env=environment, text=True
    )
    assert str(site) in where
    run = subprocess.run(
        [tmp_path / "venv/bin/gfpup", "run", "--cfg", "job", "backend=identity"],
        cwd=tmp_path / "empty", env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "name: identity" in run.stdout
    assert list((tmp_path / "empty").iterdir()) == []
