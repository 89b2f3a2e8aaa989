"""Networks that outlive a run: kept by a budget, loaded again where their file changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gfpup.running import kept


@pytest.fixture(autouse=True)
def dropped() -> Iterator[None]:
    yield
    kept.keep(0)


def read(path: Path, *, mode: str = "") -> list[str]:
    return [path.read_text(), mode]


def test_an_ordinary_command_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    assert kept.load(read, tmp_path / "a") is not kept.load(read, tmp_path / "a")


def test_the_same_call_is_kept_and_another_is_not(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    kept.keep(10)
    first = kept.load(read, tmp_path / "a", mode="x")
    assert kept.load(read, tmp_path / "a", mode="x") is first
    assert kept.load(read, tmp_path / "a", mode="y") == ["a", "y"]
    (tmp_path / "a").write_text("bb")
    assert kept.load(read, tmp_path / "a", mode="x") == ["bb", "x"]


def test_what_was_used_longest_ago_goes_when_the_budget_is_spent(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_text("1234")
    kept.keep(8)
    a, b = kept.load(read, tmp_path / "a"), kept.load(read, tmp_path / "b")
    assert kept.load(read, tmp_path / "a") is a
    kept.load(read, tmp_path / "c")
    assert kept.load(read, tmp_path / "a") is a
    assert kept.load(read, tmp_path / "b") is not b
