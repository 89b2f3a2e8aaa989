"""The catalogue is the reference's table, and its names are found or offered."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gfpup.core.errors import CheckpointError
from gfpup.weights.catalogue import CATALOGUE, find
from gfpup.weights.checkpoint import SIGNATURES


def test_equals_the_reference(shared: Path) -> None:
    yaml = pytest.importorskip("yaml")
    reference = yaml.safe_load((shared / "reference" / "weights.yaml").read_text(encoding="utf-8"))
    assert [c.name for c in CATALOGUE] == list(reference)
    for checkpoint in CATALOGUE:
        entry = reference[checkpoint.name]
        for field in ("file", "url", "sha256", "size_bytes", "commercial_use"):
            assert getattr(checkpoint, field) == entry[field], (checkpoint.name, field)
        licence = entry["licence"]
        if licence.startswith("as "):
            licence = reference[licence.removeprefix("as ")]["licence"]
        assert checkpoint.licence == licence
        key = entry["checkpoint_key"].split(" (")[0]
        assert checkpoint.checkpoint_key == (None if key == "top level" else key)


def test_table_is_sound() -> None:
    assert len({c.name for c in CATALOGUE}) == len({c.file for c in CATALOGUE}) == len(CATALOGUE) == 15
    known = {name for name, _, _ in SIGNATURES}
    for checkpoint in CATALOGUE:
        assert checkpoint.architecture in known
        assert checkpoint.url.startswith("https://")
        assert checkpoint.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", checkpoint.sha256)
        assert re.fullmatch(r"[a-z0-9.-]+", checkpoint.licence_id)
    by_licence = {(c.licence_id, c.commercial_use) for c in CATALOGUE}
    assert len(by_licence) == len({c.licence_id for c in CATALOGUE})


def test_version_1_4_is_its_own_file() -> None:
    assert find("gfpgan-v1.4").file == "GFPGANv1.4.pth" and find("gfpgan-v1.4").sha256 != find("gfpgan-v1.3").sha256


@pytest.mark.parametrize(
    ("wrong", "offered"), [("gfpgan-v1.5", "gfpgan-v1"), ("CodeFormer", "'codeformer'"), ("xyz", "choose")]
)
def test_unknown_name(wrong: str, offered: str) -> None:
    with pytest.raises(CheckpointError, match=re.escape(offered)):
        find(wrong)
