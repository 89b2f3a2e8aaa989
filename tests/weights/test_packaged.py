"""MTCNN's files in the package that carries them: found without importing it, and refused if they are not the published."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from gfpup.core.errors import CheckpointError
from gfpup.core.files import sha256_of
from gfpup.weights import packaged


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of that name with three files of tensors, whose hashes are the expected ones; importing it fails."""
    folder = tmp_path / "facenet_pytorch" / "data"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise ImportError('its code must not run')")
    for name in packaged.MTCNN_SHA256:
        torch.save({f"{name}.weight": torch.ones(2)}, folder / f"{name}.pt")
        monkeypatch.setitem(packaged.MTCNN_SHA256, name, sha256_of(folder / f"{name}.pt"))
    monkeypatch.delitem(sys.modules, "facenet_pytorch", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def test_the_files_are_read_without_importing_the_package(package: Path) -> None:
    assert packaged.mtcnn_folder() == package and packaged.mtcnn_fault() is None
    assert {name: list(state) for name, state in packaged.read_mtcnn().items()} == {
        name: [f"{name}.weight"] for name in ("pnet", "rnet", "onet")
    }
    assert "facenet_pytorch" not in sys.modules


def test_a_damaged_file_is_refused_with_its_name_and_the_way_out(package: Path) -> None:
    file = package / "rnet.pt"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(CheckpointError, match=r"rnet\.pt is damaged or of another version.*--force-reinstall") as caught:
        packaged.read_mtcnn()
    assert "\n" not in str(caught.value)


def test_a_missing_package_or_file_is_refused_with_the_command_that_installs_it(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (package / "onet.pt").unlink()
    assert packaged.mtcnn_folder() is None
    with pytest.raises(CheckpointError, match="is not installed: pip install --no-deps facenet-pytorch"):
        packaged.read_mtcnn()
    monkeypatch.setattr(packaged.importlib.util, "find_spec", lambda name: None)
    assert packaged.mtcnn_fault() is not None


def test_the_published_files_are_the_ones_that_are_expected() -> None:
    if packaged.mtcnn_folder() is None:
        pytest.skip("facenet-pytorch is not installed")
    assert packaged.mtcnn_fault() is None
