"""Which stages the jobs of a sweep share through the cache, and what decides the bytes of each.

Shared are faces, their crops and the background: none depends on the method. A Lanczos background too: of 4 megapixels made
twice as large, reading it back took a fifth of computing it. What is read has the bytes that computing would have given.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final
from weakref import ReferenceType, ref

import numpy as np

import gfpup
from gfpup import background
from gfpup.faces.align import align_faces
from gfpup.pipeline.cache import Arrays, StageCache, default_folder, digest_of
from gfpup.settings import Settings
from gfpup.supply import Supply
from gfpup.types import AlignedCrop, Detector, Face, Pixels, Plan, Reason, UInt8

Upsampler = Callable[[Pixels, tuple[int, int]], Pixels]

_COMPUTED_BY: Final = ("torch", "numpy", "opencv-python-headless", "opencv-python", "scikit-image", "spandrel")
_OWN_CODE: Final = ("background.py", "backends", "faces", "nets", "ops", "pipeline")


def decide(plan: Plan, settings: Settings, *, sweeping: bool) -> Plan:
    """The plan with the decision whether its stages are shared: in sweeps, or where it was asked for."""
    asked = settings.cache_enabled
    if asked is None and not sweeping:
        return plan
    where = f"{settings.cache_folder or default_folder()}, at most {settings.cache_gb:g} GB"
    if settings.aligned:
        choice = Reason("shared_stages", False, "aligned faces are neither searched for nor have they a background")
    elif plan.pixels["backend"] == "upstream":
        choice = Reason("shared_stages", False, "the official path finds and aligns faces by itself")
    elif asked is False:
        choice = Reason("shared_stages", False, "asked for: every stage is computed")
    else:
        choice = Reason("shared_stages", True, f"faces, crops and backgrounds are computed once for all jobs, kept in {where}")
    return replace(plan, share_stages=bool(choice.value), reasons=(*plan.reasons, choice))


def load_shared(settings: Settings, plan: Plan, supply: Supply, *, warn: Callable[[str], None]) -> SharedStages | None:
    """The stages that `plan` shares, or None where it shares none; `warn` hears once of a folder that cannot be written."""
    if not plan.share_stages:
        return None
    store = StageCache(settings.cache_folder or default_folder(), limit_bytes=int(settings.cache_gb * 1e9), warn=warn)
    computed = {"device": _device(plan), "threads": plan.pixels["threads"]}
    detector = {
        "name": plan.pixels["detector"],
        "threshold": settings.detection_threshold,
        "size": settings.detect_size,
        "weights": supply.digests.get("detector"),
    }
    enlarged = {
        "name": plan.pixels["background"],
        "tiles": plan.pixels["tiles"],
        "dtype": plan.pixels["dtype"],
        "weights": supply.digests.get("background"),
    }
    return SharedStages(store, {"detect": detector | computed, "background": enlarged | computed})


class SharedStages:
    """A run's faces, crops and backgrounds, computed or read from `store`; `settings` are each stage's own, for JSON."""

    def __init__(self, store: StageCache, settings: Mapping[str, Mapping[str, Any]]) -> None:
        self._store = store
        self._settings = {stage: {**facts, "by": _makers()} for stage, facts in settings.items()}
        self._seen: tuple[ReferenceType[UInt8], str] | None = None

    def detector(self, detector: Detector) -> Detector:
        """`detector` behind the cache."""
        return _SharedDetector(self, detector)

    def detect(self, rgb: UInt8, find: Callable[[UInt8], list[Face]]) -> list[Face]:
        """The faces of an (h, w, 3) uint8 RGB photo, by `find` where they are not known."""
        pixels = digest_of(rgb)
        self._seen = ref(rgb), pixels  # for `align`, which comes next and would spend half its time on it
        facts = {**self._settings["detect"], "pixels": pixels}
        found = self._store.get("detect", facts, lambda: _from_faces(find(rgb)))
        return [
            Face((float(x0), float(y0), float(x1), float(y1)), float(score), np.array(landmarks, np.float64))
            for (x0, y0, x1, y1), score, landmarks in zip(found["boxes"], found["scores"], found["landmarks"], strict=True)
        ]

    def align(self, rgb: UInt8, faces: Sequence[Face]) -> list[AlignedCrop | str]:
        """Stands in for `align_faces`."""
        if not faces:
            return []
        known = None if self._seen is None or self._seen[0]() is not rgb else self._seen[1]
        facts = {
            "landmarks": [np.asarray(face.landmarks_xy, np.float64).tolist() for face in faces],
            "pixels": known or digest_of(rgb),
            "by": _makers(),
        }
        found = self._store.get("align", facts, lambda: _from_crops(align_faces(rgb, faces)))
        cut = iter(zip(found["pixels"], found["affines"], strict=True))
        crops: list[AlignedCrop | str] = []
        for face, reason in zip(faces, found["reasons"], strict=True):
            crops.append(str(reason) if reason else AlignedCrop(face, *next(cut)))
        return crops

    def upsampler(self, upsample: Upsampler) -> Upsampler:
        """`upsample` behind the cache."""

        def shared(pixels: Pixels, to_hw: tuple[int, int]) -> Pixels:
            if upsample is background.resize and pixels.shape[:2] == to_hw:
                return upsample(pixels, to_hw)  # a copy: nothing is computed
            facts = {**self._settings["background"], "to_hw": list(to_hw), "pixels": digest_of(pixels)}
            return self._store.get("background", facts, lambda: {"pixels": upsample(pixels, to_hw)})["pixels"]

        return shared


class _SharedDetector:
    def __init__(self, shared: SharedStages, detector: Detector) -> None:
        self._shared = shared
        self._detector = detector

    def detect(self, rgb: UInt8) -> list[Face]:
        return self._shared.detect(rgb, self._detector.detect)


def _from_faces(faces: Sequence[Face]) -> Arrays:
    return {
        "boxes": np.array([face.box_xyxy for face in faces], np.float64).reshape(-1, 4),
        "scores": np.array([face.score for face in faces], np.float64),
        "landmarks": np.array([face.landmarks_xy for face in faces], np.float64).reshape(-1, 5, 2),
    }


def _from_crops(crops: Sequence[AlignedCrop | str]) -> Arrays:
    """The crops that there are, and for each face the reason why there is none, or an empty one."""
    cut = [crop for crop in crops if isinstance(crop, AlignedCrop)]
    return {
        "pixels": np.array([crop.pixels for crop in cut], np.uint8),
        "affines": np.array([crop.affine for crop in cut], np.float64),
        "reasons": np.array([crop if isinstance(crop, str) else "" for crop in crops], np.str_),
    }


def _device(plan: Plan) -> str:
    """What computes, a GPU by its name."""
    import torch

    return torch.cuda.get_device_name(plan.device) if plan.device.startswith("cuda") else plan.device


@cache
def _makers() -> dict[str, str]:
    """All that computes a stage: the versions, the processor's instructions, which decide last bits, and gfpup's own code.

    The code by a digest, because the version of a checkout says little.
    """
    import torch

    found = {"gfpup": gfpup.__version__, "cpu": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"}
    for name in _COMPUTED_BY:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    digest = hashlib.blake2b(digest_size=16)
    root = Path(gfpup.__file__).parent
    for path in sorted(root.rglob("*.py")):
        if path.relative_to(root).parts[0] in _OWN_CODE:
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return found | {"code": digest.hexdigest()}
