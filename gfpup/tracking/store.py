"""Where runs are tracked: a store of one's own (SQLite and a folder) or a server, its experiment, and the runs of sweeps.

Store and experiment are made once, before jobs start: an experiment that two processes create at once would lose runs to
MLflow's default one. A store that cannot be used is a TrackingError, whatever MLflow raises.
"""

from __future__ import annotations

import json
import logging
import os
import re
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from gfpup.core.errors import GfpupError
from gfpup.core.files import printable
from gfpup.records.run_record import called
from gfpup.tracking import local_store, ui_view
from gfpup.tracking.local_store import ARTIFACTS, TrackingError
from gfpup.tracking.target import EXPERIMENT, shown
from gfpup.tracking.ui_view import SWEEP

FOLDER: Final = Path("mlruns")
URI_VARIABLES: Final = ("GFPUP_TRACKING_URI", "MLFLOW_TRACKING_URI")
"""Name the store where nothing else does; the first that is set."""
DATABASE: Final = "mlflow.db"

MEANS: Final = ("mean_photo/", "mean_faces/", "run/")
TAG_CHARACTERS: Final = 5000
PARENT: Final = "mlflow.parentRunId"
KIND: Final = "gfpup.kind"

AFTER, BEFORE, REFERENCE = 0, 1, 2
"""The steps of a photo's pictures. MLflow's grid opens at the first step: there a sweep's own run shows the degraded photo (it
holds it at both steps), and a run of its own the reference, beside each job's restored one."""

_PICTURE: Final = re.compile(r"images/([^+%]+)[+%]step[+%]([0-9]+)[+%].*\.png")
_ENVIRONMENT: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
    # MLflow would try a server that is gone for four minutes, and wait two for one that does not answer.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


def store_uri(given: str | None) -> str:
    """The store that `tracking.uri` names, as MLflow takes it: a folder, a database or a server.

    Where nothing is given, the environment decides (GFPUP_TRACKING_URI, then MLFLOW_TRACKING_URI), else it is `mlruns/` here.
    """
    given = given or next(filter(None, map(os.environ.get, URI_VARIABLES)), str(FOLDER))
    if "://" in given and not given.startswith("sqlite:///"):
        return given
    path = Path(given.removeprefix("sqlite:///"))
    return f"sqlite:///{(path if '://' in given or given.endswith('.db') else path / DATABASE).absolute()}"


def database(uri: str) -> Path | None:
    """The file of a local store, None for a server."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def client(uri: str) -> Any:
    """MLflow's client of the store at `uri`; importing MLflow takes seconds, so it happens here and not before."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic", "urllib3"):  # after the import, which sets them
        logging.getLogger(name).setLevel(logging.ERROR)
    return MlflowClient(tracking_uri=uri)


@contextmanager
def opened(uri: str, complaint: str = "the store {where} cannot be used: {why}.") -> Iterator[Any]:
    """MLflow's client of the store at `uri`, for a block; whatever the store raises in it becomes one sentence.

    `complaint` is that sentence, a TrackingError's, with places for `where` and `why`.
    """
    try:
        yield client(uri)
    except GfpupError:
        raise
    except Exception as error:  # of MLflow, its database, its server, the disk or the network
        raise TrackingError(complaint.format(where=shown(uri), why=first_line(error))) from error


def prepare_store(uri: str, experiment: str = EXPERIMENT) -> str:
    """Make the store and the experiment where they are not there yet; returns the experiment's id. Safe in parallel."""
    path = database(uri)
    if path is None:
        return _experiment(uri, experiment, location=None)
    with local_store.locked(path, "give another with tracking.uri"):
        local_store.prepare(path, client)
        return _experiment(uri, experiment, location=(path.absolute().parent / ARTIFACTS).as_uri())


def follow_folder(path: Path) -> bool:
    """Correct the addresses in a local store whose folder was renamed or moved; says whether it did."""
    with local_store.locked(path, "make it anew with gfpup track"):
        return local_store.follow(path)


def _experiment(uri: str, name: str, *, location: str | None) -> str:
    with opened(uri, "the store {where} cannot be used: {why}; check tracking.uri.") as store:
        found = store.get_experiment_by_name(name)
        if found is None:
            try:
                return str(store.create_experiment(name, artifact_location=location))
            except Exception:
                found = store.get_experiment_by_name(name)  # another machine made it in this moment
                if found is None:
                    raise
    if found.lifecycle_stage == "deleted":
        raise TrackingError(f"the experiment {name!r} was deleted in {shown(uri)}; restore it there, or give another name.")
    return str(found.experiment_id)


def first_line(error: BaseException) -> str:
    """What an error of MLflow says, without the request and the traceback that it may carry, nor a password."""
    text = (str(error).strip().splitlines() or [type(error).__name__])[0]
    text = text.partition(" with exception HTTP")[0]  # the library that sent the request, and its retries, follow
    return re.sub(r"//[^/@\s]+@", "//", text)[:300].rstrip(".")


