"""The networks that can be verified: how each is built, fed and read out, and how far rounding may take it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from gfpup.core.errors import GfpupError
from gfpup.core.registry import unknown
from gfpup.core.types import UInt8
from gfpup.models import backends
from gfpup.models.nets import arcface
from gfpup.models.nets.codeformer import CodeFormer
from gfpup.models.nets.gfpgan import GFPGAN
from gfpup.models.nets.parsing_bisenet import BiSeNet
from gfpup.models.nets.parsing_parsenet import ParseNet
from gfpup.models.nets.restoreformer import RestoreFormer, RestoreFormerPlusPlus
from gfpup.models.nets.retinaface import RetinaFace, prepare
from gfpup.models.nets.rrdbnet import RRDBNet
from gfpup.models.nets.vqgan import smallest_margin
from gfpup.weights import catalogue
from gfpup.weights.catalogue import Checkpoint


@dataclass(frozen=True)
class Tolerance:
    """The largest `goldens.difference` that rounding explains: in the official order of operations, and in another."""

    plain: float
    reordered: float


# Source: README.md of the parity folder, from the official code against itself with other threads and memory layouts.
CALM = Tolerance(plain=2e-5, reordered=1e-4)
MIDDLE = Tolerance(plain=1e-4, reordered=5e-4)
LIVELY = Tolerance(plain=5e-4, reordered=5e-3)


@dataclass(frozen=True, eq=False)
class Answer:
    """What a network says: `outputs` by the golden's names; of a code-book network also its `codes` and the smallest margin."""

    outputs: Mapping[str, torch.Tensor]
    codes: torch.Tensor | None = None
    margin: float | None = None


@dataclass(frozen=True, eq=False)
class Network:
    """One architecture of the catalogue.

    `make` builds it in the official order of operations, as it is until it is rewritten. `feed` turns the golden's input,
    (512, 512, 3) uint8 RGB, into the network's; `ask` runs it. `golden` names the files of the parity folder. `salt` and `gain`
    fill it where no golden says them.
    """

    golden: str | None
    make: Callable[[], nn.Module]
    feed: Callable[[UInt8], torch.Tensor]
    tolerance: Tolerance
    ask: Callable[[Any, torch.Tensor], Answer]
    salt: int = 0
    gain: Mapping[str, float] = field(default_factory=dict)

    def built(self) -> nn.Module:
        """The network without memory, on the meta device."""
        with torch.device("meta"):
            return self.make()


def unit(rgb: UInt8) -> torch.Tensor:
    """(h, w, 3) uint8 to (1, 3, h, w) float32 in [0, 1]."""
    return torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None].float() / 255.0


def signed(rgb: UInt8) -> torch.Tensor:
    """(h, w, 3) uint8 to (1, 3, h, w) float32 in [-1, 1]."""
    return unit(rgb) * 2.0 - 1.0


def corner(rgb: UInt8) -> torch.Tensor:
    """The top-left 128 pixels, in [0, 1]."""
    return unit(rgb)[:, :, :128, :128]


def _bgr(rgb: UInt8) -> torch.Tensor:
    return prepare(torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None])


def _picture(network: nn.Module, x: torch.Tensor) -> Answer:
    return Answer({"output": network(x)})


def _embedding(network: nn.Module, x: torch.Tensor) -> Answer:
    return Answer({"embedding": network(x)})


def _anchors(network: nn.Module, x: torch.Tensor) -> Answer:
    return Answer(dict(zip(("loc", "conf", "landmarks"), network(x), strict=True)))


def _nearest_codes(network: RestoreFormer | RestoreFormerPlusPlus, x: torch.Tensor) -> Answer:
    latent, features = network.encode(x)
    distances = network.quantize.distances(latent)
    codes = distances.argmin(dim=2)
    return Answer({"output": network.decode(codes, latent, features)}, codes[0], smallest_margin(-distances))


def _likeliest_codes(network: CodeFormer, x: torch.Tensor) -> Answer:
    latent, features = network.encode(x)
    logits = network.logits_of(latent)
    codes = logits.argmax(dim=2)
    outputs = {f"output_w{w}": network.decode(codes, latent, features, fidelity=w) for w in (0.0, 0.5, 1.0)}
    return Answer({"logits": logits, **outputs}, codes[0], smallest_margin(logits))


NETWORKS: dict[str, Network] = {
    "gfpgan": Network(
        golden="gfpgan",
        make=GFPGAN,
        feed=signed,
        ask=_picture,
        tolerance=CALM,
        gain={"stylegan_decoder.to_rgb": 0.12},
    ),
    "codeformer": Network("codeformer", CodeFormer, signed, LIVELY, _likeliest_codes, salt=6),
    "restoreformer": Network("restoreformer", RestoreFormer, signed, MIDDLE, _nearest_codes, salt=5),
    "restoreformerpp": Network("restoreformerpp", RestoreFormerPlusPlus, signed, MIDDLE, _nearest_codes, salt=7),
    "retinaface-resnet50": Network("retinaface_r50", RetinaFace, _bgr, MIDDLE, _anchors),
    "retinaface-mobilenet0.25": Network(None, lambda: RetinaFace("mobilenet0.25"), _bgr, MIDDLE, _anchors),
    "bisenet": Network("bisenet", BiSeNet, signed, MIDDLE, _picture),
    "parsenet": Network("parsenet", ParseNet, signed, MIDDLE, _picture),
    "rrdbnet-x2": Network(
        "rrdbnet_x2", lambda: RRDBNet(scale=2), corner, CALM, _picture, gain={"body.": 0.3, "conv_last.": 0.02}
    ),
    "rrdbnet-x4": Network(None, lambda: RRDBNet(scale=4), corner, CALM, _picture, gain={"body.": 0.3, "conv_last.": 0.02}),
    "arcface-resnet18": Network("arcface_r18", arcface.ArcFaceResNet18, arcface.grey_128, CALM, _embedding),
    "arcface-ir-se50": Network("arcface_ir_se50", arcface.ArcFaceIRSE50, arcface.rgb_112, CALM, _embedding),
}
"""By the catalogue's name of the architecture. Salts and gains are those of the parity folder."""

DEFAULTS = {"realesrgan": "realesrgan-x2plus", "retinaface": "retinaface-resnet50", "arcface": "arcface-ir-se50"}
"""What the name of a family that is no backend stands for."""


def resolve(name: str) -> Checkpoint:
    """The checkpoint that `name` means: its own name in the catalogue, or a method's, which stands for its default version.

    Raises:
        GfpupError: nothing is called so (the nearest is offered), or it has no network of gfpup's own.
    """
    for method, row in backends.TABLE.items():
        if name.lower() in (method, *row.aliases) and name not in _published():
            if not row.versions:
                raise GfpupError(
                    f"backend {method!r} has no network of its own to verify; gfpup backends lists those that have."
                )
            return catalogue.find(row.versions.get(row.default_version) or next(iter(row.versions.values())))
    meant = DEFAULTS.get(name.lower(), name)
    if meant in _published():
        checkpoint = catalogue.find(meant)
        if checkpoint.architecture not in NETWORKS:
            raise GfpupError(
                f"{name} is not built by gfpup itself, so only its hash can be checked: gfpup weights verify {name}."
            )
        return checkpoint
    known = {*_published(), *DEFAULTS, *(method for method, row in backends.TABLE.items() if row.versions)}
    raise GfpupError(unknown("network", name.lower(), known))


def _published() -> tuple[str, ...]:
    return tuple(checkpoint.name for checkpoint in catalogue.CATALOGUE)
