"""How much memory a plan will need, predicted from the networks that it names: before anything is loaded or downloaded.

It is a sum: the weights of all networks, the intermediate results of a batch of faces, of a tile of the background and of the
largest aid (detector, parser), and the photos that are held. A run holds less, but torch keeps what a stage gave back.

Source: measured on a CPU, each forward in a process of its own (`experiments/009-memory`): the highest resident set less what
it was before, with one thread and the official architectures. A GPU was not measured: hence `KEPT_FREE`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field, replace

from gfpup.core.plan import Decision, Device
from gfpup.models import backends
from gfpup.models.table import ARCHITECTURES, HELPERS, Memory
from gfpup.planning.precision import methods_of
from gfpup.planning.settings import Settings
from gfpup.planning.tiers import GB
from gfpup.restoration.boxes import LONGEST_TO_SHORTEST
from gfpup.restoration.windows import MOST_PIXELS

MB = 10**6
KEPT_FREE = 0.2
"""Share of a GPU's free memory that a plan leaves alone: for what convolutions borrow, and for gaps between tensors."""
TYPICAL_PHOTO_WIDTH_PX = 4000
TYPICAL_PHOTO_PX = TYPICAL_PHOTO_WIDTH_PX * 3000
"""A photo of today's phones: what is held of photos is predicted for one of these, as none was opened yet."""
PROCESS_BYTES = 440 * MB
"""Resident set of a run that has imported torch, Lightning and OpenCV, and loaded nothing."""
ENGINES: dict[str, int] = {"eager": 0, "cudagraphs": 0, "compile": 700 * MB, "onnxruntime": 1840 * MB, "openvino": 1620 * MB}
"""What an engine takes beside eager on a processor, a network at a time: its libraries and its own copies of the weights.

Source: experiments/009-memory, whole runs with GFPGAN (2026-11-23): the highest resident set of `gfpup run` over a photo of 0.3
megapixels with one thread, less eager's 1.38 GB; the higher of making the graph and of finding it made.
"""
HELD_ROWS = 3
"""Float pictures, enlarged, as wide as the photo and as high as a tile: a row of tiles, the fade to the next, its rounding."""


@dataclass(frozen=True)
class Network:
    """Bytes of a network: its weights, and the intermediate results of one face (of one input pixel, for an upsampler).

    `rewritten` are the further weights that it holds in its faster form (`gfpup.models.nets.rewrites`), on whichever device.
    """

    weights: Mapping[str, int]
    each: Mapping[str, int]
    rewritten: Mapping[str, int] = field(default_factory=dict)

    def held(self, dtype: str) -> int:
        return self.weights[dtype] + self.rewritten.get(dtype, 0)

    def plain(self) -> Network:
        """The same network, not rewritten: that of the official packages."""
        return replace(self, rewritten={})

    def seeing(self, pixels: int) -> Network:
        """A detector that sees so many pixels: its intermediate results grow with them."""
        return replace(self, each={dtype: round(size * pixels / DETECTED_PX) for dtype, size in self.each.items()})


def _network(memory: Memory, *, forward_unit: int = MB) -> Network:
    """From a row of the table; float16 takes what bfloat16 takes."""

    def by_dtype(pair: tuple[float, float], unit: int) -> dict[str, int]:
        return {"float32": round(pair[0] * unit), **dict.fromkeys(("bfloat16", "float16"), round(pair[1] * unit))}

    return Network(by_dtype(memory.weights, MB), by_dtype(memory.forward, forward_unit), by_dtype(memory.rewritten, MB))


METHODS: dict[str, Network] = {
    name: _network(row.memory) for name, row in ARCHITECTURES.items() if row.memory and name not in HELPERS
}
"""By the name of the architecture: that of the method, or METHOD-VERSION for a version with a network of its own."""

UPSAMPLERS: dict[int, Network] = {
    scale: _network(memory, forward_unit=1) for scale in (2, 4) if (memory := HELPERS[f"rrdbnet-x{scale}"].memory) is not None
}
"""By the network's scale; bytes a pixel of the input."""
DETECTED_PX = 640 * 2560
"""What the detectors saw when they were measured: a short side of 640 px and the longest photo not reduced further (4:1)."""
AIDS: dict[str, Network] = {
    name: _network(row.memory) for name, row in HELPERS.items() if row.memory and not name.startswith("rrdbnet")
}
"""Detectors, parsers and the recognition network; always float32."""
UNKNOWN = _network(Memory(weights=(377, 377), forward=(627, 627), rewritten=(109, 109)))
"""A method that was never measured is assumed to be as large as the largest in each respect."""
NOTHING = _network(Memory(weights=(0, 0), forward=(0, 0)))


@dataclass(frozen=True)
class Need:
    """Predicted bytes, by what they are for."""

    weights: int
    faces: int
    background: int
    aids: int
    photos: int
    engine: int = 0

    @property
    def total(self) -> int:
        return sum(astuple(self))

    def __str__(self) -> str:
        return ", ".join(f"{name} {size / 1e9:.2f}" for name, size in asdict(self).items() if size) or "nothing"


