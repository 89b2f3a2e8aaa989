"""What the libraries that decode pictures say on the side, caught so that it can be told with the photo's name.

Pillow raises Python warnings over odd metadata and logs errors; libtiff and libpng write straight to the process's stderr.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final

LINE_CHARACTERS: Final = 200
LINES: Final = 3  # a damaged file may make a library print thousands: the rest is counted

_lock = threading.Lock()
_stream_lock = threading.Lock()
_collecting: dict[int, list[str]] = {}
_filters: Any = None


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Collect the Python warnings that this thread raises in the block; those of other threads are shown as usual.

    `warnings.catch_warnings` exchanges the filters of all threads at once, and photos are decoded in several.
    """
    global _filters
    said: list[str] = []
    thread = threading.get_ident()
    if _log not in (logger := logging.getLogger("PIL")).handlers:
        logger.addHandler(_log)
        logger.propagate = False  # Hydra's handlers, and Python's for those who set none, know no photo's name
    with _lock:
        if not _collecting:
            _filters = warnings.catch_warnings()
            _filters.__enter__()
            warnings.simplefilter("always")
            warnings.showwarning = partial(_route, warnings.showwarning)
        outer = _collecting.get(thread)
        _collecting[thread] = said
    try:
        yield said
    finally:
        with _lock:
            del _collecting[thread]
            if outer is not None:
                _collecting[thread] = outer
            if not _collecting:
                _filters.__exit__(None, None, None)


@contextmanager
def collected_stderr() -> Iterator[list[str]]:
    """Collect what libraries write to file descriptor 2 in the block; Python's own `sys.stderr` still reaches the screen.

    One thread at a time: the descriptor belongs to the whole process.
    """
    said: list[str] = []
    with _stream_lock:
        try:
            screen = os.dup(2)
        except OSError:  # there is no standard error to keep clean
            yield said
            return
        shown = sys.stderr
        with tempfile.TemporaryFile() as caught, os.fdopen(screen, "w", closefd=True, errors="backslashreplace") as stream:
            if shown is not None:
                shown.flush()
            stand_in = False
            with suppress(OSError, ValueError, AttributeError):
                stand_in = shown.fileno() == 2
            os.dup2(caught.fileno(), 2)
            if stand_in:
                sys.stderr = stream
            try:
                yield said
            finally:
                if stand_in:
                    sys.stderr = shown
                stream.flush()
                os.dup2(stream.fileno(), 2)
                caught.seek(0)
                said += caught.read(2**20).decode(errors="replace").splitlines()


def told(said: list[str]) -> tuple[str, ...]:
    """What libraries said of one photo as warnings: each once, few, short and on one line."""
    unique = list(dict.fromkeys(" ".join(line.split())[:LINE_CHARACTERS] for line in said if line.strip()))
    more = len(unique) - LINES
    return (*(f"the decoder says: {line}" for line in unique[:LINES]), *([f"and {more} more such lines"] if more > 0 else []))


class _Log(logging.Handler):
    """Pillow's log: errors and warnings go to the photo that this thread reads, and nowhere where it reads none."""

    def emit(self, record: logging.LogRecord) -> None:
        said = _collecting.get(threading.get_ident())
        if said is not None:
            said.append(record.getMessage())


_log: Final = _Log(logging.WARNING)


def _route(shown: Callable[..., None], message: Warning | str, *rest: Any, **named: Any) -> None:
    said = _collecting.get(threading.get_ident())
    if said is None:
        shown(message, *rest, **named)
    else:
        said.append(str(message))
