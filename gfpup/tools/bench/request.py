"""What a benchmark is asked to measure, and which of it can be measured here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from gfpup.core.errors import GfpupError
from gfpup.models import backends

Opponent = Literal["upstream", "plain"]

PRECISIONS: Final = {"auto": "float32", "fp32": "float32", "bf16": "bfloat16"}
AGAINST: Final = ("auto", "upstream", "plain", "none")
BACKGROUNDS: Final = ("none", "realesrgan")
MASKS: Final = ("bisenet", "parsenet", "feather")
DETECTORS: Final = ("retinaface-resnet50", "retinaface-mobilenet0.25", "mtcnn", "cascade")

IN_THE_OFFICIAL_PACKAGES: Final = ("gfpgan", "restoreformer")
"""The methods whose network is in the official packages; the others are published only as scripts."""

WHY_NOT: Final = {
    "auto": "it is a different method for each photo: name them, as in --backend gfpgan,codeformer",
    "precomputed": "it computes nothing: its results were made elsewhere",
    "upstream": "it is what others are measured against: gfpup bench --backend gfpgan --against upstream",
    "ensemble": "its cost is the sum of its members: name them, as in --backend gfpgan,codeformer",
}


NO_UPSTREAM_BACKGROUND: Final = (
    "the official packages do not have a Real-ESRGAN pipeline: leave out --background, or use --against plain."
)
TILE_PX: Final = 256
"""A run's own, where the hardware does not say another: see `restoration.background`."""


@dataclass(frozen=True)
class Workload:
    """A whole photo: sizes in px, `size_wh` (w, h); `face_px` is the side of a face's square, smaller if it would not fit.

    `detect_size` is the short side of the first look, 0 for the photo's own, None by the photo.
    """

    size_wh: tuple[int, int] = (2000, 1500)
    faces: int = 2
    face_px: int = 400
    upscale: float = 2.0
    detector: str = "retinaface-resnet50"
    detect_size: int | None = None
    mask: str = "bisenet"
    background: str = "none"


@dataclass(frozen=True)
class Tile:
    """The background's network alone, on a piece of a photo of `size_wh` (w, h) px; `name` is the catalogue's."""

    name: str
    size_wh: tuple[int, int] = (TILE_PX, TILE_PX)


@dataclass(frozen=True)
class Side:
    """One side of a comparison, in its own process: "gfpup", "plain" (the same without its rewrites) or "upstream".

    `checkpoints` are paths by role: "backend", "detector", "mask", "background". Without a `workload` it is a network alone:
    the background's on a `tile`, else the method's on `batch` aligned faces. `paste_on` is the device on which gfpup pastes.
    """

    name: str
    backend: str
    engine: str = "eager"
    dtype: str = "float32"
    batch: int = 1
    device: str = "cpu"
    paste_on: str = "cpu"
    checkpoints: Mapping[str, Path] = field(default_factory=dict)
    workload: Workload | None = None
    tile: Tile | None = None


@dataclass(frozen=True)
class Request:
    """Everything that is asked for; `against` is one of `AGAINST`; without a `workload` networks are measured alone.

    With a `tile` it is the background's network, under its own name in place of a backend's.
    """

    backends: tuple[str, ...] = ("gfpgan",)
    against: str = "auto"
    engine: str = "eager"
    precision: str = "float32"
    batch: int = 1
    paste_on: str = "cpu"
    repeat: int = 5
    warmup: int = 1
    threads: int = 1
    device: str = "cpu"
    workload: Workload | None = None
    tile: Tile | None = None
    weights_dir: Path | None = None
    model_path: Path | None = None
    background_path: Path | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What the rows of the result are: methods, or the background."""
        return self.backends if self.tile is None else (self.tile.name,)

    def side(self, name: str, backend: str, checkpoints: Mapping[str, Path]) -> Side:
        """One side of `backend`; only gfpup's own has the engine and the precision that were asked for."""
        workload = self.workload
        if workload is not None and name == "upstream":
            # The official pipeline detects on the whole photo and has no other mask.
            workload = replace(workload, detect_size=0, mask="parsenet")
        side = Side(
            name, backend, batch=self.batch, device=self.device, checkpoints=checkpoints, workload=workload, tile=self.tile
        )
        if name != "gfpup":
            return side
        return replace(side, engine=self.engine, dtype=self.precision, paste_on=self.paste_on)