def predict(
    methods: Sequence[Network],
    *,
    dtype: str,
    face_batch: int,
    aids: Sequence[Network] = (),
    background_scale: int | None = None,
    tile_px: int = 0,
    upscale: float = 2.0,
    on_cpu: bool = False,
    redo: bool = False,
    engine: str = "eager",
) -> Need:
    """What a run with `methods` (an ensemble's members all at once) needs at its highest.

    Args:
        methods: the networks that restore; their batches come one after another.
        dtype: "float32", "bfloat16" or "float16".
        face_batch: faces a forward.
        aids: detector, parser, identity network.
        background_scale: 2 or 4, the upsampler's scale; None where Lanczos enlarges.
        tile_px: side of its tiles; 0 for a typical photo in one piece.
        upscale: size of the result relative to the photo.
        on_cpu: whether photos lie in the same memory, and Python with them.
        redo: whether the methods are also loaded in float32, to redo a face that lower precision spoils.
        engine: a key of `gfpup.models.engines.ENGINES`, and of `ENGINES` here; what it takes was measured on a processor alone.
    """
    weights = sum(network.held(dtype) for network in methods) + sum(aid.held("float32") for aid in aids)
    if redo:
        weights += sum(network.held("float32") for network in methods)
    background, held = (0, 0) if background_scale is None else _background(background_scale, dtype=dtype, tile_px=tile_px)
    if background_scale is not None:
        weights += UPSAMPLERS[background_scale].weights[_upsampled_in(dtype)]
    if on_cpu:
        # The photo and its 8-bit copy, the result and the copy that is written.
        held += PROCESS_BYTES + round(3 * TYPICAL_PHOTO_PX * 2 * (1 + upscale**2))
    return Need(
        weights=weights,
        faces=face_batch * max((network.each[dtype] for network in methods), default=0),
        background=background,
        aids=max((aid.each["float32"] for aid in aids), default=0),
        photos=held,
        # An engine that was not measured is assumed to take as much as the largest.
        engine=ENGINES.get(engine, max(ENGINES.values())) * sum(one.weights[dtype] > 0 for one in methods) if on_cpu else 0,
    )


def _upsampled_in(dtype: str) -> str:
    """Real-ESRGAN refuses float16; a plan that asks for it is refused elsewhere."""
    return "bfloat16" if dtype == "float16" else dtype


def _background(scale: int, *, dtype: str, tile_px: int) -> tuple[int, int]:
    """Bytes of a tile's intermediate results, and of the enlarged rows that are held meanwhile."""
    pixels = min(tile_px**2 or TYPICAL_PHOTO_PX, TYPICAL_PHOTO_PX)
    row = tile_px * TYPICAL_PHOTO_WIDTH_PX if tile_px else TYPICAL_PHOTO_PX
    return UPSAMPLERS[scale].each[_upsampled_in(dtype)] * pixels, HELD_ROWS * 3 * 4 * row * scale**2


@dataclass(frozen=True)
class Placement:
    """The decisions, each with its reason; `upsampler.value` says whether an automatic background may be Real-ESRGAN."""

    tier: Decision[str]
    device: Decision[Device]
    dtype: Decision[str]
    engine: Decision[str]
    face_batch: Decision[int]
    tile_px: Decision[int]
    upsampler: Decision[bool]
    memory: Decision[str]
    warnings: tuple[str, ...] = ()

    @property
    def on_cpu(self) -> bool:
        return self.device.value == "cpu"


def need_of(settings: Settings, placement: Placement) -> Need:
    """Predict the memory that a run of `settings` in `placement` needs, in bytes."""
    return predict(
        [_method(name, settings) for name in methods_of(settings)],
        dtype=placement.dtype.value,
        face_batch=placement.face_batch.value,
        aids=tuple(_aids(settings)),
        background_scale=(2 if settings.restore.upscale <= 2 else 4) if placement.upsampler.value else None,
        tile_px=placement.tile_px.value,
        upscale=settings.restore.upscale,
        on_cpu=placement.on_cpu,
        redo=placement.dtype.value != "float32",
        engine=placement.engine.value,
    )


def _method(name: str, settings: Settings) -> Network:
    if name == "upstream":
        version = "restoreformer" if settings.restore.parameters.get("version") == "restoreformer" else "gfpgan"
        return METHODS[version].plain()
    version = str(settings.restore.parameters.get("version", "")).lower().removeprefix("v")
    if name in METHODS:
        return METHODS.get(f"{name}-{version}", METHODS[name])
    if name in backends.TABLE and not backends.facts(name).own_file:
        return NOTHING
    file = settings.weights.model
    if file is None or not file.is_file():
        return UNKNOWN
    return replace(UNKNOWN, weights=dict.fromkeys(UNKNOWN.weights, file.stat().st_size))


def _aids(settings: Settings) -> Iterator[Network]:
    """The networks beside the method; which of the usual ones are available is not known yet, so the best ones are assumed."""
    official, mask = settings.backend.name == "upstream", settings.paste.mask
    if not settings.restore.aligned:
        detector = AIDS.get("retinaface-resnet50" if settings.detect.name == "auto" else settings.detect.name)
        if detector is not None:
            # The official path reduces no photo before it looks for faces.
            yield detector.seeing(_seen_px(0 if official else settings.detect.size))
        if mask == "auto":
            mask = "parsenet" if official else "bisenet"
        if mask in AIDS and (official or not backends.facts(settings.backend.name).whole_photos):
            yield AIDS[mask].plain() if official else AIDS[mask]
    if settings.guard.identity_min is not None or settings.people.folder is not None:
        yield AIDS["arcface-ir-se50"]


def _seen_px(detect_size: int | None) -> int:
    """Pixels that the detector sees at once: 0 is all of a typical photo, None the usual looks."""
    if detect_size is None:
        return MOST_PIXELS
    return min(LONGEST_TO_SHORTEST * detect_size**2, TYPICAL_PHOTO_PX) if detect_size else TYPICAL_PHOTO_PX


def gb(size: int | Need) -> str:
    """Bytes in words: "1.5 GB"."""
    return f"{(size if isinstance(size, int) else size.total) / GB:.1f} GB"
