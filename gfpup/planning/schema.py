"""Every option of a run, declared once.

From these dataclasses come the configuration's types and defaults (`structured`), the flags of `gfpup run` with their help and
completion, the keywords of the Python API, docs/cli.md, and the settings that the code reads as `settings.detect.size`.
"""

# ruff: noqa: RUF009 (option and node return fields)

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from gfpup.core.plan import FaceChoice
from gfpup.models.engines import ENGINES
from gfpup.planning.option import Flag, Option, node, option, spellings, walk

PRECISIONS: Final = ("auto", "fp32", "bf16", "fp16")
METRIC_PRESETS: Final = ("off", "fast", "full")
EXTENSIONS: Final = ("auto", "png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff", "avif")
DETECTORS: Final = ("auto", "retinaface-resnet50", "retinaface-mobilenet0.25", "mtcnn", "cascade")
TURNS: Final = ("auto", "none", "apply")
Box = tuple[float, float, float, float]

# fmt: off

@dataclass(frozen=True)
class Source:
    """Which photos, and their references."""
    paths: tuple[str, ...] = option(
        [], Flag("--input", "restore this photo, folder or pattern; repeat for more", "PATH",
                 short="-i", common=True, scope="command"), kind="list")
    recursive: bool = option(False, Flag("--recursive", "look into folders inside folders", sets=True, common=True))
    kind: str = option("folder")
    reference: Path | None = option(
        None, Flag("--reference", "score against the files of the same names in this folder", "DIR"))
    protocol: str | None = option(None)
    seed: int = option(0, low=0)
    limit: int | None = option(None, Flag("--limit", "stop after N photos", "N"), low=1)

@dataclass(frozen=True)
class Write:
    """How results are written."""
    ext: str = option("auto", Flag("--ext", "write files of this type; auto keeps the photo's own", "EXT"), choices=EXTENSIONS)
    suffix: str = option("", Flag("--suffix", "add this to each name", "TEXT"), kind="text")
    metadata: bool = option(True, Flag("--strip-metadata", "write no EXIF, colour profile or resolution", sets=False))
    mark: bool = option(
        True, Flag("--no-mark", "do not say in the results' XMP that they were restored, by what, and where", sets=False))
    faces: bool = option(False, Flag("--save-faces", "also write each face as aligned and as restored", sets=True))
    jpeg_quality: int = option(95, low=1, high=100)
    webp_quality: int = option(95, low=1, high=100)
    png_compression: int = option(3, low=0, high=9)
    layout: str = option("flat", choices=("flat", "gfpgan"))
    compare: bool = option(True)

@dataclass(frozen=True)
class Backend:
    """The method."""
    name: str = option("gfpgan")

@dataclass(frozen=True)
class Restore:
    """How faces are restored. `parameters` are the method's own that were given, by their key; plug-ins may have others."""
    version: str | None = option(None, Flag("--version", "use this published version of the method", "V"), suggest="versions")
    fidelity: float | None = option(
        None, Flag("--fidelity", "set CodeFormer's w: 0 trusts the method, 1 keeps the input", "X", common=True),
        low=0, high=1, shown="0.5")
    steps: int | None = option(
        None, Flag("--steps", "take this many steps along the flow of elir or pmrf; 0 stops at the estimate", "N"),
        low=0, high=1000, shown="5 for elir, 25 for pmrf")
    strength: float = option(
        1.0, Flag("--strength", "blend in this much of the restored face", "X"), low=0, high=1, shown="1")
    match_color: bool = option(False, Flag("--match-color", "give restored faces the colours of the photo", sets=True))
    keep_tone: bool = option(
        False, Flag("--keep-tone", "keep a sepia or toned photo in its one tone, as grey ones are", sets=True))
    upscale: float = option(
        2.0, Flag("--upscale", "enlarge the photo this many times", "X", common=True), low=1 / 16, high=16, shown="2")
    aligned: bool = option(False, Flag("--aligned", "treat each photo as one aligned face; paste nothing", sets=True))
    parameters: Mapping[str, Any] = field(default_factory=dict)

