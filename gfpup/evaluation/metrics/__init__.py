"""The metrics, by name. This table is read without importing any of them; packages may add more (`gfpup.metrics`).

A metric takes uint8 (h, w, 3) RGB pictures one pair at a time, so no value depends on a batch. A full-reference metric that
is taken against the degraded input, because there is no reference, is called `<name>_to_input`: good then means that little
was changed, and not that the result is good.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from gfpup.core import registry
from gfpup.core.errors import GfpupError
from gfpup.core.types import Score, UInt8

Kind = Literal["full_reference", "identity", "gallery", "no_reference", "set_level", "cost"]
Bounds = tuple[float | None, float | None]
TO_INPUT: Final = "_to_input"
POLYFORM: Final = "polyform-noncommercial-1.0.0"


class MetricError(GfpupError):
    """A metric cannot be computed here; the run goes on and its scores carry this reason."""


class Metric(Protocol):
    """A loaded metric of one picture or pair. It keeps no state between calls."""

    def score(self, restored: UInt8, reference: UInt8 | None) -> Score:
        """Score `restored`, (h, w, 3) uint8 RGB, against `reference` of the same shape; no-reference metrics ignore it."""
        ...


@dataclass(frozen=True)
class MetricFacts:
    """What is known of a metric before it is loaded.

    `entry` is "module:Class" with a `load(files, device=)`, empty where nothing is loaded. `weights` are names of the
    catalogue. `level` says what it is taken of. `implementation` names the library and function that define the value.
    """

    name: str
    kind: Kind
    higher_is_better: bool
    bounds: Bounds
    implementation: str
    meaning: str
    entry: str = ""
    weights: tuple[str, ...] = ()
    licence_id: str = "apache-2.0"
    level: Literal["photo and faces", "faces", "set", "photo", "run"] = "photo and faces"


PLUGIN_KINDS: Final = ("full_reference", "no_reference", "identity")
"""The kinds that a package may add: those of one picture or pair."""

_FULL = "gfpup.evaluation.metrics.full_reference"
_IDENTITY = "gfpup.evaluation.metrics.identity"
_GALLERY = "gfpup.evaluation.metrics.identity_gallery"
_NONE = "gfpup.evaluation.metrics.no_reference"
_NIQE = "gfpup.evaluation.metrics.niqe"
_SET = "gfpup.evaluation.metrics.set_level"
_FEATURES = "gfpup.evaluation.metrics.features"

_ROWS: Final = (
    MetricFacts("psnr", "full_reference", True, (0, None), "own; equals skimage.metrics.peak_signal_noise_ratio",
        "decibels between the pixels of the two pictures, over all three channels", f"{_FULL}:PSNR"),
    MetricFacts("ssim", "full_reference", True, (-1, 1),
        "own; equals skimage.metrics.structural_similarity (gaussian_weights, sigma 1.5, population covariance)",
        "likeness of brightness, contrast and structure in windows of 11 pixels, mean of the channels", f"{_FULL}:SSIM"),
    MetricFacts("ms_ssim", "full_reference", True, (0, 1),
        "torchmetrics.functional.image.multiscale_structural_similarity_index_measure",
        "SSIM's contrast and structure over five scales", f"{_FULL}:MultiScaleSSIM"),
    MetricFacts("lpips", "full_reference", False, (0, None), "torchmetrics LPIPS 0.1, AlexNet",
        "distance between the features of a classifier: what looks different; the variant that most libraries default to",
        f"{_FULL}:LPIPSAlex", ("alexnet",), "bsd-3-clause"),
    MetricFacts("lpips_vgg", "full_reference", False, (0, None), "torchmetrics LPIPS 0.1, VGG-16",
        "as lpips, on VGG-16: the variant that published face restoration tables report",
        f"{_FULL}:LPIPSVGG", ("vgg16",), "bsd-3-clause"),
    MetricFacts("dists", "full_reference", False, (0, 1), "torchmetrics DISTS, VGG-16",
        "distance of structure and texture; forgives a texture that is redrawn alike",
        f"{_FULL}:DISTS", ("vgg16",), "bsd-3-clause"),
    MetricFacts("identity", "identity", True, (-1, 1), "own ArcFace IR-SE50, RGB, faces aligned to its 112-pixel template",
        "cosine between the identities of the two faces", f"{_IDENTITY}:Identity", ("arcface-ir-se50",), "unknown", "faces"),
    MetricFacts("identity_bgr", "identity", True, (-1, 1), "own ArcFace IR-SE50, BGR as in its training, otherwise as identity",
        "as identity, with the colours in the order of the network's training",
        f"{_IDENTITY}:IdentityBGR", ("arcface-ir-se50",), "unknown", "faces"),
    MetricFacts("identity_adaface", "identity", True, (-1, 1), "own AdaFace IR-50, BGR, faces aligned to 112 pixels",
        "cosine between the identities of the two faces, by the network of the NTIRE challenges",
        f"{_IDENTITY}:IdentityAdaFace", ("adaface-ir50-ms1mv2",), "adaface", "faces"),
    MetricFacts("identity_gallery", "gallery", True, (-1, 1), "as identity, against the photos of --people",
        "cosine between the face and the most similar of its person's other photos",
        f"{_GALLERY}:IdentityGallery", ("arcface-ir-se50",), "unknown", "faces"),
    MetricFacts("identity_gallery_mean", "gallery", True, (-1, 1), "as identity, against the photos of --people",
        "mean cosine between the face and its person's other photos",
        f"{_GALLERY}:IdentityGalleryMean", ("arcface-ir-se50",), "unknown", "faces"),
    MetricFacts("identity_gallery_margin", "gallery", True, (-2, 2), "as identity, against the photos of --people",
        "identity_gallery less the same for the most similar other person; below 0 it looks more like somebody else",
        f"{_GALLERY}:IdentityGalleryMargin", ("arcface-ir-se50",), "unknown", "faces"),
    MetricFacts("deg", "identity", False, (0, 180), "own ArcFace ResNet-18, the published Deg protocol",
        "degrees between the identities of the two faces", f"{_IDENTITY}:Deg", ("arcface-resnet18",), "unknown", "faces"),
    MetricFacts("lmd", "identity", False, (0, None), "facexlib's AWing landmarks",
        "pixels between 98 landmarks of the two faces",
        "gfpup.evaluation.metrics.upstream_landmarks:LandmarkDistance", ("alignment-wflw-4hg",), "apache-2.0", "faces"),
    MetricFacts("niqe", "no_reference", False, (0, None),
        "own, with the parameters that basicsr ships; equals basicsr.metrics.calculate_niqe",
        "how far the statistics of the picture are from those of undistorted photographs", f"{_NIQE}:NIQE"),
    MetricFacts("niqe_pyiqa", "no_reference", False, (0, None),
        "pyiqa.archs.niqe_arch on its Y (YIQ, 0 to 255), with pyiqa's own parameters",
        "as niqe, as pyiqa computes it by default and the NTIRE challenges report it",
        f"{_NONE}:NIQEPyIQA", ("niqe-pyiqa",), POLYFORM),
    MetricFacts("musiq", "no_reference", True, (0, 100), "pyiqa MUSIQ, KonIQ-10k",
        "quality as people rated it, at several scales", f"{_NONE}:MUSIQ", ("musiq-koniq",), POLYFORM),
    MetricFacts("maniqa", "no_reference", True, (0, 1), "pyiqa MANIQA, KonIQ-10k, 20 crops", "quality as people rated it",
        f"{_NONE}:MANIQA", ("maniqa-koniq",), POLYFORM),
    MetricFacts("clipiqa", "no_reference", True, (0, 1), "pyiqa CLIP-IQA, RN50",
        "how much nearer the picture is to the words 'good image' than to 'bad image'",
        f"{_NONE}:CLIPIQA", ("clip-rn50",), POLYFORM),
    MetricFacts("topiq", "no_reference", True, (0, 1), "pyiqa TOPIQ-NR, KonIQ-10k", "quality as people rated it",
        f"{_NONE}:TOPIQ", ("topiq-nr-koniq",), POLYFORM),
    MetricFacts("topiq_nr-face", "no_reference", True, (0, 1), "pyiqa TOPIQ-NR, CGFIQA-40k, on gfpup's own aligned faces",
        "quality of a face as people rated it", f"{_NONE}:TOPIQFace", ("topiq-nr-face",), POLYFORM, "faces"),
    MetricFacts("fid", "set_level", False, (0, None),
        "own network and distance; equal basicsr.archs.inception and basicsr.metrics.fid",
        "Fréchet distance between the features of all restored faces and those of FFHQ: the FID that published tables report",
        f"{_FEATURES}:InceptionFFHQ", ("inception-fid", "inception-ffhq-512"), "apache-2.0", "set"),
    MetricFacts("fid_reference", "set_level", False, (0, None), "as fid",
        "as fid, against the run's own reference faces, or the statistics that --stats names",
        f"{_FEATURES}:InceptionBasicSR", ("inception-fid",), "apache-2.0", "set"),
    MetricFacts("fid_fidelity", "set_level", False, (0, None),
        "own network and distance; equal torch-fidelity's",
        "as fid_reference, with torch-fidelity's resizing, as PMRF's tables report it",
        f"{_FEATURES}:InceptionFidelity", ("inception-fid",), "apache-2.0", "set"),
    MetricFacts("fid_torchmetrics", "set_level", False, (0, None),
        "own distance over torch-fidelity's Inception features, as torchmetrics resizes",
        "as fid_reference, with torchmetrics' resizing, which no published table uses; called fid before",
        f"{_FEATURES}:InceptionTorchmetrics", ("inception-fid",), "apache-2.0", "set"),
    MetricFacts("kid", "set_level", False, (None, None), "own, unbiased over the whole sets; features as fid_torchmetrics",
        "squared kernel distance between the same features; unbiased, so it may be compared between sets of different size",
        f"{_FEATURES}:InceptionTorchmetrics", ("inception-fid",), "apache-2.0", "set"),
    MetricFacts("precision", "set_level", True, (0, 1), "own; equals torch-fidelity's (VGG-16, 3 neighbours)",
        "share of the restored faces that lie among the reference faces",
        f"{_FEATURES}:VGG16", ("vgg16",), "bsd-3-clause", "set"),
    MetricFacts("indrmse", "set_level", False, (0, None), "own; the root of the published script's ind_mse",
        "root mean squared difference from the posterior mean, in 8-bit levels: what RMSE would be without the common part",
        f"{_SET}:PosteriorMean", (), "apache-2.0", "set"),
    MetricFacts("seconds", "cost", False, (0, None), "own, the stages' clocks",
        "seconds a photo took, without reading and writing", level="photo"),
    MetricFacts("peak_memory", "cost", False, (0, None), "own, from the operating system or the GPU's allocator",
        "bytes that the run held at its highest", level="run"),
)  # fmt: skip
TABLE: Final[Mapping[str, MetricFacts]] = {row.name: row for row in _ROWS}

GALLERY: Final = tuple(row.name for row in _ROWS if row.kind == "gallery")
"""What is measured together: one comparison with a person's photos gives all of them."""
_FAST: Final = ("identity", "psnr", "ssim", "seconds", "peak_memory")
_BY_NAME: Final = (*("lmd", "identity_bgr", "identity_adaface", "niqe_pyiqa", "fid_fidelity", "precision", "indrmse"), *GALLERY)
"""Not part of `full`: `lmd` runs an official package's network, and the others are second protocols or need further files."""
PRESETS: Final[Mapping[str, tuple[str, ...]]] = {
    "off": (),
    "fast": _FAST,
    "full": _FAST + tuple(name for name in TABLE if name not in (*_FAST, *_BY_NAME)),
}
"""What `--metrics` takes for a word."""


