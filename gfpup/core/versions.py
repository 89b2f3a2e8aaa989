"""What a result or a measurement was made with: versions of packages, and the commit of the checkout.

`import gfpup` reads the version from here, so what takes long to import stands inside the functions.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

__version__ = "0.1.0"


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of gfpup, Python and those of `packages` that are installed, by name."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"gfpup": __version__, "python": sys.version.split()[0]}
    for name in packages:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def commit(*, mark_changes: bool = False) -> str | None:
    """The commit of the checkout gfpup runs from, or None where it is installed from a wheel.

    With `mark_changes` a + follows where files differ from it.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    import subprocess

    def git(*words: str) -> str:
        run = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, timeout=5, check=False)
        return run.stdout.strip()

    with suppress(OSError, subprocess.TimeoutExpired):
        head = git("rev-parse", "HEAD")
        changed = mark_changes and head and git("status", "--porcelain", "--untracked-files=no")
        return f"{head}+" if changed else head or None
    return None
