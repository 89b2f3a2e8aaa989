"""What one side runs: gfpup's own method, the same networks without their rewrites ("plain"), or the official code."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from torch import nn

from gfpup.core.errors import GfpupError
from gfpup.core.types import Backend, BackendSpec, Detector, Face, Metadata, Photo, UInt8
from gfpup.models import backends
from gfpup.models.backends.elir import ELIR
from gfpup.models.backends.flow import FlowBackend
from gfpup.models.backends.pmrf import PMRF
from gfpup.models.cost import operations
from gfpup.models.nets.loading import DTYPES, load_network
from gfpup.models.nets.vqgan import CodeBookNetwork, smallest_margin
from gfpup.models.networks import NETWORKS
from gfpup.ops import geometry
from gfpup.ops.resize import resize
from gfpup.restoration import background
from gfpup.restoration.detect import load_detector
from gfpup.restoration.parsing import ParsedMask, load_mask
from gfpup.restoration.restorer import Masker, Restorer, Upsampler
from gfpup.restoration.retinaface import RetinaFaceDetector
from gfpup.tools.bench.request import Side, Tile, Workload, architecture
from gfpup.tools.verify.goldens import face_crop

Run = Callable[[], tuple[torch.Tensor, Mapping[str, float]]]
"""Runs a side once: its output, (n, 3, h, w) in about [0, 1] or (h, w, 3) uint8, and the seconds of its stages."""

FLOWS: Final[Mapping[str, type[FlowBackend]]] = {"elir": ELIR, "pmrf": PMRF}
"""The methods whose networks take noise beside the faces."""
FIDELITY = 0.5
"""CodeFormer's, on both sides. Source: the official inference script."""


def run_of(side: Side) -> Run:
    """Load `side`.

    Raises: GfpupError: it cannot be loaded as asked for.
    """
    if side.workload is not None:
        return _photo_run(side, side.workload)
    if side.tile is not None:
        return _tile_run(side, side.tile)
    x = faces(side)
    backend = backend_of(side)
    return lambda: (backend.restore(x), {})


def faces(side: Side) -> torch.Tensor:
    """The aligned faces that `side` restores: (batch, 3, 512, 512) float32 in [0, 1] on its device, no two alike."""
    rgb = face_crop()
    rows = np.stack([np.roll(rgb, 8 * i, axis=1) for i in range(side.batch)])
    return torch.from_numpy(rows).to(side.device).permute(0, 3, 1, 2).float().div(255).contiguous()


def backend_of(side: Side) -> Backend:
    """The method as gfpup runs it, or the network alone of "plain" and "upstream"."""
    path = side.checkpoints.get("backend")
    if side.name == "gfpup":
        checkpoints = {} if path is None else {"backend": path}
        spec = BackendSpec(side.backend, checkpoints=checkpoints, device=side.device, dtype=side.dtype, engine=side.engine)
        return backends.load(spec)
    name = architecture(side.backend)
    if name is None or path is None:
        raise GfpupError(f"backend {side.backend!r} has no network of its own: measure it without --against.")
    if side.name == "plain":
        network = plain_network(name, path, device=side.device)
        if name in FLOWS:
            network = FLOWS[name].signed(network)
        options = {"fidelity": FIDELITY} if name == "codeformer" else {}
        return NetworkAlone(network, lambda network, x: network(x, **options))
    from gfpup.models.backends.upstream_imports import restoration_network
    from gfpup.tools.verify.independent import OFFICIAL

    # With the noise that is stored in the checkpoint: any other noise makes each picture different.
    read = OFFICIAL[name]
    return NetworkAlone(restoration_network(path, device=side.device), lambda network, x: read(network, x)["output"])


def _tile_run(side: Side, tile: Tile) -> Run:
    photo, _ = planted(tile.size_wh, 1, min(tile.size_wh))
    x = torch.from_numpy(photo.rgb8).to(side.device).permute(2, 0, 1)[None].float().div(255).contiguous()
    upsampler = _realesrgan(side)

    @torch.inference_mode()
    def run() -> tuple[torch.Tensor, Mapping[str, float]]:
        return upsampler.run(x), {}

    return run


