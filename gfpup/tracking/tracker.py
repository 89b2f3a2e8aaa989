"""MLflow as an observer: a run is logged while it goes on, or again from its folder, and can never be stopped by that.

Pictures and per-photo numbers go through a thread of their own, so that the loop waits for no database and no server. The
first thing that fails ends the tracking of this run; `Tracker.failure` says why, and `gfpup track` repeats it from the files.
"""

from __future__ import annotations

import json
import queue
import shlex
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from gfpup.core.errors import GfpupError
from gfpup.core.files import printable
from gfpup.core.types import RestoredPhoto, Score, UInt8
from gfpup.machine.usage import Usage
from gfpup.records import scores
from gfpup.records.items import Item, items_of_run
from gfpup.records.layout import DOCUMENT
from gfpup.records.rescore import pictures_of
from gfpup.records.run_record import RunRecord, called
from gfpup.tracking import facts as tracking_facts
from gfpup.tracking.store import AFTER, BEFORE, KIND, PARENT, REFERENCE, client, first_line, prepare_store
from gfpup.tracking.target import Target, shown
from gfpup.tracking.ui_view import SWEEP

BATCH: Final = 900  # MLflow takes 1000 entities a call
PARAMETERS: Final = 100
FLUSH_SECONDS: Final = 2.0
DRAIN_SECONDS: Final = 60.0
FILES: Final = (scores.TABLE, scores.SUMMARY, scores.PEOPLE, "report.html", "contact_sheet.jpg")
STATUS: Final = {"done": "FINISHED", "interrupted": "KILLED"}


