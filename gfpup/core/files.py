"""Files: atomic writes, hashes and natural order."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
from pathlib import Path
from urllib.parse import quote

from gfpup.core.errors import OutputError, PhotoError

TEMPORARY_GLOB = ".gfpup-*.part"
"""What temporary files are called; one is left only by a process that was killed while it wrote."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def write_atomic(path: Path, data: bytes) -> None:
    """Put a file in place in one step: a temporary file beside it, then a rename.

    Raises PhotoError where the name is too long for the file system, OutputError where it cannot be written otherwise.
    """
    temporary = path.with_name(TEMPORARY_GLOB.replace("*", f"{os.getpid()}-{secrets.token_hex(4)}"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise PhotoError(f"{path} cannot be written: the name is too long, so rename the photo") from error
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal, read now."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_text(text: str) -> bytes:
    """Text as UTF-8 for a file that is read again: a file name that is not UTF-8 keeps its own bytes.

    Python holds such bytes as lone surrogates; read the file with `errors="surrogateescape"` to get them back.
    """
    return text.encode("utf-8", "surrogateescape")


def printable(text: str) -> str:
    r"""Text for pages, databases and screens: bytes of a file name that are not UTF-8 are spelled, as in `caf\xe9.jpg`."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def one_line(text: str) -> str:
    r"""Text for a line on the screen: control characters are spelled, as in `a\nb.jpg`.

    A file name may hold a line feed, or a sequence that clears the terminal.
    """
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def address(path: str) -> str:
    """A relative path as a link in a page; bytes of a file name that are not UTF-8 are escaped like all others."""
    return quote(os.fsencode(path))


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """A sorting key under which `photo2` comes before `photo10`, and letters are compared without their case."""
    parts = filter(None, re.split(r"([0-9]+)", text))
    return tuple((0, int(part), part) if part.isascii() and part.isdigit() else (1, 0, part.casefold()) for part in parts)
