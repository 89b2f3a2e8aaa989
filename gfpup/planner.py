"""Turn a request and a machine into a plan: every decision made before the first photo, each with its reason."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from gfpup import backends, hardware
from gfpup.errors import GfpupError
from gfpup.faces import detect
from gfpup.settings import Settings
from gfpup.supply import Supply
from gfpup.types import Plan, Reason
from gfpup.weights import catalogue

GPU_FACE_BATCH = 8
"""Faces a forward on a GPU: fits every network here into 8 GB."""

GPU_PHOTO_BATCH = 4
"""Photos whose faces share forwards on a GPU."""


def make_plan(settings: Settings, machine: hardware.Machine, supply: Supply, *, sweeping: bool = False) -> Plan:
    """Decide everything that can be decided without a photo; `supply` afterwards holds the checkpoints it takes.

    In a sweep, parameters that mean nothing to a backend are dropped with a reason; in a single run they are refused.

    Raises:
        GfpupError: the request cannot be carried out, with what to change.
    """
    device = hardware.choose_device(settings.device, machine)
    on_cpu = device.value == "cpu"
    parameters, dropped = _plan_parameters(settings, sweeping=sweeping)
    backend = _plan_backend(settings, parameters, supply)
    detector = _plan_detector(settings, supply)
    mask = _plan_mask(settings, supply)
    background = _plan_background(settings, on_cpu=on_cpu)
    face_batch = _plan_face_batch(settings, on_cpu=on_cpu)
    workers = _plan_workers(settings, machine)
    threads = settings.threads or machine.cores
    pixels: dict[str, Any] = {
        "backend": settings.backend,
        "parameters": dict(sorted(parameters.items())),
        "seed": settings.seed,
        "upscale": settings.upscale,
        "aligned": settings.aligned,
        "strength": settings.strength,
        "match_color": settings.match_color,
        "detector": detector.value,
        "detection_threshold": settings.detection_threshold,
        "detect_size": settings.detect_size,
        "faces": json.loads(json.dumps(asdict(settings.choice))),
        "mask": mask.value,
        "background": background.value,
        "device": device.value.partition(":")[0],
        # Sums are taken in another order with another number of threads; nobody sees it, but the bytes do.
        "threads": threads if on_cpu else None,
        "checkpoints": dict(sorted(supply.digests.items())),
        "write": {
            "ext": settings.extension,
            "suffix": settings.suffix,
            "metadata": settings.keep_metadata,
            "jpeg_quality": settings.jpeg_quality,
        },
    }
    return Plan(
        pixels=pixels,
        device=device.value,
        face_batch=face_batch.value,
        photo_batch=1 if on_cpu else GPU_PHOTO_BATCH,
        workers=workers.value,
        threads=threads,
        reasons=(device, backend, *dropped, detector, mask, background, face_batch, workers),
        warnings=tuple(supply.warnings),
        missing=tuple(supply.missing),
    )


def _plan_parameters(settings: Settings, *, sweeping: bool) -> tuple[dict[str, Any], list[Reason]]:
    known = backends.facts(settings.backend).parameters
    strange = sorted(set(settings.parameters) - set(known))
    if strange and not sweeping:
        has = f"has {', '.join(known)}" if known else "has no parameters"
        raise GfpupError(f"restore.{strange[0]} means nothing to backend {settings.backend!r}, which {has}; leave it out.")
    dropped = [Reason(f"restore.{key}", None, f"means nothing to {settings.backend}") for key in strange]
    return {key: value for key, value in settings.parameters.items() if key in known}, dropped


def _plan_backend(settings: Settings, parameters: dict[str, Any], supply: Supply) -> Reason:
    """Choose the checkpoint; `parameters["version"]` is filled in where the method has versions."""
    facts = backends.facts(settings.backend)
    if not facts.versions:
        if settings.model_path is not None:
            raise GfpupError(f"backend {settings.backend!r} has no weights; leave out --model-path.")
        return Reason("backend", settings.backend, facts.summary)
    version = str(parameters.get("version", facts.default_version)).lower().removeprefix("v")
    if version not in facts.versions:
        there = ", ".join(facts.versions)
        raise GfpupError(f"there is no version {version!r} of {settings.backend}; choose one of {there}.")
    if "version" in facts.parameters:
        parameters["version"] = version
    name = facts.versions[version]
    if settings.model_path is None:
        supply.named("backend", name)
        return Reason("backend", settings.backend, f"the published weights {name}")
    supply.consent(catalogue.find(name))  # who trains on from published weights does so under their licence
    supply.given("backend", settings.model_path)
    supply.warnings.append(f"{settings.model_path.name} is unverified: nothing says that it holds {name}.")
    return Reason("backend", settings.backend, f"the file {settings.model_path.name}, unverified")


def _plan_detector(settings: Settings, supply: Supply) -> Reason:
    if settings.aligned:
        return Reason("detector", "none", "the photos are aligned faces")
    name, path = settings.detector, settings.detector_path
    if path is not None:
        if name == "cascade":
            raise GfpupError("the cascade takes no checkpoint; leave out --detector-path or name a RetinaFace detector.")
        found = detect.architecture_of(path)
        if name not in ("auto", found):
            raise GfpupError(f"{path} holds a {found}, not the {name} that was asked for; give the other file or name.")
        supply.given("detector", path)
        return Reason("detector", found, f"the file {path.name} was given")
    if name == "cascade":
        return Reason("detector", name, "asked for; it finds upright frontal faces")
    if name != "auto":
        supply.named("detector", name)
        return Reason("detector", name, "asked for")
    lack = supply.try_named("detector", "retinaface-resnet50")
    if lack is None:
        return Reason("detector", "retinaface-resnet50", "the most exact one")
    supply.warnings.append(
        f"no RetinaFace checkpoint, so the cascade finds the faces: upright frontal ones only, landmarks roughly. {lack}"
    )
    return Reason("detector", "cascade", f"finds upright frontal faces only, landmarks roughly; {lack}")


def _plan_mask(settings: Settings, supply: Supply) -> Reason:
    """A parsed face follows hair and hats; only a learned method changes enough for that to matter."""
    if settings.aligned:
        return Reason("mask", "none", "nothing is pasted")
    if settings.mask in ("bisenet", "parsenet"):
        supply.named("mask", settings.mask)
        return Reason("mask", settings.mask, "asked for")
    if settings.mask == "feather":
        return Reason("mask", "feather", "asked for")
    if not backends.facts(settings.backend).versions:
        return Reason("mask", "feather", f"{settings.backend} changes too little for a parsed mask to matter")
    lack = supply.try_named("mask", "bisenet")
    if lack is None:
        return Reason("mask", "bisenet", "the parsed face: hair, hats and background stay")
    supply.warnings.append(f"faces are pasted with a feathered square mask, not a parsed one. {lack}")
    return Reason("mask", "feather", lack)


def _plan_background(settings: Settings, *, on_cpu: bool) -> Reason:
    if settings.aligned:
        return Reason("background", "none", "an aligned face has no background")
    if settings.background == "none":
        return Reason("background", "none", "asked for: Lanczos")
    if settings.background == "realesrgan":
        raise GfpupError("background 'realesrgan' is not there yet; use --background none.")
    return Reason("background", "none", "Lanczos: Real-ESRGAN takes minutes a photo on a CPU" if on_cpu else "Lanczos")


def _plan_face_batch(settings: Settings, *, on_cpu: bool) -> Reason:
    if on_cpu:
        if (settings.face_batch or 1) > 1:
            raise GfpupError(
                f"hardware.face_batch={settings.face_batch} is for a GPU; on a CPU each face is a forward of its own, "
                "so that its bytes do not depend on its neighbours."
            )
        return Reason("face_batch", 1, "on a CPU batching buys nothing, and so a face's bytes do not depend on its neighbours")
    if settings.face_batch is not None:
        return Reason("face_batch", settings.face_batch, "asked for")
    return Reason("face_batch", GPU_FACE_BATCH, "a GPU computes several faces at once")


def _plan_workers(settings: Settings, machine: hardware.Machine) -> Reason:
    if settings.workers is not None:
        return Reason("workers", settings.workers, "asked for")
    return Reason("workers", 1 if machine.cores <= 4 else 2, "reading ahead is cheap beside restoring")


def fingerprint(plan: Plan) -> str:
    """The identity of a plan: equal for plans whose results may lie in one folder."""
    return hashlib.sha256(json.dumps(plan.pixels, sort_keys=True).encode()).hexdigest()[:16]
