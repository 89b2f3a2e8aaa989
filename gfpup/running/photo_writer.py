"""The thread that writes each restored photo and its line in the record while the next one is restored."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from gfpup import photos
from gfpup.core.errors import PhotoError
from gfpup.core.files import write_atomic
from gfpup.core.types import Metadata, RestoredPhoto
from gfpup.records.layout import FacePictures
from gfpup.records.manifest import Manifest, photo_line
from gfpup.records.observer import Observer
from gfpup.records.scores import ScoreWriter
from gfpup.records.shards import Part
from gfpup.records.written import Encoded
from gfpup.running.data import Loaded
from gfpup.running.lightning_import import BasePredictionWriter

HELD_BYTES: Final = 400_000_000
"""Photos that take more (27 megapixels at 2x) are written before the next is begun: memory is worth more than time there."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """A loaded photo and its restored version, or the reason why there is none."""

    loaded: Loaded
    restored: RestoredPhoto | None
    error: str | None
    encoded: Encoded | None = None
    """The file of the result, where it was encoded already to be scored."""


class PhotoWriter(BasePredictionWriter):
    """Writes each photo, then its line in the record, then tells the observers, in this order, in a thread of its own.

    The next batch is restored meanwhile, and handed over when this one is done: at most one waits in memory. What cannot be
    written stops the run at the next batch. A context manager: when its block has ended, so has the thread; where the block
    was left by an error, what was being written is on the disk and in the record, whole.
    """

    def __init__(
        self,
        folder: Path,
        record: Manifest | Part,
        options: photos.WriteOptions,
        *,
        faces: FacePictures | None,
        observers: Sequence[Observer],
    ) -> None:
        super().__init__(write_interval="batch")
        self.folder = folder
        self.record = record
        self.options = options
        self.faces = faces
        self.observers = observers
        # Its thread starts with the first batch, not before: data workers are forked when the loop begins.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gfpup-writing")
        self._given: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._thread.shutdown(wait=True, cancel_futures=error is not None)
        if error is None:
            self.wait()

    def write_on_batch_end(self, trainer: Any, pl_module: Any, prediction: Sequence[Outcome], *_: Any) -> None:
        self.wait()
        self._given.append(self._thread.submit(self._bring, prediction))
        restored = [outcome.restored for outcome in prediction if outcome.restored is not None]
        if sum(result.pixels.nbytes + result.photo.pixels.nbytes for result in restored) > HELD_BYTES:
            self.wait()

    def on_predict_end(self, trainer: Any, pl_module: Any) -> None:
        self.wait()

    def wait(self) -> None:
        """Wait until all that was handed over is on the disk.

        Raises: OutputError: it cannot be written.
        """
        while self._given:
            self._given.popleft().result()

    def heard(self, line: Mapping[str, Any], restored: None) -> None:
        """Tell the observers but the scores' of a photo that another rank restored, in the thread that tells them of ours."""
        observers = [observer for observer in self.observers if not isinstance(observer, ScoreWriter)]
        self._given.append(self._thread.submit(_tell, observers, line, restored))

    def _bring(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            line = self._write(outcome)
            self.record.add(line)
            _tell(self.observers, line, outcome.restored if line["error"] is None else None)

    def _write(self, outcome: Outcome) -> dict[str, Any]:
        task, restored = outcome.loaded.task, outcome.restored
        seconds = {"read": outcome.loaded.seconds}
        warnings: tuple[str, ...] = ()
        face_files: tuple[str, ...] = ()
        output, error = None, outcome.error
        if restored is not None and error is None:
            seconds |= restored.seconds
            warnings = restored.photo.warnings + restored.warnings
            began = time.perf_counter()
            try:
                output = self.folder / task.name
                if outcome.encoded is not None:
                    write_atomic(output, outcome.encoded.data)
                    warnings += outcome.encoded.warnings
                else:
                    warnings += photos.write_photo(
                        output,
                        restored.pixels,
                        alpha=restored.alpha,
                        metadata=restored.photo.metadata,
                        options=self.options,
                        mark=restored.mark,
                    )
                for file, pixels in () if self.faces is None else self.faces(task.name, restored):
                    path = self.folder / file
                    photos.write_photo(path, pixels, alpha=None, metadata=Metadata("PNG"), options=self.options)
                    face_files += (file,)
            except PhotoError as refusal:
                output, error, face_files = None, str(refusal), ()
            seconds["write"] = time.perf_counter() - began
        return photo_line(
            task.name,
            input_path=task.path,
            input_sha256=outcome.loaded.sha256,
            output=output,
            restored=restored,
            seconds=seconds,
            warnings=warnings,
            error=error,
            face_files=face_files,
        )


def _tell(observers: Sequence[Observer], line: Mapping[str, Any], restored: RestoredPhoto | None) -> None:
    for observer in observers:
        observer.photo_done(line, restored)
