"""Around the jobs of a multirun: its run in MLflow before them; its report, its table of failures and its status after them."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from gfpup.core.errors import GfpupError
from gfpup.core.files import write_atomic
from gfpup.running import sweep_jobs
from gfpup.running.process import ARGV_VARIABLE
from gfpup.running.sweep_jobs import STATUS_FOLDER
from gfpup.tracking import session
from gfpup.tracking.target import Target


@dataclass(frozen=True)
class Sweep:
    """A sweep that has begun: its folder, its configuration without what is swept, and its run in MLflow, if it has one.

    It is kept in a file, by Hydra's callback for the process that started the sweep.
    """

    folder: Path
    config: Mapping[str, Any]
    tracked: Target | None

    def save(self, file: Path) -> None:
        """Write it to `file`, as JSON."""
        tracked = None if self.tracked is None else asdict(self.tracked)
        facts = {"folder": str(self.folder), "config": self.config, "tracked": tracked}
        write_atomic(file, json.dumps(facts).encode())

    @classmethod
    def load(cls, file: Path) -> Sweep:
        """Read what `save` wrote."""
        facts = json.loads(file.read_text(encoding="utf-8"))
        tracked = facts["tracked"]
        return cls(Path(facts["folder"]), facts["config"], None if tracked is None else Target(**tracked))


class SweepFolder(Callback):
    """Hydra's callback: begins a sweep before its first job, and says so in the file `begun`.

    It removes the statuses of an earlier sweep in the folder, and makes the store, the experiment and the sweep's own run.
    """

    def __init__(self, begun: str | None = None) -> None:
        self.begun = begun

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        folder = Path(str(config.hydra.sweep.dir))
        shutil.rmtree(folder / STATUS_FOLDER, ignore_errors=True)
        own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        plain = OmegaConf.to_container(own, resolve=True)
        assert isinstance(plain, dict)
        values = {str(key): value for key, value in plain.items()}
        argv = session.without_password(json.loads(os.environ[ARGV_VARIABLE]))
        tracked = session.begin_sweep(values, Path(str(config.output)), argv=argv)
        if self.begun is not None:
            Sweep(folder, values, tracked).save(Path(self.begun))


def close(sweep: Sweep) -> int:
    """Report the end of a sweep from the files that its jobs left; returns its exit status."""
    jobs = sweep_jobs.statuses(sweep.folder)
    status = sweep_jobs.exit_status(jobs)
    if sweep.config["dry_run"] is True:
        _print_failed(jobs)
        return status
    root = Path(str(sweep.config["output"]))
    quiet = bool(sweep.config["screen"]["quiet"] or sweep.config["screen"]["json"])
    files = _report(root, quiet=quiet) if sweep.config["report"] and status != 2 else []
    if sweep.tracked is not None:
        session.end_sweep(sweep.tracked, jobs=jobs, status=status, files=files)
        if not quiet:
            print("gfpup: gfpup ui opens the sweep in MLflow", file=sys.stderr)
    _print_failed(jobs)
    return status


def _report(root: Path, *, quiet: bool) -> list[Path]:
    from gfpup.analysis.report import CONTACT_SHEET, REPORT, write_report

    try:
        page = write_report([root], root / REPORT)
    except GfpupError as error:
        print(f"gfpup: no report was written for this sweep: {error}", file=sys.stderr)
        return []
    if not quiet:
        print(f"gfpup: the report is {page}", file=sys.stderr)
    return [page, page.with_name(CONTACT_SHEET)]


def _print_failed(jobs: Sequence[Mapping[str, Any]]) -> None:
    from gfpup.running import console as progress

    by_reason: dict[str, list[str]] = {}
    for job in jobs:
        if job["status"] != 0 and not job["same_as"]:
            by_reason.setdefault(sweep_jobs.reason(job), []).append(Path(job["output"]).name)
    if by_reason:
        console = Console(stderr=True) if sys.stderr.isatty() else Console(stderr=True, width=160)
        progress.print_failed_jobs([(names, reason) for reason, names in by_reason.items()], jobs=len(jobs), console=console)
