"""Weights of metrics are taken from the folder only, verified by what their publishers say, and behind their licence."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from gfpup.core.errors import CheckpointError, LicenceError
from gfpup.weights import catalogue
from gfpup.weights.store import Store, locate

POLYFORM = "polyform-noncommercial-1.0.0"


@pytest.fixture(autouse=True)
def _no_remembered_consent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GFPUP_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.delenv("GFPUP_ACCEPT_LICENCES", raising=False)


def test_an_absent_file_says_where_to_get_it_and_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"vgg16-397923af\.pth, the weights of vgg16, is not there: get it from https://"):
        locate("vgg16", Store(tmp_path))


def test_the_published_hash_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vgg16-397923af.pth").write_bytes(b"something else")
    with pytest.raises(CheckpointError, match="instead of 397923af8e79"):
        locate("vgg16", Store(tmp_path))
    content = b"inception"
    row = dataclasses.replace(catalogue.find("inception-fid"), sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(catalogue, "CATALOGUE", (row,))
    path = tmp_path / row.file
    path.write_bytes(content)
    assert locate("inception-fid", Store(tmp_path)) == path
    path.write_bytes(content + b"!")
    with pytest.raises(CheckpointError, match=f"instead of {row.sha256}"):
        locate("inception-fid", Store(tmp_path))


def test_a_file_without_a_published_hash_is_trusted_with_consent_and_then_pinned(tmp_path: Path) -> None:
    path = tmp_path / "ckpt_koniq10k.pt"
    path.write_bytes(b"any file")
    with pytest.raises(CheckpointError, match="add --trust-first-download once"):
        locate("maniqa-koniq", Store(tmp_path, accepted=(POLYFORM,)))
    assert locate("maniqa-koniq", Store(tmp_path, accepted=(POLYFORM,), trust_first_download=True)) == path
    assert locate("maniqa-koniq", Store(tmp_path, accepted=(POLYFORM,))) == path
    path.write_bytes(b"another file")
    with pytest.raises(CheckpointError, match="as first trusted"):
        locate("maniqa-koniq", Store(tmp_path, accepted=(POLYFORM,), trust_first_download=True))


def test_the_dead_address_of_clip_is_stated(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="has answered 404 since 2025"):
        locate("clip-rn50", Store(tmp_path))


def test_non_commercial_weights_wait_for_consent(tmp_path: Path) -> None:
    (tmp_path / "ckpt_koniq10k.pt").write_bytes(b"weights")
    with pytest.raises(LicenceError, match=f"--accept-licence {POLYFORM}"):
        locate("maniqa-koniq", Store(tmp_path))
    trusting = Store(tmp_path, accepted=(POLYFORM,), trust_first_download=True)
    assert locate("maniqa-koniq", trusting).name == "ckpt_koniq10k.pt"


def test_names_of_the_catalogue_are_the_stores(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no-download"):
        locate("arcface-ir-se50", Store(tmp_path, offline=True))
