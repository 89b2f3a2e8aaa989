"""Entries are whole or absent, and the least recently used ones go first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gfpup.core import disk_cache


def test_a_name_is_decided_by_the_facts_in_any_order() -> None:
    assert disk_cache.key_of({"a": 1, "b": [2]}) == disk_cache.key_of({"b": [2], "a": 1}) != disk_cache.key_of({"a": 1})


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_entry_is_whole_or_absent(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "entry"

    def write(fresh: Path, content: str) -> None:
        if kind == "folder":
            fresh.mkdir()
        (fresh / "part" if kind == "folder" else fresh).write_text(content)

    def content() -> str:
        return (path / "part" if kind == "folder" else path).read_text()

    with pytest.raises(ZeroDivisionError), disk_cache.replacing(path) as fresh:
        write(fresh, "half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    for version in ("first", "second"):
        with disk_cache.replacing(path) as fresh:
            write(fresh, version)
        assert content() == version and list(tmp_path.iterdir()) == [path]


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    for age, name in enumerate("abcd"):
        path = tmp_path / f"{name}.npz"
        path.write_bytes(b"12345")
        os.utime(path, (1000 + age, 1000 + age))
    (tmp_path / "notes.txt").write_text("stays")
    disk_cache.mark_used(tmp_path / "a.npz")
    kept = disk_cache.evict(disk_cache.files_in(tmp_path, suffix=".npz"), 10)
    assert kept == 10 and {path.name for path in tmp_path.iterdir()} == {"a.npz", "d.npz", "notes.txt"}
    busy = disk_cache.evict(
        disk_cache.files_in(tmp_path, suffix=".npz"), 0, drop=lambda path: path.name != "d.npz" and disk_cache.remove(path)
    )
    assert busy == 5 and (tmp_path / "d.npz").exists()
