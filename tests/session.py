"""Files that are made once a test session, whichever of pytest's processes asks first, and deleted at its end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from filelock import FileLock


class SessionFiles:
    """The folder of these files: below the base temporary folder, of which each of pytest-xdist's workers has a subfolder."""

    folder: Path | None = None

    def open(self, factory: pytest.TempPathFactory) -> None:
        base = factory.getbasetemp()
        self.folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "once"
        self.folder.mkdir(exist_ok=True)

    def delete(self) -> None:
        """Delete gigabytes of filled networks; pytest would keep those of three sessions."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def once(self, name: str, make: Callable[[Path], object]) -> Path:
        """The file or folder `name`; `make` is called with its path if it is not there yet. No test may change it."""
        assert self.folder is not None, "the session has not begun"
        path = self.folder / name
        with FileLock(f"{path}.lock"):
            if not path.exists():
                part = path.with_name(f"{path.name}.part")
                make(part)
                part.rename(path)
        return path

    def tensors(self, name: str, make: Callable[[], dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        """The state dict `name`, mapped from its file: it takes no time to load, and what is written to it stays private."""
        path = self.once(f"{name}.pt", lambda part: torch.save(make(), part))
        state: dict[str, torch.Tensor] = torch.load(path, mmap=True, weights_only=True)
        return state


session_files = SessionFiles()
