"""A file whose publisher states only the start of its hash is taken by that, and one for people is imported, not downloaded."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from gfpup.core.errors import CheckpointError
from gfpup.weights import catalogue, store
from gfpup.weights.store import Store, locate

NAME = "inception-ffhq-512"


@pytest.fixture
def content(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Bytes whose hash starts as the catalogue's entry then says."""
    found = b"statistics"
    row = dataclasses.replace(catalogue.find(NAME), sha256_starts=hashlib.sha256(found).hexdigest()[:8])
    for module in (catalogue, store):
        monkeypatch.setattr(module, "CATALOGUE", (row,))
    return found


def test_it_is_imported_whatever_its_name_and_pinned(tmp_path: Path, content: bytes) -> None:
    given = tmp_path / "inception_FFHQ_512.pth"
    given.write_bytes(content)
    kept = Store(tmp_path / "weights", offline=True)
    assert kept.import_file(given).name == NAME
    path = tmp_path / "weights" / "inception_FFHQ_512-f7b384ab.pth"
    assert locate(NAME, kept) == path
    assert kept.verify(NAME).state == "pinned"
    path.write_bytes(content + b"!")
    with pytest.raises(CheckpointError, match="as first trusted"):
        locate(NAME, kept)


def test_another_hash_is_refused_even_with_trust(tmp_path: Path, content: bytes) -> None:
    given = tmp_path / "inception_FFHQ_512-f7b384ab.pth"
    given.write_bytes(content + b"!")
    with pytest.raises(CheckpointError, match="does not start with"):
        Store(tmp_path / "weights", trust_first_download=True).import_file(given)


@pytest.mark.parametrize("name", [NAME, "adaface-ir50-ms1mv2"])
def test_what_is_published_for_people_is_not_downloaded(tmp_path: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match="run gfpup weights import"):
        locate(name, Store(tmp_path))
    with pytest.raises(CheckpointError, match="its publisher's page is for people: get it from https://"):
        Store(tmp_path, trust_first_download=True).ensure(name)


def test_a_mirror_may_have_it(tmp_path: Path, content: bytes) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / catalogue.find(NAME).file).write_bytes(content)
    assert Store(tmp_path / "weights", mirrors=(str(mirror),)).ensure(NAME).read_bytes() == content
    (mirror / catalogue.find(NAME).file).write_bytes(content + b"!")
    with pytest.raises(CheckpointError, match=r"instead of [0-9a-f]{8}\.\.\."):
        Store(tmp_path / "other", mirrors=(str(mirror),)).ensure(NAME)
