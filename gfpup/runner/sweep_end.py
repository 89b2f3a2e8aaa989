"""Around the jobs of a multirun: its run in MLflow before them; its report, its table of failures and its status after them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from gfpup.errors import GfpupError
from gfpup.runner import sweep, tracked
from gfpup.runner.run import ARGV_VARIABLE

_tracked: tracked.TrackedSweep | None = None


def begin(config: Mapping[str, Any], root: Path) -> None:
    """What has to be there before the first job starts: the store, the experiment and the sweep's own run."""
    global _tracked
    _tracked = None
    _tracked = tracked.begin_sweep(config, root, argv=tracked.without_password(json.loads(os.environ[ARGV_VARIABLE])))


def close() -> int:
    """Tell the sweep's end from what its jobs left, and return its exit status."""
    started = sweep.started()
    assert started is not None
    jobs = sweep.statuses(started.folder)
    status = sweep.exit_status(jobs)
    if started.config["dry_run"] is True:
        _say(jobs)
        return status
    root = Path(str(started.config["output"]))
    quiet = bool(started.config["screen"]["quiet"] or started.config["screen"]["json"])
    files = _report(root, quiet=quiet) if started.config["report"] and status != 2 else []
    if _tracked is not None:
        tracked.end_sweep(_tracked, jobs=jobs, status=status, files=files)
        if not quiet:
            print("gfpup: gfpup ui opens the sweep in MLflow", file=sys.stderr)
    _say(jobs)
    return status


def _report(root: Path, *, quiet: bool) -> list[Path]:
    from gfpup.report import CONTACT_SHEET, REPORT, write_report

    try:
        page = write_report([root], root / REPORT)
    except GfpupError as error:
        print(f"gfpup: there is no report of this sweep: {error}", file=sys.stderr)
        return []
    if not quiet:
        print(f"gfpup: the report is {page}", file=sys.stderr)
    return [page, page.with_name(CONTACT_SHEET)]


def _say(jobs: Sequence[Mapping[str, Any]]) -> None:
    from gfpup.observers import progress

    by_reason: dict[str, list[str]] = {}
    for job in jobs:
        if job["status"] != 0 and not job["same_as"]:
            by_reason.setdefault(sweep.reason(job), []).append(Path(job["output"]).name)
    if by_reason:
        console = Console(stderr=True) if sys.stderr.isatty() else Console(stderr=True, width=160)
        progress.print_failed_jobs([(names, reason) for reason, names in by_reason.items()], jobs=len(jobs), console=console)
