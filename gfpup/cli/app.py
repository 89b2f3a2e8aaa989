"""`gfpup app`: the page in the browser."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

from gfpup.cli.parser import Parser
from gfpup.core.errors import GfpupError

PAGE: Final = "gfpup.app.serve"
"""The module of the page, by name, as commands are opened by name: it stands on the same floor."""

PARSER = Parser(
    "gfpup app",
    text="""\
usage: gfpup app [flags] [-- flags of gfpup run]

Open a page in the browser: drop photos, choose faces and a method, compare results, look at finished runs. It needs the
extra app (pip install 'gfpup[app]'), answers this machine alone unless --host says otherwise, and asks nothing of the internet
but weights that you download. What it restores is what gfpup run restores, and it shows the command. Ctrl-C ends it.

{flags}

Flags behind -- are passed on to every run, and to the search for faces.

  gfpup app
  gfpup app --folder ~/restored --keep --open ~/photos
  gfpup app --host 0.0.0.0 --auth anna:password.txt -- --device cpu
""",
)
PARSER.add("--host HOST", "answer at this address (default: 127.0.0.1, this machine alone)", default="127.0.0.1")
PARSER.number("--port N", "answer at this port (default: the first free one from 7860)", 1, 65535)
PARSER.add("--auth USER:FILE", "ask for this name and the password in FILE; needed with --share and with another --host")
PARSER.add("--no-browser", "do not open the browser", dest="browser", action="store_false")
PARSER.add("--folder DIR", "keep uploads and results in this folder (default: a temporary one)", type=Path)
PARSER.add("--keep", "do not empty that folder at the end")
PARSER.add("--open DIR", "runs and pictures in this folder may be opened; repeat for more (default: the current folder)",
           type=Path, action="append", dest="opened")  # fmt: skip
PARSER.add("--trial DIR", "also serve this trial of gfpup vote at /vote, and keep the votes in DIR/votes", type=Path)
PARSER.add("--share", "also open the page to the internet through Gradio's server, for 72 hours at most")
HELP = PARSER.help_text


def run(words: Sequence[str]) -> int:
    """`gfpup app`: returns 0 when the page is closed."""
    at = words.index("--") if "--" in words else len(words)
    request = vars(PARSER.read(words[:at]))
    extra = tuple(words[at + 1 :])
    if extra:
        from gfpup.cli.overrides import to_overrides

        to_overrides(["--input", ".", *extra])  # a wrong flag is refused now, not with the first photo
    request["auth"] = None if request["auth"] is None else _auth(request["auth"])
    opened = tuple(request.pop("opened") or (Path(),))
    return int(import_module(PAGE).serve(opened=opened, extra=extra, **request))


def _auth(given: str) -> tuple[str, Path]:
    user, _, file = given.partition(":")
    if not user or not file:
        raise GfpupError(f"invalid value {given!r} for --auth: expected USER:FILE, a name and the file of the password.")
    return user, Path(file)
