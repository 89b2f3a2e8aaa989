"""The networks that can be verified: how each is built, fed and read out, and how far rounding may take it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import nn

from gfpup.core.errors import GfpupError
from gfpup.core.registry import unknown
from gfpup.core.types import UInt8
from gfpup.models import backends
from gfpup.models.nets import adaface, arcface
from gfpup.models.nets.codeformer import CodeFormer
from gfpup.models.nets.elir import ELIR
from gfpup.models.nets.inception import resized_without_antialiasing
from gfpup.models.nets.pmrf import NOISE_SCALE, PMRF
from gfpup.models.nets.restoreformer import RestoreFormer, RestoreFormerPlusPlus
from gfpup.models.nets.retinaface import prepare
from gfpup.models.nets.vqgan import smallest_margin
from gfpup.models.table import ARCHITECTURES, TABLE
from gfpup.weights import catalogue
from gfpup.weights.catalogue import Checkpoint


class Tolerance(NamedTuple):
    """The largest `goldens.difference` that rounding explains: in the official order of operations, and in another."""

    plain: float
    reordered: float


@dataclass(frozen=True, eq=False)
class Answer:
    """What a network returns: `outputs` by the golden's names; of a code-book network also `codes` and the smallest margin."""

    outputs: Mapping[str, torch.Tensor]
    codes: torch.Tensor | None = None
    margin: float | None = None


@dataclass(frozen=True, eq=False)
class Network:
    """One architecture of the catalogue.

    `make` builds it in the official order of operations, as it is until it is rewritten. `feed` turns the golden's input,
    (512, 512, 3) uint8 RGB, into the network's; `ask` runs it, with noise of the shape
    `noise` where it takes any. `golden` names the files of the parity folder. `salt` and `gain`
    fill it where no golden says them.
    """

    golden: str | None
    make: Callable[[], nn.Module]
    feed: Callable[[UInt8], torch.Tensor]
    tolerance: Tolerance
    ask: Callable[..., Answer]
    salt: int
    gain: Mapping[str, float]
    noise: tuple[int, ...] = ()

    def built(self) -> nn.Module:
        """The network without memory, on the meta device."""
        with torch.device("meta"):
            return self.make()


def _chw(rgb: UInt8) -> torch.Tensor:
    return torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None]


def _resized(rgb: UInt8, side_px: int) -> UInt8:
    return np.asarray(cv2.resize(rgb, (side_px, side_px), interpolation=cv2.INTER_LINEAR), np.uint8)


def picture(network: nn.Module, x: torch.Tensor) -> Answer:
    return Answer({"output": network(x)})


def embedding(network: nn.Module, x: torch.Tensor) -> Answer:
    return Answer({"embedding": network(x)})


def embedding_and_norm(network: adaface.AdaFaceIR50, x: torch.Tensor) -> Answer:
    return Answer(dict(zip(("embedding", "norm"), network.with_norm(x), strict=True)))


def anchors(network: nn.Module, x: torch.Tensor) -> Answer:
    return Answer(dict(zip(("loc", "conf", "landmarks"), network(x), strict=True)))


def nearest_codes(network: RestoreFormer | RestoreFormerPlusPlus, x: torch.Tensor) -> Answer:
    latent, features = network.encode(x)
    codes = network.choose(latent)
    output = network.decode(codes, latent, features)
    return Answer({"output": output}, codes[0], smallest_margin(network.scores_of(latent)))


def likeliest_codes(network: CodeFormer, x: torch.Tensor) -> Answer:
    latent, features = network.encode(x)
    logits, codes = network.scores_of(latent), network.choose(latent)
    outputs = {f"output_w{w}": network.decode(codes, latent, features, fidelity=w) for w in (0.0, 0.5, 1.0)}
    return Answer({"logits": logits, **outputs}, codes[0], smallest_margin(logits))


def latent_flow(network: ELIR, x: torch.Tensor, noise: torch.Tensor) -> Answer:
    latent = network.encode(x)
    return Answer({"latent": latent, "mmse": network.estimate(latent), "output": network(x, noise)})


def pixel_flow(network: PMRF, x: torch.Tensor, noise: torch.Tensor) -> Answer:
    estimate = network.estimate(x)
    source = estimate.clamp(0, 1) + NOISE_SCALE * noise
    outputs = {"velocity_t0.4": network.velocity(source, 0.4), "output_3_steps": network.follow(source, steps=3)}
    return Answer({"mmse": estimate, **outputs})


# Source: README.md of the parity folder, from the official code against itself with other threads and memory layouts.
_TOLERANCES = {"calm": Tolerance(2e-5, 1e-4), "middle": Tolerance(1e-4, 5e-4), "lively": Tolerance(5e-4, 5e-3)}
_FEEDS: dict[str, Callable[[UInt8], torch.Tensor]] = {
    "signed": lambda rgb: _chw(rgb).float() / 255.0 * 2.0 - 1.0,
    "signed_1024": lambda rgb: _FEEDS["signed"](_resized(rgb, 1024)),
    "unit": lambda rgb: _chw(rgb).float() / 255.0,
    "corner": lambda rgb: (_chw(rgb).float() / 255.0)[:, :, :128, :128],
    "bgr": lambda rgb: prepare(_chw(rgb)),
    "rgb_112": arcface.rgb_112,
    "grey_128": arcface.grey_128,
    "bgr_112": adaface.bgr_112,
    "inception_299": lambda rgb: resized_without_antialiasing(_chw(rgb).float() / 127.5 - 1.0),
}
_ASKS: tuple[Callable[..., Answer], ...] = (
    *(picture, embedding, embedding_and_norm, anchors, nearest_codes, likeliest_codes),
    *(latent_flow, pixel_flow),
)
_ASK_OF = {ask.__name__: ask for ask in _ASKS}

NETWORKS: dict[str, Network] = {
    name: Network(
        row.golden, row.build, _FEEDS[row.feed], _TOLERANCES[row.tolerance], _ASK_OF[row.ask], row.salt, row.gain, row.noise
    )
    for name, row in ARCHITECTURES.items()
    if row.make
}
"""By the catalogue's name of the architecture. Salts and gains are those of the parity folder."""

DEFAULTS = {
    "realesrgan": "realesrgan-x2plus",
    "retinaface": "retinaface-resnet50",
    "arcface": "arcface-ir-se50",
    "adaface": "adaface-ir50-ms1mv2",
}
"""The checkpoint that the name of a family, which is not a backend, stands for."""


def resolve(name: str) -> Checkpoint:
    """The checkpoint that `name` means: its own name in the catalogue, or a method's, which stands for its default version.

    Raises: GfpupError: no network has that name (the nearest is offered), or gfpup does not build it.
    """
    published = {checkpoint.name for checkpoint in catalogue.CATALOGUE}
    methods = {alias: method for method, row in TABLE.items() for alias in (method, *row.aliases)}
    meant = DEFAULTS.get(name.lower(), name)
    if meant not in published and (method := methods.get(name.lower())):
        if (default := backends.published(method)) is None:
            raise GfpupError(
                f"backend {method!r} does not have a network of its own to verify; gfpup backends lists those that do."
            )
        meant = default.name
    if meant not in published:
        raise GfpupError(unknown("network", name.lower(), {*published, *DEFAULTS, *(m for m in TABLE if TABLE[m].versions)}))
    checkpoint = catalogue.find(meant)
    if checkpoint.architecture not in NETWORKS:
        raise GfpupError(f"{name} is not built by gfpup itself, so only its hash can be checked: gfpup weights verify {name}.")
    return checkpoint
