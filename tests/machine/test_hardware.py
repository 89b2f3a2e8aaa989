"""Devices chosen from a faked machine, and the memory setting that changes no result."""

from __future__ import annotations

import contextlib
import platform
import subprocess
import sys

import pytest
import torch

from gfpup.core.errors import GfpupError
from gfpup.machine import cgroups
from gfpup.machine.allocator import is_out_of_memory, keep_freed_memory
from gfpup.machine.hardware import Gpu, Machine, choose_device, probe, runs_on

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


LOADING = """
import os, pathlib, torch
from gfpup.machine.allocator import keep_freed_memory, lasting_memory

def held():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

def grown_and_left():
    before = held()
    blocks = [torch.ones(2**20) for _ in range(32)]
    grown = held() - before
    blocks.clear()
    return round(grown), round(held() - before)

with lasting_memory():
    print(*grown_and_left())
print(*grown_and_left())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_what_loading_needs_for_a_moment_goes_back_and_what_a_forward_frees_is_kept() -> None:
    done = subprocess.run([sys.executable, "-c", LOADING], capture_output=True, text=True, check=True)
    (grown, left), (later, kept) = (map(int, line.split()) for line in done.stdout.splitlines())
    assert grown > 100 and left < 20
    assert later > 100 and kept > 100


def test_a_gpu_that_torch_cannot_use_is_passed_over_and_named() -> None:
    old = Gpu("old", 4 * 2**30, 4 * 2**30, trouble="too old for this torch")
    assert choose_device("auto", Machine(2, 2**33, (old,))).value == "cpu"
    assert "too old for this torch" in choose_device("auto", Machine(2, 2**33, (old,))).why
    assert choose_device("auto", Machine(2, 2**33, (old, *TWO.gpus))).value == "cuda:1"
    with pytest.raises(GfpupError, match="too old for this torch; use --device cpu"):
        choose_device("cuda", Machine(2, 2**33, (old,)))


@pytest.mark.parametrize(
    ("capability", "built_for", "runs"),
    [
        ((8, 0), ["sm_75", "sm_80", "sm_90"], True),
        ((8, 6), ["sm_80"], True),  # later of the same generation
        ((8, 0), ["sm_86"], False),
        ((3, 5), ["sm_50", "sm_80"], False),
        ((12, 0), ["sm_90", "compute_90"], True),  # translated when it is first used
        ((12, 0), ["sm_90"], False),
        ((9, 0), ["sm_90a"], True),
        ((10, 0), ["sm_100", "sm_120"], True),
        ((7, 0), [], True),  # nothing is said
    ],
)
def test_what_a_torch_was_built_for(capability: tuple[int, int], built_for: list[str], runs: bool) -> None:
    assert runs_on(capability, built_for) == runs


@pytest.mark.parametrize(
    ("quota", "affinity", "cores", "limits"),
    [(None, {0, 1, 2}, 3, 1), (1.5, {0, 1, 2}, 1, 2), (0.3, {0}, 1, 2), (64.0, {0, 1}, 2, 1), (None, set(range(8)), 8, 0)],
)
def test_a_container_s_share_of_the_cores(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, affinity: set[int], cores: int, limits: int
) -> None:
    monkeypatch.setattr(cgroups, "cpu_quota", lambda: quota)
    monkeypatch.setattr(cgroups, "memory_limit", lambda: None)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: affinity, raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    machine = probe()
    assert machine.cores == cores
    assert len(machine.limits) == limits, "being bound to three cores of eight is one, a quota below that another"


def test_a_container_s_share_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    all_of_it = probe().memory_bytes
    monkeypatch.setattr(cgroups, "memory_limit", lambda: 2**28)
    monkeypatch.setattr(cgroups, "memory_left", lambda: 2**27)
    held = probe()
    assert (held.memory_bytes, held.free_bytes) == (2**28, 2**27)
    assert any("may hold 0.3 GB" in limit for limit in held.limits)
    monkeypatch.setattr(cgroups, "memory_limit", lambda: 2**60)
    assert probe().memory_bytes == all_of_it


@pytest.mark.parametrize(("value", "threads"), [("3", 3), ("4,2", 4), ("", None), ("many", None), ("0", None), ("-1", None)])
def test_omp_num_threads(monkeypatch: pytest.MonkeyPatch, value: str, threads: int | None) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert probe().omp_threads == threads
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert probe().omp_threads is None


def fake_cuda(monkeypatch: pytest.MonkeyPatch, **answers: object) -> None:
    """A torch that reports one CUDA device; `answers` replace what it says."""
    say = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "get_device_name": lambda _: "Unheard-of 9000",
        "get_device_capability": lambda _: (8, 6),
        "get_arch_list": lambda: ["sm_80"],
        "mem_get_info": lambda _: (3 * 10**9, 8 * 10**9),
        "is_bf16_supported": lambda including_emulation: True,
        "device": lambda _: contextlib.nullcontext(),
    }
    for name, answer in {**say, **answers}.items():
        monkeypatch.setattr(torch.cuda, name, answer)


def test_a_gpu_is_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cuda(monkeypatch)
    assert probe().gpus == (Gpu("Unheard-of 9000", 8 * 10**9, 3 * 10**9, bfloat16=True),)
    fake_cuda(monkeypatch, get_device_capability=lambda _: (3, 5))
    (old,) = probe().gpus
    assert old.trouble == "this torch holds no code for its compute capability 3.5"


def test_a_gpu_that_does_not_answer_is_no_reason_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> tuple[int, int]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    def broken(_: int) -> tuple[int, int]:
        raise RuntimeError("CUDA error: no kernel image is available\nmore words")

    fake_cuda(monkeypatch, mem_get_info=full)
    assert probe().gpus[0].trouble is not None
    fake_cuda(monkeypatch, mem_get_info=broken)
    assert probe().gpus[0].trouble == "CUDA error: no kernel image is available"
    assert choose_device("auto", probe()).value == "cpu"


@pytest.mark.parametrize(
    ("error", "says_so"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (RuntimeError("shapes do not match"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_counts_as_out_of_memory(error: Exception, says_so: bool) -> None:
    assert is_out_of_memory(error) == says_so


def test_torch_s_own_refusal_counts_as_out_of_memory() -> None:
    with pytest.raises(RuntimeError) as refusal:
        torch.empty(2**55)
    assert is_out_of_memory(refusal.value)
