"""Lightning's predict loop over the photos of a run, on one device or as one of several ranks."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from gfpup import photos
from gfpup.evaluation.scorer import Scorer
from gfpup.records import layout
from gfpup.records.manifest import Manifest
from gfpup.records.observer import Observer
from gfpup.records.shards import Part
from gfpup.running.data import PhotoData, Task
from gfpup.running.distributed.callback import SharedRecord, Team
from gfpup.running.distributed.processes import started
from gfpup.running.photo_writer import PhotoWriter
from gfpup.running.restore_module import PhotoRestorer, RestoreModule

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import Callback

    from gfpup.running.prepare import Prepared


def predict(
    tasks: Sequence[Task],
    restorer: PhotoRestorer,
    scorer: Scorer | None,
    prepared: Prepared,
    record: Manifest | Part,
    observers: Sequence[Observer],
    *,
    shared: SharedRecord,
) -> Sequence[Task]:
    """Restore and write `tasks` by Lightning's predict loop; returns those that this process did.

    Where several ranks share the work, rank 0 brings the tasks of all, and this ends when all of them are done; `shared` is
    this rank's side of the record that they share.
    """
    settings, plan = prepared.settings, prepared.plan
    _quiet_lightning()
    from lightning import Trainer

    kind, index = plan.device.kind, plan.device.number
    options = photos.WriteOptions(
        jpeg_quality=settings.write.jpeg_quality,
        webp_quality=settings.write.webp_quality,
        png_compression=settings.write.png_compression,
        keep_metadata=settings.write.metadata,
    )
    faces: layout.FacePictures | None = layout.flat if settings.write.faces else None
    if settings.write.layout == "gfpgan":
        faces = layout.as_gfpgan(suffix=settings.write.suffix, compare=settings.write.compare)
    with ExitStack() as stack:
        writer = stack.enter_context(PhotoWriter(settings.output, record, options, faces=faces, observers=observers))
        callbacks: list[Callback] = [writer]
        team = None
        if prepared.rank.ddp:
            # The scores of other ranks come with their parts.
            crew = stack.enter_context(started(prepared))
            team = Team(prepared.rank, shared, plan, crew=crew, watches=[writer.heard])
            callbacks.append(team)
        trainer = Trainer(
            accelerator={"cuda": "gpu"}.get(kind, kind),
            **({"devices": 1 if index is None else [index]} if team is None else team.trainer_arguments()),
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        share = None if team is None else team.share
        data = PhotoData(tasks, photo_batch=plan.photo_batch, workers=plan.workers, share=share)
        module = RestoreModule(restorer, aligned=settings.restore.aligned, scorer=scorer, options=options)
        trainer.predict(module, datamodule=data, return_predictions=False)
        if team is not None:
            team.wait()
    return data.tasks


def _quiet_lightning() -> None:
    """Keep Lightning's advice to people who train off the screen of people who restore."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning.*")
