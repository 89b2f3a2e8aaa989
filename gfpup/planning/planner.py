"""Turn a request and a machine into a plan: every decision made before the first photo, each with its reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from gfpup.core import registry
from gfpup.core.errors import GfpupError
from gfpup.core.plan import Decision, Encoding, FaceChoice, Plan, Recipe
from gfpup.machine.hardware import Machine
from gfpup.models import backends
from gfpup.photos.people import digest_of, find_people, nobodys
from gfpup.planning.detector import plan_detector, plan_looks
from gfpup.planning.memory_model import Placement
from gfpup.planning.method import Method, plan_method
from gfpup.planning.placement import place
from gfpup.planning.settings import Settings
from gfpup.restoration import detect, stage_cache
from gfpup.restoration.background import TILE_OVERLAP_PX
from gfpup.weights.resolver import Progress, Resolver, open_store

GPU_PHOTO_BATCH = 4
"""Photos whose faces share forwards on a GPU."""
Reasons = tuple[Decision[Any], ...]


def make_plan(
    settings: Settings,
    machine: Machine,
    resolver: Resolver,
    *,
    sweeping: bool = False,
    earlier: Mapping[str, Any] | None = None,
) -> tuple[Plan, Method]:
    """Decide everything that can be decided without a photo; `resolver` afterwards holds the checkpoints it takes.

    In a sweep, parameters that do not apply to a backend are dropped with a reason; in a single run they are refused.
    `earlier` is the recorded recipe of results that are to be added to, for `place`.

    Raises: GfpupError: the request cannot be carried out, with what to change.
    """
    settings, left_out = _leave_out_unused(settings, sweeping=sweeping)
    placed: dict[str, Any] = {"sweeping": sweeping, "earlier": earlier}
    if settings.backend.name == "auto":  # which downloads nothing, so that its methods may be known before the rest is
        method = plan_method(settings, resolver, sweeping=sweeping)
        asked = settings.changed({"ensemble.backends": tuple(member.name for member in method.members)})
        placement = place(asked, machine, **placed)
    else:
        placement = place(settings, machine, **placed)
        method = plan_method(settings, resolver, sweeping=sweeping)
    detector = plan_detector(settings, resolver)
    mask = _plan_mask(settings, resolver, method)
    people = _plan_people(settings, resolver)
    guard = _plan_guard(settings, resolver)
    background = _plan_background(settings, resolver, placement)
    tiles = _plan_tiles(settings, background.value, placement)
    workers, threads = _plan_workers(settings, machine), _plan_threads(settings, machine)
    recipe = _recipe(
        settings,
        method,
        placement,
        detector=detector.value,
        mask=mask.value,
        identity_min=guard.value,
        people=people.value,
        background=background.value,
        tiles=tiles.value,
        # Sums are taken in another order with another number of threads; nobody sees it, but the bytes differ.
        threads=threads.value if placement.on_cpu else None,
        checkpoints=dict(sorted(resolver.digests.items())),
    )
    before: Reasons = (placement.tier, placement.device, *method.reasons, *left_out, placement.dtype, placement.engine)
    faces: Reasons = (detector, *plan_looks(settings, detector.value), mask, *((people,) if people.value else ()), guard)
    after: Reasons = (*faces, background, tiles, placement.face_batch, workers, threads, placement.memory)
    plan = Plan(
        recipe=recipe,
        device=placement.device.value,
        face_batch=placement.face_batch.value,
        photo_batch=min(GPU_PHOTO_BATCH, placement.face_batch.value),
        workers=workers.value,
        threads=threads.value,
        reasons=before + after,
        warnings=(*resolver.warnings, *placement.warnings),
        missing=tuple(resolver.missing),
    )
    return plan, method


def _recipe(settings: Settings, method: Method, placement: Placement, **decided: Any) -> Recipe:
    """What decides the bytes: the method, the placement, what was asked for, and the other decisions."""
    faces = {**asdict(settings.faces), "persons": sorted(settings.faces.persons)}
    write = {field.name: getattr(settings.write, field.name) for field in fields(Encoding)}
    # A run that never marks anything is the same with the flag and without.
    write["mark"] = settings.write.mark and bool(method.source_type or decided["background"] != "none")
    return Recipe(
        **method.recipe(),
        **decided,
        damage=(settings.source.protocol, settings.source.seed) if settings.source.kind == "synthetic" else None,
        mode=settings.mode,
        dtype=placement.dtype.value,
        engine=placement.engine.value,
        seed=settings.seed,
        upscale=settings.restore.upscale,
        aligned=settings.restore.aligned,
        strength=settings.restore.strength,
        match_color=settings.restore.match_color,
        keep_tone=settings.restore.keep_tone,
        detection_threshold=settings.detect.threshold,
        detect_size=settings.detect.size,
        turn=settings.detect.turn,
        # Folders made before faces could be picked, or chosen by person, stay what they are.
        faces={key: value for key, value in faces.items() if value or key not in ("picked", "persons")},
        device=placement.device.value.kind,
        write=Encoding(**write),
    )


def _leave_out_unused(settings: Settings, *, sweeping: bool) -> tuple[Settings, list[Decision[Any]]]:
    """The request without what its method does not use. In a sweep, jobs that differ in nothing else become one this way.

    Raises: GfpupError: a single run asks for something that a method of whole photos has no use for.
    """
    name = settings.backend.name
    whole = backends.facts(name).whole_photos and not (name == "upstream" and settings.restore.aligned)
    unused: dict[str, dict[str, Any]] = {}
    if whole or (name == "identity" and sweeping):
        unused["--strength"] = {"restore.strength": 1.0}
    if whole:
        unused["--match-color"] = {"restore.match_color": False}
        unused["--keep-tone"] = {"restore.keep_tone": False}
        unused["--keep-large-faces"] = {"faces.keep_large": False}
        if settings.detect.turn == "apply":
            unused["--turn apply"] = {"detect.turn": "auto"}
        unused["--identity-min"] = {"guard.identity_min": None}
        if settings.background.name == "realesrgan":
            unused["--background realesrgan"] = {"background.name": "auto"}
    if whole and name == "upstream":
        usual = FaceChoice("center" if settings.faces.which == "center" else "all")
        unused["a choice of faces other than all and center"] = {"faces": replace(settings.faces, **asdict(usual))}
        if settings.detect.name in detect.WITHOUT_CHECKPOINT:
            unused[f"--detector {settings.detect.name}"] = {"detect.name": "auto"}
        unused["--people"] = {"people.folder": None}
    why = "which restores nothing" if name == "identity" else "which delivers whole photos"
    left_out: list[Decision[Any]] = []
    for flag, neutral in unused.items():
        changed = settings.changed(neutral)
        if changed == settings:
            continue
        if not sweeping:
            raise GfpupError(f"{flag} does not apply to backend {name!r}, {why}; leave it out.")
        settings = changed
        left_out.extend(Decision(key, None, f"has no effect on {name}, {why}") for key in neutral)
    return settings, left_out


def _plan_mask(settings: Settings, resolver: Resolver, method: Method) -> Decision[str]:
    """A parsed face follows hair and hats; only a learned method changes enough for that to matter."""
    asked, official = settings.paste.mask, settings.backend.name == "upstream"
    facts = [backends.facts(one.name) for one in (method, *method.members)]
    if settings.restore.aligned:
        return Decision("mask", "none", "nothing is pasted")
    if settings.backend.name == "precomputed":
        return Decision("mask", "none", "the results are pasted already")
    if official and asked == "bisenet":
        raise GfpupError("--mask bisenet does not apply to backend 'upstream', whose own is parsenet; use that or feather.")
    if asked in ("bisenet", "parsenet"):
        resolver.use("mask", asked, settings.paste.mask_path)
    if asked != "auto":
        return Decision("mask", asked, "asked for")
    if not official and settings.backend.name != "ensemble" and not any(one.versions or one.own_file for one in facts):
        names = [one.name for one in method.members or (method,)]
        changes = "changes" if len(names) < 2 else "change"
        return Decision("mask", "feather", f"{' and '.join(names)} {changes} too little for a parsed mask to matter")
    usual = "parsenet" if official else "bisenet"
    unavailable = resolver.try_published("mask", usual)
    if unavailable is None:
        return Decision("mask", usual, "the official one" if official else "the parsed face: hair, hats and background stay")
    if not official:
        resolver.warnings.append(f"faces are pasted with a feathered square mask, not a parsed one. {unavailable}")
    return Decision("mask", "feather", unavailable)


def _plan_people(settings: Settings, resolver: Resolver) -> Decision[Mapping[str, Any] | None]:
    """What of the photos of persons decides bytes: their digest, and when a face counts as one of them."""
    folder, persons = settings.people.folder, settings.faces.persons
    if folder is None:
        if persons:
            raise GfpupError("--person chooses among the persons of --people: give the folder with their photos, --people DIR.")
        return Decision("people", None, "no photos of persons are given; --people names them")
    if settings.restore.aligned:
        raise GfpupError("--people finds faces in photos, and --aligned takes each photo for a face: leave out one of them.")
    listing = find_people(folder)
    for name in persons:
        if name not in listing:
            raise GfpupError(registry.unknown("person", name, listing))
    if loose := nobodys(folder, listing):
        some = ", ".join(path.name for path in loose[:3]) + (", ..." if len(loose) > 3 else "")
        resolver.warnings.append(f"photos that lie in {folder} itself show nobody in particular and are left out: {some}.")
    count = sum(map(len, listing.values()))
    value = {"photos": digest_of(listing), "false_match": settings.people.false_match}
    return Decision("people", value, f"faces are recognised by {count} photos of {', '.join(listing)} in {folder}")


def _plan_guard(settings: Settings, resolver: Resolver) -> Decision[float | None]:
    """How like its input a face has to stay; recognising persons takes the same network."""
    minimum, to_people = settings.guard.identity_min, settings.people.folder is not None
    if minimum is not None or to_people:
        resolver.use("guard", "arcface-ir-se50", settings.guard.path)
    if minimum is None:
        return Decision("identity_min", None, "no face has to stay like its input; --identity-min sets how much")
    why = "faces less like their input are blended back towards it"
    if to_people:
        why = "faces less like the photos of their person are blended back towards their input; others are compared with it"
    return Decision("identity_min", minimum, why)


def _plan_background(settings: Settings, resolver: Resolver, placement: Placement) -> Decision[str]:
    if settings.restore.aligned:
        return Decision("background", "none", "an aligned face has no background")
    if backends.facts(settings.backend.name).whole_photos:
        return Decision("background", "none", f"{settings.backend.name} delivers whole photos")
    if settings.background.name == "none":
        return Decision("background", "none", "asked for: Lanczos")
    if settings.background.name == "spandrel":
        if settings.background.path is None:
            raise GfpupError("--background spandrel opens a checkpoint of yours; name it with --background-path.")
        resolver.use_file("background", settings.background.path)
        return Decision("background", "spandrel", f"the file {settings.background.path.name}, unverified")
    name = "realesrgan-x2plus" if settings.restore.upscale <= 2 else "realesrgan-x4plus"
    if settings.background.name == "realesrgan":
        resolver.use("background", name, settings.background.path)
        return Decision("background", "realesrgan", f"asked for: {name}")
    if not placement.upsampler.value:
        return Decision("background", "none", placement.upsampler.why)
    unavailable = resolver.try_published("background", name)
    if unavailable is None:
        return Decision("background", "realesrgan", f"{name}, {placement.upsampler.why}")
    resolver.warnings.append(f"the background is enlarged by Lanczos. {unavailable}")
    return Decision("background", "none", f"Lanczos: {unavailable}")


def _plan_tiles(settings: Settings, background: str, placement: Placement) -> Decision[tuple[int | None, int] | None]:
    """Tile side and overlap in px; they never switch a background on."""
    overlap = TILE_OVERLAP_PX if settings.background.tile_overlap_px is None else settings.background.tile_overlap_px
    if background == "spandrel":
        return Decision("tiles", (settings.background.tile_px, overlap), "as asked for, or as its architecture allows")
    if background != "realesrgan":
        why = "there is nothing to tile" if settings.background.tile_px is None else "Lanczos needs no tiles"
        return Decision("tiles", None, why)
    return Decision("tiles", (placement.tile_px.value, overlap), placement.tile_px.why)


def _plan_workers(settings: Settings, machine: Machine) -> Decision[int]:
    asked = settings.hardware.workers
    if asked is None and settings.mode == "memory-efficient":
        return Decision("workers", 0, "no photo is read ahead, for memory")
    usual = 1 if machine.cores <= 4 else 2
    why = "reading ahead is cheap beside restoring" if asked is None else "asked for"
    return Decision("workers", usual if asked is None else asked, why)


def _plan_threads(settings: Settings, machine: Machine) -> Decision[int]:
    """Threads of one forward: the cores that this process may use, and no more than OMP_NUM_THREADS says."""
    if settings.hardware.threads is not None:
        return Decision("threads", settings.hardware.threads, "asked for")
    if machine.omp_threads is not None and machine.omp_threads < machine.cores:
        return Decision("threads", machine.omp_threads, f"OMP_NUM_THREADS says so; this process may use {machine.cores} cores")
    return Decision("threads", machine.cores, "; ".join(("one for each core that this process may use", *machine.limits)))


def fingerprint(plan: Plan) -> str:
    """The identity of a plan: equal for plans whose results may lie in one folder."""
    # Folders made before there were engines stay what they are: eager is what made them.
    recipe = {key: value for key, value in plan.recipe.facts().items() if (key, value) != ("engine", "eager")}
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]


def open_resolver(settings: Settings, *, progress: Progress | None = None) -> Resolver:
    """The checkpoints of a request: from the store it names; consents given with it are remembered, but for a dry run."""
    asked = settings.weights
    store = open_store(
        asked.dir,
        accept=asked.accept_licences,
        remember=not settings.dry_run,
        offline=not asked.download,
        trust_first_download=asked.trust_first_download,
    )
    return Resolver(store, asked.accept_licences, settings.dry_run, progress, asked.files)


def decide(plan: Plan, settings: Settings, *, sweeping: bool) -> Plan:
    """The plan with the decision whether its stages are shared: in sweeps, or where it was asked for."""
    asked = settings.cache.enabled
    if asked is None and not sweeping:
        return plan
    shared, why = False, "asked for: every stage is computed"
    if settings.restore.aligned:
        why = "aligned faces are not searched for and have no background"
    elif plan.recipe.backend == "upstream":
        why = "the official path finds and aligns faces by itself"
    elif asked is not False:
        where = f"{settings.cache.dir or stage_cache.default_folder()}, at most {settings.cache.max_gb:g} GB"
        shared, why = True, f"faces, crops and backgrounds are computed once for all jobs, kept in {where}"
    return replace(plan, share_stages=shared, reasons=(*plan.reasons, Decision("shared_stages", shared, why)))
