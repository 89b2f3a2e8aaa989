"""How each metric is computed, as a protocol: network, file, resizing, colour, crop, and what the mean is over.

A number stands only beside numbers of its own protocol. A metric's name is its protocol's name: where the field computes one
quantity in two ways, they are two metrics. Records of scores keep the protocol of each, and `docs/metrics.md` is written from
this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from gfpup.evaluation import ntire
from gfpup.evaluation.metrics import TO_INPUT, facts
from gfpup.weights import catalogue


@dataclass(frozen=True)
class Protocol:
    """The protocol of one metric, in words for people: what a second implementation would have to do.

    `network` is "" where pixels are compared. `resize` says what is done to sizes before the network, `colour` what the numbers
    are, `crop` what is cut out, `mean` what the published number is a mean over. `equal_to` names who computes it so.
    """

    network: str
    resize: str
    colour: str
    crop: str
    mean: str
    equal_to: str


_FACES, _PHOTOS = "faces of a photo, then photos", "photos"
_PHOTO, _FACE = "whole photo; 512 px along the record's affine for faces", "512 px along the record's affine"
_ALL = "one number for all faces"
_RGB01, _BGR, _NO = "RGB, [0, 1]", "BGR, [-1, 1]", "none"
_Y, _YIQ = "MATLAB's Y, 16 to 235, rounded", "Y of YIQ, 0 to 255, rounded"
_PIXELS = "the result is brought to the reference's size"
_PYIQA = "pyiqa"
_112 = "512 to ArcFace's 112 px, bilinear"


def _inception(resize: str, colour: str, equal_to: str) -> Protocol:
    return Protocol("Inception (2015 weights), last pool, 2048", resize, colour, _FACE, _ALL, equal_to)


PROTOCOLS: Final[Mapping[str, Protocol]] = {
    "psnr": Protocol("", _PIXELS, "RGB, 8 bits, no border cut", _PHOTO, _PHOTOS, "BasicSR on RGB, scikit-image"),
    "ssim": Protocol("", _PIXELS, "RGB, 8 bits, mean of channels", _PHOTO, _PHOTOS, "BasicSR on RGB, scikit-image"),
    "ms_ssim": Protocol("", _PIXELS, "RGB, mean of channels", _PHOTO, _PHOTOS, "torchmetrics"),
    "lpips": Protocol("AlexNet, LPIPS 0.1", _NO, "RGB, [-1, 1]", _PHOTO, _PHOTOS, "lpips, torchmetrics"),
    "lpips_vgg": Protocol("VGG-16, LPIPS 0.1", _NO, "RGB, [-1, 1]", _PHOTO, _PHOTOS, "VQFR, PMRF, DAEFR"),
    "dists": Protocol("VGG-16", _NO, _RGB01, _PHOTO, _PHOTOS, "pyiqa, torchmetrics"),
    "identity": Protocol("ArcFace IR-SE50", _112, "RGB, [-1, 1]", _FACE, _FACES, "facexlib's file as its users feed it"),
    "identity_bgr": Protocol("ArcFace IR-SE50", _112, _BGR, _FACE, _FACES, "the network's training"),
    "identity_adaface": Protocol("AdaFace IR-50, MS1MV2", _112, _BGR, _FACE, _FACES, "AdaFace; NTIRE cuts by landmarks"),
    "identity_gallery": Protocol("ArcFace IR-SE50", _112, "RGB, [-1, 1]", _FACE, _FACES, "identity, against --people"),
    "identity_gallery_mean": Protocol("ArcFace IR-SE50", _112, "RGB, [-1, 1]", _FACE, _FACES, "as identity_gallery"),
    "identity_gallery_margin": Protocol("ArcFace IR-SE50", _112, "RGB, [-1, 1]", _FACE, _FACES, "as identity_gallery"),
    "deg": Protocol("ArcFace ResNet-18", "bilinear to 128", "grey, [-1, 1]", _FACE, _FACES, "VQFR, PMRF; every face counts"),
    "lmd": Protocol("AWing FAN, 98 points", "bilinear to 256", _RGB01, _FACE, _FACES, "VQFR, PMRF"),
    "niqe": Protocol("NIQE, basicsr's parameters", _NO, _Y, _PHOTO, _PHOTOS, "BasicSR, VQFR, PMRF"),
    "niqe_pyiqa": Protocol("NIQE, pyiqa's parameters", _NO, _YIQ, _PHOTO, _PHOTOS, "pyiqa's default, NTIRE"),
    "musiq": Protocol("MUSIQ, KonIQ-10k", "its own scales", _RGB01, _PHOTO, _PHOTOS, _PYIQA),
    "maniqa": Protocol("MANIQA, KonIQ-10k", _NO, _RGB01, "20 crops of 224 px", _PHOTOS, _PYIQA),
    "clipiqa": Protocol("CLIP RN50", _NO, _RGB01, _PHOTO, _PHOTOS, _PYIQA),
    "topiq": Protocol("TOPIQ-NR, KonIQ-10k", _NO, _RGB01, _PHOTO, _PHOTOS, _PYIQA),
    "topiq_nr-face": Protocol("TOPIQ-NR, CGFIQA-40k", _NO, _RGB01, _FACE, _FACES, "pyiqa on aligned faces"),
    "fid": _inception("299, bilinear, no antialiasing", "RGB, [-1, 1]", "BasicSR, VQFR, DAEFR, NTIRE; against FFHQ-512"),
    "fid_reference": _inception("299, bilinear, no antialiasing", "RGB, [-1, 1]", "BasicSR; against the references"),
    "fid_fidelity": _inception("299 as TensorFlow 1", "RGB, (x - 128) / 128", "torch-fidelity, PMRF; against the references"),
    "fid_torchmetrics": _inception("299, bilinear, antialiasing", "RGB, (x - 128) / 128", "torchmetrics"),
    "kid": _inception("299, bilinear, antialiasing", "RGB, (x - 128) / 128", "torchmetrics' features, whole sets"),
    "precision": Protocol("VGG-16, fc2, 4096", "224 as TensorFlow 1", "RGB, ImageNet's", _FACE, _ALL, "torch-fidelity, PMRF"),
    "indrmse": Protocol("", _NO, "RGB, 8 bits", "whole photo", "root of the mean over photos", "PMRF"),
}  # fmt: skip
"""By the name of the metric. What a run cost has no protocol."""

BASICSR, FIDELITY, TORCHMETRICS = "inception-basicsr", "inception-fidelity", "inception-torchmetrics"
VGG_FIDELITY = "vgg16-fidelity"
FEATURES_OF: Final[Mapping[str, str]] = {"fid_reference": BASICSR, "fid_fidelity": FIDELITY, "precision": VGG_FIDELITY}
"""The metrics whose references `gfpup score --stats` may replace, and the features that the statistics must be of."""

BEFORE: Final[Mapping[str, str]] = {"fid": "fid_torchmetrics"}
"""What metrics were called in tables written before scores said their protocol: their `fid` is another metric now."""


def of(metric: str) -> Protocol | None:
    """The protocol of a metric, also of `<name>_to_input`; None for what a run cost and for metrics of other packages."""
    return PROTOCOLS.get(metric.removesuffix(TO_INPUT))


def name_of(metric: str) -> str:
    """The protocol that a line of `scores.csv` names; "" where the metric has none."""
    base = metric.removesuffix(TO_INPUT)
    return base if base in PROTOCOLS or base in ntire.NAMES else ""


def record(metric: str) -> dict[str, object] | None:
    """What `scores.json` keeps of a metric's protocol, with the published hash of each file; None where it has none."""
    found = of(metric)
    if found is None:
        return None
    files = {weight: published_hash(weight) for weight in facts(metric).weights}
    return {"name": name_of(metric), **asdict(found), "files": files}


def published_hash(weight: str) -> str | None:
    """The SHA-256 that is published of a file, or how it starts ("f7b384ab..."); None where neither is."""
    checkpoint = catalogue.find(weight)
    return checkpoint.sha256 or (f"{checkpoint.sha256_starts}..." if checkpoint.sha256_starts else None)


def table() -> str:
    """The table of `docs/metrics.md`, as Markdown."""
    rows = [
        "| metric | network | file: SHA-256 | resizing | colour | crop | mean over | as computed by |",
        "|---|" + "---|" * 7,
    ]
    for name, it in PROTOCOLS.items():
        files = ", ".join(f"{weight}: {(published_hash(weight) or 'not published')[:13]}" for weight in facts(name).weights)
        cells = (f"`{name}`", it.network or "pixels", files, it.resize, it.colour, it.crop, it.mean, it.equal_to)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"
