"""Around the jobs of a multirun: its run in MLflow before them; its report, its table of failures and its status after them."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from gfpup.core.errors import GfpupError
from gfpup.running import sweep_jobs
from gfpup.running.process import ARGV_VARIABLE
from gfpup.running.sweep_jobs import STATUS_FOLDER
from gfpup.tracking import session

_started: Started | None = None
_tracked: session.TrackedSweep | None = None


@dataclass(frozen=True)
class Started:
    """A sweep that this process started: its folder, and its configuration without what is swept."""

    folder: Path
    config: Mapping[str, Any]


class SweepFolder(Callback):
    """Hydra's callback in the process that starts a sweep: remembers it, and forgets what an earlier one left."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        global _started
        folder = Path(str(config.hydra.sweep.dir))
        shutil.rmtree(folder / STATUS_FOLDER, ignore_errors=True)
        own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        plain = OmegaConf.to_container(own, resolve=True)
        assert isinstance(plain, dict)
        _started = Started(folder, {str(key): value for key, value in plain.items()})
        begin(_started.config, Path(str(config.output)))


def forget() -> None:
    """Forget the sweep that this process started before."""
    global _started
    _started = None


def started() -> Started | None:
    """The sweep this process started, if it started one."""
    return _started


def begin(config: Mapping[str, Any], root: Path) -> None:
    """What has to be there before the first job starts: the store, the experiment and the sweep's own run."""
    global _tracked
    _tracked = None
    _tracked = session.begin_sweep(config, root, argv=session.without_password(json.loads(os.environ[ARGV_VARIABLE])))


def close() -> int:
    """Tell the sweep's end from what its jobs left, and return its exit status."""
    begun = started()
    assert begun is not None
    jobs = sweep_jobs.statuses(begun.folder)
    status = sweep_jobs.exit_status(jobs)
    if begun.config["dry_run"] is True:
        _say(jobs)
        return status
    root = Path(str(begun.config["output"]))
    quiet = bool(begun.config["screen"]["quiet"] or begun.config["screen"]["json"])
    files = _report(root, quiet=quiet) if begun.config["report"] and status != 2 else []
    if _tracked is not None:
        session.end_sweep(_tracked, jobs=jobs, status=status, files=files)
        if not quiet:
            print("gfpup: gfpup ui opens the sweep in MLflow", file=sys.stderr)
    _say(jobs)
    return status


def _report(root: Path, *, quiet: bool) -> list[Path]:
    from gfpup.analysis.report import CONTACT_SHEET, REPORT, write_report

    try:
        page = write_report([root], root / REPORT)
    except GfpupError as error:
        print(f"gfpup: there is no report of this sweep: {error}", file=sys.stderr)
        return []
    if not quiet:
        print(f"gfpup: the report is {page}", file=sys.stderr)
    return [page, page.with_name(CONTACT_SHEET)]


def _say(jobs: Sequence[Mapping[str, Any]]) -> None:
    from gfpup.running import console as progress

    by_reason: dict[str, list[str]] = {}
    for job in jobs:
        if job["status"] != 0 and not job["same_as"]:
            by_reason.setdefault(sweep_jobs.reason(job), []).append(Path(job["output"]).name)
    if by_reason:
        console = Console(stderr=True) if sys.stderr.isatty() else Console(stderr=True, width=160)
        progress.print_failed_jobs([(names, reason) for reason, names in by_reason.items()], jobs=len(jobs), console=console)
