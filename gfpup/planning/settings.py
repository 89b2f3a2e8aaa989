"""The composed configuration, checked once and turned into facts: what a run was asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from gfpup.models import engines
from gfpup.planning.config_reader import Reader
from gfpup.restoration.select import FaceChoice

DETECTORS = ("auto", "retinaface-resnet50", "retinaface-mobilenet0.25", "cascade")
MODES = ("standard", "high-quality", "memory-efficient")
MASKS = ("auto", "feather", "bisenet", "parsenet")
BACKGROUNDS = ("auto", "none", "realesrgan", "spandrel")
TIERS = ("auto", "high", "mid", "low", "cpu", "mps")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
ENGINES = ("auto", *engines.ENGINES)
LAYOUTS = ("flat", "gfpgan")
TRACKING = ("auto", "mlflow", "none")
EXTENSIONS = ("auto", "png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff", "avif")


@dataclass(frozen=True)
class Source:
    """Which photos, and their references."""

    paths: tuple[str, ...]
    recursive: bool
    limit: int | None
    kind: str
    reference: Path | None
    protocol: str | None
    seed: int


@dataclass(frozen=True)
class Metrics:
    """What is measured."""

    names: tuple[str, ...]
    require: bool


@dataclass(frozen=True)
class Backend:
    """The method."""

    name: str


@dataclass(frozen=True)
class Restore:
    """How faces are restored. `parameters` are the method's own that were given, by their key."""

    upscale: float
    aligned: bool
    strength: float
    match_color: bool
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Ensemble:
    """The members of an ensemble."""

    backends: tuple[str, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True)
class PrecomputedResults:
    """Where another tool's results lie."""

    folder: Path | None
    mapping: Path | None


@dataclass(frozen=True)
class Guard:
    """How like its input a restored face has to stay."""

    path: Path | None
    identity_min: float | None


@dataclass(frozen=True)
class Detect:
    """How faces are found."""

    name: str
    path: Path | None
    threshold: float
    size: int | None


@dataclass(frozen=True)
class Paste:
    """How faces are pasted."""

    mask: str
    mask_path: Path | None


@dataclass(frozen=True)
class Background:
    """How the rest of the photo is enlarged."""

    name: str
    path: Path | None
    tile_px: int | None
    tile_overlap_px: int | None


@dataclass(frozen=True)
class Weights:
    """Where checkpoints come from."""

    model: Path | None
    files: Mapping[str, Path]
    dir: Path | None
    download: bool
    trust_first_download: bool
    accept_licences: tuple[str, ...]


@dataclass(frozen=True)
class Hardware:
    """What computes."""

    tier: str
    device: str
    precision: str
    engine: str
    compile: bool
    threads: int | None
    devices: int | None
    num_nodes: int
    strategy: str
    workers: int | None
    face_batch: int | None


@dataclass(frozen=True)
class Cache:
    """The stages shared with other runs."""

    enabled: bool | None
    dir: Path | None
    max_gb: float


@dataclass(frozen=True)
class Write:
    """How results are written."""

    ext: str
    suffix: str
    faces: bool
    metadata: bool
    jpeg_quality: int
    webp_quality: int
    png_compression: int
    layout: str
    compare: bool


@dataclass(frozen=True)
class Screen:
    """What is printed."""

    json: bool
    quiet: bool
    verbose: bool


@dataclass(frozen=True)
class Tracking:
    """What is logged to MLflow."""

    name: str
    uri: str | None
    experiment: str
    max_images: int
    image_px: int


@dataclass(frozen=True)
class Settings:
    """A checked request, by the nodes and keys of the configuration."""

    source: Source
    output: Path
    existing: str
    dry_run: bool
    report: bool
    objective: str | None
    seed: int | None
    mode: str
    backend: Backend
    restore: Restore
    ensemble: Ensemble
    precomputed: PrecomputedResults
    guard: Guard
    detect: Detect
    faces: FaceChoice
    paste: Paste
    background: Background
    weights: Weights
    hardware: Hardware
    cache: Cache
    write: Write
    screen: Screen
    metrics: Metrics
    tracking: Tracking
    resolved: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def changed(self, changes: Mapping[str, Any]) -> Settings:
        """A copy with other values, by their dotted key: `{"hardware.device": "cpu"}`."""
        settings = self
        for key, value in changes.items():
            node, _, name = key.partition(".")
            settings = replace(settings, **{node: replace(getattr(settings, node), **{name: value}) if name else value})
        return settings


OWN_RESTORE_KEYS: Final = ("upscale", "aligned", "strength", "match_color")


