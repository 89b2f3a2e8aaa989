"""Turn a request and a machine into a plan: every decision made before the first photo, each with its reason."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from gfpup import backends, hardware
from gfpup.background import TILE_OVERLAP_PX, TILE_PX
from gfpup.errors import GfpupError
from gfpup.faces import detect
from gfpup.methods import Method, plan_method
from gfpup.settings import Settings
from gfpup.supply import Supply
from gfpup.types import Plan, Reason

GPU_FACE_BATCH = 8
"""Faces a forward on a GPU: fits every network here into 8 GB."""

GPU_PHOTO_BATCH = 4
"""Photos whose faces share forwards on a GPU."""


SMALL_TILE_PX = 128
"""Side of the tiles of --memory-efficient: a tenth of the memory of the usual ones."""


def make_plan(settings: Settings, machine: hardware.Machine, supply: Supply, *, sweeping: bool = False) -> tuple[Plan, Method]:
    """Decide everything that can be decided without a photo; `supply` afterwards holds the checkpoints it takes.

    In a sweep, parameters that mean nothing to a backend are dropped with a reason; in a single run they are refused.

    Raises:
        GfpupError: the request cannot be carried out, with what to change.
    """
    device = hardware.choose_device(settings.device, machine)
    on_cpu = device.value == "cpu"
    method = plan_method(settings, supply, sweeping=sweeping)
    _refuse_what_whole_photos_lack(settings, method)
    detector = _plan_detector(settings, supply)
    mask = _plan_mask(settings, supply)
    guard = _plan_guard(settings, supply)
    background = _plan_background(settings, supply, on_cpu=on_cpu)
    tiles = _plan_tiles(settings, background.value)
    dtype = _plan_dtype(settings, on_cpu=on_cpu)
    face_batch = _plan_face_batch(settings, on_cpu=on_cpu)
    workers = _plan_workers(settings, machine)
    threads = settings.threads or machine.cores
    pixels: dict[str, Any] = {
        **method.pixels(),
        "damage": [settings.protocol, settings.damage_seed] if settings.source == "synthetic" else None,
        "mode": settings.mode,
        "dtype": dtype.value,
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
        "identity_min": guard.value,
        "background": background.value,
        "tiles": tiles.value,
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
    plan = Plan(
        pixels=pixels,
        device=device.value,
        face_batch=face_batch.value,
        photo_batch=1 if on_cpu or settings.mode == "memory-efficient" else GPU_PHOTO_BATCH,
        workers=workers.value,
        threads=threads,
        reasons=(device, *method.reasons, dtype, detector, mask, guard, background, tiles, face_batch, workers),
        warnings=tuple(supply.warnings),
        missing=tuple(supply.missing),
    )
    return plan, method


def _refuse_what_whole_photos_lack(settings: Settings, method: Method) -> None:
    """A method that pastes for itself leaves nothing to blend, guard or choose from."""
    if not backends.facts(method.name).whole_photos or (method.name == "upstream" and settings.aligned):
        return
    asked = {
        "--strength": settings.strength != 1,
        "--match-color": settings.match_color,
        "--identity-min": settings.identity_min is not None,
        "--background realesrgan": settings.background == "realesrgan",
    }
    if method.name == "upstream":
        choice = settings.choice
        asked |= {
            "a choice of faces other than all and center": choice.which not in ("all", "center")
            or bool(choice.min_px or choice.min_score or choice.leave_alone),
            "--detector cascade": settings.detector == "cascade",
        }
    for flag, is_asked in asked.items():
        if is_asked:
            raise GfpupError(f"{flag} means nothing to backend {method.name!r}, which delivers whole photos; leave it out.")


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
    if settings.backend == "upstream" and name == "auto":
        name = "retinaface-resnet50"  # the official path knows no other
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
    facts = backends.facts(settings.backend)
    if settings.aligned:
        return Reason("mask", "none", "nothing is pasted")
    if settings.backend == "precomputed":
        return Reason("mask", "none", "the results are pasted already")
    if settings.backend == "upstream":
        return _plan_official_mask(settings, supply)
    if settings.mask in ("bisenet", "parsenet"):
        supply.take("mask", settings.mask, settings.mask_path)
        return Reason("mask", settings.mask, "asked for")
    if settings.mask == "feather":
        return Reason("mask", "feather", "asked for")
    if not (facts.versions or facts.own_file) and settings.backend != "ensemble":
        return Reason("mask", "feather", f"{settings.backend} changes too little for a parsed mask to matter")
    lack = supply.try_named("mask", "bisenet")
    if lack is None:
        return Reason("mask", "bisenet", "the parsed face: hair, hats and background stay")
    supply.warnings.append(f"faces are pasted with a feathered square mask, not a parsed one. {lack}")
    return Reason("mask", "feather", lack)


def _plan_official_mask(settings: Settings, supply: Supply) -> Reason:
    if settings.mask == "bisenet":
        raise GfpupError("--mask bisenet means nothing to backend 'upstream', whose own is parsenet; use that or feather.")
    if settings.mask == "parsenet":
        supply.take("mask", "parsenet", settings.mask_path)
        return Reason("mask", "parsenet", "asked for")
    lack = "asked for" if settings.mask == "feather" else supply.try_named("mask", "parsenet")
    return Reason("mask", "parsenet", "the official one") if lack is None else Reason("mask", "feather", lack)


def _plan_guard(settings: Settings, supply: Supply) -> Reason:
    if settings.identity_min is None:
        return Reason("identity_min", None, "no face is held to its likeness; --identity-min does")
    supply.take("guard", "arcface-ir-se50", settings.identity_path)
    return Reason("identity_min", settings.identity_min, "faces less like their input are blended back towards it")


def _plan_background(settings: Settings, supply: Supply, *, on_cpu: bool) -> Reason:
    if settings.aligned:
        return Reason("background", "none", "an aligned face has no background")
    if backends.facts(settings.backend).whole_photos:
        return Reason("background", "none", f"{settings.backend} delivers whole photos")
    if settings.background == "none":
        return Reason("background", "none", "asked for: Lanczos")
    if settings.background == "spandrel":
        if settings.background_path is None:
            raise GfpupError("--background spandrel opens a checkpoint of yours; name it with --background-path.")
        supply.given("background", settings.background_path)
        return Reason("background", "spandrel", f"the file {settings.background_path.name}, unverified")
    name = "realesrgan-x2plus" if settings.upscale <= 2 else "realesrgan-x4plus"
    if settings.background == "realesrgan":
        supply.take("background", name, settings.background_path)
        return Reason("background", "realesrgan", f"asked for: {name}")
    if on_cpu:
        return Reason("background", "none", "Lanczos: Real-ESRGAN takes minutes a photo on a CPU")
    lack = supply.try_named("background", name)
    if lack is None:
        return Reason("background", "realesrgan", f"{name}, as a GPU is there")
    supply.warnings.append(f"the background is enlarged by Lanczos. {lack}")
    return Reason("background", "none", f"Lanczos: {lack}")


def _plan_tiles(settings: Settings, background: str) -> Reason:
    """Tile side and overlap in px; they never switch a background on."""
    overlap = TILE_OVERLAP_PX if settings.tile_overlap_px is None else settings.tile_overlap_px
    if background == "spandrel":
        return Reason("tiles", [settings.tile_px, overlap], "as asked for, or as its architecture allows")
    if background != "realesrgan":
        return Reason(
            "tiles", None, "there is nothing to tile" if settings.tile_px is None else "tiles mean nothing to Lanczos"
        )
    if settings.tile_px is not None:
        return Reason("tiles", [settings.tile_px, overlap], "asked for")
    if settings.mode == "high-quality":
        return Reason("tiles", [0, overlap], "the whole photo at once, for quality")
    if settings.mode == "memory-efficient":
        return Reason("tiles", [SMALL_TILE_PX, overlap], "small ones, for memory")
    return Reason("tiles", [TILE_PX, overlap], "bounds the memory")


def _plan_dtype(settings: Settings, *, on_cpu: bool) -> Reason:
    if settings.mode != "standard" and backends.facts(settings.backend).whole_photos:
        return Reason("dtype", "float32", f"{settings.mode} changes nothing of {settings.backend}, which delivers whole photos")
    if settings.mode == "high-quality":
        return Reason("dtype", "float32", "for quality; each face is also restored mirrored, and the two are averaged")
    if settings.mode == "memory-efficient" and not on_cpu:
        return Reason("dtype", "bfloat16", "for memory; a face whose output is not finite is redone in float32")
    return Reason("dtype", "float32", "exact")


def _plan_face_batch(settings: Settings, *, on_cpu: bool) -> Reason:
    if settings.mode == "memory-efficient":
        return Reason("face_batch", 1, "one face at a time, for memory")
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
    if settings.mode == "memory-efficient":
        return Reason("workers", 0, "no photo is read ahead, for memory")
    return Reason("workers", 1 if machine.cores <= 4 else 2, "reading ahead is cheap beside restoring")


def fingerprint(plan: Plan) -> str:
    """The identity of a plan: equal for plans whose results may lie in one folder."""
    return hashlib.sha256(json.dumps(plan.pixels, sort_keys=True).encode()).hexdigest()[:16]
