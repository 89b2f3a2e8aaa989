"""The book-keeping of a multirun: each job leaves its status in the sweep's folder, so that the end can be told from there.

Jobs may run in other processes, and Hydra skips its closing callbacks when one fails: only files tell the truth.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

STATUS_FOLDER = ".sweep"

_folder: Path | None = None


class SweepFolder(Callback):
    """Hydra's callback in the process that starts a sweep: remembers its folder, and forgets what an earlier one left."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        global _folder
        _folder = Path(str(config.hydra.sweep.dir))
        shutil.rmtree(_folder / STATUS_FOLDER, ignore_errors=True)


def forget() -> None:
    """Forget the sweep that this process started before."""
    global _folder
    _folder = None


def folder() -> Path | None:
    """The folder of the sweep this process started, if it started one."""
    return _folder


def leave_status(sweep: Path, number: int, *, overrides: Sequence[str], output: Path, status: int, error: str | None) -> None:
    """Record how job `number` ended."""
    path = sweep / STATUS_FOLDER / f"{number}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {"job": number, "overrides": list(overrides), "output": str(output), "status": status, "error": error}
    path.write_text(json.dumps(facts), encoding="utf-8")


def statuses(sweep: Path) -> list[dict[str, Any]]:
    """What the jobs left, in their order."""
    files = (sweep / STATUS_FOLDER).glob("*.json")
    return sorted((json.loads(file.read_text(encoding="utf-8")) for file in files), key=lambda facts: facts["job"])


def exit_status(jobs: Sequence[dict[str, Any]]) -> int:
    """0 where all jobs did all, 2 where all were refused, 130 where one was interrupted, else 1."""
    codes = {job["status"] for job in jobs}
    if 130 in codes:
        return 130
    if len(codes) == 1:
        return int(codes.pop())
    return 1 if codes else 2
