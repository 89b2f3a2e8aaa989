"""Load what a plan names, and drive it: the detector, the backend, Lightning's trainer."""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import gfpup
from gfpup import backends, background, images, metrics
from gfpup.backends.flip import FlipEnsemble
from gfpup.backends.precomputed import Precomputed
from gfpup.faces.detect import load_detector
from gfpup.faces.guard import load_guard
from gfpup.faces.mask import load_mask
from gfpup.hardware import keep_freed_memory
from gfpup.methods import Method
from gfpup.observers import Observer
from gfpup.observers.manifest import Manifest
from gfpup.observers.scores import ScoreWriter
from gfpup.pipeline.restore import Guard, Restorer, Upsampler
from gfpup.pipeline.score import Scorer, load_scorer, require
from gfpup.pipeline.whole import WholePhotoRestorer
from gfpup.runner.data import PhotoData, Task, file_sha256
from gfpup.runner.module import PhotoRestorer, PhotoWriter, RestoreModule
from gfpup.settings import Settings
from gfpup.supply import Supply
from gfpup.types import Backend, Plan
from gfpup.weights import licences
from gfpup.weights.metric_files import locate

if TYPE_CHECKING:
    from gfpup.runner.run import Prepared

VERSIONS_OF = ("torch", "lightning", "hydra-core", "numpy", "opencv-python-headless", "pillow", "scikit-image")


def load(settings: Settings, plan: Plan, method: Method, supply: Supply) -> PhotoRestorer:
    """Load the detector, the method and whatever else `plan` names."""
    torch.set_num_threads(plan.threads)
    keep_freed_memory()
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
    if method.name == "precomputed":
        assert settings.precomputed_folder is not None
        results = Precomputed(settings.precomputed_folder, settings.precomputed_mapping)
        return WholePhotoRestorer(results, detector, settings.choice)
    backend = _load_backend(settings, plan, method, supply, dtype=plan.pixels["dtype"])
    exact = plan.pixels["dtype"] == "float32"
    return Restorer(
        backend=backend,
        fallback=None if exact else _load_backend(settings, plan, method, supply, dtype="float32"),
        detector=detector,
        upscale=settings.upscale,
        strength=settings.strength,
        match_colors=settings.match_color,
        choice=settings.choice,
        face_batch=plan.face_batch,
        device=plan.device,
        mask=load_mask(plan.pixels["mask"], supply.paths["mask"], device=plan.device) if "mask" in supply.paths else None,
        upsample=_load_background(plan, supply),
        guard=_load_guard(settings, plan, supply),
    )


def _load_backend(settings: Settings, plan: Plan, method: Method, supply: Supply, *, dtype: str) -> Backend:
    memory_efficient = settings.mode == "memory-efficient"
    spec = method.spec(supply, device=plan.device, dtype=dtype, seed=settings.seed, memory_efficient=memory_efficient)
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


def is_done(task: Task, manifest: Manifest, *, faces: bool, scores: ScoreWriter | None) -> bool:
    """Whether an earlier run restored this very photo, with its faces' files and its scores where those are wanted."""
    if scores is not None and task.name not in scores.rows:
        return False
    if not manifest.may_hold(task.name) or not task.path.is_file():
        return False
    return manifest.done(task.name, file_sha256(task.path), faces=faces)


def predict(
    tasks: Sequence[Task],
    restorer: PhotoRestorer,
    scorer: Scorer | None,
    prepared: Prepared,
    manifest: Manifest,
    observers: Sequence[Observer],
) -> None:
    """Restore and write `tasks` by Lightning's predict loop."""
    settings, plan = prepared.settings, prepared.plan
    _quiet_lightning()
    from lightning import Trainer

    kind, _, index = plan.device.partition(":")
    options = images.WriteOptions(jpeg_quality=settings.jpeg_quality, keep_metadata=settings.keep_metadata)
    trainer = Trainer(
        accelerator={"cuda": "gpu"}.get(kind, kind),
        devices=[int(index)] if index else 1,
        callbacks=[PhotoWriter(settings.output, manifest, options, save_faces=settings.save_faces, observers=observers)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    data = PhotoData(tasks, photo_batch=plan.photo_batch, workers=plan.workers)
    trainer.predict(RestoreModule(restorer, aligned=settings.aligned, scorer=scorer), datamodule=data, return_predictions=False)


def versions() -> dict[str, str]:
    """The versions that decide what a result looks like."""
    found = {"gfpup": gfpup.__version__, "python": sys.version.split()[0]}
    for name in VERSIONS_OF:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The commit of the checkout gfpup runs from, or None where it is installed from a wheel."""
    root = Path(gfpup.__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    try:
        run = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return run.stdout.strip() or None


def _quiet_lightning() -> None:
    """Keep Lightning's advice to people who train off the screen of people who restore."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning.*")