def gflop(side: Side) -> float | None:
    """10^9 operations of `side`'s network, in the official order, for one face or for its tile; None if it has none."""
    if side.tile is None:
        return backends.facts(side.backend).gflop
    w, h = side.tile.size_wh
    network = background.RealESRGAN.network(side.checkpoints["background"]).to("meta")
    return operations(network, torch.empty(1, 3, h, w, device="meta")) / 1e9


@dataclass(frozen=True, eq=False)
class NetworkAlone:
    """A network with the input and output of the official scripts; `ask` runs it on faces in [-1, 1]."""

    network: nn.Module
    ask: Callable[[Any, torch.Tensor], torch.Tensor]

    @torch.no_grad()  # as the official scripts, which do not use inference mode
    def restore(self, crops: torch.Tensor) -> torch.Tensor:
        """Restore (n, 3, 512, 512) float32 RGB in [0, 1] to the same."""
        return (self.ask(self.network, crops * 2 - 1) + 1) / 2


def plain_network(name: str, path: Path, *, device: str) -> nn.Module:
    """The network `name` of `NETWORKS` without its rewrites and in torch's own memory layout, from the checkpoint at `path`."""
    return load_network(NETWORKS[name].built, path, name=name, device=device, plain=True)


NO_SCORE = 2.0
"""A threshold above every score, so that faces found by random weights cost no side anything."""


@dataclass(frozen=True, eq=False)
class Planted:
    """A detector that does its work, a look at each planted face included, and then returns them."""

    inner: Detector
    faces: list[Face]

    def detect(self, rgb: UInt8) -> list[Face]:
        """Run the detector over (h, w, 3) uint8 RGB and return the planted faces."""
        if isinstance(self.inner, RetinaFaceDetector):
            self.inner.detect(rgb, also=self.faces)
        else:
            self.inner.detect(rgb)
        return list(self.faces)


def _photo_run(side: Side, load: Workload) -> Run:
    photo, faces = planted(load.size_wh, load.faces, load.face_px)
    if side.name == "upstream":
        return _official_run(side, load, photo.rgb8, faces)
    stages: dict[str, Any] = {
        "detector": Planted(_detector(side, load), faces),
        "upsample": _background(side, load),
        "mask": _mask(side, load),
    }
    restorer = Restorer(
        backend_of(side), **stages, upscale=load.upscale, face_batch=side.batch, device=side.device, paste_on=side.paste_on
    )

    def run() -> tuple[torch.Tensor, Mapping[str, float]]:
        (restored,) = restorer([photo])
        return torch.from_numpy(np.ascontiguousarray(restored.pixels)), restored.seconds

    return run


def _detector(side: Side, load: Workload) -> Detector:
    path = side.checkpoints.get("detector")
    if side.name == "plain" and path is not None:
        network = _plain(load.detector, path, side)
        detector: Detector = RetinaFaceDetector(network, detect_size=load.detect_size, device=side.device)
    else:
        detector = load_detector(load.detector, path=path, detect_size=load.detect_size, device=side.device)
    if isinstance(detector, RetinaFaceDetector):
        detector.threshold = detector.proposal_threshold = NO_SCORE
    return detector


def _mask(side: Side, load: Workload) -> Masker | None:
    path, kind = side.checkpoints.get("mask"), load.mask
    if path is None:
        return None
    if side.name == "plain":
        return ParsedMask(_plain(kind, path, side), kind=kind, device=side.device)  # type: ignore[arg-type]
    return load_mask(kind, path, device=side.device)  # type: ignore[arg-type]


def _background(side: Side, load: Workload) -> Upsampler:
    return resize if load.background == "none" else _realesrgan(side)


def _realesrgan(side: Side) -> background.RealESRGAN:
    path = side.checkpoints["background"]
    if side.name == "plain":
        network: Any = _Plain(background.RealESRGAN.network(path).eval().requires_grad_(False).to(side.device))
        return background.RealESRGAN(network, device=side.device)
    return background.RealESRGAN.load(path, device=side.device, dtype=side.dtype)


def _plain(name: str, path: Path, side: Side) -> Any:
    return _Plain(plain_network(name, path, device=side.device))


