"""The queue of the page: one job after another in the process that restores, whoever asked and whether they still watch."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gfpup.core.errors import GfpupError
from gfpup.records.layout import LINES
from gfpup.records.run_record import find_record, read_lines

AGAIN_SECONDS: Final = 10.0
"""A run that has not ended by then did not hear that it is to stop: it was still importing."""


class LostWorkerError(GfpupError):
    """The process that restores ended in the middle of a request."""


class Worker:
    """A process of `gfpup.app.worker`, started with the first request and again after it was lost."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._one_at_a_time = threading.Lock()

    def start(self) -> subprocess.Popen[str]:
        """The process; it imports what it needs in the background."""
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gfpup.app.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,  # Ctrl-C comes to the page alone, which ends this process in its own way
            )
        return self._process

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send one request and wait for its answer.

        Raises: LostWorkerError: the process ended instead.
        """
        with self._one_at_a_time:
            process = self.start()
            assert process.stdin is not None and process.stdout is not None
            try:
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
                answer = process.stdout.readline()
            except OSError:
                answer = ""
            if not answer:
                process.wait()
                raise LostWorkerError(f"the worker ended with status {process.returncode}")
            return dict(json.loads(answer))

    def interrupt(self) -> None:
        """Ask the run that goes on to stop, as Ctrl-C does."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def close(self) -> None:
        """End the process, which has nothing to save: a run that was interrupted has closed its record by then."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@dataclass(eq=False)
class Job:
    """One run: its words of `gfpup run`, its output folder, and how it stands.

    `status` is "waiting", "running", "done", "failed" (some photos or faces), "interrupted" or "refused"; `said` is the
    sentence that goes with it.
    """

    words: tuple[str, ...]
    output: Path
    photos: tuple[str, ...]
    status: str = "waiting"
    said: str = ""
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None
    stopping: bool = False

    @property
    def is_over(self) -> bool:
        return self.ended is not None

    @property
    def elapsed(self) -> float:
        """Seconds since it was begun, or that it took."""
        return (self.ended or time.monotonic()) - self.began

    @property
    def done(self) -> int:
        """How many of its photos are on the disk, by the record, which has a line for each."""
        try:
            lines = read_lines(self.output / LINES).photos.values()
        except GfpupError:
            return 0
        return sum(line["error"] is None for line in lines)


class Jobs:
    """The jobs of all who use the page, in the order in which they came."""

    def __init__(self, worker: Worker, *, lost: str) -> None:
        self.worker = worker
        self._lost = lost
        self._waiting: queue.Queue[Job | None] = queue.Queue()
        self._all: list[Job] = []
        self._thread = threading.Thread(target=self._work, name="gfpup-jobs", daemon=True)
        self._thread.start()

    def submit(self, words: Sequence[str], output: Path, photos: Sequence[str]) -> Job:
        """Put a run at the end of the queue."""
        job = Job(tuple(words), output, tuple(photos))
        self._all.append(job)
        self._waiting.put(job)
        return job

    def before(self, job: Job) -> int:
        """How many jobs have to end before this one begins."""
        return sum(not other.is_over for other in self._all[: self._all.index(job)])

    def of(self, output: Path) -> Job | None:
        """The newest job that writes to this folder."""
        return next((job for job in reversed(self._all) if job.output == output), None)

    def stop(self, job: Job) -> None:
        """Stop a job: one that waits is never begun, one that runs ends as by Ctrl-C and can be resumed."""
        if job.is_over or job.stopping:
            return
        job.stopping = True
        threading.Thread(target=self._stop, args=(job,), daemon=True).start()

    def _stop(self, job: Job) -> None:
        while not job.is_over:
            if job.status == "running":
                self.worker.interrupt()
            until = time.monotonic() + (AGAIN_SECONDS if job.status == "running" else 0.1)
            while not job.is_over and time.monotonic() < until:
                time.sleep(0.05)

    def close(self) -> None:
        """Stop everything, so that every record says how its run ended."""
        self._waiting.put(None)
        for job in self._all:
            self.stop(job)
        self._thread.join(timeout=2 * AGAIN_SECONDS)
        self.worker.close()

    def _work(self) -> None:
        while (job := self._waiting.get()) is not None:
            job.began = time.monotonic()
            if job.stopping:
                job.status = "interrupted"
            else:
                job.status = "running"
                self._run(job)
            job.ended = time.monotonic()

    def _run(self, job: Job) -> None:
        try:
            answer = self.worker.ask(do="run", words=list(job.words))
        except LostWorkerError:
            job.status, job.said = "refused", self._lost
            return
        status = int(answer["status"])
        record = find_record(job.output)
        job.said = " ".join(answer["said"][-1:])
        if status in (0, 1) and record is not None and not answer.get("bug"):
            job.status = "failed" if status else "done"
            job.said = next(iter(record.failures.values()), "") if status else ""
        else:
            job.status = "interrupted" if status >= 128 else "refused"