@dataclass(frozen=True)
class Background:
    """How the rest of the photo is enlarged."""
    name: str = option("auto", choices=("auto", "none", "realesrgan", "spandrel"))
    path: Path | None = option(None, Flag("--background-path", "enlarge the rest with this checkpoint", "FILE"))
    tile_px: int | None = option(
        None, Flag("--tile", "enlarge the rest in tiles of this side, 0 for no tiles", "PX"), low=0, unit="px", shown="256")
    tile_overlap_px: int | None = option(
        None, Flag("--tile-overlap", "let neighbouring tiles overlap by this much", "PX"), low=0, unit="px", shown="32")

@dataclass(frozen=True)
class Ensemble:
    """The members of an ensemble."""
    backends: tuple[str, ...] = option(
        [], Flag("--ensemble-backends", "blend these methods (with --backend ensemble)", "A,B"),
        kind="names", suggest="backend")
    weights: tuple[float, ...] = option(
        [], Flag("--ensemble-weights", "weight them by these numbers", "W,W"), kind="names", shown="equal weights")

@dataclass(frozen=True)
class PrecomputedResults:
    """Where another tool's results lie."""
    folder: Path | None = option(None, Flag("--restored", "use another tool's results (with --backend precomputed)", "DIR"))
    mapping: Path | None = option(None, Flag("--mapping", "match them by this CSV file of input,restored", "FILE"))

@dataclass(frozen=True)
class Detect:
    """How faces are found."""
    name: str = option("auto", Flag("--detector", "find faces with this detector", "NAME"), choices=DETECTORS)
    path: Path | None = option(None, Flag("--detector-path", "load the detector from this checkpoint", "FILE"))
    threshold: float = option(0.97, Flag("--detection-threshold", "accept faces from this score", "X"), low=0, high=1)
    size: int | None = option(
        None, Flag("--detect-size", "look for faces in a copy with this short side, then in the photo; 0 for full size", "PX"),
        low=0, unit="px", shown="640 to 960, by the photo")
    turn: str = option(
        "auto", Flag("--turn", "look at photos turned on their side: auto|none, or apply to write them upright", "WHEN"),
        choices=TURNS)

@dataclass(frozen=True)
class Faces(FaceChoice):
    """Which faces are restored: a `FaceChoice` whose fields are options."""
    which: str | int = option(
        "all", Flag("--only-center-face", "restore only the face nearest the centre", sets="center"),
        Flag("--faces", "restore all|largest|center, or the N largest", "WHICH"), suggest="which")
    min_px: float = option(0.0, Flag("--min-face", "skip faces whose box is narrower", "PX"), low=0, unit="px", shown="0")
    min_eye_distance_px: float = option(
        5.0, Flag("--min-eye-distance", "skip faces whose eyes are closer together", "PX"), low=0, unit="px", shown="5")
    min_score: float = option(0.0, Flag("--min-score", "skip faces with a lower score", "X"), low=0, high=1, shown="0")
    leave_alone: tuple[Box, ...] = option(
        [], Flag("--leave-alone", "skip faces in this box of the photo, in px; repeat for more", "X0,Y0,X1,Y1"), kind="boxes")
    keep_large: bool = option(
        False, Flag("--keep-large-faces", "skip faces that the method would have to reduce more than 1.5 times", sets=True))
    picked: Mapping[str, tuple[int, ...]] = option(
        [], Flag("--pick-faces", "restore only these faces of one photo, by their numbers in the record, or none; repeatable",
                 "PHOTO=N,N"), kind="list")
    persons: tuple[str, ...] = option(
        [], Flag("--person", "restore only the faces of this person of --people; repeat for more", "NAME"), kind="list")

@dataclass(frozen=True)
class People:
    """Photos of the persons in the photos."""
    folder: Path | None = option(
        None, Flag("--people", "recognise faces by other photos of the persons: a folder with a folder for each", "DIR"))
    false_match: float = option(
        0.01, Flag("--false-match", "recognise where at most this share of the photos of --people match another person's", "X"),
        low=0, high=1)

@dataclass(frozen=True)
class Guard:
    """How like its input, or its person's other photos, a restored face has to stay."""
    identity_min: float | None = option(
        None, Flag("--identity-min", "blend each face back until it is this similar to its input, or to --people", "X"),
        low=0, high=1)
    path: Path | None = option(None, Flag("--identity-path", "measure that with this ArcFace IR-SE50 checkpoint", "FILE"))

