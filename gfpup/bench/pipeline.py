"""A whole photo through a whole pipeline: gfpup's own, the same with plain networks, or the official one.

The detector runs and its answer is replaced by the faces that were planted, so that every side restores the same ones: random
weights find none, and two detectors seldom agree on every face of a crowd.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from gfpup import background
from gfpup.bench.forward import Outcome, backend_of, plain_network
from gfpup.bench.photo import planted
from gfpup.bench.request import Side, Workload
from gfpup.faces.detect import RetinaFaceDetector, load_detector
from gfpup.faces.mask import ParsedMask, load_mask
from gfpup.pipeline.restore import Masker, Restorer, Upsampler
from gfpup.types import BackendSpec, Detector, Face, UInt8

NO_SCORE = 2.0
"""A threshold that no score reaches: what random weights take for faces costs no side anything."""


@dataclass(frozen=True, eq=False)
class Planted:
    """A detector that does its work and then says what was planted."""

    inner: Detector
    faces: list[Face]

    def detect(self, rgb: UInt8) -> list[Face]:
        """Run the detector over (h, w, 3) uint8 RGB and return the planted faces."""
        self.inner.detect(rgb)
        return list(self.faces)


def photo_run_of(side: Side) -> Callable[[], Outcome]:
    """Load `side` and return what restores its photo once.

    Raises:
        GfpupError: it cannot be loaded as asked for.
    """
    load = side.workload
    assert load is not None
    photo, faces = planted(load.size_wh, load.faces, load.face_px)
    if side.name == "upstream":
        return _official_run(side, load, photo.rgb8, faces)
    restorer = Restorer(
        backend=backend_of(side),
        detector=Planted(_detector(side, load), faces),
        upscale=load.upscale,
        face_batch=side.batch,
        device=side.device,
        upsample=_background(side, load),
        mask=_mask(side, load),
    )

    def run() -> Outcome:
        (restored,) = restorer([photo])
        return torch.from_numpy(np.ascontiguousarray(restored.pixels)), restored.seconds

    return run


def _detector(side: Side, load: Workload) -> Detector:
    if side.name == "plain" and load.detector != "cascade":
        network: Any = _Plainly(plain_network(load.detector, Path(side.checkpoints["detector"]), device=side.device))
        return RetinaFaceDetector(network, threshold=NO_SCORE, detect_size=load.detect_size, device=side.device)
    path = None if load.detector == "cascade" else Path(side.checkpoints["detector"])
    detector = load_detector(load.detector, path=path, detect_size=load.detect_size, device=side.device)
    if isinstance(detector, RetinaFaceDetector):
        detector.threshold = NO_SCORE
    return detector


def _mask(side: Side, load: Workload) -> Masker | None:
    if load.mask == "feather":
        return None
    kind: Any = load.mask
    path = Path(side.checkpoints["mask"])
    if side.name == "plain":
        return ParsedMask(_Plainly(plain_network(kind, path, device=side.device)), kind=kind, device=side.device)
    return load_mask(kind, path, device=side.device)


def _background(side: Side, load: Workload) -> Upsampler:
    if load.background == "none":
        return background.resize
    path = Path(side.checkpoints["background"])
    if side.name != "plain":
        return background.RealESRGAN.load(path, device=side.device, dtype=side.dtype)
    network: Any = _Plainly(plain_network("rrdbnet-x2" if load.upscale <= 2 else "rrdbnet-x4", path, device=side.device))
    return background.RealESRGAN(network, device=side.device)


class _Plainly(nn.Module):
    """A network that gets its input in torch's own memory layout, and that nobody rewrites, because nobody sees its layers."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._hidden = (network,)
        self.scale = getattr(network, "scale", None)

    def forward(self, x: torch.Tensor) -> Any:
        return self._hidden[0](x.contiguous())


def _official_run(side: Side, load: Workload, rgb: UInt8, faces: list[Face]) -> Callable[[], Outcome]:
    from gfpup.backends.upstream import Upstream

    roles = {"backend": "backend", "detector": "detector", "parsenet": "mask"}
    checkpoints = {name: Path(side.checkpoints[role]) for name, role in roles.items() if role in side.checkpoints}
    upstream = Upstream.load(BackendSpec("upstream", checkpoints=checkpoints, device=side.device))
    detector: Any = upstream.detector
    finds = detector.detect_faces
    # Source: facexlib's RetinaFace.detect_faces: a row is a box, its score, and five points.
    rows = np.array([[*face.box_xyxy, face.score, *face.landmarks_xy.ravel()] for face in faces], np.float32).reshape(-1, 15)

    def detect_faces(image: Any, conf_threshold: float = 0.8, *rest: Any, **options: Any) -> Any:
        finds(image, NO_SCORE, *rest, **options)
        return rows.copy()

    detector.detect_faces = detect_faces

    def run() -> Outcome:
        done = upstream.enhance(rgb, upscale=load.upscale)
        return torch.from_numpy(done.pixels), done.seconds

    return run
