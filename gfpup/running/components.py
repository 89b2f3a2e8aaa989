"""Load what a plan names, and drive it: the detector, the backend, Lightning's trainer."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import cv2
import torch

from gfpup.core.plan import Plan
from gfpup.core.types import Backend, Detector
from gfpup.evaluation import metrics
from gfpup.evaluation.metrics import GALLERY
from gfpup.evaluation.scorer import Scorer, load_scorer, require
from gfpup.machine.allocator import lasting_memory
from gfpup.models import backends
from gfpup.models.backends.ensemble import FlipEnsemble
from gfpup.models.backends.precomputed import Precomputed
from gfpup.models.recognition import People, load_embedder
from gfpup.ops.resize import resize
from gfpup.photos.people import find_people
from gfpup.planning.method import Method
from gfpup.planning.settings import Settings
from gfpup.records.items import NOT_TIMED
from gfpup.restoration import background
from gfpup.restoration.align import align_faces
from gfpup.restoration.auto import AutoRestorer
from gfpup.restoration.detect import load_detector
from gfpup.restoration.external import WholePhotoRestorer
from gfpup.restoration.identity_guard import IdentityGuard
from gfpup.restoration.parsing import load_mask
from gfpup.restoration.people import RecognisingDetector, gather
from gfpup.restoration.restorer import Restorer, Upsampler
from gfpup.restoration.select import Align
from gfpup.restoration.shared_stages import SharedStages
from gfpup.restoration.stage_cache import StageCache, default_folder
from gfpup.restoration.turn import TurningDetector
from gfpup.running import kept
from gfpup.running.marking import MarkingRestorer
from gfpup.running.predict import PhotoRestorer
from gfpup.weights import licences
from gfpup.weights.resolver import Resolver
from gfpup.weights.store import locate

VERSIONS_OF = ("torch", "lightning", "hydra-core", "numpy", "opencv-python-headless", "pillow", "scikit-image")


def load(settings: Settings, plan: Plan, method: Method, resolver: Resolver, *, people: People | None = None) -> PhotoRestorer:
    """Load the detector, the method and whatever else `plan` names; results carry the mark that their files are to have.

    `people` are what `load_people` gave.
    """
    restorer = _load_restorer(settings, plan, method, resolver, people)
    own_checkpoint = settings.weights.model is not None
    return MarkingRestorer(restorer, plan.recipe, method, own_checkpoint=own_checkpoint) if plan.recipe.write.mark else restorer


def load_people(settings: Settings, plan: Plan, resolver: Resolver) -> People | None:
    """Recognise the persons in the photos of `--people`; None where the run has none.

    Raises: GfpupError: no photo of one of the persons shows exactly one face.
    """
    folder = settings.people.folder
    if plan.recipe.people is None or folder is None:
        return None
    _prepare_torch(plan)
    with lasting_memory():
        embed = kept.load(load_embedder, resolver.paths["guard"], device=plan.device)
        detector, _ = _load_detector(settings, plan, resolver)
    return gather(find_people(folder), detector, embed, false_match=settings.people.false_match)


def _prepare_torch(plan: Plan) -> None:
    torch.set_num_threads(plan.threads)
    cv2.setNumThreads(plan.threads)
    torch.backends.cudnn.allow_tf32 = False  # else "float32" convolutions on a GPU keep 10 bits of 23


def _load_detector(settings: Settings, plan: Plan, resolver: Resolver) -> tuple[Detector, SharedStages | None]:
    """The detector, behind the stages that are shared with other runs, where there are such."""
    detect = settings.detect
    detector: Detector = kept.load(
        load_detector,
        plan.recipe.detector,
        path=resolver.paths.get("detector"),
        threshold=detect.threshold,
        detect_size=detect.size,
        device=plan.device,
    )
    if detect.turn != "none":
        detector = TurningDetector(detector)
    shared = load_shared(settings, plan, resolver, warn=lambda said: print(f"gfpup: {said}", file=sys.stderr))
    return (detector if shared is None else shared.detector(detector)), shared


@lasting_memory()
def _load_restorer(settings: Settings, plan: Plan, method: Method, resolver: Resolver, people: People | None) -> PhotoRestorer:
    _prepare_torch(plan)
    if method.name == "upstream" and not settings.restore.aligned:
        return _load_upstream(settings, plan, method, resolver)
    detector, shared = (None, None) if settings.restore.aligned else _load_detector(settings, plan, resolver)
    upsample = _load_background(plan, resolver)
    align: Align = align_faces
    if shared is not None:
        upsample, align = shared.upsampler(upsample), shared.align
    if people is not None and detector is not None:
        detector = RecognisingDetector(detector, people)
    if method.name == "precomputed":
        assert settings.precomputed.folder is not None
        results = Precomputed(settings.precomputed.folder, settings.precomputed.mapping)
        return WholePhotoRestorer(results, detector, settings.faces, align)
    make = _maker(settings, plan, resolver, people, detector=detector, upsample=upsample, align=align)
    if method.name != "auto":
        return make(method)
    makers = {member.key: partial(make, member) for member in method.members}
    return AutoRestorer(detector, makers, selection=settings.faces, from_files=settings.source.kind != "synthetic")


def _maker(
    settings: Settings, plan: Plan, resolver: Resolver, people: People | None, **stages: Any
) -> Callable[[Method], Restorer]:
    """What makes the restorer of a method; the mask and the guard are loaded once, whatever is made."""
    recipe, paths = plan.recipe, resolver.paths
    kind: Any = recipe.mask
    mask = kept.load(load_mask, kind, paths["mask"], device=plan.device) if "mask" in paths else None
    guard = None
    if recipe.identity_min is not None:
        if people is None:
            guard = IdentityGuard(kept.load(load_embedder, paths["guard"], device=plan.device), minimum=recipe.identity_min)
        else:
            guard = IdentityGuard(people.embed, minimum=recipe.identity_min, gallery=people.gallery)

    @lasting_memory()
    def make(one: Method) -> Restorer:
        return Restorer(
            backend=_load_backend(settings, plan, one, resolver, dtype=recipe.dtype),
            fallback=None if recipe.dtype == "float32" else _load_backend(settings, plan, one, resolver, dtype="float32"),
            upscale=settings.restore.upscale,
            strength=recipe.strength,
            match_colors=recipe.match_color,
            keep_tone=recipe.keep_tone,
            turn_upright=recipe.turn == "apply",
            choice=settings.faces,
            face_batch=plan.face_batch,
            device=plan.device,
            mask=mask,
            guard=guard,
            **stages,
        )

    return make


def _load_backend(settings: Settings, plan: Plan, method: Method, resolver: Resolver, *, dtype: str) -> Backend:
    # What redoes a face in float32 is rarely needed, and not worth a second graph.
    engine = plan.recipe.engine if dtype == plan.recipe.dtype else "eager"
    common = {"seed": settings.seed, "memory_efficient": settings.mode == "memory-efficient", "engine": engine}
    spec = method.spec(resolver, device=plan.device, dtype=dtype, **common)
    backend = kept.load(backends.load, spec)
    return FlipEnsemble(backend) if settings.mode == "high-quality" else backend


def _load_background(plan: Plan, resolver: Resolver) -> Upsampler:
    if plan.recipe.background == "none":
        return resize
    assert plan.recipe.tiles is not None, "every network that enlarges a background has tiles"
    tile_px, overlap_px = plan.recipe.tiles
    load: Callable[..., Upsampler] = background.RealESRGAN.load
    if plan.recipe.background == "spandrel":
        from gfpup.restoration.any_background import AnyUpsampler

        load = AnyUpsampler.load
    path, recipe = resolver.paths["background"], plan.recipe
    return kept.load(load, path, device=plan.device, dtype=recipe.dtype, tile_px=tile_px, tile_overlap_px=overlap_px)


def _load_upstream(settings: Settings, plan: Plan, method: Method, resolver: Resolver) -> PhotoRestorer:
    """The official path over whole photos: its own detection, alignment and paste."""
    from gfpup.models.backends.upstream import Upstream, UpstreamRestorer

    spec = method.spec(resolver, device=plan.device, seed=settings.seed)
    roles = {"detector": "detector", "mask": "parsenet"}
    checkpoints = {name: resolver.paths[role] for role, name in roles.items() if role in resolver.paths}
    loaded = Upstream.load(replace(spec, checkpoints={**spec.checkpoints, **checkpoints}))
    return UpstreamRestorer(loaded, upscale=settings.restore.upscale, only_center=settings.faces.which == "center")


def load_metrics(settings: Settings, plan: Plan, resolver: Resolver, *, people: People | None = None) -> Scorer | None:
    """Load the metrics that were asked for; one that is not available is missing with its reason.

    `people` are what `load_people` gave.

    Raises: MetricError: an unknown metric, or one that cannot be computed although all are required.
    """
    if not settings.metrics.names:
        return None

    def allow(licence_id: str, what: str) -> None:
        licences.require_licence(licence_id, what=what, accepted=resolver.accepted)

    find = partial(locate, store=resolver.store)
    scorer = load_scorer(settings.metrics.names, find=find, device=plan.device, allow=allow, people=people)
    if settings.people.folder is not None and people is None:
        scorer.missing |= {name: f"--people has no effect on {plan.recipe.backend}" for name in GALLERY if name in scorer.names}
    if settings.metrics.require:
        require(scorer)
    if plan.recipe.backend == "precomputed" and "seconds" in scorer.names:
        scorer.missing["seconds"] = NOT_TIMED
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


def load_shared(settings: Settings, plan: Plan, resolver: Resolver, *, warn: Callable[[str], None]) -> SharedStages | None:
    """The stages that `plan` shares, or None where it shares none; `warn` hears once of a folder that cannot be written."""
    if not plan.share_stages:
        return None
    store = StageCache(settings.cache.dir or default_folder(), limit_bytes=int(settings.cache.max_gb * 1e9), warn=warn)
    device: str = torch.cuda.get_device_name(plan.device) if plan.device.kind == "cuda" else plan.device
    computed = {"device": device, "threads": plan.recipe.threads}
    detect, recipe, weights = settings.detect, plan.recipe, resolver.digests
    looks = {"size": detect.size, "turn": detect.turn != "none"}
    detector = {"name": recipe.detector, "threshold": detect.threshold, **looks, "weights": weights.get("detector")}
    enlarged = {"name": recipe.background, "tiles": recipe.tiles, "dtype": recipe.dtype, "weights": weights.get("background")}
    return SharedStages(store, {"detect": detector | computed, "background": enlarged | computed})
