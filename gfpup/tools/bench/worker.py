"""A process that holds one side and runs it once for each question: a line of JSON in, a line of JSON out.

Sides have a process each, because the official packages and others bring modules of the same names, and because a process's
highest memory is one number. The side that waits reads from a pipe, which takes no CPU.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from gfpup.core.errors import GfpupError
from gfpup.machine.allocator import lasting_memory

if TYPE_CHECKING:
    import torch

    from gfpup.tools.bench.request import Side
    from gfpup.tools.bench.sides import Outcome


class Worker:
    """Answers questions about one side."""

    def __init__(self) -> None:
        self._run: Callable[[], Outcome] | None = None
        self._output: torch.Tensor | None = None
        self._side: Side | None = None
        self._device = "cpu"

    def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to {"do": "load" | "once" | "usage" | "save" | "codes" | "ceiling", ...}."""
        return {
            "load": self._load,
            "once": self._once,
            "usage": self._usage,
            "save": self._save,
            "codes": self._codes,
            "ceiling": self._ceiling,
        }[question["do"]](question)

    def _load(self, question: Mapping[str, Any]) -> dict[str, Any]:
        from gfpup.tools.bench.request import Side

        began = time.perf_counter()
        side = self._side = Side.from_json(question["side"])
        self._prepare(side.threads, side.device)
        # As `gfpup run` loads; the other sides get memory as Python gets it.
        with lasting_memory() if side.name == "gfpup" else nullcontext():
            if side.workload is None:
                from gfpup.tools.bench.sides import forward_of

                self._run = forward_of(side)
            else:
                from gfpup.tools.bench.sides import photo_run_of

                self._run = photo_run_of(side)
        return {"seconds": time.perf_counter() - began}

    def _once(self, question: Mapping[str, Any]) -> dict[str, Any]:
        assert self._run is not None
        self._output = None  # a run hands its results on before the next photo comes
        cpu, began = time.process_time(), time.perf_counter()
        output, stages = self._run()
        self._wait_for_device()
        wall = time.perf_counter() - began
        self._output = output
        return {"wall": wall, "cpu": time.process_time() - cpu, "stages": dict(stages)}

    def _usage(self, question: Mapping[str, Any]) -> dict[str, Any]:
        from gfpup.machine.usage import device_peak_bytes, peak_bytes

        return {"cpu": time.process_time(), "peak": peak_bytes(), "device_peak": device_peak_bytes(self._device)}

    def _save(self, question: Mapping[str, Any]) -> dict[str, Any]:
        import numpy as np

        assert self._output is not None
        np.save(question["path"], self._output.detach().cpu().numpy())
        return {}

    def _codes(self, question: Mapping[str, Any]) -> dict[str, Any]:
        from gfpup.tools.bench.sides import choices

        assert self._side is not None
        return {"found": choices(self._side)}

    def _ceiling(self, question: Mapping[str, Any]) -> dict[str, Any]:
        from gfpup.tools.bench.machine import measure

        self._prepare(question["threads"], question["device"])
        return measure(question["device"], bfloat16=question["bfloat16"])

    def _prepare(self, threads: int, device: str) -> None:
        import cv2
        import torch

        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
        # As `gfpup run` computes; also what makes the sides' float32 the same on a GPU.
        torch.backends.cudnn.allow_tf32 = False
        self._device = device

    def _wait_for_device(self) -> None:
        if self._device.startswith("cuda"):
            import torch

            torch.cuda.synchronize(self._device)


def main() -> int:
    """Answer questions from stdin until it ends; whatever is printed on the way goes to stderr."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        worker = Worker()
        for line in sys.stdin:
            try:
                answer = worker.answer(json.loads(line))
            except GfpupError as error:
                answer = {"refused": str(error)}
            print(json.dumps(answer), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Process:
    """A worker process; `what` is what it is called in errors. Use it in a `with` statement."""

    def __init__(self, what: str, *, threads: int) -> None:
        self.what = what
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "gfpup.tools.bench.worker"],
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
