"""MLflow as an observer: a run is logged while it goes on, or again from its folder, and can never be stopped by that.

Pictures and per-photo numbers go through a thread of their own, so that the loop waits for no database and no server. The
first thing that fails ends the tracking of this run; `Tracker.failure` says why, and `gfpup track` repeats it from the files.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from gfpup.core.errors import PhotoError
from gfpup.core.files import printable
from gfpup.core.types import RestoredPhoto, UInt8
from gfpup.machine.usage import Usage
from gfpup.photos import read_photo
from gfpup.photos.opening import photo_sha256
from gfpup.records import scores
from gfpup.records.manifest import DOCUMENT
from gfpup.records.scores import ScoreRow
from gfpup.tracking import facts as tracking_facts
from gfpup.tracking.store import AFTER, BEFORE, EXPERIMENT, KIND, PARENT, client, first_line, prepare_store, shown
from gfpup.tracking.ui_view import SWEEP

BATCH: Final = 900  # MLflow takes 1000 entities a call
PARAMETERS: Final = 100
FLUSH_SECONDS: Final = 2.0
DRAIN_SECONDS: Final = 60.0
FILES: Final = (DOCUMENT, scores.TABLE, scores.SUMMARY, "report.html", "contact_sheet.jpg")
STATUS: Final = {"done": "FINISHED", "interrupted": "KILLED"}


@dataclass(frozen=True)
class Target:
    """Where a run is tracked, and how many of its photos are shown, at most `image_px` on their longer side.

    `experiment_id` is given where the experiment was made before (in a sweep), `parent_run_id` is the sweep's run.
    """

    uri: str
    experiment: str = EXPERIMENT
    experiment_id: str | None = None
    parent_run_id: str | None = None
    max_images: int = 20
    image_px: int = 512


@dataclass(frozen=True, eq=False)
class _Seen:
    """What is kept of a photo until it is logged."""

    metrics: Mapping[str, float]
    step: int
    milliseconds: int
    key: str
    pictures: Mapping[int, UInt8]


class Tracker:
    """The observer that logs one run. `names` are all photos of the run, those of an earlier, interrupted one too.

    Call `start` before the first photo and `run_done` after the scores are on disk; none of its methods raises.
    `failure` is None while all is well, else a sentence for the user, and `run_id` is MLflow's.
    """

    def __init__(self, folder: Path, target: Target, *, names: Sequence[str]) -> None:
        self.folder = folder
        self.target = target
        self.run_id: str | None = None
        self.failure: str | None = None
        self._steps = tracking_facts.steps(names)
        self._shown = set(list(self._steps)[: target.max_images])
        self._seen: set[str] = set()
        self._pictured: set[str] = set()
        self._store: Any = None
        self._usage = Usage()
        self._queue: queue.Queue[_Seen | None] = queue.Queue()
        self._thread: threading.Thread | None = None

    def start(self, header: Mapping[str, Any]) -> None:
        """Open the run and log what is known beforehand: configuration, plan, versions, weights' hashes."""
        self._contained(lambda: self._open(header))

    def replace(self, run_id: str) -> None:
        """Take away what an earlier, unfinished run in the same folder logged: this one logs it all."""
        self._contained(lambda: self._store.delete_run(run_id))

    def photo_done(self, line: Mapping[str, Any], restored: RestoredPhoto | None) -> None:
        """Take note of a photo; it is logged by the thread."""
        if restored is not None:
            self._contained(lambda: self._note(line, restored))

    def run_done(self, document: Mapping[str, Any]) -> None:
        """Log everything else, from the files of the run, and close it."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(DRAIN_SECONDS)
            if self._thread.is_alive():
                self._fail(f"it did not answer within {DRAIN_SECONDS:.0f} seconds")
        self._contained(lambda: self._close(document))

    def record(self) -> dict[str, Any]:
        """What the manifest keeps of the tracking."""
        facts = {"uri": shown(self.target.uri), "experiment": self.target.experiment, "run_id": self.run_id}
        return {**facts, "parent_run_id": self.target.parent_run_id, "failure": self.failure}

    def _contained(self, step: Callable[[], None]) -> None:
        if self.failure is None:
            try:
                step()
            except Exception as error:  # whatever MLflow, its database, the disk or the network raises
                self._fail(first_line(error))

    def _fail(self, reason: str) -> None:
        where = shown(self.target.uri)
        self.failure = f"this run is not tracked in {where}: {reason}; gfpup track {self.folder} repeats it."

    def _open(self, header: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        target = self.target
        experiment_id = target.experiment_id or prepare_store(target.uri, target.experiment)
        self._store = client(target.uri)
        tags = {KIND: "run", "gfpup.output": printable(str(self.folder.absolute())), **tracking_facts.tags(header)}
        name = str(header["title"])
        if target.parent_run_id is not None:
            tags |= {PARENT: target.parent_run_id, SWEEP: target.parent_run_id}
            name = printable(self.folder.absolute().name)  # a job's folder says what is its own among the sweep's
        run = self._store.create_run(experiment_id, start_time=_milliseconds(header["started"]), run_name=name, tags=tags)
        self.run_id = run.info.run_id
        parameters = [Param(key, value) for key, value in tracking_facts.parameters(header).items()]
        for chunk in _chunks(parameters, PARAMETERS):
            self._store.log_batch(self.run_id, params=chunk)
        facts = ("argv", "configuration", "plan", "versions", "commit", "hardware", "checkpoints", "licences", "metrics")
        text = json.dumps({key: header[key] for key in facts if key in header}, indent=1, default=str)
        self._store.log_text(self.run_id, text, "run.json")

    def _note(self, line: Mapping[str, Any], restored: RestoredPhoto) -> None:
        name = line["name"]
        rows = scores.rows_of(name, restored.scores)
        pictures = {}
        if name in self._shown:
            for step, pixels in ((BEFORE, restored.photo.pixels), (AFTER, restored.pixels)):
                pictures[step] = tracking_facts.shrunk(pixels, self.target.image_px)
            self._pictured.add(name)
        self._seen.add(name)
        metrics = {**tracking_facts.photo_metrics(line, rows), **self._usage.sample()}
        seen = _Seen(metrics, self._steps.get(name, 0), _now(), tracking_facts.picture_key(name), pictures)
        self._queue.put(seen)
        if self._thread is None:  # not before: data workers are forked when the loop begins
            self._thread = threading.Thread(target=lambda: self._contained(self._work), name="gfpup-tracking", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        """The thread: log what is in the queue, some seconds' photos in one call, until a None ends it."""
        while True:
            found = [self._queue.get()]
            until = time.monotonic() + FLUSH_SECONDS
            while found[-1] is not None and len(found) < 50 and (left := until - time.monotonic()) > 0:
                try:
                    found.append(self._queue.get(timeout=left))
                except queue.Empty:
                    break
            self._log([seen for seen in found if seen is not None])
            if found[-1] is None:
                return

    def _log(self, photos: Iterable[_Seen]) -> None:
        from mlflow.entities import Metric

        photos = list(photos)
        metrics = [Metric(key, value, seen.milliseconds, seen.step) for seen in photos for key, value in seen.metrics.items()]
        for chunk in _chunks(metrics, BATCH):
            self._store.log_batch(self.run_id, metrics=chunk)
        for seen in photos:
            for step, pixels in seen.pictures.items():
                self._store.log_image(self.run_id, pixels, key=seen.key, step=step, synchronous=True)

    def _close(self, document: Mapping[str, Any]) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag, Metric

        path = self.folder / scores.TABLE
        rows = scores.read(path) if path.is_file() else []
        self._log(self._unseen(document, rows))
        finished = _milliseconds(document.get("finished")) or _now()
        metrics = [Metric(key, value, finished, 0) for key, value in tracking_facts.run_metrics(document, rows).items()]
        for chunk in _chunks(metrics, BATCH):
            self._store.log_batch(self.run_id, metrics=chunk)
        name, digest, source, profile = tracking_facts.data_set(document)
        photos = Dataset(name=name, digest=digest, source_type="local", source=source, profile=profile)
        self._store.log_inputs(self.run_id, [DatasetInput(photos, [InputTag("mlflow.data.context", "restoration")])])
        # What log_table does, without pandas, and not appended to what is there.
        self._store.log_text(self.run_id, json.dumps(tracking_facts.table(document, rows)), "scores_by_photo.json")
        tables = json.dumps([{"path": "scores_by_photo.json", "type": "table"}])
        self._store.set_tag(self.run_id, "mlflow.loggedArtifacts", tables)
        for file in FILES:
            if (self.folder / file).is_file():
                self._store.log_artifact(self.run_id, str(self.folder / file))
        self._store.set_tag(self.run_id, "gfpup.status", document["status"])
        self._store.set_tag(self.run_id, tracking_facts.COMPLETE, "true")
        self._store.set_terminated(self.run_id, STATUS.get(document["status"], "FAILED"), end_time=finished)

    def _unseen(self, document: Mapping[str, Any], rows: Sequence[ScoreRow]) -> Iterable[_Seen]:
        """The photos that did not pass by: an earlier, interrupted run restored them, or all of it is logged afterwards."""
        by_photo: dict[str, list[ScoreRow]] = {}
        for row in rows:
            by_photo.setdefault(row.photo, []).append(row)
        place = tracking_facts.steps(self._steps, (line["name"] for line in document["photos"]))
        damaged = document["plan"]["pixels"].get("damage") is not None
        for line in document["photos"]:
            name = line["name"]
            if line["error"] is not None or (name in self._seen and (name in self._pictured or name not in self._shown)):
                continue
            metrics = {} if name in self._seen else tracking_facts.photo_metrics(line, by_photo.get(name, []))
            pictures = self._from_files(line, damaged=damaged) if name in self._shown else {}
            yield _Seen(metrics, place[name], _now(), tracking_facts.picture_key(name), pictures)

    def _from_files(self, line: Mapping[str, Any], *, damaged: bool) -> dict[int, UInt8]:
        """A photo before and after, from disk; an input that is not the one restored from is not shown."""
        paths = {AFTER: self.folder / line["name"]}
        source = Path(line["input"])
        with suppress(PhotoError):  # taken away since, or something else than a photo by now
            if not damaged and photo_sha256(source) == line["input_sha256"]:
                paths[BEFORE] = source
        found = {}
        for step, path in sorted(paths.items()):
            try:
                found[step] = tracking_facts.shrunk(read_photo(path).pixels, self.target.image_px)
            except (PhotoError, OSError):  # taken away since; its numbers are logged all the same
                continue
        return found


def _chunks(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (items[i : i + size] for i in range(0, len(items), size))


def _milliseconds(when: str | None) -> int | None:
    return None if when is None else round(datetime.fromisoformat(when).timestamp() * 1000)


def _now() -> int:
    return round(time.time() * 1000)