def start_sweep(uri: str, experiment_id: str, *, title: str, argv: Sequence[str], output: Path, again: bool = False) -> str:
    """Open the run that stands for a sweep, in the process that starts its jobs; returns its id, which jobs are given.

    With `again` the run of an earlier sweep in the folder `output` is opened again, where there is one.
    """
    with opened(uri, "the sweep is not tracked in {where}: {why}.") as store:
        place = printable(str(output.absolute()))
        found = store.search_runs([experiment_id], f"tags.`{KIND}` = 'sweep'", max_results=1000) if again else []
        # Compared here: a path may hold what MLflow's filters cannot quote.
        for run_id in (str(run.info.run_id) for run in found if run.data.tags.get("gfpup.output") == place):
            store.update_run(run_id, status="RUNNING")
            return run_id
        source = {"mlflow.source.name": printable(" ".join(argv))[:500], "mlflow.source.type": "LOCAL"}
        tags = {KIND: "sweep", "gfpup.output": place, **source}
        run_id = str(store.create_run(experiment_id, run_name=f"{title} (as given)", tags=tags).info.run_id)
        store.set_tag(run_id, SWEEP, run_id)
    return run_id


def end_sweep(uri: str, run_id: str, *, jobs: Sequence[Mapping[str, Any]], status: int, files: Sequence[Path] = ()) -> None:
    """Close a sweep's run: how its jobs ended, their means, `files` of the whole sweep, and the pictures to compare with.

    It is FAILED where every job failed; where some did, a tag and its description name them.
    """
    with opened(uri, "the sweep's end is not tracked in {where}: {why}.") as store:
        store.log_text(run_id, json.dumps(list(jobs), indent=1, default=str), "jobs.json")
        failed = [called(Path(str(job.get("output", "?")))) for job in jobs if job.get("status") != 0]
        store.log_metric(run_id, "count/jobs", len(jobs))
        store.log_metric(run_id, "count/jobs_failed", len(failed))
        if failed:
            names = "; ".join(failed)[: TAG_CHARACTERS - 100]
            store.set_tag(run_id, "gfpup.failed_jobs", names)
            store.set_tag(run_id, "mlflow.note.content", f"{len(failed)} of {len(jobs)} jobs failed: {names}")
        for file in files:
            store.log_artifact(run_id, str(file))
        runs = children(store, run_id)
        means = _log_means(store, run_id, runs)
        keys = _show(store, run_id, runs, BEFORE)
        columns = len(runs) + _show_references(store, run_id, runs)
        experiment_id = store.get_run(run_id).info.experiment_id
        for key, view in ui_view.states(run_id, keys, means, jobs=columns).items():
            store.set_experiment_tag(experiment_id, ui_view.VIEW_TAG + key, view)
        every = bool(failed) and len(failed) == len(jobs)
        store.set_terminated(run_id, "KILLED" if status > 128 else "FAILED" if every else "FINISHED")


def _log_means(store: Any, run_id: str, runs: Sequence[Any]) -> list[str]:
    """Give the sweep's own run the mean over its jobs of each of their metrics of the whole run; returns their names."""
    keys = sorted({key for run in runs for key in run.data.metrics if key.startswith(MEANS)})
    for key in keys:
        store.log_metric(run_id, key, statistics.fmean(run.data.metrics[key] for run in runs if key in run.data.metrics))
    return keys


def children(store: Any, run_id: str) -> list[Any]:
    """The runs of a sweep, in the order in which they were started."""
    experiment = store.get_run(run_id).info.experiment_id
    found = store.search_runs([experiment], f"tags.`{PARENT}` = '{run_id}'", max_results=1000)
    return sorted(found, key=lambda run: run.info.start_time)


def last_sweep(store: Any, experiment_ids: Sequence[str]) -> Any | None:
    """The run of the newest sweep of these experiments, None where there is none."""
    newest = {"max_results": 1, "order_by": ["attributes.start_time DESC"]}
    found = store.search_runs(list(experiment_ids), f"tags.`{KIND}` = 'sweep'", **newest)
    return found[0] if found else None


def _show_references(store: Any, run_id: str, runs: Sequence[Any]) -> bool:
    """Put the references into a run of their own beside the sweep's, where there are any; says whether there are."""
    if not any(_pictures(store, run.info.run_id, REFERENCE) for run in runs):
        return False
    experiment_id = store.get_run(run_id).info.experiment_id
    found = store.search_runs([experiment_id], f"tags.`{KIND}` = 'reference' and tags.`{SWEEP}` = '{run_id}'", max_results=1)
    tags = {KIND: "reference", SWEEP: run_id}
    own = found[0].info.run_id if found else store.create_run(experiment_id, run_name="reference", tags=tags).info.run_id
    for count in ("count/photos", "count/jobs"):
        store.log_metric(own, count, 0)  # what the grid is ordered by: it comes next to the photos as given
    _show(store, own, runs, REFERENCE)
    store.set_terminated(own)
    return True


def _show(store: Any, run_id: str, runs: Sequence[Any], step: int) -> list[str]:
    """Put each photo's picture of a step, from a run that has it, into the run `run_id`; returns the keys of all."""
    from PIL import Image

    seen = list(_pictures(store, run_id, BEFORE))
    for run in runs:
        for key, path in _pictures(store, run.info.run_id, step).items():
            if key not in seen:
                seen.append(key)
                with tempfile.TemporaryDirectory() as folder:
                    picture = Image.open(store.download_artifacts(run.info.run_id, path, folder))
                    for at in (BEFORE, AFTER):
                        store.log_image(run_id, picture, key=key, step=at, synchronous=True)
    return seen


def _pictures(store: Any, run_id: str, step: int) -> dict[str, str]:
    """The pictures of a step in a run, by their keys."""
    names = {file.path: _PICTURE.fullmatch(file.path) for file in store.list_artifacts(run_id, "images")}
    return {match[1]: path for path, match in names.items() if match is not None and int(match[2]) == step}
