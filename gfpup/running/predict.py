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
from gfpup.running.distributed.callback import Team
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
) -> Sequence[Task]:
    """Restore and write `tasks` by Lightning's predict loop; returns those that this process did.

    Where several ranks share the work, rank 0 brings the tasks of all, and this ends when all of them are done.
    """
    settings, plan = prepared.settings, prepared.plan
    _quiet_lightning()
    from lightning import Trainer

    kind, index = plan.device.kind, plan.device.number
    write = settings.write
    options = photos.WriteOptions(
        jpeg_quality=write.jpeg_quality,
        webp_quality=write.webp_quality,
        png_compression=write.png_compression,
        keep_metadata=write.metadata,
    )
    faces: layout.FacePictures | None = layout.flat if write.faces else None
    if write.layout == "gfpgan":
        faces = layout.as_gfpgan(suffix=write.suffix, compare=write.compare)
    with ExitStack() as stack:
        writer = stack.enter_context(PhotoWriter(settings.output, record, options, faces=faces, observers=observers))
        callbacks: list[Callback] = [writer]
        team = None
        if prepared.rank.ddp:
            crew = stack.enter_context(started(prepared))
            team = Team(prepared.rank, record, plan, crew=crew, heard=writer.heard)
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
        data = PhotoData(tasks, plan.photo_batch, plan.workers, share=None if team is None else team.share)
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
