"""Signals that interrupt a run."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import signal, sys, time
from gfpup.running.process import Interrupted, interruptible

class Trap:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)

before = sys.unraisablehook
try:
    with interruptible():
        trap = Trap()
        del trap
        time.sleep(20)
except Interrupted as interrupted:
    assert sys.unraisablehook is before
    sys.exit(interrupted.status)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_signal_that_falls_into_a_finaliser_is_not_lost() -> None:
    """Python drops what is raised there, and the run would go on to its end. A process of its own gets the signal."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (143, "")
