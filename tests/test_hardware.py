"""Devices chosen from a faked machine, and the memory setting that changes no result."""

from __future__ import annotations

import pytest
import torch

from gfpup.errors import GfpupError
from gfpup.hardware import Gpu, Machine, choose_device, keep_freed_memory, probe

NONE = Machine(2, 8 * 2**30)
TWO = Machine(8, 32 * 2**30, (Gpu("small", 8 * 2**30, 7 * 2**30), Gpu("busy", 80 * 2**30, 2 * 2**30)))
APPLE = Machine(8, 16 * 2**30, mps=True)


@pytest.mark.parametrize(
    ("request_", "machine", "expected"),
    [
        ("auto", NONE, "cpu"),
        ("auto", TWO, "cuda:0"),
        ("auto", APPLE, "mps"),
        ("cpu", TWO, "cpu"),
        ("cuda", TWO, "cuda:0"),
        ("cuda:1", TWO, "cuda:1"),
        ("mps", APPLE, "mps"),
    ],
)
def test_a_device_is_chosen_with_its_reason(request_: str, machine: Machine, expected: str) -> None:
    reason = choose_device(request_, machine)
    assert reason.value == expected
    assert reason.why


@pytest.mark.parametrize(
    ("request_", "machine"),
    [("cuda", NONE), ("cuda:2", TWO), ("mps", TWO), ("tpu", TWO), ("cuda:x", TWO), ("cpu:0", NONE), ("cuda:-1", TWO)],
)
def test_a_device_that_is_not_there_is_refused(request_: str, machine: Machine) -> None:
    with pytest.raises(GfpupError, match=r"use (--device )?(cpu|auto)"):
        choose_device(request_, machine)


def test_this_machine_is_probed() -> None:
    machine = probe()
    assert machine.cores >= 1
    assert machine.memory_bytes > 2**28


def test_keeping_memory_changes_no_result() -> None:
    convolution = torch.nn.Conv2d(3, 64, 3)
    x = torch.rand(1, 3, 400, 400)
    before = convolution(x)
    keep_freed_memory()
    assert torch.equal(convolution(x), before)
