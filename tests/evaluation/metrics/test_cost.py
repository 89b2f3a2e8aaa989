"""Seconds are the method's own, memory is the process's."""

from __future__ import annotations

import pytest

from gfpup.evaluation.metrics import cost


def test_seconds_leave_out_what_is_not_the_methods() -> None:
    stages = {"read": 1.0, "detect": 0.25, "restore": 0.5, "paste": 0.125, "write": 2.0, "score": 9.0}
    assert cost.seconds(stages).value == pytest.approx(0.875)
    assert not cost.seconds(stages).higher_is_better
    assert cost.seconds({"read": 1.0}).missing_reason and cost.seconds({}).value is None


def test_the_time_of_a_precomputed_result_is_not_known() -> None:
    score = cost.seconds({"read result": 0.013, "detect": 0.5, "align": 0.01})
    assert score.value is None and "another tool" in str(score.missing_reason)


def test_peak_memory_is_in_bytes_and_never_falls() -> None:
    first = cost.peak_memory().value
    block = bytearray(200_000_000)
    block[::4096] = b"x" * len(block[::4096])
    second = cost.peak_memory().value
    assert first is not None and second is not None
    assert 10_000_000 < first <= second and second > 200_000_000
    del block
    third = cost.peak_memory().value
    assert third is not None and third >= second
