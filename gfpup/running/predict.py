"""The photos of a run through Lightning's predict loop, on one device or as one of several ranks."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gfpup.core.errors import PhotoError
from gfpup.core.types import Photo, RestoredPhoto, as_8_bit
from gfpup.evaluation.metrics.cost import unshared
from gfpup.evaluation.scorer import Pictures, Scorer, affines_of, notes
from gfpup.machine.allocator import is_out_of_memory, release_memory
from gfpup.ops import geometry
from gfpup.photos import WriteOptions
from gfpup.planning.schema import Write
from gfpup.records import layout
from gfpup.records.manifest import Manifest
from gfpup.records.observer import Observer
from gfpup.records.shards import Part
from gfpup.records.written import encoded, file_kind
from gfpup.running.data import Loaded, PhotoData, Task, load
from gfpup.running.distributed.callback import Team
from gfpup.running.distributed.processes import started
from gfpup.running.lightning_import import lightning
from gfpup.running.photo_writer import Outcome, PhotoWriter

if TYPE_CHECKING:
    from gfpup.running.prepare import Prepared

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
        """Restore a batch; where a photo of it cannot be restored, or memory runs out, its photos one by one."""
        try:
            restored = self.restorer([loaded.photo for loaded in batch if loaded.photo is not None])
        except (MemoryError, RuntimeError, PhotoError) as error:
            if not isinstance(error, PhotoError) and not is_out_of_memory(error):
                raise
            path, reason = str(batch[0].task.path), str(error)
            if not isinstance(error, PhotoError):
                less = "--upscale" if self.device.type == "cpu" else "--detect-size or --upscale, or --device cpu"
                reason = f"{path} needs more memory than is free; use a smaller {less}."
        else:
            return [self._outcome(loaded, result) for loaded, result in zip(batch, restored, strict=True)]
        release_memory(str(self.device))  # not above, where the error still holds what was computed
        if len(batch) > 1:
            return [outcome for loaded in batch for outcome in self._restore([loaded])]
        return [Outcome(batch[0], None, reason if path in reason else f"{path}: {reason}")]

    def _outcome(self, loaded: Loaded, result: RestoredPhoto) -> Outcome:
        # An aligned face that failed leaves nothing to write; a photo is written without the face.
        if self.aligned and result.faces[0].failed:
            return Outcome(loaded, result, f"{loaded.task.path}: {result.faces[0].reason}")
        if self.scorer is None:
            return Outcome(loaded, result, None)
        began = time.perf_counter()
        try:
            file = encoded(loaded.task.name, result, self.options)
        except PhotoError:
            return Outcome(loaded, result, None)  # writing it fails in the same way, and is recorded there
        # The pixels as the file will hold them, so that scoring the file again gives the same numbers.
        pictures = Pictures(
            as_8_bit(result.pixels) if file is None else file.pixels,
            result.photo.rgb8,
            None if loaded.reference is None else geometry.turned_pixels(loaded.reference, result.turned),
            affines_of(result),
            stages=unshared(result.seconds, result.reused),
            photo=loaded.task.name,
            taken_from=file_kind(Path(loaded.task.name)) if file is None else file.taken_from,
        )
        scores = self.scorer(pictures)
        seconds = {**result.seconds, "score": time.perf_counter() - began}
        result = replace(result, scores=scores, seconds=seconds, warnings=result.warnings + notes(pictures))
        return Outcome(loaded, result, None, file)


def predict(
    tasks: Sequence[Task],
    restorer: PhotoRestorer,
    scorer: Scorer | None,
    prepared: Prepared,
    record: Manifest | Part,
    observers: Sequence[Observer],
) -> Sequence[Task]:
    """Restore and write `tasks` by Lightning's predict loop; returns those that this process did.

    Where several ranks share the work, rank 0 brings the tasks of all, and this ends when all of them are done.
    """
    settings, plan = prepared.settings, prepared.plan
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):  # its advice is for people who train
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning.*")
    kind, index = plan.device.kind, plan.device.number
    options, faces = _writing(settings.write)
    with ExitStack() as stack:
        writer = stack.enter_context(PhotoWriter(settings.output, record, options, faces=faces, observers=observers))
        callbacks: list[lightning.Callback] = [writer]
        team = None
        if prepared.rank.ddp:
            crew = stack.enter_context(started(prepared))
            team = Team(prepared.rank, record, plan, crew=crew, heard=writer.heard)
            callbacks.append(team)
        trainer = lightning.Trainer(
            accelerator={"cuda": "gpu"}.get(kind, kind),
            **({"devices": 1 if index is None else [index]} if team is None else team.trainer_arguments()),
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        data = PhotoData(tasks, plan.photo_batch, plan.workers, share=None if team is None else team.share)
        module = RestoreModule(restorer, aligned=settings.restore.aligned, scorer=scorer, options=options)
        trainer.predict(module, datamodule=data, return_predictions=False)
        if team is not None:
            team.wait()
    return data.tasks


def _writing(asked: Write) -> tuple[WriteOptions, layout.FacePictures | None]:
    """How results are encoded, and which pictures of faces are written beside them."""
    qualities = {name: getattr(asked, name) for name in ("jpeg_quality", "webp_quality", "png_compression")}
    faces: layout.FacePictures | None = layout.flat if asked.faces else None
    if asked.layout == "gfpgan":
        faces = layout.as_gfpgan(suffix=asked.suffix, compare=asked.compare)
    return WriteOptions(**qualities, keep_metadata=asked.metadata), faces
