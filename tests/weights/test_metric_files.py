"""Weights of metrics are taken from the folder only, verified by what their publishers say, and behind their licence."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from gfpup.core.errors import CheckpointError, LicenceError
from gfpup.weights import catalogue
from gfpup.weights.catalogue import METRIC_FILES
from gfpup.weights.store import Store, locate, published_digits

POLYFORM = "polyform-noncommercial-1.0.0"


@pytest.fixture(autouse=True)
def _no_remembered_consent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GFPUP_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.delenv("GFPUP_ACCEPT_LICENCES", raising=False)


def test_an_absent_file_says_where_to_get_it_and_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"vgg16-397923af\.pth, the weights of vgg16, is not there: get it from https://"):
        locate("vgg16", Store(tmp_path))


def test_the_publishers_hash_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vgg16-397923af.pth").write_bytes(b"something else")
    with pytest.raises(CheckpointError, match="should begin with 397923af8e79"):
        locate("vgg16", Store(tmp_path))
    content = b"inception"
    digits = hashlib.sha256(content).hexdigest()[:8]
    row = next(row for row in METRIC_FILES if row.name == "inception-fid")
    renamed = type(row)(**{**vars(row), "file": f"weights-{digits}.pth"})
    monkeypatch.setattr(catalogue, "METRIC_FILES", (renamed,))
    path = tmp_path / renamed.file
    path.write_bytes(content)
    assert locate("inception-fid", Store(tmp_path)) == path
    path.write_bytes(content + b"!")
    with pytest.raises(CheckpointError, match=f"should begin with {digits}"):
        locate("inception-fid", Store(tmp_path))


def test_digits_in_file_names() -> None:
    assert published_digits("weights-inception-2015-12-05-6726825d.pth") == "6726825d"
    assert published_digits("musiq_koniq_ckpt-e95806b9.pth") == "e95806b9"
    assert published_digits("ckpt_koniq10k.pt") == "" == published_digits("RN50.pt")


def test_non_commercial_weights_wait_for_consent(tmp_path: Path) -> None:
    (tmp_path / "ckpt_koniq10k.pt").write_bytes(b"weights")
    with pytest.raises(LicenceError, match=f"--accept-licence {POLYFORM}"):
        locate("maniqa-koniq", Store(tmp_path))
    assert locate("maniqa-koniq", Store(tmp_path, accepted=(POLYFORM,))).name == "ckpt_koniq10k.pt"


def test_names_of_the_catalogue_are_the_stores(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no-download"):
        locate("arcface-ir-se50", Store(tmp_path, offline=True))