@dataclass(frozen=True)
class Paste:
    """How faces are pasted."""
    mask: str = option(
        "auto", Flag("--mask", "paste faces with this mask", "NAME"), choices=("auto", "feather", "bisenet", "parsenet"))
    mask_path: Path | None = option(None, Flag("--mask-path", "parse faces with this checkpoint", "FILE"))

@dataclass(frozen=True)
class Weights:
    """Where checkpoints come from."""
    model: Path | None = option(
        None, Flag("--model-path", "restore with this checkpoint of the method, unverified", "FILE", scope="restore"))
    files: Mapping[str, Path] = option(
        [], Flag("--weights-file", "use your file for a published checkpoint; repeat for more", "NAME=FILE"),
        kind="list", suggest="checkpoints")
    dir: Path | None = option(
        None, Flag("--weights-dir", "keep checkpoints in this folder", "DIR"), shown="GFPUP_WEIGHTS_DIR, or the user's cache")
    download: bool = option(True, Flag("--no-download", "use only checkpoints that are already here", sets=False))
    trust_first_download: bool = option(
        False, Flag("--trust-first-download", "accept checkpoints without a published hash", sets=True))
    accept_licences: tuple[str, ...] = option(
        [], Flag("--accept-licence", "consent to a licence, once; repeat for more", "ID"), kind="list", suggest="licences")

@dataclass(frozen=True)
class Metrics:
    """What is measured."""
    names: tuple[str, ...] = option([], kind="metrics")
    require: bool = option(False, Flag("--require-metrics", "refuse to start if a metric cannot be computed", sets=True))

@dataclass(frozen=True)
class Tracking:
    """What is logged to MLflow."""
    name: str = option("auto", choices=("auto", "mlflow", "none"))
    uri: str | None = option(None, Flag("--tracking-uri", "log to this folder or server", "URI"), kind="text", shown="mlruns/")
    experiment: str = option("gfpup")
    max_images: int = option(20, low=0)
    image_px: int = option(512, low=1, unit="px")

@dataclass(frozen=True)
class Hardware:
    """What computes."""
    tier: str = option("auto", choices=("auto", "high", "mid", "low", "cpu", "mps"))
    device: str = option(
        "auto", Flag("--device", "compute on auto|cpu|cuda|cuda:N|mps", "NAME", common=True, scope="weights"),
        suggest="devices")
    devices: int | None = option(
        1, Flag("--devices", "share the photos out to N processes, one GPU each; auto: all GPUs", "N", scope="run"), low=1)
    num_nodes: int = option(
        1, Flag("--num-nodes", "share the photos out to N machines, each with --devices", "N", scope="run"), low=1)
    strategy: str = option("auto", choices=("auto", "ddp"))
    precision: str = option(
        "auto", Flag("--precision", "compute in this precision", "P"), choices=PRECISIONS, shown="auto, fp32 on a CPU")
    engine: str = option(
        "auto", Flag("--engine", "run networks with this engine", "NAME"), choices=("auto", *ENGINES), shown="auto, eager")
    compile: bool = option(False, Flag("--compile", "compile networks where that works, else run them eagerly", sets=True))
    threads: int | None = option(
        None, Flag("--threads", "compute with N threads", "N"), low=1, shown="OMP_NUM_THREADS, or the cores")
    workers: int | None = option(None, low=0)
    face_batch: int | None = option(
        None, Flag("--face-batch", "restore N faces at once on a GPU", "N"), low=1, shown="as many as fit")

@dataclass(frozen=True)
class Cache:
    """The stages shared with other runs."""
    enabled: bool | None = option(
        None, Flag("--cache", "reuse faces, crops and backgrounds that an earlier run made", sets=True),
        Flag("--no-cache", "reuse none of them between the jobs of a sweep", sets=False))
    dir: Path | None = option(None)
    max_gb: float = option(4.0, low=0.001, unit="GB")

@dataclass(frozen=True)
class Screen:
    """What is printed."""
    json: bool = option(False, Flag("--json", "print the summary, or the plan, as JSON on stdout", sets=True))
    verbose: bool = option(False, Flag("--verbose", "print the plan before the run", sets=True))
    quiet: bool = option(False, Flag("--quiet", "print errors only", sets=True, short="-q"))

