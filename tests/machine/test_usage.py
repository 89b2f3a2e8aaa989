"""Peak memory is this process's own, and one function reads it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gfpup.machine.usage import device_peak_bytes, peak_bytes

PACKAGE = Path(__file__).resolve().parents[2] / "gfpup"
PARENT = """
import subprocess, sys
block = bytearray(300_000_000)
block[::4096] = b"x" * len(block[::4096])
subprocess.run([sys.executable, "-c", sys.argv[1]], check=True)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's VmHWM")
@pytest.mark.parametrize(
    "child",
    [
        "from gfpup.machine.usage import peak_bytes; print(peak_bytes())",
        "from gfpup.evaluation.metrics.cost import peak_memory; print(int(peak_memory().value))",
    ],
)
def test_a_small_child_of_a_large_parent_reports_its_own_memory(child: str) -> None:
    done = subprocess.run([sys.executable, "-c", PARENT, child], capture_output=True, text=True, check=True)
    assert 1e6 < int(done.stdout) < 200e6


def test_the_peak_is_in_bytes() -> None:
    peak = peak_bytes()
    assert peak is None or 10e6 < peak < 1e12
    assert device_peak_bytes("cpu") is None


def test_nothing_else_reads_the_peak() -> None:
    readers = [path.name for path in PACKAGE.rglob("*.py") if any(word in path.read_text() for word in ("ru_maxrss", "VmHWM:"))]
    assert readers == ["usage.py"]
