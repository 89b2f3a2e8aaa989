"""Medians and quartiles, and what other programs used during a measurement."""

from __future__ import annotations

import time

import numpy as np
import pytest

from gfpup.machine.usage import peak_bytes
from gfpup.tools.bench import machine
from gfpup.tools.bench.measure import ratios, spread, stage_medians


@pytest.mark.parametrize("values", [[3.0], [1.0, 2.0], [5.0, 1.0, 4.0, 2.0], list(np.random.default_rng(0).random(11))])
def test_quartiles_are_numpys(values: list[float]) -> None:
    found = spread(values)
    assert np.allclose([found["q1"], found["median"], found["q3"]], np.percentile(values, [25, 50, 75]))
    assert found["values"] == values


def test_a_slow_round_does_not_change_the_ratio() -> None:
    assert ratios([2.0, 20.0, 2.0], [1.0, 10.0, 1.0])["median"] == 2.0
    assert ratios([1.0], [0.0])["median"] is None


def test_stages_keep_their_order_and_a_stage_that_was_not_there_took_no_time() -> None:
    samples = [{"stages": {"detect": 1.0}}, {"stages": {"detect": 3.0, "paste": 2.0}}]
    assert list(stage_medians(samples).items()) == [("detect", 2.0), ("paste", 1.0)]


STAT = (
    "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 {} 0 100 5000 700 0 0 {} 0 0\ncpu1 200 50 50 9000 0 5 5 0 0 0\ncpu2 7 7 7 7 7 7 7 7 0 0\n"
)


def test_busy_seconds_are_those_of_our_cores_without_idling_and_waiting() -> None:
    assert machine.busy_seconds(STAT.format(300, 40), (0, 1)) == pytest.approx((300 + 100 + 40 + 200 + 50 + 50 + 10) / 100)
    assert machine.busy_seconds(STAT.format(300, 40), (0,), ticks=10) == pytest.approx(44.0)


def test_busy_seconds_say_when_they_cannot_tell() -> None:
    assert machine.busy_seconds(STAT.format(1, 1), (0, 3)) is None
    assert machine.busy_seconds("", (0,)) is None
    assert machine.busy_seconds("cpu0 0 0 0 0 0 0 0 0 0 0\n", (0,)) is None
    assert machine.load(None, 3.0, own=1, capacity=1) is None


def test_a_machine_that_others_use_is_warned_of() -> None:
    found = machine.load(100.0, 118.0, own=12.0, capacity=20.0)
    assert found is not None and found.share == pytest.approx(0.3)
    assert found.warning is not None and "30%" in found.warning and "6.0 CPU seconds, and the measurement 12.0" in found.warning


@pytest.mark.parametrize("after", [112.0, 112.6, 111.5])
def test_a_quiet_machine_is_not(after: float) -> None:
    found = machine.load(100.0, after, own=12.0, capacity=20.0)
    assert found is not None and found.warning is None and found.others >= 0


def test_what_is_below_the_systems_tick_is_not_warned_of() -> None:
    found = machine.load(100.0, 100.1, own=0.0, capacity=0.2)
    assert found is not None and found.share == pytest.approx(0.5) and found.warning is None


def test_a_watch_sees_its_own_work_and_no_other() -> None:
    watch, began = machine.Watch(), time.process_time()
    while time.process_time() - began < 0.05:
        pass
    found = watch.load(own=time.process_time() - began)
    assert found is None or (found.own >= 0.05 and found.capacity > 0.05 and found.others >= 0)


def test_the_machine_is_told() -> None:
    facts = machine.facts(threads=2, device="cpu")
    assert facts["processor"] and facts["cores"] >= 1 and facts["versions"]["torch"]
    peak = peak_bytes()
    assert peak is None or peak > 10e6
