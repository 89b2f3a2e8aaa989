"""This process: imports without the garbage collector, its end with its parent's, and the signals that interrupt it."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final


@contextmanager
def uncollected() -> Iterator[None]:
    """Pause the garbage collector while the block imports torch and Lightning: it frees nothing, and takes a fifth of that.

    Measured: 2.3 instead of 2.9 s (experiments/011-folder).
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


_WATCHING: Final = "gfpup-parent"


def leave_with_parent(parent: int | None = None) -> None:
    """End this process when its parent is gone: a killed parent cannot tell us, and a full pipe would block us forever.

    `parent` is the process that started this one, where it may have gone before this is called.
    """
    if any(thread.name == _WATCHING for thread in threading.enumerate()):
        return
    parent = os.getppid() if parent is None else parent

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, name=_WATCHING, daemon=True).start()


INTERRUPTING: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C, a request to end, and a terminal that was closed (not on Windows)."""

INTERRUPTED: Final = "interrupted; run the same command again to resume."
"""What a run says that such a signal ended."""

ONE_INTERRUPTION_SECONDS: Final = 5.0
"""Signals within this time of the first are the same interruption: a closing terminal and its shell both send SIGHUP."""


LOST_SECONDS: Final = 0.05
"""After this time a signal that was lost is sent again: a finaliser has ended by then."""


class Interrupted(BaseException):
    """A signal asked this process to end. Not KeyboardInterrupt: Lightning turns that into exit status 1.

    `status` is the exit status that says so: 130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP.
    """

    def __init__(self, signal_number: int = signal.SIGINT) -> None:
        super().__init__(signal_number)
        self.signal_number = int(signal_number)
        self.status = 128 + int(signal_number)


class _Interrupt:
    """The handler of the interrupting signals: raises `Interrupted` once, in the process that installed it."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.hook = sys.unraisablehook
        self._last = float("-inf")

    def __call__(self, signal_number: int, frame: Any) -> None:
        # A data worker inherits this handler until it has set its own: its parent decides.
        if os.getpid() != self.owner or time.monotonic() - self._last < ONE_INTERRUPTION_SECONDS:
            return
        self._last = time.monotonic()
        if hasattr(signal, "SIGCHLD") and callable(signal.getsignal(signal.SIGCHLD)):
            # torch's handler raises where a data worker was killed, which would hide that the run was interrupted.
            signal.signal(signal.SIGCHLD, lambda *_: None)
        raise Interrupted(signal_number)

    def unraisable(self, lost: Any) -> None:
        """Send a signal again that fell into a finaliser, where Python drops whatever is raised; for `sys.unraisablehook`."""
        if not isinstance(lost.exc_value, Interrupted):
            self.hook(lost)
            return
        self._last = float("-inf")
        again = threading.Timer(LOST_SECONDS, self._send, (lost.exc_value.signal_number,))
        again.daemon = True
        again.start()

    def _send(self, signal_number: int) -> None:
        owner = self.owner
        if signal.getsignal(signal_number) is self:  # else the block has ended, and somebody else would get it
            os.kill(owner, signal_number)


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into `Interrupted` for the length of the block; only a main thread may.

    A signal that is ignored already, as SIGHUP is below nohup, stays ignored. Inside another such block nothing changes.
    """
    current = signal.getsignal(signal.SIGTERM)
    nested = isinstance(current, _Interrupt) and current.owner == os.getpid()
    if nested or threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupt = _Interrupt()
    before = {number: signal.getsignal(number) for number in INTERRUPTING}
    if hasattr(signal, "SIGCHLD"):
        before[signal.SIGCHLD] = signal.getsignal(signal.SIGCHLD)
    for number in INTERRUPTING:
        if before[number] != signal.SIG_IGN or number == signal.SIGINT:
            signal.signal(number, interrupt)
    sys.unraisablehook = interrupt.unraisable
    try:
        yield
    finally:
        sys.unraisablehook = interrupt.hook
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_signals_to_parent() -> None:
    """Ignore the interrupting signals in a data worker: a signal to the whole group reaches the parent, which decides."""
    for number in INTERRUPTING:
        signal.signal(number, signal.SIG_IGN)