def checked(request: Request) -> Request:
    """The request with canonical names.

    Raises: GfpupError: a backend that is unknown or cannot be measured, or settings that exclude each other.
    """
    if request.tile is not None:
        if request.against == "upstream":
            raise GfpupError(NO_UPSTREAM_BACKGROUND)
        if request.engine != "eager":
            raise GfpupError(f"the background has no engines: leave out --engine {request.engine}.")
        return request
    names = tuple(dict.fromkeys(backends.canonical(name) for name in request.backends))
    for name in names:
        _check_backend(name, request)
    if request.model_path is not None and len(names) > 1:
        raise GfpupError("--model-path is one method's checkpoint: measure one backend with it.")
    if request.model_path is not None and not request.model_path.is_file():
        raise GfpupError(f"there is no checkpoint at {request.model_path}: check the path.")
    if request.workload is not None and request.batch > 1 and request.device == "cpu":
        raise GfpupError(f"--batch {request.batch} with --pipeline is for a GPU: a CPU restores the faces one by one.")
    for name in names:
        opponent(name, request)  # raises now rather than after the first backend was measured
    if request.engine != "eager":
        from gfpup.models import engines

        engines.require(request.engine, device=request.device, dtype=request.precision)
    return replace(request, backends=names)


def _check_backend(name: str, request: Request) -> None:
    if name in WHY_NOT:
        raise GfpupError(f"backend {name!r} cannot be measured, because {WHY_NOT[name]}.")
    own_file = backends.facts(name).own_file
    if own_file and request.model_path is None:
        raise GfpupError(f"backend {name!r} has no published weights: give a checkpoint with --model-path.")
    if own_file or architecture(name) is not None:
        return
    if request.model_path is not None:
        raise GfpupError(f"backend {name!r} has no weights: leave out --model-path.")
    if request.engine != "eager":
        raise GfpupError(f"backend {name!r} has no network: leave out --engine {request.engine}.")
    if request.precision != "float32":
        word = {value: key for key, value in PRECISIONS.items()}.get(request.precision, request.precision)
        raise GfpupError(f"backend {name!r} has no network: leave out --precision {word}.")


def architecture(backend: str) -> str | None:
    """The catalogue's name of the network of `backend`; None if it has no published one."""
    weights = backends.published(backend)
    return None if weights is None else weights.architecture


def opponent(backend: str, request: Request) -> Opponent | None:
    """What `backend` is measured against; None if it is measured alone.

    Raises: GfpupError: what `request.against` names is not available, with the reason.
    """
    network = architecture(backend) if request.tile is None else backend
    if request.against == "none" or (request.against == "auto" and network is None):
        return None
    if request.against == "plain" and network is None:
        raise GfpupError(f"backend {backend!r} has no network, so it has no plain form: leave out --against plain.")
    reason = None if request.against == "plain" else _why_no_upstream(backend, request)
    if request.against == "upstream" and reason is not None:
        raise GfpupError(reason)
    return "plain" if request.against == "plain" or reason is not None else "upstream"


def _why_no_upstream(backend: str, request: Request) -> str | None:
    if request.tile is not None:
        return NO_UPSTREAM_BACKGROUND
    if architecture(backend) not in IN_THE_OFFICIAL_PACKAGES:
        return f"the official packages do not have {backend}: use --against plain, or leave out --against."
    if request.workload is not None and request.workload.background != "none":
        return NO_UPSTREAM_BACKGROUND
    from gfpup.models.backends.upstream_imports import INSTALL, missing

    absent = missing()
    lacking = f"{', '.join(absent)} {'is' if len(absent) == 1 else 'are'} not installed; after torch: {INSTALL}"
    return f"--against upstream needs the official packages, and {lacking}" if absent else None
