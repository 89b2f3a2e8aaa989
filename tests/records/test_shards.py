"""The parts of a record: written by ranks, merged once, by the run they belong to or by the next one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from gfpup.core.errors import GfpupError
from gfpup.records.manifest import Manifest
from gfpup.records.run_record import recorded_names
from gfpup.records.shards import Growth, Part, absorb

HEADER = {"fingerprint": "0" * 16, "plan": {"pixels": {}}}


def line(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "input": f"/in/{name}", "input_sha256": "a", "faces": [], "face_files": [], "seconds": {}} | {
        "warnings": [],
        "error": None,
        **more,
    }


def nothing(folder: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    pass


def names(folder: Path) -> list[str]:
    return [found["name"] for found in map(json.loads, (folder / "manifest.jsonl").read_text().splitlines()) if "name" in found]


def test_parts_become_the_record_of_one_process(tmp_path: Path) -> None:
    seen = {}

    def look(folder: Path, lines: Sequence[Mapping[str, Any]]) -> None:
        seen[folder.name] = [one["name"] for one in lines]

    with Manifest(tmp_path / "parts", HEADER, overwrite=False) as manifest:
        for rank in (1, 2):
            with Part(tmp_path / "parts", rank) as part:
                part.open()
                for i in range(2):
                    part.add(line(f"{rank}{i}.png"))
        manifest.add(line("00.png"))
        absorb(manifest, look)
        document = manifest.close("done")
    with Manifest(tmp_path / "whole", HEADER, overwrite=False) as manifest:
        for name in ("10", "11", "20", "21", "00"):
            manifest.add(line(f"{name}.png"))
        assert manifest.close("done") == document
    assert seen == {"1": ["10.png", "11.png"], "2": ["20.png", "21.png"]}
    assert sorted(names(tmp_path / "parts")) == sorted(names(tmp_path / "whole"))
    assert not (tmp_path / "parts/.ranks").exists()


def test_what_a_killed_run_left_is_merged_by_the_next_but_for_a_torn_line(tmp_path: Path) -> None:
    with Manifest(tmp_path, HEADER, overwrite=False):
        part = Part(tmp_path, 1)
        part.open()
        part.add(line("a.png"))
        part.add(line("b.png"))
        part.close()
    lines = tmp_path / ".ranks/1/manifest.jsonl"
    lines.write_bytes(lines.read_bytes()[:-9])
    assert recorded_names(tmp_path) == {"/in/a.png": "a.png"}, "a part counts before it is merged"
    with Manifest(tmp_path, HEADER, overwrite=False) as manifest:
        absorb(manifest, nothing)
        assert list(manifest.photos) == ["a.png"]
    assert names(tmp_path) == ["a.png"]


def test_overwrite_forgets_parts(tmp_path: Path) -> None:
    with Part(tmp_path, 1) as part:
        part.open()
        part.add(line("a.png"))
    with Manifest(tmp_path, HEADER, overwrite=True) as manifest:
        absorb(manifest, nothing)
        assert not manifest.photos
    assert not (tmp_path / ".ranks").exists()


def test_a_rank_that_still_writes_keeps_the_next_run_away(tmp_path: Path) -> None:
    """Its first process was killed on another machine, and it does not know."""
    part = Part(tmp_path, 3)
    part.open()
    part.add(line("a.png"))
    with (
        pytest.raises(GfpupError, match="rank 3 of an earlier run is still writing"),
        Manifest(tmp_path, HEADER, overwrite=False),
    ):
        pass
    with pytest.raises(GfpupError, match="another rank 3"):
        Part(tmp_path, 3).open()
    part.close()
    with Manifest(tmp_path, HEADER, overwrite=False) as manifest:
        late = Part(tmp_path, 4)
        late.open()
        late.add(line("b.png"))
        absorb(manifest, nothing)
        assert list(manifest.photos) == ["a.png"], "a part that is held stays for the next run"
        late.close()
        absorb(manifest, nothing)
        assert list(manifest.photos) == ["a.png", "b.png"]


def test_growth_tells_each_whole_line_once(tmp_path: Path) -> None:
    growth = Growth(tmp_path)
    assert growth() == []
    part = Part(tmp_path, 1)
    part.open()
    part.add(line("a.png"))
    assert [one["name"] for one in growth()] == ["a.png"]
    with (tmp_path / ".ranks/1/manifest.jsonl").open("ab") as file:
        file.write(b'{"name": "b.png"')
    assert growth() == []
    with (tmp_path / ".ranks/1/manifest.jsonl").open("ab") as file:
        file.write(b"}\n")
    assert growth() == [{"name": "b.png"}]
    part.close()
