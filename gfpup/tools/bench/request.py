"""What a benchmark is asked to measure, and what of it can be measured here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from gfpup.core.errors import GfpupError
from gfpup.models import backends
from gfpup.weights import catalogue

Opponent = Literal["upstream", "plain"]

PRECISIONS: Final = {
    "auto": "float32",
    "fp32": "float32",
    "bf16": "bfloat16",
}
AGAINST: Final = ("auto", "upstream", "plain", "none")
BACKGROUNDS: Final = ("none", "realesrgan")
MASKS: Final = ("bisenet", "parsenet", "feather")
DETECTORS: Final = ("retinaface-resnet50", "retinaface-mobilenet0.25", "cascade")

IN_THE_OFFICIAL_PACKAGES: Final = ("gfpgan", "restoreformer")
"""The methods whose network the official packages hold; those of the other methods are published as scripts only."""

WHY_NOT: Final = {
    "auto": "is another one for each photo: name those, as in --backend gfpgan,codeformer",
    "precomputed": "computes nothing: its results were made elsewhere",
    "upstream": "is what others are measured against: gfpup bench --backend gfpgan --against upstream",
    "ensemble": "costs the sum of its members: name these, as in --backend gfpgan,codeformer",
}


@dataclass(frozen=True)
class Workload:
    """A whole photo: sizes in px, `size_wh` (w, h); `face_px` is the side of a face's square, smaller where it would not fit.

    `detect_size` is the short side that the detector sees, 0 the photo's own.
    """

    size_wh: tuple[int, int] = (2000, 1500)
    faces: int = 2
    face_px: int = 400
    upscale: float = 2.0
    detector: str = "retinaface-resnet50"
    detect_size: int = 640
    mask: str = "bisenet"
    background: str = "none"


@dataclass(frozen=True)
class Side:
    """One thing to be measured, in a process of its own: "gfpup", "plain" (the same without its rewrites) or "upstream".

    `checkpoints` are paths by role: "backend", "detector", "mask", "background". Without a `workload` it is the network alone,
    on `batch` aligned faces.
    """

    name: str
    backend: str
    engine: str = "eager"
    dtype: str = "float32"
    batch: int = 1
    device: str = "cpu"
    threads: int = 1
    checkpoints: Mapping[str, str] = field(default_factory=dict)
    workload: Workload | None = None

    def to_json(self) -> dict[str, Any]:
        """The side as JSON can hold it; `from_json` is its inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Side:
        """The side that `to_json` wrote."""
        load = facts["workload"]
        workload = None if load is None else Workload(**{**load, "size_wh": tuple(load["size_wh"])})
        return cls(**{**facts, "workload": workload})


@dataclass(frozen=True)
class Request:
    """Everything that is asked for; `against` is one of `AGAINST`, and `workload` None for the networks alone."""

    backends: tuple[str, ...] = ("gfpgan",)
    against: str = "auto"
    engine: str = "eager"
    precision: str = "float32"
    batch: int = 1
    repeat: int = 5
    warmup: int = 1
    threads: int = 1
    device: str = "cpu"
    workload: Workload | None = None
    weights_dir: Path | None = None
    model_path: Path | None = None

    def side(self, name: str, backend: str, checkpoints: Mapping[str, Path]) -> Side:
        """One side of `backend`; only gfpup's own has the engine and the precision that were asked for."""
        own = name == "gfpup"
        workload = self.workload
        if workload is not None and name == "upstream":
            # The official path sees the whole photo and knows no other mask.
            workload = Workload(**{**asdict(workload), "detect_size": 0, "mask": "parsenet"})
        return Side(
            name,
            backend,
            engine=self.engine if own else "eager",
            dtype=self.precision if own else "float32",
            batch=self.batch,
            device=self.device,
            threads=self.threads,
            checkpoints={role: str(path) for role, path in checkpoints.items()},
            workload=workload,
        )


