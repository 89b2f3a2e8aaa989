"""Load what a plan names, and drive it: the detector, the backend, Lightning's trainer."""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import torch

import gfpup
from gfpup import backends, images
from gfpup.faces.detect import load_detector
from gfpup.faces.mask import load_mask
from gfpup.observers import Observer
from gfpup.observers.manifest import Manifest
from gfpup.pipeline.restore import Restorer
from gfpup.runner.data import PhotoData, Task, file_sha256
from gfpup.runner.module import PhotoWriter, RestoreModule
from gfpup.settings import Settings
from gfpup.supply import Supply
from gfpup.types import BackendSpec, Plan

if TYPE_CHECKING:
    from gfpup.runner.run import Prepared

VERSIONS_OF = ("torch", "lightning", "hydra-core", "numpy", "opencv-python-headless", "pillow", "scikit-image")


def load(settings: Settings, plan: Plan, supply: Supply) -> Restorer:
    """Load the detector and the backend that `plan` names."""
    torch.set_num_threads(plan.threads)
    torch.backends.cudnn.allow_tf32 = False  # else "float32" convolutions on a GPU keep 10 bits of 23
    detector = None
    if not settings.aligned:
        detector = load_detector(
            plan.pixels["detector"],
            path=supply.paths.get("detector"),
            threshold=settings.detection_threshold,
            detect_size=settings.detect_size,
            device=plan.device,
        )
    spec = BackendSpec(
        name=settings.backend,
        checkpoints={role: path for role, path in supply.paths.items() if role == "backend"},
        parameters=plan.pixels["parameters"],
        device=plan.device,
        seed=settings.seed,
    )
    return Restorer(
        backend=backends.load(spec),
        detector=detector,
        upscale=settings.upscale,
        strength=settings.strength,
        match_colors=settings.match_color,
        choice=settings.choice,
        face_batch=plan.face_batch,
        device=plan.device,
        mask=load_mask(plan.pixels["mask"], supply.paths["mask"], device=plan.device) if "mask" in supply.paths else None,
    )


def is_done(task: Task, manifest: Manifest, *, faces: bool) -> bool:
    """Whether an earlier run restored this very photo, with its faces' files where `faces` are wanted."""
    if not manifest.may_hold(task.name) or not task.path.is_file():
        return False
    return manifest.done(task.name, file_sha256(task.path), faces=faces)


def predict(
    tasks: Sequence[Task], restorer: Restorer, prepared: Prepared, manifest: Manifest, observers: Sequence[Observer]
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
    trainer.predict(RestoreModule(restorer), datamodule=data, return_predictions=False)


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
