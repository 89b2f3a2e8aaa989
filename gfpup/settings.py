"""The composed configuration, checked once and turned into facts: what a run was asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gfpup.errors import GfpupError
from gfpup.faces.select import FaceChoice
from gfpup.weights import catalogue

DETECTORS = ("auto", "retinaface-resnet50", "retinaface-mobilenet0.25", "cascade")
MODES = ("standard", "high-quality", "memory-efficient")
MASKS = ("auto", "feather", "bisenet", "parsenet")
BACKGROUNDS = ("auto", "none", "realesrgan", "spandrel")
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
    device: str
    threads: int | None
    workers: int | None
    face_batch: int | None
    extension: str
    suffix: str
    save_faces: bool
    keep_metadata: bool
    jpeg_quality: int
    json: bool
    quiet: bool
    resolved: Mapping[str, Any] = field(default_factory=dict, repr=False)


def read_settings(config: Mapping[str, Any]) -> Settings:
    """Check the resolved configuration (plain containers) and return it as `Settings`.

    Raises:
        GfpupError: a value that means nothing, with its key, the value and what would do.
    """
    at = _Reader(config)
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
        device=at.text("hardware.device"),
        threads=at.optional(at.integer, "hardware.threads", 1),
        workers=at.optional(at.integer, "hardware.workers", 0),
        face_batch=at.optional(at.integer, "hardware.face_batch", 1),
        extension=at.choice("write.ext", EXTENSIONS),
        suffix=at.text("write.suffix", empty=True),
        save_faces=at.flag("write.faces"),
        keep_metadata=at.flag("write.metadata"),
        jpeg_quality=at.integer("write.jpeg_quality", 1, 100),
        json=at.flag("screen.json"),
        quiet=at.flag("screen.quiet"),
        resolved=config,
    )


class _Reader:
    """Reads values by their dotted key and refuses each wrong one in the same words."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config

    def raw(self, key: str) -> Any:
        node: Any = self.config
        for part in key.split("."):
            if not isinstance(node, Mapping) or part not in node:
                raise GfpupError(f"{key} is not in the configuration any more; take back what replaced or removed it.")
            node = node[part]
        return node

    @staticmethod
    def refuse(key: str, value: Any, wanted: str) -> GfpupError:
        return GfpupError(f"{key}={value!r} means nothing; it takes {wanted}.")

    def optional(self, read: Any, key: str, *limits: float) -> Any:
        return None if self.raw(key) is None else read(key, *limits)

    def flag(self, key: str) -> bool:
        value = self.raw(key)
        if not isinstance(value, bool):
            raise self.refuse(key, value, "true or false")
        return value

    def number(self, key: str, low: float, high: float = float("inf")) -> float:
        value = self.raw(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self.refuse(key, value, f"a number {_between(low, high)}")
        return float(value)

    def integer(self, key: str, low: int, high: float = float("inf")) -> int:
        value = self.raw(key)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.refuse(key, value, f"a whole number {_between(low, high)}")
        return value

    def text(self, key: str, *, empty: bool = False) -> str:
        value = self.raw(key)
        if isinstance(value, bool | dict | list) or value is None or (not empty and str(value) == ""):
            raise self.refuse(key, value, "a text")
        return str(value)

    def words(self, key: str) -> tuple[str, ...]:
        value = self.raw(key)
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise self.refuse(key, value, "a list of names")
        return tuple(value)

    def files(self, key: str) -> dict[str, Path]:
        files = {}
        for pair in self.words(key):
            name, _, path = pair.partition("=")
            if not name or not path:
                raise self.refuse(key, pair, "NAME=FILE, a checkpoint's name and your file for it")
            files[catalogue.find(name).name] = Path(path)
        return files

    def numbers(self, key: str) -> tuple[float, ...]:
        value = self.raw(key)
        if not isinstance(value, list) or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in value):
            raise self.refuse(key, value, "a list of numbers")
        return tuple(float(v) for v in value)

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.raw(key)
        if isinstance(value, str):
            return (value,)
        if not isinstance(value, list) or not value or any(v is None or isinstance(v, dict | list) for v in value):
            raise GfpupError("nothing to restore was named; give a photo, a folder or a pattern with --input.")
        return tuple(str(v) for v in value)

    def path(self, key: str) -> Path | None:
        return None if self.raw(key) is None else Path(self.text(key))

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self.raw(key)
        if value not in allowed:
            raise self.refuse(key, value, "one of " + ", ".join(allowed))
        return str(value)

    def parameters(self) -> dict[str, Any]:
        """What the `restore` node holds beyond the settings that every run has; null is "not given"."""
        own = ("upscale", "aligned", "strength", "match_color")
        self.raw("restore.upscale")  # refuses a node that was replaced
        return {key: value for key, value in self.raw("restore").items() if key not in own and value is not None}

    def face_choice(self) -> FaceChoice:
        which = self.raw("faces.which")
        is_count = isinstance(which, int) and not isinstance(which, bool) and which > 0
        if which not in ("all", "largest", "center") and not is_count:
            raise self.refuse("faces.which", which, "all, largest, center or a number of faces")
        regions = self.raw("faces.leave_alone") or []
        if not isinstance(regions, list) or not all(_is_box(region) for region in regions):
            raise self.refuse("faces.leave_alone", regions, "boxes [x0,y0,x1,y1] in photo pixels, x0 < x1 and y0 < y1")
        return FaceChoice(
            which=which,
            min_px=self.number("faces.min_px", 0),
            min_score=self.number("faces.min_score", 0, 1),
            leave_alone=tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in regions),
        )


def _is_box(region: Any) -> bool:
    if not isinstance(region, list) or len(region) != 4:
        return False
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in region):
        return False
    return bool(region[0] < region[2] and region[1] < region[3])


def _between(low: float, high: float) -> str:
    return f"of {low:g} or more" if high == float("inf") else f"from {low:g} to {high:g}"