def checked(request: Request) -> Request:
    """The request with canonical names.

    Raises:
        GfpupError: a backend that is unknown or cannot be measured, or settings that mean nothing together.
    """
    names = tuple(dict.fromkeys(backends.canonical(name) for name in request.backends))
    for name in names:
        if name in WHY_NOT:
            raise GfpupError(f"backend {name!r} cannot be measured, as it {WHY_NOT[name]}.")
        if backends.facts(name).own_file and request.model_path is None:
            raise GfpupError(f"backend {name!r} has no published weights; name a checkpoint with --model-path.")
        if request.model_path is not None and not backends.facts(name).own_file and architecture(name) is None:
            raise GfpupError(f"backend {name!r} has no weights; leave out --model-path.")
        precision = next((word for word in ("fp32", "bf16") if PRECISIONS[word] == request.precision), request.precision)
        asked = f"--engine {request.engine}" if request.engine != "eager" else f"--precision {precision}"
        if asked != "--precision fp32" and architecture(name) is None and not backends.facts(name).own_file:
            raise GfpupError(f"backend {name!r} has no network, so {asked} means nothing to it; leave it out.")
    if request.model_path is not None and len(names) > 1:
        raise GfpupError("--model-path names one method's checkpoint; measure one backend with it.")
    if request.model_path is not None and not request.model_path.is_file():
        raise GfpupError(f"there is no checkpoint at {request.model_path}; check the path.")
    if request.workload is not None and request.batch > 1 and request.device == "cpu":
        raise GfpupError(f"--batch {request.batch} of a whole photo is for a GPU; on a CPU each face is a forward of its own.")
    for name in names:
        opponent(name, request)  # refused now rather than after the first backend was measured
    if request.engine != "eager":
        from gfpup.models import engines

        engines.require(request.engine, device=request.device, dtype=request.precision)
    return Request(**{**_fields(request), "backends": names})


def architecture(backend: str) -> str | None:
    """The catalogue's name of the network behind `backend`; None where it has none that is published."""
    row = backends.facts(backend)
    if not row.versions:
        return None
    return catalogue.find(default_checkpoint(backend)).architecture


def default_checkpoint(backend: str) -> str:
    """The catalogue's name of the checkpoint of the default version of `backend`."""
    row = backends.facts(backend)
    return row.versions.get(row.default_version) or next(iter(row.versions.values()))


def opponent(backend: str, request: Request) -> Opponent | None:
    """What `backend` is measured against; None: it is measured alone.

    Raises:
        GfpupError: the other side that was asked for cannot be had, with the reason.
    """
    if request.against == "none":
        return None
    network = architecture(backend)
    if request.against == "plain" or (request.against == "auto" and network is not None):
        if network is None:
            raise GfpupError(f"backend {backend!r} has no network, so it has no plain form; leave out --against plain.")
        return "upstream" if request.against == "auto" and _why_no_upstream(backend, request) is None else "plain"
    if request.against == "upstream":
        reason = _why_no_upstream(backend, request)
        if reason is not None:
            raise GfpupError(reason)
        return "upstream"
    return None


def _why_no_upstream(backend: str, request: Request) -> str | None:
    network = architecture(backend)
    if network not in IN_THE_OFFICIAL_PACKAGES:
        return f"the official packages hold no {backend}; measure it with --against plain, or without --against."
    if request.workload is not None and request.workload.background != "none":
        return "the official packages hold no Real-ESRGAN pipeline; leave out --background, or measure --against plain."
    from gfpup.models.backends.upstream_imports import INSTALL, missing

    absent = missing()
    if absent:
        return (
            f"--against upstream runs the official packages, and {', '.join(absent)} "
            f"{'is' if len(absent) == 1 else 'are'} not installed; install them after torch with: {INSTALL}"
        )
    return None


def _fields(request: Request) -> dict[str, Any]:
    return {name: getattr(request, name) for name in request.__dataclass_fields__}
