"""Which stages the jobs of a sweep share through the cache, and what decides the bytes of each.

Shared are faces, their crops and the background: none depends on the method. A Lanczos background too: of 4 megapixels made
twice as large, reading it back took a fifth of computing it. What is read has the bytes that computing would have given.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final
from weakref import ReferenceType, ref

import numpy as np

from gfpup.core.types import AlignedCrop, Detector, Face, Float64, Pixels, UInt8
from gfpup.core.versions import __version__
from gfpup.ops.geometry import TEMPLATE_512_XY
from gfpup.ops.resize import resize
from gfpup.restoration.align import align_faces, standard_affine
from gfpup.restoration.stage_cache import Arrays, StageCache, digest_of

Upsampler = Callable[[Pixels, tuple[int, int]], Pixels]

_COMPUTED_BY: Final = ("torch", "numpy", "opencv-python-headless", "opencv-python", "scikit-image", "spandrel")
_OWN_CODE: Final = ("machine/allocator.py", "models/backends", "models/nets", "ops", "restoration")
"""What of gfpup computes a stage: files and folders of the package. One that is gone is an error."""


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
        found = self._store.get("detect", {**self._settings["detect"], "pixels": pixels}, lambda: _from_faces(find(rgb)))
        return [
            Face((float(x0), float(y0), float(x1), float(y1)), float(score), np.array(landmarks, np.float64))
            for (x0, y0, x1, y1), score, landmarks in zip(found["boxes"], found["scores"], found["landmarks"], strict=True)
        ]

    def align(
        self, rgb: UInt8, faces: Sequence[Face], side_px: int, *, template_xy: Float64 = TEMPLATE_512_XY
    ) -> list[AlignedCrop | str]:
        """Stands in for `align_faces`."""
        if not faces:
            return []
        pixels = self._seen[1] if self._seen is not None and self._seen[0]() is rgb else digest_of(rgb)
        landmarks = [np.asarray(face.landmarks_xy, np.float64).tolist() for face in faces]
        facts = {"landmarks": landmarks, "side_px": side_px, "pixels": pixels, "by": _makers()}
        facts["template"] = template_xy.tolist()
        found = self._store.get("align", facts, lambda: _from_crops(align_faces(rgb, faces, side_px, template_xy=template_xy)))
        cut = iter(zip(found["pixels"], found["affines"], strict=True))
        reasons = zip(faces, found["reasons"], strict=True)
        return [
            str(reason) if reason else AlignedCrop(face, *next(cut), standard=standard_affine(face, template_xy))
            for face, reason in reasons
        ]

    def upsampler(self, upsample: Upsampler) -> Upsampler:
        """`upsample` behind the cache."""

        def shared(pixels: Pixels, to_hw: tuple[int, int]) -> Pixels:
            if upsample is resize and pixels.shape[:2] == to_hw:
                return upsample(pixels, to_hw)  # a copy: nothing is computed
            facts = {**self._settings["background"], "to_hw": list(to_hw), "pixels": digest_of(pixels)}
            return self._store.get("background", facts, lambda: {"pixels": upsample(pixels, to_hw)})["pixels"]

        return shared


@dataclass(frozen=True, eq=False)
class _SharedDetector:
    shared: SharedStages
    detector: Detector

    def detect(self, rgb: UInt8) -> list[Face]:
        return self.shared.detect(rgb, self.detector.detect)


def _from_faces(faces: Sequence[Face]) -> Arrays:
    return {
        "boxes": np.array([face.box_xyxy for face in faces], np.float64).reshape(-1, 4),
        "scores": np.array([face.score for face in faces], np.float64),
        "landmarks": np.array([face.landmarks_xy for face in faces], np.float64).reshape(-1, 5, 2),
    }


def _from_crops(crops: Sequence[AlignedCrop | str]) -> Arrays:
    cut = [crop for crop in crops if isinstance(crop, AlignedCrop)]
    return {
        "pixels": np.array([crop.pixels for crop in cut], np.uint8),
        "affines": np.array([crop.affine for crop in cut], np.float64),
        "reasons": np.array([crop if isinstance(crop, str) else "" for crop in crops], np.str_),
    }


@cache
def _makers() -> dict[str, str]:
    """All that computes a stage: the versions, the processor's instructions, which decide last bits, and gfpup's own code.

    The code by a digest, because the version of a checkout says little. FileNotFoundError where `_OWN_CODE` names what is gone:
    the cache would take old results for those of the new code.
    """
    import torch

    found = {"gfpup": __version__, "cpu": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"}
    for name in _COMPUTED_BY:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    digest = hashlib.blake2b(digest_size=16)
    root = Path(__file__).parents[1]
    for name in _OWN_CODE:
        files = [root / name] if (root / name).is_file() else sorted((root / name).rglob("*.py"))
        if not files:
            raise FileNotFoundError(f"the stage cache is keyed by the code in gfpup/{name}, which does not exist")
        for path in files:
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return found | {"code": digest.hexdigest()}