@dataclass(frozen=True, eq=False)
class _Seen:
    """What is kept of a photo until it is logged."""

    name: str
    step: int
    metrics: Mapping[str, float]
    pictures: Mapping[int, UInt8]
    milliseconds: int = field(default_factory=lambda: round(time.time() * 1000))


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
        self._complete = False
        self._experiment_id = ""
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
        self._contained(self._open, header)

    def replace(self, run_id: str | None, headers: Sequence[Mapping[str, Any]]) -> None:
        """Take away what earlier, unfinished runs in the same folder logged: this one logs it all.

        The record names one of them (`run_id`) unless it was killed; those that were are found by their `headers`.
        """
        self._contained(self._replace, run_id, headers)

    def photo_done(self, line: Mapping[str, Any], restored: RestoredPhoto | None) -> None:
        """Take note of a photo; it is logged by the thread."""
        if restored is not None:
            self._contained(self._note, line, restored)

    def run_done(self, document: Mapping[str, Any]) -> None:
        """Log everything else, from the files of the run, and close it."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(DRAIN_SECONDS)
            if self._thread.is_alive():
                self._fail(f"it did not answer within {DRAIN_SECONDS:.0f} seconds")
        self._contained(self._close, document)

    def record(self) -> dict[str, Any]:
        """What the manifest keeps of the tracking: until all is logged, a failure, so that a killed run is tracked again."""
        facts = {"uri": shown(self.target.uri), "experiment": self.target.experiment, "run_id": self.run_id}
        failure = self.failure or (None if self._complete else self._sentence("it was interrupted"))
        return {**facts, "parent_run_id": self.target.parent_run_id, "failure": failure}

    def _contained(self, step: Callable[..., None], *given: Any) -> None:
        if self.failure is None:
            try:
                step(*given)
            except Exception as error:  # whatever MLflow, its database, the disk or the network raises
                self._fail(first_line(error))

    def _fail(self, reason: str) -> None:
        self.failure = self._sentence(reason)

    def _sentence(self, reason: str) -> str:
        repeat = f"gfpup track {shlex.quote(str(self.folder))} repeats it"
        return f"this run is not tracked in {shown(self.target.uri)}: {reason}; {repeat}."

    def _open(self, header: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        target = self.target
        experiment_id = target.experiment_id or prepare_store(target.uri, target.experiment)
        self._store, self._experiment_id = client(target.uri), experiment_id
        tags = {KIND: "run", "gfpup.output": printable(str(self.folder.absolute())), **tracking_facts.tags(header)}
        name = str(header["title"])
        if target.parent_run_id is not None:
            tags |= {PARENT: target.parent_run_id, SWEEP: target.parent_run_id}
            name = printable(called(self.folder))  # what is its own among the sweep's jobs
        run = self._store.create_run(experiment_id, start_time=_milliseconds(header["started"]), run_name=name, tags=tags)
        self.run_id = run.info.run_id
        parameters = [Param(key, value) for key, value in tracking_facts.parameters(header).items()]
        for i in range(0, len(parameters), PARAMETERS):
            self._store.log_batch(self.run_id, params=parameters[i : i + PARAMETERS])
        facts = ("argv", "configuration", "plan", "versions", "commit", "hardware", "checkpoints", "licences", "metrics")
        text = json.dumps({key: header[key] for key in facts if key in header}, indent=1, default=str)
        self._store.log_text(self.run_id, text, "run.json")

    def _replace(self, recorded: str | None, headers: Sequence[Mapping[str, Any]]) -> None:
        found = {recorded} if recorded is not None else set()
        whole = [header for header in headers if header.keys() >= {"fingerprint", "started", "configuration"}]
        for identity in {tracking_facts.identity(header) for header in whole}:
            runs = self._store.search_runs([self._experiment_id], f"tags.`{tracking_facts.IDENTITY}` = '{identity}'")
            found |= {str(run.info.run_id) for run in runs if not run.data.tags.get(tracking_facts.COMPLETE)}
        for run_id in found - {self.run_id}:
            self._store.delete_run(run_id)

    def _note(self, line: Mapping[str, Any], restored: RestoredPhoto) -> None:
        name = line["name"]
        rows = [replace(score, photo=name) for score in restored.scores]
        pictures = {}
        if name in self._shown:
            for step, pixels in ((BEFORE, restored.photo.pixels), (AFTER, restored.pixels)):
                pictures[step] = tracking_facts.shrunk(pixels, self.target.image_px)
            self._pictured.add(name)
        self._seen.add(name)
        metrics = {**tracking_facts.photo_metrics(line["seconds"], rows), **self._usage.sample()}
        self._queue.put(_Seen(name, self._steps.get(name, 0), metrics, pictures))
        if self._thread is None:  # not before: data workers are forked when the loop begins
            self._thread = threading.Thread(target=self._contained, args=[self._work], name="gfpup-tracking", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        """The thread: log what is in the queue, some seconds' photos in one call, until a None ends it."""
        while True:
            found = [self._queue.get()]
            until = time.monotonic() + FLUSH_SECONDS
            with suppress(queue.Empty):
                while found[-1] is not None and len(found) < 50 and (left := until - time.monotonic()) > 0:
                    found.append(self._queue.get(timeout=left))
            self._log([seen for seen in found if seen is not None])
            if found[-1] is None:
                return

    def _log(self, photos: Sequence[_Seen]) -> None:
        from mlflow.entities import Metric

        metrics = [Metric(key, value, seen.milliseconds, seen.step) for seen in photos for key, value in seen.metrics.items()]
        for i in range(0, len(metrics), BATCH):
            self._store.log_batch(self.run_id, metrics=metrics[i : i + BATCH])
        for seen in photos:
            for step, pixels in seen.pictures.items():
                key = tracking_facts.picture_key(seen.name)
                self._store.log_image(self.run_id, pixels, key=key, step=step, synchronous=True)

    def _close(self, document: Mapping[str, Any]) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        rows = scores.read_all(self.folder)
        record = RunRecord(self.folder, document)
        self._log(list(self._unseen(record, rows)))
        whole = _Seen("", 0, tracking_facts.run_metrics(record.photos, rows), {})
        finished = _milliseconds(document.get("finished")) or whole.milliseconds
        self._log([replace(whole, milliseconds=finished)])
        name, digest, source, profile = tracking_facts.data_set(record.photos)
        photos = Dataset(name=name, digest=digest, source_type="local", source=source, profile=profile)
        self._store.log_inputs(self.run_id, [DatasetInput(photos, [InputTag("mlflow.data.context", "restoration")])])
        # What log_table does, without pandas, and not appended to what is there.
        self._store.log_text(self.run_id, json.dumps(tracking_facts.table(record.photos, rows)), "scores_by_photo.json")
        tables = json.dumps([{"path": "scores_by_photo.json", "type": "table"}])
        self._store.set_tag(self.run_id, "mlflow.loggedArtifacts", tables)
        tracking = document.get("tracking")
        ended = {**document, "tracking": {**tracking, "failure": None}} if tracking else document
        self._store.log_text(self.run_id, json.dumps(ended, indent=1) + "\n", DOCUMENT)
        for file in FILES:
            if (self.folder / file).is_file():
                self._store.log_artifact(self.run_id, str(self.folder / file))
        self._store.set_tag(self.run_id, "gfpup.status", document["status"])
        self._store.set_tag(self.run_id, tracking_facts.COMPLETE, "true")
        self._store.set_terminated(self.run_id, STATUS.get(document["status"], "FAILED"), end_time=finished)
        self._complete = True

    def _unseen(self, record: RunRecord, rows: Sequence[Score]) -> Iterable[_Seen]:
        """What did not pass by: photos of an earlier, interrupted run or of a run logged afterwards, and all references."""
        found = scores.by_photo(rows)
        place = tracking_facts.steps(self._steps, (photo.name for photo in record.photos))
        lines = [line for line in record.document["photos"] if line["error"] is None and line["name"] in self._shown]
        items: dict[str, Item] = {}
        with suppress(GfpupError):  # its references were taken away
            shown = RunRecord(self.folder, {**record.document, "photos": lines})
            items = {item.name: item for item in items_of_run(shown)[0]}
        for photo in (photo for photo in record.photos if photo.error is None):
            name, item = photo.name, items.get(photo.name)
            wanted = set() if item is None else {BEFORE, AFTER, REFERENCE}
            if name in self._pictured:
                wanted &= {REFERENCE} if item is not None and item.referenced else set()
            metrics = {} if name in self._seen else tracking_facts.photo_metrics(photo.seconds, found.get(name, []))
            if name not in self._seen or wanted:
                pictures = {} if item is None else self._from_files(item, wanted)
                yield _Seen(name, place[name], metrics, pictures)

    def _from_files(self, item: Item, wanted: Collection[int]) -> dict[int, UInt8]:
        """A photo's pictures of the steps `wanted`, from its files; an input that is not the one restored from is not shown."""
        try:
            found = pictures_of(item) if wanted else None
        except (GfpupError, OSError, AssertionError):  # taken away since; its numbers are logged all the same
            found = None
        if found is None:
            return {}
        pixels = {AFTER: found.restored, BEFORE: found.degraded, REFERENCE: found.reference}
        size = self.target.image_px
        return {step: tracking_facts.shrunk(each, size) for step, each in pixels.items() if step in wanted and each is not None}


def _milliseconds(when: str | None) -> int | None:
    return None if when is None else round(datetime.fromisoformat(when).timestamp() * 1000)
