"""Processes that are forked rather than started: one server imports the program, which takes seconds, and forks the rest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

COMMAND = "import sys; from gfpup.cli.main import main; sys.exit(main({words!r}))"


class Fork:
    """One process: as much of subprocess.Popen as the tests use; what it prints goes to files."""

    def __init__(self, forks: Forks, pid: int, out: Path, err: Path) -> None:
        self._forks = forks
        self.pid = pid
        self._out, self._err = out, err
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._forks.ask(poll=self.pid)["status"]
        return self.returncode

    def wait(self, *, timeout: float = 300) -> int:
        until = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > until:
                self.kill()
                raise TimeoutError(f"process {self.pid} still runs; it said: {self.stderr}")
            time.sleep(0.01)
        return status

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    @property
    def stdout(self) -> str:
        return self._out.read_text(encoding="utf-8")

    @property
    def stderr(self) -> str:
        return self._err.read_text(encoding="utf-8")


class Forks:
    """The server, with what `imports` names already imported. Each fork has this process's folder and environment of then."""

    def __init__(self, folder: Path, *, imports: Sequence[str]) -> None:
        self._folder, self._numbers = folder, count()
        command = [sys.executable, __file__, *imports]
        self._server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self._server.stdin is not None and self._server.stdout is not None
        print(json.dumps(request), file=self._server.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self._server.stdout.readline())
        return answer

    def start(self, code: str, *, own_session: bool = False) -> Fork:
        """Fork a process that executes `code`, in a session of its own if asked for."""
        number = next(self._numbers)
        out, err = (self._folder / f"{number}.{stream}" for stream in ("out", "err"))
        request = {"code": code, "own_session": own_session, "out": str(out), "err": str(err)}
        answer = self.ask(**request, environment=dict(os.environ), folder=str(Path.cwd()))
        return Fork(self, answer["pid"], out, err)

    def gfpup(self, words: Sequence[object], *, before: str = "pass", own_session: bool = False) -> Fork:
        """Start the command `gfpup`, after the statement `before`."""
        code = f"{before}\n{COMMAND.format(words=[str(word) for word in words])}"
        return self.start(code, own_session=own_session)

    def close(self) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(timeout=60)


class ForkedCommand:
    """Stands where subprocess.Popen does for `python -m gfpup`: a fork, of which stderr is read when it has ended."""

    def __init__(self, forks: Forks, command: Sequence[str], *, start_new_session: bool = False, **streams: object) -> None:
        assert command[:3] == [sys.executable, "-m", "gfpup"], command
        self._fork = forks.gfpup(command[3:], own_session=start_new_session)
        self.wait, self.send_signal, self.stderr = self._fork.wait, self._fork.send_signal, self

    def __enter__(self) -> ForkedCommand:
        return self

    def __exit__(self, *error: object) -> None:
        self._fork.wait()

    @property
    def returncode(self) -> int | None:
        return self._fork.returncode

    def read(self) -> str:
        self._fork.wait()
        return self._fork.stderr

    def __iter__(self) -> Iterator[str]:
        return iter(self.read().splitlines(keepends=True))


def serve(imports: Sequence[str]) -> None:
    for name in imports:
        __import__(name)
    for line in sys.stdin:
        request = json.loads(line)
        if "poll" in request:
            pid, status = os.waitpid(request["poll"], os.WNOHANG)
            answer = {"status": os.waitstatus_to_exitcode(status) if pid else None}
        else:
            answer = {"pid": os.fork()}
            if answer["pid"] == 0:
                _become(request)
        print(json.dumps(answer), flush=True)


def _become(request: dict[str, Any]) -> None:
    """Execute the request in this forked process, and end."""
    if request["own_session"]:
        os.setsid()
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, (path, mode) in enumerate(((os.devnull, os.O_RDONLY), (request["out"], flags), (request["err"], flags))):
        os.dup2(os.open(path, mode), number)
    status = 0
    try:
        exec(request["code"], {"__name__": "__main__"})
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    serve(sys.argv[1:])
