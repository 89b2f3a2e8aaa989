"""The composed configuration, checked once and turned into facts: what a run was asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
class Settings:
    """A checked request. `parameters` are the method parameters that were given, by their key in the `restore` node."""

    inputs: tuple[str, ...]
    recursive: bool
    limit: int | None
    source: str
    reference: Path | None
    protocol: str | None
    damage_seed: int
    metrics: tuple[str, ...]
    require_metrics: bool
    output: Path
    existing: str
    dry_run: bool
    seed: int | None
    backend: str
    parameters: Mapping[str, Any]
    ensemble_backends: tuple[str, ...]
    ensemble_weights: tuple[float, ...]
    precomputed_folder: Path | None
    precomputed_mapping: Path | None
    identity_min: float | None
    mode: str
    tile_px: int | None
    tile_overlap_px: int | None
    upscale: float
    aligned: bool
    strength: float
    match_color: bool
    detector: str
    detector_path: Path | None
    detection_threshold: float
    detect_size: int | None
    model_path: Path | None
    weights_folder: Path | None
    weights_files: Mapping[str, Path]
    download: bool
    trust_first_download: bool
    accepted_licences: tuple[str, ...]
    mask: str
    mask_path: Path | None
    background_path: Path | None
    identity_path: Path | None
    choice: FaceChoice
    background: str
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
    extension: str
    suffix: str
    save_faces: bool
    keep_metadata: bool
    jpeg_quality: int
    webp_quality: int
    png_compression: int
    layout: str
    save_compared: bool
    json: bool
    quiet: bool
    verbose: bool
    cache_enabled: bool | None
    cache_folder: Path | None
    cache_gb: float
    tracking: str
    tracking_uri: str | None
    tracking_experiment: str
    tracking_images: int
    tracking_image_px: int
    report: bool
    objective: str | None
    resolved: Mapping[str, Any] = field(default_factory=dict, repr=False)


def read_settings(config: Mapping[str, Any]) -> Settings:
    """Check the resolved configuration (plain containers) and return it as `Settings`.

    Raises:
        GfpupError: a value that means nothing, with its key, the value and what would do.
    """
    at = Reader(config)
    return Settings(
        inputs=at.texts("source.paths"),
        recursive=at.flag("source.recursive"),
        limit=at.optional(at.integer, "source.limit", 1),
        source=at.text("source.kind"),
        reference=at.path("source.reference"),
        protocol=at.optional(at.text, "source.protocol"),
        damage_seed=at.integer("source.seed", 0),
        metrics=at.words("metrics.names"),
        require_metrics=at.flag("metrics.require"),
        output=Path(at.text("output")),
        existing=at.choice("existing", ("resume", "overwrite")),
        dry_run=at.flag("dry_run"),
        seed=at.optional(at.integer, "seed", 0),
        backend=at.text("backend.name"),
        parameters=at.parameters(),
        ensemble_backends=at.words("ensemble.backends"),
        ensemble_weights=at.numbers("ensemble.weights"),
        precomputed_folder=at.path("precomputed.folder"),
        precomputed_mapping=at.path("precomputed.mapping"),
        identity_min=at.optional(at.number, "guard.identity_min", 0, 1),
        mode=at.choice("mode", MODES),
        tile_px=at.optional(at.integer, "background.tile_px", 0),
        tile_overlap_px=at.optional(at.integer, "background.tile_overlap_px", 0),
        upscale=at.number("restore.upscale", 1 / 16, 16),
        aligned=at.flag("restore.aligned"),
        strength=at.number("restore.strength", 0, 1),
        match_color=at.flag("restore.match_color"),
        detector=at.choice("detect.name", DETECTORS),
        detector_path=at.path("detect.path"),
        detection_threshold=at.number("detect.threshold", 0, 1),
        detect_size=at.optional(at.integer, "detect.size", 0),
        model_path=at.path("weights.model"),
        weights_folder=at.path("weights.dir"),
        weights_files=at.files("weights.files"),
        download=at.flag("weights.download"),
        trust_first_download=at.flag("weights.trust_first_download"),
        accepted_licences=at.words("weights.accept_licences"),
        mask=at.choice("paste.mask", MASKS),
        mask_path=at.path("paste.mask_path"),
        background_path=at.path("background.path"),
        identity_path=at.path("guard.path"),
        choice=at.face_choice(),
        background=at.choice("background.name", BACKGROUNDS),
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
        extension=at.choice("write.ext", EXTENSIONS),
        suffix=at.text("write.suffix", empty=True),
        save_faces=at.flag("write.faces") or at.text("write.layout") == "gfpgan",
        keep_metadata=at.flag("write.metadata"),
        jpeg_quality=at.integer("write.jpeg_quality", 1, 100),
        webp_quality=at.integer("write.webp_quality", 1, 100),
        png_compression=at.integer("write.png_compression", 0, 9),
        layout=at.choice("write.layout", LAYOUTS),
        save_compared=at.flag("write.compare"),
        json=at.flag("screen.json"),
        quiet=at.flag("screen.quiet"),
        verbose=at.flag("screen.verbose"),
        cache_enabled=at.optional(at.flag, "cache.enabled"),
        cache_folder=at.path("cache.dir"),
        cache_gb=at.number("cache.max_gb", 0.001),
        tracking=at.choice("tracking.name", TRACKING),
        tracking_uri=at.optional(at.text, "tracking.uri"),
        tracking_experiment=at.text("tracking.experiment"),
        tracking_images=at.integer("tracking.max_images", 0),
        tracking_image_px=at.integer("tracking.image_px", 1),
        report=at.flag("report"),
        objective=at.optional(at.text, "objective"),
        resolved=config,
    )
