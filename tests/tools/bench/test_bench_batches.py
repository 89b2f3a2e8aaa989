"""A method over batches of several sizes."""

from __future__ import annotations

import time

import pytest
import torch

from gfpup.tools.bench import batches, sides
from gfpup.tools.bench.batches import sweep
from gfpup.tools.bench.request import Side

SIDE = Side("gfpup", "identity")


class Small:
    """Runs out of memory with more than two faces."""

    def restore(self, crops: torch.Tensor) -> torch.Tensor:
        if len(crops) > 2:
            raise torch.OutOfMemoryError("too many")
        return crops


def test_each_batch_is_a_row() -> None:
    rows = list(sweep(SIDE, (1, 3), repeat=2, warmup=0))
    assert [row["batch"] for row in rows] == [1, 3]
    for row in rows:
        assert len(row["wall"]["values"]) == len(row["queued"]["values"]) == 2 and row["error"] is None
        assert row["faces_a_second"] == pytest.approx(row["batch"] / row["wall"]["median"])
        assert row["held"] is None and row["device_peak"] is None  # a CPU has no allocator that tells


def test_a_batch_that_does_not_fit_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sides, "backend_of", lambda side: Small())
    rows = list(sweep(SIDE, (1, 2, 4, 8), repeat=1))
    assert [row["batch"] for row in rows] == [1, 2, 4]
    assert rows[-1]["error"] == "out of memory on cpu" and rows[-1]["faces_a_second"] is None


def test_nothing_is_begun_after_the_time_is_over() -> None:
    assert not list(sweep(SIDE, (1, 2), until=time.monotonic() - 1))


def test_the_table_has_a_row_for_each_batch_and_names_what_did_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sides, "backend_of", lambda side: Small())
    found = {"rows": list(sweep(SIDE, (1, 4), repeat=1))}
    cells = batches.rows_of(found)
    assert [row[2] for row in cells] == ["1", "4"] and "out of memory" in cells[1][3]
    assert all(len(row) == len(batches.HEADS) for row in cells)
