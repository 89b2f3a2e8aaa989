"""The book-keeping of a multirun: each job leaves its status in the sweep's folder, so that the end can be told from there.

Jobs may run in other processes, and Hydra skips its closing callbacks when one fails: only files tell the truth.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gfpup.core.files import write_atomic
from gfpup.records.run_record import SWEEP_STATUS as STATUS_FOLDER
from gfpup.records.run_record import find_record, job_statuses

CLAIMS: Final = "claims"
SAME_AS: Final = "same_as.json"
"""Lies in the folder of a combination that means the same as another, and names that one's folder."""

_PATIENCE_SECONDS: Final = 10.0


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
    facts = {
        "job": job.number,
        "overrides": list(overrides),
        "output": str(job.output),
        "status": status,
        "error": error,
        "same_as": None if same_as is None else str(same_as),
    }
    write_atomic(path, json.dumps(facts).encode())


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
    codes = {1 if job["status"] is None else job["status"] for job in jobs}
    if interrupted := [code for code in codes if code > 128]:
        return int(max(interrupted))
    if len(codes) == 1:
        return int(codes.pop())
    return 1 if codes else 2


def reason(job: Mapping[str, Any]) -> str:
    """Why a job is not complete: what ended it, or how many of its photos failed and the first one's reason."""
    if job["error"]:
        return str(job["error"])
    record = find_record(Path(job["output"]))
    if record is None:
        return "it left no record"
    faces = [(line, face) for line in record.photos for face in line["faces"] if face["failed"]]
    errors = [line["error"] for line in record.photos if line["error"]]
    if errors:
        return f"{len(errors)} of {len(record.photos)} photos failed: {errors[0]}"
    if faces:
        return f"{len(faces)} faces failed: {faces[0][0]['input']}: {faces[0][1]['reason']}"
    return "it did not finish"


def key_of(meaning: Any) -> str:
    """A name for what a job means: its plan, its photos and what is measured of them, ready for JSON."""
    return hashlib.sha256(json.dumps(meaning, sort_keys=True, default=str).encode()).hexdigest()[:32]


def claim(job: Job, key: str) -> Path:
    """The folder of the job that does the work of `key`: this job's own, or that of another which means the same.

    The first to ask does it. A job that was another's double before stays it, so that running a sweep again repeats nothing.
    """
    before = _pointed_at(job, key)
    until = time.monotonic() + _PATIENCE_SECONDS
    while before is not None and not _finished(before) and _claimed(job, key) is None and time.monotonic() < until:
        time.sleep(0.1)  # in a parallel sweep the other may come a moment later
    if before is not None and _finished(before):
        return before
    owner = _claim_now(job, key)
    if job.folder != job.root:
        return owner  # a dry run: nothing is left behind
    if owner == job.output:
        (job.output / SAME_AS).unlink(missing_ok=True)
        return owner
    job.output.mkdir(parents=True, exist_ok=True)
    facts = {"same_as": os.path.relpath(owner, job.output), "key": key}
    write_atomic(job.output / SAME_AS, (json.dumps(facts) + "\n").encode())
    return owner


def _claim_now(job: Job, key: str) -> Path:
    path = job.folder / STATUS_FOLDER / CLAIMS / key
    path.parent.mkdir(parents=True, exist_ok=True)
    mine = path.with_name(f"{key}.{job.number}")
    mine.write_text(str(job.output), encoding="utf-8", errors="surrogateescape")
    with suppress(FileExistsError):
        os.link(mine, path)  # whole at once, and only where there is none
    mine.unlink()
    return Path(path.read_text(encoding="utf-8", errors="surrogateescape"))


def _claimed(job: Job, key: str) -> Path | None:
    path = job.folder / STATUS_FOLDER / CLAIMS / key
    return Path(path.read_text(encoding="utf-8", errors="surrogateescape")) if path.exists() else None


def _pointed_at(job: Job, key: str) -> Path | None:
    try:
        facts = json.loads((job.output / SAME_AS).read_text(encoding="utf-8"))
        return Path(os.path.normpath(job.output / facts["same_as"])) if facts["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _finished(folder: Path) -> bool:
    record = find_record(folder)
    return record is not None and record.status == "done"
