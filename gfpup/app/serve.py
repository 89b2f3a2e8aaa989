"""Serve the page: on this machine alone unless asked otherwise, behind a password where there is one, until Ctrl-C."""

from __future__ import annotations

import hmac
import inspect
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from gfpup.analysis.vote import read_trial
from gfpup.app import ballot
from gfpup.app.folders import JOBS, UPLOADS, Folders
from gfpup.core.errors import GfpupError

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
OWN_NAMES: Final = ("127.0.0.1", "localhost")
"""The names under which a page without a password answers: a website that made its own name lead here would read it."""
MAX_FILE: Final = "500mb"
QUIET: Final = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1", "GRADIO_SSR_MODE": "False"}
"""What keeps Gradio, and what it brings along, from sending anything anywhere."""


@dataclass(frozen=True)
class Request:
    """The flags of `gfpup app`; `auth` is a name and the file that holds the password, `extra` are words for every run,
    and `trial` is the folder of a trial that is served beside the page."""

    host: str = "127.0.0.1"
    port: int | None = None
    auth: tuple[str, Path] | None = None
    browser: bool = True
    share: bool = False
    folder: Path | None = None
    opened: tuple[Path, ...] = (Path(),)
    keep: bool = False
    trial: Path | None = None
    extra: tuple[str, ...] = ()


def serve(**flags: Any) -> int:
    """Serve the page until a signal ends it; returns 0.

    Raises: GfpupError: Gradio is missing; a folder, trial or port cannot be used; others could open the page freely.
    """
    request = Request(**flags)
    if find_spec("gradio") is None:
        raise GfpupError("the page needs Gradio, which is not installed: pip install 'gfpup[app]'.")
    if (request.share or request.host not in LOOPBACK) and request.auth is None:
        how = "--share" if request.share else f"--host {request.host}"
        raise GfpupError(f"{how} opens the page to others: give --auth USER:FILE, the name and the file of the password.")
    if request.trial is not None:
        read_trial(request.trial)  # what can be refused is refused before Gradio is imported
    check = None if request.auth is None else password_check(*request.auth)
    with Folders.of(request.folder, request.opened, keep=request.keep) as folders:
        _set_environment(folders)
        _launch(request, folders, check)
    return 0


def password_check(user: str, file: Path) -> Callable[[str, str], bool]:
    """Whether a name and a password are right, in a time that does not tell how far they are.

    Raises: GfpupError: the file cannot be read, or is empty.
    """
    try:
        password = file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise GfpupError(f"the password file {file} cannot be read ({error}): write the password into it.") from None
    if not user or not password:
        raise GfpupError(f"invalid value '{user}:{file}' for --auth: expected a name, and a file with the password in it.")

    def check(given_user: str, given_password: str) -> bool:
        same_user = hmac.compare_digest(given_user.encode(), user.encode())
        return hmac.compare_digest(given_password.encode(), password.encode()) and same_user

    return check


@contextmanager
def without_stubs() -> Iterator[None]:
    """Import Gradio in the block without the stubs for editors that it rewrites in its own folder, class by class.

    They take half of its import (2.5 of 4.8 s): for a class without a file it makes none.
    """
    real = inspect.getfile

    def getfile(thing: Any) -> str:
        if type(thing).__name__ == "ComponentMeta":
            raise OSError("no file, so that Gradio makes no stub")
        return real(thing)

    inspect.getfile = getfile  # type: ignore[assignment]
    try:
        yield
    finally:
        inspect.getfile = real


def _set_environment(folders: Folders) -> None:
    os.environ.update(QUIET)
    os.environ["GRADIO_TEMP_DIR"] = str(folders.own / UPLOADS)
    # A proxy for the internet must not get what the page sends to itself.
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1", "localhost")))


def _launch(request: Request, folders: Folders, check: Callable[[str, str], bool] | None) -> None:
    from gfpup.running.process import uncollected

    with uncollected(), without_stubs():
        from starlette.middleware import Middleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware

        from gfpup.app import theme
        from gfpup.app.page import build
    named = Middleware(TrustedHostMiddleware, allowed_hosts=list(OWN_NAMES))
    page, desk = build(folders, request.extra)
    stopped = threading.Event()
    handlers = {number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        try:
            app, address, shared = page.launch(
                server_name=request.host,
                server_port=request.port,
                auth=check,
                auth_message=desk.texts.login,
                share=request.share,
                inbrowser=request.browser,
                allowed_paths=[str(folders.own / JOBS)],
                blocked_paths=[] if request.auth is None else [str(request.auth[1].resolve())],
                max_file_size=MAX_FILE,
                app_kwargs={"middleware": [named]} if request.auth is None and request.host in OWN_NAMES else None,
                prevent_thread_lock=True,
                quiet=True,
                footer_links=["api"],
                run_history=False,
                ssr_mode=False,
                theme=theme.theme(),
                head=theme.head(),
            )
        except OSError as error:
            raise GfpupError(f"port {request.port} of {request.host} cannot be used: {error}; give another --port.") from None
        if request.trial is not None:
            ballot.offer(app, request.trial, ballot.signed_in(app))
            print(f"gfpup: raters vote at {(shared or address).rstrip('/')}{ballot.PATH}", file=sys.stderr)
        print(f"gfpup: the page is at {shared or address} (Ctrl-C ends it).", file=sys.stderr, flush=True)
        threading.Thread(target=desk.warm, daemon=True).start()
        stopped.wait()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        desk.jobs.close()
        desk.looker.close()
        page.close(verbose=False)
    kept = f"; {folders.own} is kept" if folders.keep else ""
    print(f"gfpup: the page is closed{kept}.", file=sys.stderr)
