"""One file from one address: into a `.part` file, resumed where it stopped, retried where that can help."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gfpup.core.errors import GfpupError, OutputError

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes in all (None where the server does not say)."""

# A connection that sends nothing for so long is dead: GitHub's servers pause for a few seconds at most.
STALL_SECONDS = 30.0
RETRIES = 4
BACKOFF_SECONDS = 1.0
# A retry that added this much does not count as a failure: a poor connection may break many times and still deliver.
PROGRESS_BYTES = 4 << 20
CHUNK_BYTES = 1 << 16
# Answers that a later try may better: timeout, too early, too many requests, and the server's own troubles.
TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


class DownloadError(GfpupError):
    """An address did not deliver; the message is a clause that follows the address's name."""


class _TransientError(Exception):
    pass


def download(
    url: str, part: Path, *, size_bytes: int | None = None, hash_known: bool = False, progress: Progress | None = None
) -> None:
    """Download `url` into `part`, going on from what is there where the server can, and return when it is complete.

    `size_bytes` is the size that the file must have, where known. `hash_known` says that the caller will verify the
    result: a part may then be continued even where the server offers nothing to tell whether the file is still the same.

    Raises DownloadError where the address refuses, cannot be reached, offers another size or broke off too often, and
    OutputError where the part cannot be written.
    """
    failures, best = 0, _size(part)
    while True:
        try:
            _attempt(url, part, size_bytes=size_bytes, hash_known=hash_known, progress=progress)
            return
        except _TransientError as error:
            have = _size(part)
            if have >= best + PROGRESS_BYTES:
                failures, best = 0, have
            failures += 1
            if failures > RETRIES:
                raise DownloadError(f"{error} (tried {failures} times)") from error
            time.sleep(min(BACKOFF_SECONDS * 2 ** (failures - 1), 30.0))


def discard(part: Path) -> None:
    """Remove a part and the note about where it came from."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def finish(part: Path, path: Path) -> None:
    """Give a complete and verified part its final name."""
    part.replace(path)
    _note(part).unlink(missing_ok=True)


def _attempt(url: str, part: Path, *, size_bytes: int | None, hash_known: bool, progress: Progress | None) -> None:
    start, validator = _resume_point(url, part, hash_known=hash_known)
    request = urllib.request.Request(url, headers={"User-Agent": "gfpup"})
    if start:
        request.add_header("Range", f"bytes={start}-")
        if validator:
            request.add_header("If-Range", validator)
    try:
        with _naming_breaks("did not answer within"):
            response = urllib.request.urlopen(request, timeout=STALL_SECONDS)
    except urllib.error.HTTPError as error:
        with error:
            if error.code != 416:
                clause = f"answers {error.code} {error.reason}".rstrip()
                if error.code in TRANSIENT_STATUS:
                    raise _TransientError(clause) from error
                raise DownloadError(clause) from error
            # The part is as long as the file, or longer: complete, or not of this file.
            total = _total(error.headers.get("Content-Range", ""))
        if total == start and hash_known and size_bytes in (None, start):
            return
        discard(part)
        raise _TransientError("cannot continue the part that is here") from error
    except urllib.error.URLError as error:
        reason = " ".join(str(error.reason).split())
        if isinstance(error.reason, (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)):
            raise _TransientError(f"broke the connection ({reason})") from error
        raise DownloadError(f"cannot be reached ({reason})") from error
    with response:
        _receive(response, url, part, start=start, size_bytes=size_bytes, progress=progress)


def _receive(response: Any, url: str, part: Path, *, start: int, size_bytes: int | None, progress: Progress | None) -> None:
    headers = response.headers
    if start and response.status == 206:
        content_range = headers.get("Content-Range", "")
        total = _total(content_range)
        if not content_range.startswith(f"bytes {start}-"):
            discard(part)
            raise _TransientError("continued the file at another place than asked")
    else:
        start = 0
        length = headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
    if size_bytes is not None and total not in (None, size_bytes):
        raise DownloadError(f"offers {total} bytes where the published file has {size_bytes}")
    total, done = size_bytes if total is None else total, start
    try:
        with part.open("ab" if start else "wb") as file:
            if not start:
                _note(part).write_text(json.dumps({"url": url, "validator": _validator(headers)}), encoding="utf-8")
            while True:
                if progress is not None:
                    progress(done, total)
                with _naming_breaks("sent nothing for"):
                    chunk = response.read1(CHUNK_BYTES)  # what is there, so that a stall loses nothing
                if not chunk:
                    break
                file.write(chunk)
                done += len(chunk)
                if total is not None and done > total:
                    raise DownloadError(f"sends more than the {total} bytes of the file")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        with contextlib.suppress(OSError):
            discard(part)  # a full disk hurts more than what was fetched is worth
        raise OutputError(f"{part} cannot be written ({error.strerror}): make room or choose another --weights-dir") from error
    if total is not None and done < total:
        raise _TransientError(f"stopped after {done} of {total} bytes")


@contextlib.contextmanager
def _naming_breaks(timed_out: str) -> Iterator[None]:
    """Turn a timeout and a broken connection into errors that are worth a retry; answers of the server pass."""
    try:
        yield
    except urllib.error.URLError:
        raise
    except TimeoutError as error:
        raise _TransientError(f"{timed_out} {STALL_SECONDS:g} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise _TransientError(f"broke the connection ({type(error).__name__})") from error


def _resume_point(url: str, part: Path, *, hash_known: bool) -> tuple[int, str | None]:
    """From which byte to go on, and what the server must still match: (0, None) starts over."""
    have = _size(part)
    try:
        note = json.loads(_note(part).read_text(encoding="utf-8"))
        validator = note["validator"] if note["url"] == url else None
    except (OSError, ValueError, KeyError, TypeError):
        validator = None
    validator = validator if isinstance(validator, str) else None
    return (have, validator) if have and (validator or hash_known) else (0, None)


def _validator(headers: Any) -> str | None:
    # Only a strong ETag or a date may stand in If-Range (RFC 9110, 13.1.5).
    etag = headers.get("ETag")
    found = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified")
    return str(found) if found else None


def _total(content_range: str) -> int | None:
    found = re.search(r"/(\d+)\s*$", content_range)
    return int(found.group(1)) if found else None


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _size(part: Path) -> int:
    with contextlib.suppress(OSError):
        return part.stat().st_size
    return 0
