"""Run `gfpup` again and again in forked children that kill themselves at a given moment; used by test_crash.py.

Usage: python crash_driver.py MOMENTS WORD ... ; prints the exit status of each child and of the last, undisturbed one.
A moment n is the n-th of all the steps at which a run touches the disk: before and after each rename and each record.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import gfpup.running.predict  # noqa: F401  imported once, before the forks
from gfpup.cli.main import main
from gfpup.records.manifest import Manifest


def arm(moment: int) -> None:
    """Kill this process, as kill -9 would, at the given step."""
    left = [moment]

    def step() -> None:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(owner: object, name: str) -> None:
        real = getattr(owner, name)

        def wrapped(*args: object, **kwargs: object) -> object:
            step()
            result = real(*args, **kwargs)
            step()
            return result

        setattr(owner, name, wrapped)

    around(os, "replace")
    around(Path, "replace")
    around(Manifest, "add")


def child(words: list[str], moment: int | None) -> int:
    pid = os.fork()
    if pid == 0:
        if moment is not None:
            arm(moment)
        status = main(words)
        sys.stdout.flush()
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    moments, words = int(sys.argv[1]), sys.argv[2:]
    print(*[child(words, moment) for moment in range(moments)], child(words, None))