class _Plain(nn.Module):
    """A network that gets its input in torch's own memory layout; its layers are hidden, so nothing rewrites it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._hidden = (network,)
        self.scale = getattr(network, "scale", None)

    def forward(self, x: torch.Tensor) -> Any:
        return self._hidden[0](x.contiguous())


def _official_run(side: Side, load: Workload, rgb: UInt8, faces: list[Face]) -> Run:
    from gfpup.models.backends.upstream import Upstream

    roles = {"backend": "backend", "detector": "detector", "parsenet": "mask"}
    checkpoints = {name: side.checkpoints[role] for name, role in roles.items() if role in side.checkpoints}
    upstream = Upstream.load(BackendSpec("upstream", checkpoints=checkpoints, device=side.device))
    detector: Any = upstream.detector
    finds = detector.detect_faces
    # Source: facexlib's RetinaFace.detect_faces: a row is a box, its score, and five points.
    rows = np.array([[*face.box_xyxy, face.score, *face.landmarks_xy.ravel()] for face in faces], np.float32).reshape(-1, 15)

    def detect_faces(image: Any, conf_threshold: float = 0.8, *rest: Any, **options: Any) -> Any:
        finds(image, NO_SCORE, *rest, **options)
        return rows.copy()

    detector.detect_faces = detect_faces

    def run() -> tuple[torch.Tensor, Mapping[str, float]]:
        done = upstream.enhance(rgb, upscale=load.upscale)
        return torch.from_numpy(done.pixels), done.seconds

    return run


SEED = 7

ROOM = 0.8
"""The largest share of its cell that a face takes."""


def places(size_wh: tuple[int, int], faces: int, face_px: int) -> list[tuple[int, int, int]]:
    """Where `faces` squares go in a photo of `size_wh`: (x, y, side) in px, row by row, each in its own cell."""
    if not faces:
        return []
    w, h = size_wh
    columns = min(faces, max(1, math.ceil(math.sqrt(faces * w / h))))
    rows = math.ceil(faces / columns)
    cell_w, cell_h = w / columns, h / rows
    side = max(8, int(min(face_px, ROOM * cell_w, ROOM * cell_h)))
    cells = (divmod(i, columns) for i in range(faces))
    return [(int((column + 0.5) * cell_w - side / 2), int((row + 0.5) * cell_h - side / 2), side) for row, column in cells]


def planted(size_wh: tuple[int, int], faces: int, face_px: int) -> tuple[Photo, list[Face]]:
    """A coloured photo of `size_wh` px with `faces` faces, and these faces as a detector would return them; always the same."""
    w, h = size_wh
    numbers = np.random.default_rng(SEED)
    coarse = numbers.integers(40, 216, (max(2, h // 40), max(2, w // 40), 3), np.uint8)
    pixels = np.asarray(cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC), np.uint8)
    there = []
    for x, y, side in places(size_wh, faces, face_px):
        small = cv2.resize(face_crop(), (side, side), interpolation=cv2.INTER_AREA)
        under = pixels[max(y, 0) : y + side, max(x, 0) : x + side]
        under[:] = small[: under.shape[0], : under.shape[1]]
        points = geometry.TEMPLATE_512_XY * (side / geometry.CROP_PX) + np.array([x, y], np.float64)
        box = (x + 0.2 * side, y + 0.2 * side, x + 0.8 * side, y + 0.95 * side)
        there.append(Face(box, 0.999, np.asarray(points, np.float64)))
    return Photo(Path("bench.png"), pixels, Metadata("PNG")), there


@torch.inference_mode()
def choices(side: Side) -> dict[str, Any] | None:
    """The "codes" of the faces that `side` restores, in a row, and the smallest "margin" (`nets.vqgan.smallest_margin`).

    None for networks without a codebook, and for engines and official code, which do not show their codes. The network is
    loaded once more, so call this after memory was read.
    """
    if side.tile is not None:
        return None
    name, path = architecture(side.backend), side.checkpoints.get("backend")
    if name is None or not backends.TABLE[name].code_book or side.name == "upstream" or side.engine != "eager":
        return None
    assert path is not None
    network = load_network(NETWORKS[name].built, path, name=name, device=side.device, plain=side.name == "plain")
    assert isinstance(network, CodeBookNetwork)
    network.decoder_to(DTYPES[side.dtype])
    x = faces(side) * 2 - 1
    scores = network.scores(x)
    return {"codes": scores.argmax(dim=2).flatten().tolist(), "margin": smallest_margin(scores)}
