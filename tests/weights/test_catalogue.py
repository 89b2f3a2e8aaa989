"""The catalogue is the reference's table, and its names are found or offered."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gfpup.core.errors import CheckpointError
from gfpup.models.table import ARCHITECTURES
from gfpup.weights.catalogue import CATALOGUE, METRIC_FILES, Checkpoint, find

YAML_NAMES = {"musiq-koniq": "musiq-koniq10k", "topiq-nr-koniq": "topiq-koniq10k"}
"""Rows that the reference calls otherwise. Its maniqa-koniq10k is the authors' release and not the file of this row."""


@pytest.mark.parametrize("checkpoint", CATALOGUE, ids=lambda checkpoint: checkpoint.name)
def test_equals_the_reference(shared: Path, checkpoint: Checkpoint) -> None:
    yaml = pytest.importorskip("yaml")
    reference = yaml.safe_load((shared / "reference" / "weights.yaml").read_text(encoding="utf-8"))
    entry = reference.get(YAML_NAMES.get(checkpoint.name, checkpoint.name))
    if entry is None:
        assert checkpoint.metric  # torchvision's, whose hashes are in their names
        return
    if str(entry.get("sha256")).startswith("starts with "):
        assert checkpoint.sha256_starts == entry.pop("sha256").removeprefix("starts with ") and checkpoint.sha256 is None
    if entry.get("url", "") is None:
        assert checkpoint.by_hand and entry.pop("url") is None
    for field in {"url", "sha256", "size_bytes", "commercial_use"} & set(entry):
        assert getattr(checkpoint, field) == entry[field], field
    if not checkpoint.metric:
        assert checkpoint.file == entry["file"]
        key = entry["checkpoint_key"].split(" (")[0]
        assert checkpoint.checkpoint_key == (None if key.startswith("top level") else key)
    if "licence" in entry:
        licence = entry["licence"]
        if checkpoint.name == "gpen-1024":
            licence = reference["gpen-512"]["licence"]  # the same authors, where the reference says less
        if licence.startswith("as "):
            licence = reference[licence.removeprefix("as ")]["licence"]
        if licence.startswith("contested"):
            assert "chaofengc/PSFRGAN" in checkpoint.licence and "CC BY-NC-SA 4.0" in checkpoint.licence
        else:
            assert checkpoint.licence == licence.split(" (AdaptiveWingLoss")[0].split(" (the repository")[0]


def test_table_is_sound() -> None:
    assert len({c.name for c in CATALOGUE}) == len({c.file for c in CATALOGUE}) == len(CATALOGUE) == 19 + len(METRIC_FILES)
    for checkpoint in CATALOGUE:
        assert checkpoint.metric or checkpoint.architecture in ARCHITECTURES
        assert checkpoint.url.startswith("https://")
        assert checkpoint.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", checkpoint.sha256)
        assert re.fullmatch(r"[a-z0-9.-]+", checkpoint.licence_id)


def test_version_1_4_is_its_own_file() -> None:
    assert find("gfpgan-v1.4").file == "GFPGANv1.4.pth" and find("gfpgan-v1.4").sha256 != find("gfpgan-v1.3").sha256


@pytest.mark.parametrize(
    ("wrong", "offered"), [("gfpgan-v1.5", "gfpgan-v1"), ("CodeFormer", "'codeformer'"), ("xyz", "choose")]
)
def test_unknown_name(wrong: str, offered: str) -> None:
    with pytest.raises(CheckpointError, match=re.escape(offered)):
        find(wrong)