def read_settings(config: Mapping[str, Any]) -> Settings:
    """Check the resolved configuration (plain containers) and return it as `Settings`.

    Raises:
        GfpupError: an invalid value, with its key, the value and what is expected.
    """
    at = Reader(config)
    return Settings(
        source=Source(
            paths=at.texts("source.paths"),
            recursive=at.flag("source.recursive"),
            limit=at.optional(at.integer, "source.limit", 1),
            kind=at.text("source.kind"),
            reference=at.path("source.reference"),
            protocol=at.optional(at.text, "source.protocol"),
            seed=at.integer("source.seed", 0),
        ),
        metrics=Metrics(at.words("metrics.names"), at.flag("metrics.require")),
        output=Path(at.text("output")),
        existing=at.choice("existing", ("resume", "overwrite")),
        dry_run=at.flag("dry_run"),
        seed=at.optional(at.integer, "seed", 0),
        backend=Backend(at.text("backend.name")),
        restore=Restore(
            upscale=at.number("restore.upscale", 1 / 16, 16),
            aligned=at.flag("restore.aligned"),
            strength=at.number("restore.strength", 0, 1),
            match_color=at.flag("restore.match_color"),
            parameters=at.parameters(),
        ),
        ensemble=Ensemble(at.words("ensemble.backends"), at.numbers("ensemble.weights")),
        precomputed=PrecomputedResults(at.path("precomputed.folder"), at.path("precomputed.mapping")),
        guard=Guard(at.path("guard.path"), at.optional(at.number, "guard.identity_min", 0, 1)),
        mode=at.choice("mode", MODES),
        detect=Detect(
            name=at.choice("detect.name", DETECTORS),
            path=at.path("detect.path"),
            threshold=at.number("detect.threshold", 0, 1),
            size=at.optional(at.integer, "detect.size", 0),
        ),
        weights=Weights(
            model=at.path("weights.model"),
            files=at.files("weights.files"),
            dir=at.path("weights.dir"),
            download=at.flag("weights.download"),
            trust_first_download=at.flag("weights.trust_first_download"),
            accept_licences=at.words("weights.accept_licences"),
        ),
        paste=Paste(at.choice("paste.mask", MASKS), at.path("paste.mask_path")),
        faces=at.face_choice(),
        background=Background(
            name=at.choice("background.name", BACKGROUNDS),
            path=at.path("background.path"),
            tile_px=at.optional(at.integer, "background.tile_px", 0),
            tile_overlap_px=at.optional(at.integer, "background.tile_overlap_px", 0),
        ),
        hardware=Hardware(
            tier=at.choice("hardware.tier", TIERS),
            device=at.text("hardware.device"),
            precision=at.choice("hardware.precision", PRECISIONS),
            engine=at.choice("hardware.engine", ENGINES),
            compile=at.flag("hardware.compile"),
            threads=at.optional(at.integer, "hardware.threads", 1),
            devices=at.count("hardware.devices"),
            num_nodes=at.integer("hardware.num_nodes", 1),
            strategy=at.choice("hardware.strategy", ("auto", "ddp")),
            workers=at.optional(at.integer, "hardware.workers", 0),
            face_batch=at.optional(at.integer, "hardware.face_batch", 1),
        ),
        write=Write(
            ext=at.choice("write.ext", EXTENSIONS),
            suffix=at.text("write.suffix", empty=True),
            faces=at.flag("write.faces") or at.text("write.layout") == "gfpgan",
            metadata=at.flag("write.metadata"),
            jpeg_quality=at.integer("write.jpeg_quality", 1, 100),
            webp_quality=at.integer("write.webp_quality", 1, 100),
            png_compression=at.integer("write.png_compression", 0, 9),
            layout=at.choice("write.layout", LAYOUTS),
            compare=at.flag("write.compare"),
        ),
        screen=Screen(at.flag("screen.json"), at.flag("screen.quiet"), at.flag("screen.verbose")),
        cache=Cache(at.optional(at.flag, "cache.enabled"), at.path("cache.dir"), at.number("cache.max_gb", 0.001)),
        tracking=Tracking(
            name=at.choice("tracking.name", TRACKING),
            uri=at.optional(at.text, "tracking.uri"),
            experiment=at.text("tracking.experiment"),
            max_images=at.integer("tracking.max_images", 0),
            image_px=at.integer("tracking.image_px", 1),
        ),
        report=at.flag("report"),
        objective=at.optional(at.text, "objective"),
        resolved=config,
    )
