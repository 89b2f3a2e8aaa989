"""The processes of the other ranks on this machine: started, watched and ended by rank 0."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from gfpup.core.errors import OutputError
from gfpup.running.process import INTERRUPTED, INTERRUPTING

if TYPE_CHECKING:
    from gfpup.running.prepare import Prepared

GRACE_SECONDS = 30.0
"""How long a run may take to notice that one of its ranks is gone: a photo may be in progress."""

INTERRUPTED_SECONDS = 10.0
"""How long a run may take to notice the signal that ended one of its ranks: it waits deaf until the ranks have met."""

LOOK_SECONDS = 0.5


class Crew:
    """The ranks that this process started on its machine."""

    def __init__(self, processes: Mapping[int, subprocess.Popen[bytes]]) -> None:
        self.processes = processes
        self._over = threading.Event()

    def check(self) -> None:
        """Do nothing while all is well.

        Raises: OutputError: a rank ended before its photos were done.
        """
        for rank, process in self.processes.items():
            if process.poll():
                early = f"rank {rank} ended with status {process.returncode} before its photos were done"
                raise OutputError(f"{early}; run the same command again to resume.")

    def watch(self) -> None:
        """Until the crew is dismissed: end this process where it waits for a rank that will never come."""
        while not self._over.wait(LOOK_SECONDS):
            try:
                self.check()
            except OutputError as error:
                status = self._interrupted()
                if not self._over.wait(INTERRUPTED_SECONDS if status else GRACE_SECONDS):
                    said = INTERRUPTED if status else str(error)
                    print(f"gfpup: {said}", file=sys.stderr, flush=True)
                    self._end(signal.SIGTERM)
                    os._exit(status or 1)

    def _interrupted(self) -> int:
        """The exit status of a rank that an interrupting signal ended, which was sent to all; 0 where there is none."""
        for process in self.processes.values():
            status = process.poll() or 0
            status = 128 - status if status < 0 else status
            if status - 128 in INTERRUPTING:
                return status
        return 0

    def dismiss(self, *, patience_seconds: float) -> None:
        """Wait for the ranks to end, and end those that do not."""
        self._over.set()
        until = time.monotonic() + patience_seconds
        for process in self.processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, until - time.monotonic()))
            process.kill()  # does nothing to one that has ended
            process.wait()

    def stop(self) -> None:
        """Ask the ranks to end where they are."""
        self._over.set()
        # Not SIGTERM: Lightning answers that with a broadcast, and waits for ranks that will never answer.
        self._end(signal.SIGTERM if sys.platform == "win32" else signal.SIGINT)

    def _end(self, number: int) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(number)


@contextmanager
def started(prepared: Prepared) -> Iterator[Crew]:
    """Start the other ranks of this machine, if they are gfpup's to start; they have ended when the block has.

    Each gets the composed configuration, so it runs what this process runs: a job of a sweep, a call from Python.
    """
    rank = prepared.rank
    mine = range(1, rank.devices) if not rank.external and rank.local_rank == 0 else range(0)
    processes: dict[int, subprocess.Popen[bytes]] = {}
    crew = Crew(processes)
    try:
        for local_rank in mine:
            at = replace(rank, global_rank=rank.global_rank + local_rank, local_rank=local_rank)
            facts = {"configuration": prepared.settings.resolved, "sweeping": prepared.sweeping, "rank": asdict(at)}
            request = {**facts, "parent": os.getpid()}
            command = [sys.executable, "-m", "gfpup.running.distributed"]
            # torch warns of a connection that a killed rank has closed, with a C++ stack.
            environment = {"TORCH_CPP_LOG_LEVEL": "ERROR", **os.environ}
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment)
            processes[at.global_rank] = process
            assert process.stdin is not None
            with process.stdin as stdin:
                stdin.write(json.dumps(request).encode())
        if processes:
            threading.Thread(target=crew.watch, name="gfpup-ranks", daemon=True).start()
        yield crew
    except BaseException:
        crew.stop()
        crew.dismiss(patience_seconds=10)
        raise
    crew.dismiss(patience_seconds=60)
