"""A sweep: its run in MLflow before the jobs, the status that each job leaves, the report and the failures after them.

Jobs may run in other processes, and Hydra skips its closing callbacks when one fails: only files tell the truth.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, cast

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from gfpup.core.errors import GfpupError
from gfpup.core.files import one_line, write_atomic
from gfpup.planning.settings import ARGV_VARIABLE
from gfpup.records.run_record import SWEEP_STATUS as STATUS_FOLDER
from gfpup.records.run_record import find_record, job_statuses
from gfpup.running import console
from gfpup.tracking import session
from gfpup.tracking.target import Target

CLAIMS: Final = "claims"
SAME_AS: Final = "same_as.json"
"""Lies in the folder of a combination that means the same as another, and names that one's folder."""

_PATIENCE_SECONDS: Final = 10.0


class SweepFolder(Callback):
    """Hydra's callback: begins a sweep before its first job, and describes it in the file `begun`, for `close`.

    It removes the statuses of an earlier sweep in the folder, and makes the store, the experiment and the sweep's own run.
    """

    def __init__(self, begun: str | None = None) -> None:
        self.begun = begun

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        folder = str(config.hydra.sweep.dir)
        shutil.rmtree(Path(folder, STATUS_FOLDER), ignore_errors=True)
        own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        values = cast(dict[str, Any], OmegaConf.to_container(own, resolve=True))
        argv = session.without_password(json.loads(os.environ[ARGV_VARIABLE]))
        tracked = session.begin_sweep(values, Path(str(config.output)), argv=argv)
        if self.begun is not None:
            facts = {"folder": folder, "config": values, "tracked": None if tracked is None else asdict(tracked)}
            write_atomic(Path(self.begun), json.dumps(facts).encode())


def close(begun: Path) -> int:
    """Report the end of the sweep that `begun` describes, from the files that its jobs left; returns its exit status."""
    facts = json.loads(begun.read_text(encoding="utf-8"))
    config, jobs = facts["config"], statuses(Path(facts["folder"]))
    status = exit_status(jobs)
    if config["dry_run"] is not True:
        quiet = bool(config["screen"]["quiet"] or config["screen"]["json"])
        files = _report(Path(str(config["output"])), quiet=quiet) if config["report"] and status != 2 else []
        if facts["tracked"] is not None:
            session.end_sweep(Target(**facts["tracked"]), jobs=jobs, status=status, files=files)
            if not quiet:
                print("gfpup: gfpup ui opens the sweep in MLflow", file=sys.stderr)
    failed: dict[str, list[str]] = {}
    for job in jobs:
        if job["status"] != 0 and not job["same_as"]:
            failed.setdefault(reason(job), []).append(Path(job["output"]).name)
    if failed:
        console.print_failed_jobs(failed, jobs=len(jobs), console=console.screen(stderr=True))
    return status


def _report(root: Path, *, quiet: bool) -> list[Path]:
    from gfpup.analysis.report import CONTACT_SHEET, REPORT, write_report

    try:
        page = write_report([root], root / REPORT)
    except GfpupError as error:
        print(f"gfpup: no report was written for this sweep: {one_line(str(error))}", file=sys.stderr)
        return []
    if not quiet:
        print(f"gfpup: the report is {page}", file=sys.stderr)
    return [page, page.with_name(CONTACT_SHEET)]


@dataclass(frozen=True)
class Job:
    """One job of a multirun: the sweep's own folder (`folder`; a passing one in a dry run), all results' and its own."""

    folder: Path
    root: Path
    output: Path
    number: int


def leave_status(
    job: Job, overrides: Sequence[str], *, status: int | None, error: str | None = None, same_as: Path | None = None
) -> None:
    """Record how a job ended; `status` None says that it has begun."""
    path = job.folder / STATUS_FOLDER / f"{job.number}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {"job": job.number, "overrides": list(overrides), "output": str(job.output), "status": status, "error": error}
    write_atomic(path, json.dumps(facts | {"same_as": None if same_as is None else str(same_as)}).encode())


def statuses(sweep: Path) -> list[dict[str, Any]]:
    """How the jobs ended, in their order; one that means the same as another ended as that one did."""
    jobs = sorted(job_statuses(sweep), key=lambda facts: facts["job"])
    by_output = {job["output"]: job for job in jobs}
    for job in jobs:
        if job["status"] is None:
            job |= {"status": 1, "error": "it ended without a status: killed, or out of memory"}
        if job["same_as"] in by_output:
            job["status"] = by_output[job["same_as"]]["status"]
    return jobs


def exit_status(jobs: Sequence[Mapping[str, Any]]) -> int:
    """0 where all jobs succeeded, 2 where all were refused, that of the signal where one was interrupted, else 1."""
    codes: set[int] = {1 if job["status"] is None else job["status"] for job in jobs}
    if max(codes, default=2) > 128:
        return max(codes)
    return codes.pop() if len(codes) == 1 else 1 if codes else 2


def reason(job: Mapping[str, Any]) -> str:
    """Why a job is not complete: what ended it, or how many of its photos failed and the first one's reason."""
    if job["error"]:
        return str(job["error"])
    record = find_record(Path(job["output"]))
    if record is None:
        return "it left no record"
    if errors := [photo.error for photo in record.photos if photo.error]:
        return f"{len(errors)} of {len(record.photos)} photos failed: {errors[0]}"
    if faces := [f"{photo.input}: {face.reason}" for photo in record.photos for face in photo.faces if face.failed]:
        return f"{len(faces)} faces failed: {faces[0]}"
    return "it did not finish"


def key_of(meaning: Any) -> str:
    """A name for what a job means: its plan, its photos and what is measured of them, ready for JSON."""
    return hashlib.sha256(json.dumps(meaning, sort_keys=True, default=str).encode()).hexdigest()[:32]


def claim(job: Job, key: str) -> Path:
    """The folder of the job that does the work of `key`: this job's own, or that of another which means the same.

    The first to ask does it. A job that was another's double before stays it, so that running a sweep again repeats nothing.
    """
    path = job.folder / STATUS_FOLDER / CLAIMS / key
    before = _pointed_at(job, key)
    until = time.monotonic() + _PATIENCE_SECONDS
    while before is not None and not _finished(before) and not path.exists() and time.monotonic() < until:
        time.sleep(0.1)  # in a parallel sweep the other may come a moment later
    if before is not None and _finished(before):
        return before
    path.parent.mkdir(parents=True, exist_ok=True)
    mine = path.with_name(f"{key}.{job.number}")
    mine.write_bytes(os.fsencode(job.output))
    with suppress(FileExistsError):
        os.link(mine, path)  # whole at once, and only where there is none
    mine.unlink()
    owner = Path(os.fsdecode(path.read_bytes()))
    if job.folder != job.root:
        return owner  # a dry run: nothing is left behind
    if owner == job.output:
        (job.output / SAME_AS).unlink(missing_ok=True)
        return owner
    job.output.mkdir(parents=True, exist_ok=True)
    facts = {"same_as": os.path.relpath(owner, job.output), "key": key}
    write_atomic(job.output / SAME_AS, (json.dumps(facts) + "\n").encode())
    return owner


def _pointed_at(job: Job, key: str) -> Path | None:
    try:
        facts = json.loads((job.output / SAME_AS).read_text(encoding="utf-8"))
        return Path(os.path.normpath(job.output / facts["same_as"])) if facts["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _finished(folder: Path) -> bool:
    record = find_record(folder)
    return record is not None and record.status == "done"
