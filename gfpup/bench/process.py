"""The measuring process's other end: start a worker, ask it, and say in a sentence what became of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from gfpup.errors import GfpupError

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Process:
    """A worker process; `what` is what it is called in errors. Use it in a `with` statement."""

    def __init__(self, what: str, *, threads: int) -> None:
        self.what = what
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "gfpup.bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(threads),
        )

    def ask(self, **question: Any) -> dict[str, Any]:
        """Send one question and wait for its answer.

        Raises:
            GfpupError: the worker refuses, or has ended.
        """
        assert self._popen.stdin is not None and self._popen.stdout is not None
        try:
            self._popen.stdin.write(json.dumps(question) + "\n")
            self._popen.stdin.flush()
            line = self._popen.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise GfpupError(self._end())
        answer: dict[str, Any] = json.loads(line)
        if "refused" in answer:
            raise GfpupError(answer["refused"])
        return answer

    def _end(self) -> str:
        code = self._popen.wait()
        if code == -signal.SIGKILL:
            return f"the process that measured {self.what} was killed, most likely for memory; measure something smaller."
        return f"the process that measured {self.what} ended with status {code}; what it said stands above."

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self._popen.kill()
        assert self._popen.stdin is not None and self._popen.stdout is not None
        self._popen.stdin.close()
        self._popen.stdout.close()
        self._popen.wait()


def environment(threads: int) -> Mapping[str, str]:
    """The surroundings of a worker: as many threads as asked for, which sleep at once where they have nothing to do.

    The side that waits would else take some of the other's CPU. `GFPUP_` variables and the rest stay as they are.
    """
    own = {name: str(threads) for name in THREAD_VARIABLES}
    return {**os.environ, **own, "OMP_WAIT_POLICY": "passive", "KMP_BLOCKTIME": "0", "PYTHONUNBUFFERED": "1"}
