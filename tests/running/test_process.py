"""Signals that interrupt a run."""

from __future__ import annotations

import signal
import sys
import time

import pytest

from gfpup.running.process import Interrupted, interruptible


def test_a_signal_that_falls_into_a_finaliser_is_not_lost(capfd: pytest.CaptureFixture[str]) -> None:
    """Python drops what is raised there, and prints it: the run would go on to its end."""

    class Trap:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    before = sys.unraisablehook
    with pytest.raises(Interrupted) as interrupted, interruptible():
        trap = Trap()
        del trap
        time.sleep(20)
    assert interrupted.value.status == 143
    assert sys.unraisablehook is before
    assert capfd.readouterr().err == ""
