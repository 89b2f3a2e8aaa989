"""Load what a plan names, and drive it: the detector, the backend, Lightning's trainer."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import torch

from gfpup import backends, background, images, metrics
from gfpup.backends.flip import FlipEnsemble
from gfpup.backends.precomputed import Precomputed
from gfpup.faces.align import align_faces
from gfpup.faces.detect import load_detector
from gfpup.faces.guard import load_guard
from gfpup.faces.mask import load_mask
from gfpup.hardware import lasting_memory
from gfpup.methods import Method
from gfpup.observers import Observer
from gfpup.observers.manifest import Manifest
from gfpup.observers.parts import Part
from gfpup.pipeline.auto import AutoRestorer
from gfpup.pipeline.restore import Guard, Restorer, Upsampler
from gfpup.pipeline.score import Scorer, load_scorer, require
from gfpup.pipeline.stages import load_shared
from gfpup.pipeline.whole import WholePhotoRestorer
from gfpup.runner import layout
from gfpup.runner.data import PhotoData, Task, file_sha256
from gfpup.runner.module import PhotoRestorer, PhotoWriter, RestoreModule
from gfpup.runner.ranks import started
from gfpup.runner.team import Team
from gfpup.settings import Settings
from gfpup.supply import Supply
from gfpup.types import Backend, Plan
from gfpup.weights import licences
from gfpup.weights.metric_files import locate

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import Callback

    from gfpup.runner.request import Prepared

VERSIONS_OF = ("torch", "lightning", "hydra-core", "numpy", "opencv-python-headless", "pillow", "scikit-image")


@lasting_memory()
def load(settings: Settings, plan: Plan, method: Method, supply: Supply) -> PhotoRestorer:
    """Load the detector, the method and whatever else `plan` names."""
    torch.set_num_threads(plan.threads)
    cv2.setNumThreads(plan.threads)
    torch.backends.cudnn.allow_tf32 = False  # else "float32" convolutions on a GPU keep 10 bits of 23
    if method.name == "upstream" and not settings.aligned:
        return _load_upstream(settings, plan, method, supply)
    detector = None
    if not settings.aligned:
        detector = load_detector(
            plan.pixels["detector"],
            path=supply.paths.get("detector"),
            threshold=settings.detection_threshold,
            detect_size=settings.detect_size,
            device=plan.device,
        )
    upsample, align = _load_background(plan, supply), align_faces
    shared = load_shared(settings, plan, supply, warn=lambda said: print(f"gfpup: {said}", file=sys.stderr))
    if shared is not None and detector is not None:
        detector, upsample, align = shared.detector(detector), shared.upsampler(upsample), shared.align
    if method.name == "precomputed":
        assert settings.precomputed_folder is not None
        results = Precomputed(settings.precomputed_folder, settings.precomputed_mapping)
        return WholePhotoRestorer(results, detector, settings.choice, align)
    mask = load_mask(plan.pixels["mask"], supply.paths["mask"], device=plan.device) if "mask" in supply.paths else None
    guard = _load_guard(settings, plan, supply)
    exact = plan.pixels["dtype"] == "float32"

    @lasting_memory()
    def make(one: Method) -> Restorer:
        return Restorer(
            backend=_load_backend(settings, plan, one, supply, dtype=plan.pixels["dtype"]),
            fallback=None if exact else _load_backend(settings, plan, one, supply, dtype="float32"),
            detector=detector,
            upscale=settings.upscale,
            strength=settings.strength,
            match_colors=settings.match_color,
            choice=settings.choice,
            face_batch=plan.face_batch,
            device=plan.device,
            mask=mask,
            align=align,
            upsample=upsample,
            guard=guard,
        )

    if method.name != "auto":
        return make(method)
    makers = {member.key: partial(make, member) for member in method.members}
    return AutoRestorer(detector, makers, selection=settings.choice, from_files=settings.source != "synthetic")


def _load_backend(settings: Settings, plan: Plan, method: Method, supply: Supply, *, dtype: str) -> Backend:
    memory_efficient = settings.mode == "memory-efficient"
    spec = method.spec(
        supply,
        device=plan.device,
        dtype=dtype,
        seed=settings.seed,
        memory_efficient=memory_efficient,
        # What redoes a face in float32 is seldom asked, and not worth a second graph.
        engine=plan.pixels["engine"] if dtype == plan.pixels["dtype"] else "eager",
    )
    backend = backends.load(spec)
    return FlipEnsemble(backend) if settings.mode == "high-quality" else backend


def _load_guard(settings: Settings, plan: Plan, supply: Supply) -> Guard | None:
    if settings.identity_min is None:
        return None
    return load_guard(supply.paths["guard"], minimum=settings.identity_min, device=plan.device)


def _load_background(plan: Plan, supply: Supply) -> Upsampler:
    if plan.pixels["background"] == "none":
        return background.resize
    tile_px, overlap_px = plan.pixels["tiles"]
    load: Callable[..., Upsampler] = background.RealESRGAN.load
    if plan.pixels["background"] == "spandrel":
        from gfpup.backends.any_architecture import AnyUpsampler

        load = AnyUpsampler.load
    return load(
        supply.paths["background"],
        device=plan.device,
        dtype=plan.pixels["dtype"],
        tile_px=tile_px,
        tile_overlap_px=overlap_px,
    )


def _load_upstream(settings: Settings, plan: Plan, method: Method, supply: Supply) -> PhotoRestorer:
    """The official path over whole photos: its own detection, alignment and paste."""
    from gfpup.backends.upstream import Upstream, UpstreamRestorer

    spec = method.spec(supply, device=plan.device, seed=settings.seed)
    roles = {"detector": "detector", "mask": "parsenet"}
    checkpoints = {name: supply.paths[role] for role, name in roles.items() if role in supply.paths}
    loaded = Upstream.load(replace(spec, checkpoints={**spec.checkpoints, **checkpoints}))
    return UpstreamRestorer(loaded, upscale=settings.upscale, only_center=settings.choice.which == "center")


def load_metrics(settings: Settings, plan: Plan, supply: Supply) -> Scorer | None:
    """Load the metrics that were asked for; what cannot be had is missing with its reason.

    Raises:
        MetricError: an unknown metric, or one that cannot be computed although all are required.
    """
    if not settings.metrics:
        return None

    def allow(licence_id: str, what: str) -> None:
        licences.require_licence(licence_id, what=what, accepted=supply.accepted)

    scorer = load_scorer(settings.metrics, find=lambda name: locate(name, supply.store), device=plan.device, allow=allow)
    if settings.require_metrics:
        require(scorer)
    return scorer


def metrics_record(scorer: Scorer) -> list[dict[str, Any]]:
    """What computes each metric of a run, for the manifest."""
    rows = [metrics.facts(name) for name in scorer.names]
    return [
        {
            "name": row.name,
            "implementation": row.implementation,
            "weights": list(row.weights),
            "missing": scorer.missing.get(row.name),
        }
        for row in rows
    ]


def is_done(task: Task, manifest: Manifest, *, faces: bool) -> bool:
    """Whether an earlier run restored this very photo, with its faces' files where those are wanted."""
    if not manifest.may_hold(task.name) or not task.path.is_file():
        return False
    return manifest.done(task.name, file_sha256(task.path), faces=faces)


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

    kind, _, index = plan.device.partition(":")
    options = images.WriteOptions(
        jpeg_quality=settings.jpeg_quality,
        webp_quality=settings.webp_quality,
        png_compression=settings.png_compression,
        keep_metadata=settings.keep_metadata,
    )
    faces: layout.FacePictures | None = layout.flat if settings.save_faces else None
    if settings.layout == "gfpgan":
        faces = layout.as_gfpgan(suffix=settings.suffix, compare=settings.save_compared)
    with ExitStack() as stack:
        writer = stack.enter_context(PhotoWriter(settings.output, record, options, faces=faces, observers=observers))
        callbacks: list[Callback] = [writer]
        team = None
        if prepared.place.ddp:
            # The scores of other ranks come with their parts.
            crew = stack.enter_context(started(prepared))
            team = Team(prepared.place, record, plan, crew=crew, watches=[writer.heard])
            callbacks.append(team)
        trainer = Trainer(
            accelerator={"cuda": "gpu"}.get(kind, kind),
            **({"devices": [int(index)] if index else 1} if team is None else team.trainer_arguments()),
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        share = None if team is None else team.share
        data = PhotoData(tasks, photo_batch=plan.photo_batch, workers=plan.workers, share=share)
        module = RestoreModule(restorer, aligned=settings.aligned, scorer=scorer)
        trainer.predict(module, datamodule=data, return_predictions=False)
        if team is not None:
            team.wait()
    return data.tasks


def _quiet_lightning() -> None:
    """Keep Lightning's advice to people who train off the screen of people who restore."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning.*")