def names() -> tuple[str, ...]:
    """Every metric: those of the table, and those that installed packages add."""
    return (*TABLE, *sorted(set(registry.plugins("metric")) - set(TABLE)))


def facts(name: str) -> MetricFacts:
    """The facts of a metric; those of `<name>_to_input` are its metric's, those of a plug-in are attributes of its class.

    Raises MetricError where no metric has that name, or a plug-in cannot be imported or does not state its kind.
    """
    base = name.removesuffix(TO_INPUT)
    if base in TABLE:
        return TABLE[base]
    plugins = registry.plugins("metric")
    if base not in plugins:
        raise MetricError(registry.unknown("metric", name, names()))
    return _facts_of_plugin(base, plugins[base])


def _facts_of_plugin(name: str, entry: str) -> MetricFacts:
    try:
        cls = registry.resolve("metric", name, {})
    except GfpupError as error:
        raise MetricError(str(error)) from error
    kind, better = getattr(cls, "kind", None), getattr(cls, "higher_is_better", None)
    if kind not in PLUGIN_KINDS or not isinstance(better, bool):
        raise MetricError(
            f"the metric {name!r} of an installed package needs the attributes kind (one of {', '.join(PLUGIN_KINDS)}) and "
            f"higher_is_better (True or False), and has {kind!r} and {better!r}"
        )
    defaults = {"bounds": (None, None), "implementation": f"plug-in, {entry}", "weights": (), "licence_id": "unknown"}
    found: dict[str, Any] = {key: getattr(cls, key, value) for key, value in defaults.items()}
    meaning = getattr(cls, "meaning", (cls.__doc__ or name).strip().splitlines()[0])
    level: Any = getattr(cls, "level", "photo and faces")
    found["weights"] = tuple(found["weights"])
    return MetricFacts(name, kind, better, meaning=meaning, entry=entry, level=level, **found)


def expand(wanted: Iterable[str]) -> tuple[str, ...]:
    """The metrics that names and presets stand for, each once, in the order given; MetricError for an unknown name.

    `identity_gallery` stands for its mean and margin too.
    """
    known, several = names(), {**PRESETS, GALLERY[0]: GALLERY}
    found: dict[str, None] = {}
    for name in wanted:
        if name not in PRESETS and name not in known:
            raise MetricError(registry.unknown("metric", name, [*PRESETS, *known]))
        found.update(dict.fromkeys(several.get(name, (name,))))
    return tuple(found)


def load(name: str, files: Mapping[str, Path], *, device: str = "cpu") -> Metric:
    """Load the metric `name` from `files`, its weights by their catalogue name. Nothing is downloaded.

    Raises MetricError where it cannot be computed here; the message is the reason for its scores.
    """
    row = facts(name)
    cls = registry.resolve("metric", row.name, {row.name: row.entry} if row.name in TABLE else {})
    return cls.load(files, device=device)  # type: ignore[no-any-return]
