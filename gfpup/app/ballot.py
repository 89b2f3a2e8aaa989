"""A trial of `gfpup vote` served beside the page: raters vote in their browsers, and their files are gathered."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from gfpup.analysis.vote import page, read_trial
from gfpup.analysis.vote.votes import read_file
from gfpup.core.errors import GfpupError
from gfpup.core.files import write_atomic

PATH: Final = "/vote"
POST_TO: Final = "/votes"
MOST_BYTES: Final = 2**20
"""A rater's file at most: some 80 bytes a vote."""


def gather(body: bytes, folder: Path) -> Path:
    """Keep a rater's CSV in `votes/` of the trial in `folder`, under a name made of its content; sent twice it is one file.

    Raises: GfpupError: it does not hold votes of this trial.
    """
    with tempfile.TemporaryDirectory() as scratch:
        sent = Path(scratch) / "votes.csv"
        sent.write_bytes(body)
        try:
            found = read_file(sent, read_trial(folder))
        except GfpupError as error:
            raise GfpupError(str(error).replace(str(sent), "votes.csv")) from None
    if not found:
        raise GfpupError("votes.csv holds no votes: vote first")
    kept = folder / "votes" / f"{hashlib.sha256(body).hexdigest()[:16]}.csv"
    kept.parent.mkdir(exist_ok=True)
    write_atomic(kept, body)
    return kept


def offer(app: Any, folder: Path, may: Callable[[Any], bool]) -> None:
    """Add the trial in `folder` to a Starlette application: its page at /vote, and what gathers votes; `may` judges a request.

    Raises: GfpupError: there is no trial in the folder.
    """
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
    from starlette.routing import Route

    html = page(folder, post_to=POST_TO)

    async def show(request: Request) -> Response:
        return HTMLResponse(html) if may(request) else RedirectResponse("/")

    async def take(request: Request) -> Response:
        if not may(request):
            return PlainTextResponse("sign in first", 401)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MOST_BYTES:
                return PlainTextResponse(f"a file of votes has at most {MOST_BYTES} bytes", 413)
        try:
            gather(body, folder)
        except GfpupError as error:
            return PlainTextResponse(str(error), 400)
        return PlainTextResponse("thank you", 201)

    # Before Gradio's own routes, of which the last takes whatever is left.
    app.router.routes[:0] = [Route(PATH, show), Route(POST_TO, take, methods=["POST"])]


def signed_in(app: Any) -> Callable[[Any], bool]:
    """Whether a request to Gradio's application comes from someone who may see the page."""

    def may(request: Any) -> bool:
        names = (f"access-token-{app.cookie_id}", f"access-token-unsecure-{app.cookie_id}")
        return app.auth is None or any(request.cookies.get(name) in app.tokens for name in names)

    return may
