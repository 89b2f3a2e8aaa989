"""The Lightning side of a run: the module that restores a batch of photos, and the writer that brings them to disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import lightning

from gfpup.core.errors import PhotoError
from gfpup.core.types import Photo, RestoredPhoto
from gfpup.evaluation.metrics.cost import unshared
from gfpup.evaluation.scorer import Pictures, Scorer, affines_of, as_8_bit, notes
from gfpup.machine.allocator import is_out_of_memory, release_memory
from gfpup.photos import WriteOptions
from gfpup.records.written import Encoded, encoded, file_kind
from gfpup.running.data import Loaded, load
from gfpup.running.photo_writer import Outcome

PhotoRestorer = Callable[[Sequence[Photo]], list[RestoredPhoto]]


class RestoreModule(lightning.LightningModule):
    """Restores batches of loaded photos."""

    def __init__(
        self, restorer: PhotoRestorer, *, aligned: bool, scorer: Scorer | None = None, options: WriteOptions | None = None
    ) -> None:
        super().__init__()
        self.options = options or WriteOptions()
        self.scorer = scorer
        self.restorer = restorer
        self.aligned = aligned

    def predict_step(self, batch: Sequence[Loaded], batch_idx: int) -> list[Outcome]:
        batch = [load(loaded.task) if loaded.waits else loaded for loaded in batch]
        readable = [loaded for loaded in batch if loaded.photo is not None]
        results = dict(zip(map(id, readable), self._restore(readable), strict=True))
        return [results.get(id(loaded), Outcome(loaded, None, loaded.error)) for loaded in batch]

    def _restore(self, batch: Sequence[Loaded]) -> list[Outcome]:
        restored: list[RestoredPhoto] | None = None
        try:
            restored = self.restorer([loaded.photo for loaded in batch if loaded.photo is not None])
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        except PhotoError as error:
            if len(batch) > 1:
                return [outcome for loaded in batch for outcome in self._restore([loaded])]
            path = str(batch[0].task.path)
            return [Outcome(batch[0], None, str(error) if path in str(error) else f"{path}: {error}")]
        if restored is None:
            return self._after_memory_ran_out(batch)
        return [self._outcome(loaded, result) for loaded, result in zip(batch, restored, strict=True)]

    def _after_memory_ran_out(self, batch: Sequence[Loaded]) -> list[Outcome]:
        """Try the photos of `batch` one by one; name a single one as too large."""
        release_memory(str(self.device))
        if len(batch) > 1:
            return [outcome for loaded in batch for outcome in self._restore([loaded])]
        less = "a smaller --upscale" if self.device.type == "cpu" else "a smaller --detect-size or --upscale, or --device cpu"
        return [Outcome(batch[0], None, f"{batch[0].task.path} needs more memory than is free; use {less}.")]

    def _outcome(self, loaded: Loaded, result: RestoredPhoto) -> Outcome:
        failure = self._whole_failure(loaded, result)
        if self.scorer is None or failure is not None:
            return Outcome(loaded, result, failure)
        began = time.perf_counter()
        try:
            file = encoded(loaded.task.name, result, self.options)
        except PhotoError:
            return Outcome(loaded, result, None)  # writing it fails in the same way, and is recorded there
        pictures = self._pictures(loaded, result, file)
        scores = self.scorer(pictures)
        seconds = {**result.seconds, "score": time.perf_counter() - began}
        result = replace(result, scores=scores, seconds=seconds, warnings=result.warnings + notes(pictures))
        return Outcome(loaded, result, None, file)

    def _pictures(self, loaded: Loaded, result: RestoredPhoto, file: Encoded | None) -> Pictures:
        """What is scored: the pixels as the file will hold them, so that scoring the file again gives the same numbers."""
        return Pictures(
            as_8_bit(result.pixels) if file is None else file.pixels,
            result.photo.rgb8,
            loaded.reference,
            affines_of(result),
            stages=unshared(result.seconds, result.reused),
            photo=loaded.task.name,
            taken_from=file_kind(Path(loaded.task.name)) if file is None else file.taken_from,
        )

    def _whole_failure(self, loaded: Loaded, result: RestoredPhoto) -> str | None:
        """An aligned face that failed leaves nothing to write; a photo with a failed face is written without it."""
        if self.aligned and result.faces[0].failed:
            return f"{loaded.task.path}: {result.faces[0].reason}"
        return None
