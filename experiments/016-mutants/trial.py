"""Run tests in a forked process that has the heavy libraries loaded already."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WHOLE_RUNS = ("test_a_run_with_a_broken", "test_an_interrupted_run", "test_a_sweep_is_run", "_browser")
"""Tests that start gfpup or a browser in processes of their own: slow, and coverage does not see what they execute."""


class Recorder:
    """A pytest plug-in: runs tests in the order given, notes their seconds and failures, and tells coverage which test runs."""

    def __init__(self, order: list[str], coverage: Any = None) -> None:
        self.places = {name: place for place, name in enumerate(order)}
        self.coverage = coverage
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []
        self.skipped: list[str] = []

    def pytest_collection_finish(self, session: Any) -> None:
        session.items[:] = [item for item in session.items if not any(name in item.nodeid for name in WHOLE_RUNS)]
        session.items.sort(key=lambda item: self.places.get(item.nodeid, len(self.places)))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        if self.coverage is not None:
            self.coverage.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if report.failed:
            self.failed.append(report.nodeid)
        elif report.skipped:
            self.skipped.append(report.nodeid)

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.failed.append(f"{report.nodeid} (import)")


def in_child(work: Callable[[], Any], scratch: Path, limit_s: float) -> Any:
    """What `work` returns in a forked process whose working folder is `scratch`; None where it took more than `limit_s`."""
    answer = scratch / "answer.json"
    answer.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.chdir(scratch)
        sys.path[:0] = [str(scratch)]
        quiet = os.open(scratch / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        try:
            answer.write_text(json.dumps(work()))
        finally:
            os._exit(0)
    end = time.monotonic() + limit_s
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if time.monotonic() > end:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(0.02)
    return json.loads(answer.read_text()) if answer.exists() else {"failed": ["the process ended"]}


def run_tests(tests: list[str], scratch: Path, *options: str, coverage: Any = None) -> dict[str, Any]:
    import pytest

    recorder = Recorder(tests, coverage)
    words = ["-q", "-p", "no:cacheprovider", "--assert=plain", f"--basetemp={scratch}/tmp", *options, *tests]
    status = int(pytest.main(words, plugins=[recorder]))
    if status > 1 and not recorder.failed:
        recorder.failed.append("collection")
    return {"failed": recorder.failed, "skipped": recorder.skipped, "seconds": recorder.seconds}