@dataclass(frozen=True)
class Settings:
    """A checked request, by the nodes and keys of the configuration; `resolved` is that configuration, in plain containers."""
    source: Source = node(
        Source, Flag("--source", "use folder|paired|synthetic, or a test set such as celeba-test", "NAME"),
        section="photos", scope="run", shown="folder")
    output: Path = option(
        Path("out"), Flag("--output", "write to this folder", "DIR", short="-o", common=True),
        section="photos", scope="command")
    existing: str = option(
        "resume", Flag("--resume", "skip what the folder already holds (the default)", sets="resume"),
        Flag("--overwrite", "replace what the folder holds, even from another plan", sets="overwrite"),
        choices=("resume", "overwrite"), section="photos", scope="run")
    write: Write = node(Write, section="photos", scope="run")
    backend: Backend = node(
        Backend, Flag("--backend", "restore with this method; gfpup backends lists them", "NAME", common=True),
        Flag("--auto", "choose a method for each photo by its damage", sets="auto"),
        section="method", scope="command", shown="gfpgan")
    restore: Restore = node(Restore, section="method")
    background: Background = node(
        Background, Flag("--background", "enlarge the rest with auto|none|realesrgan|spandrel", "NAME", common=True),
        section="method", shown="auto")
    mode: str = option(
        "standard", Flag("--high-quality", "compute in float32, mirror each face too, use no tiles", sets="high-quality"),
        Flag("--memory-efficient", "restore one face at a time, in small tiles", sets="memory-efficient"),
        choices=("standard", "high-quality", "memory-efficient"), section="method")
    ensemble: Ensemble = node(Ensemble, section="method")
    precomputed: PrecomputedResults = node(PrecomputedResults, section="method")
    seed: int | None = option(
        None, Flag("--seed", "draw noise, where a method has any, from this number and the photo", "N"),
        low=0, section="method")
    detect: Detect = node(Detect, section="faces")
    faces: Faces = node(Faces, section="faces")
    people: People = node(People, section="faces")
    guard: Guard = node(Guard, section="faces")
    paste: Paste = node(Paste, section="faces")
    weights: Weights = node(Weights, section="weights", scope="weights")
    metrics: Metrics = node(
        Metrics, Flag("--metrics", "measure off|fast|full, or a list such as lpips,dists,identity", "WHICH", common=True),
        kind="metrics", section="metrics", scope="run", shown="off")
    objective: str | None = option(None)
    tracking: Tracking = node(
        Tracking, Flag("--tracking", "log to MLflow: auto (sweeps, and runs with metrics)|mlflow|none", "WHEN"),
        section="metrics", scope="run", shown="auto")
    report: bool = option(
        True, Flag("--no-report", "write no report at the end of a sweep", sets=False), section="metrics", scope="run")
    hardware: Hardware = node(Hardware, section="machine")
    cache: Cache = node(Cache, section="machine", scope="run")
    dry_run: bool = option(
        False, Flag("--dry-run", "print the plan and do nothing else", sets=True, common=True),
        section="machine", scope="command")
    screen: Screen = node(Screen, section="machine", scope="command")
    resolved: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def changed(self, changes: Mapping[str, Any]) -> Settings:
        """A copy with other values, by their dotted key: `{"hardware.device": "cpu"}`."""
        settings = self
        for key, value in changes.items():
            name, _, inside = key.partition(".")
            settings = replace(settings, **{name: replace(getattr(settings, name), **{inside: value}) if inside else value})
        return settings

@dataclass(frozen=True)
class Study:
    """What the command line chooses that is no setting of its own: a group that changes others."""
    experiment: str | None = option(
        None, Flag("--experiment", "load this study's settings from conf/experiment, or --config-dir", "NAME"),
        kind="group", section="photos", scope="run")

# fmt: on


OPTIONS: Final[dict[str, Option]] = {wanted.key: wanted for root in (Study, Settings) for wanted in walk(root)}
"""Every option by its key; a group under the key of its node."""
FLAGS: Final[dict[str, tuple[Flag, Option]]] = spellings(Study) | spellings(Settings)
"""Every flag of `gfpup run` by its name and its short name."""
SECTIONS: Final = ("photos", "method", "faces", "weights", "metrics", "machine")
