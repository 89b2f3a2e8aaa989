"""Damage a face the way the field does: blur, downsample, add noise, JPEG, resize back, by named protocol.

`draw` turns a photo's name and a seed into the facts of one damage, the same on every machine; `apply` does exactly these, to
the same pixels with the same versions of the libraries: all arithmetic before a rounding is float64.
"""

from __future__ import annotations

import hashlib
import io
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import cv2
import numpy as np
from PIL import Image

from gfpup.core.errors import GfpupError
from gfpup.core.types import Float64, UInt8

Range = tuple[float, float]
Choices = list[float]


@dataclass(frozen=True)
class Protocol:
    """What one paper draws its damage from; a tuple is a uniform range, a list a grid of equally likely choices.

    `sigma`: standard deviation of the blur in pixels (of a 512 px face); `scale`: downsampling factor; `noise`: standard
    deviation in 8-bit levels; `jpeg`: quality; `kernels_px`: equally likely sides of the blur kernel; `angles`: its angles in
    radians, None for any. The rest are probabilities: `anisotropic`, that the kernel gets two sigmas and an angle; `uneven`,
    that a square of the face is damaged by a second draw.
    """

    sigma: Range | Choices
    scale: Range | Choices
    noise: Range | Choices
    jpeg: Range | Choices
    anisotropic: float = 0.5
    angles: tuple[float, ...] | None = None
    colour_shift: float = 0.0
    gray: float = 0.0
    kernels_px: tuple[int, ...] = (41,)
    haze: float = 0.0
    uneven: float = 0.0


# Source: the configuration files that each method publishes. A scale under 1 enlarges before noise and JPEG, as published.
# GFPGAN's second colour jitter (brightness, contrast, hue) is left out, and so is RestoreFormer++'s shift (p=0.2, up to 32 px):
# it moves the reference too, as a mirrored face does. DifFace's test grid is the one of the journal version: always two sigmas,
# and one of four angles.
# fmt: off
PROTOCOLS: dict[str, Protocol] = {
    "gfpgan": Protocol((0.1, 10), (0.8, 8), (0, 20), (60, 100), colour_shift=0.3, gray=0.01),
    "vqfr": Protocol((0.1, 10), (0.8, 8), (0, 20), (60, 100)),
    "restoreformer": Protocol((0.1, 10), (0.8, 8), (0, 20), (60, 100), kernels_px=(39, 41)),
    "restoreformerpp": Protocol(
        (0.1, 10), (0.8, 8), (0, 20), (60, 100), gray=0.008, kernels_px=(39, 41), haze=0.008, uneven=0.1,
    ),
    "codeformer-stage2": Protocol((1, 15), (4, 30), (0, 20), (30, 80)),
    "codeformer-stage3": Protocol((0.1, 10), (1, 12), (0, 15), (60, 100)),
    "daefr": Protocol((0.1, 15), (0.8, 30), (0, 20), (30, 100), kernels_px=(39, 41)),
    "difface-train": Protocol((0.1, 15), (0.8, 32), (0, 20), (30, 100), gray=0.01),
    "difface-test-grid": Protocol(
        [4, 8, 12, 16], [*range(4, 41, 4)], [1, 5, 10, 15, 20], [30, 40, 50, 60, 70], anisotropic=1.0,
        angles=(0.0, math.pi / 4, math.pi / 2, 3 * math.pi / 4),
    ),
    "diffbir": Protocol((0.1, 12), (1, 12), (0, 15), (30, 100)),
    # The mild half of GFPGAN's ranges, without its colour jitter: what a pixel-wise comparison can still judge.
    "mild": Protocol((0.1, 5), (0.8, 4), (0, 10), (80, 100)),
}
# fmt: on

COLOUR_SHIFT_LEVELS = 20
"""Largest shift of one channel in 8-bit levels. Source: `color_jitter_shift` of GFPGAN's training options."""
HAZE_SHARE = (0.05, 0.25)
"""How much white is mixed in. Source: `hazy_alpha`, 0.75 to 0.95 of the picture, of RestoreFormer++'s training options."""
PATCH_PX = (128, 256)
"""Side of the square that a second draw damages, in px of a 512 px face. Source: RestoreFormer++'s uneven degradation."""


@dataclass(frozen=True)
class Damage:
    """One drawn damage: everything `apply` needs, so that a record of it reproduces the picture.

    `sigma_xy` and `kernel_px` in pixels, `angle` in radians, `noise` in 8-bit levels, `colour_shift` in 8-bit levels for R, G,
    B, `haze` the share of white, 0 to 1. `patch` is a square with a damage of its own, of which colour and patch are not used.
    """

    sigma_xy: tuple[float, float]
    angle: float
    scale: float
    noise: float
    noise_seed: int
    jpeg: int
    colour_shift: tuple[float, float, float] = (0.0, 0.0, 0.0)
    gray: bool = False
    kernel_px: int = 41
    haze: float = 0.0
    patch: Patch | None = None


@dataclass(frozen=True)
class Patch:
    """A square of `side_px`; `place_xy` says where, each from 0 (left, top) to 1 (right, bottom)."""

    side_px: int
    place_xy: tuple[float, float]
    damage: Damage


def draw(protocol: str, *, seed: int, name: str) -> Damage:
    """Draw the damage of one face; `name` is the photo's file name without its folder, in any Unicode form.

    The same name and seed draw the same place in every protocol's ranges, which pairs comparisons between protocols.

    Raises: GfpupError for an unknown protocol.
    Source: FFHQDegradationDataset of GFPGAN: half the kernels isotropic, half with a sigma for each axis and any angle; all
    values uniform; the JPEG quality cut to a whole number.
    """
    ranges = PROTOCOLS.get(protocol)
    if ranges is None:
        raise GfpupError(f"unknown degradation protocol {protocol!r}: choose one of {', '.join(PROTOCOLS)}")
    digest = hashlib.sha256(f"{seed}\0{unicodedata.normalize('NFC', name)}".encode(errors="surrogateescape")).digest()
    # Every value is drawn whether it is used or not, so that one branch does not shift what follows.
    rng = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))
    u = [float(value) for value in rng.random(29)]
    patch = None
    if u[15] < ranges.uneven:
        second = _blurred_to_jpeg(ranges, [*u[19:26], *u[26:29]], noise_seed=int.from_bytes(digest[24:], "big"))
        patch = Patch(int(_pick(PATCH_PX, u[16])), (u[17], u[18]), second)
    red, green, blue = (_pick((-COLOUR_SHIFT_LEVELS, COLOUR_SHIFT_LEVELS), value) for value in u[8:11])
    shift = (red, green, blue) if u[7] < ranges.colour_shift else (0.0, 0.0, 0.0)
    first = _blurred_to_jpeg(ranges, [*u[:7], *u[12:15]], noise_seed=int.from_bytes(digest[16:24], "big"))
    return replace(first, colour_shift=shift, gray=u[11] < ranges.gray, patch=patch)


def _blurred_to_jpeg(ranges: Protocol, u: Sequence[float], *, noise_seed: int) -> Damage:
    """The damage up to the JPEG file from ten numbers in [0, 1)."""
    sigma_x, sigma_y = _pick(ranges.sigma, u[0]), _pick(ranges.sigma, u[1])
    angle = _pick(list(ranges.angles), u[2]) if ranges.angles else _pick((-math.pi, math.pi), u[2])
    if u[3] >= ranges.anisotropic:
        sigma_y, angle = sigma_x, 0.0
    return Damage(
        sigma_xy=(sigma_x, sigma_y),
        angle=angle,
        scale=_pick(ranges.scale, u[4]),
        noise=_pick(ranges.noise, u[5]),
        noise_seed=noise_seed,
        jpeg=int(_pick(ranges.jpeg, u[6])),
        kernel_px=int(_pick(list(ranges.kernels_px), u[7])),
        haze=_pick(HAZE_SHARE, u[9]) if u[8] < ranges.haze else 0.0,
    )


def apply(rgb: UInt8, damage: Damage, *, resize_back: bool = True) -> UInt8:
    """Damage an (h, w, 3) uint8 picture: blur, mix in haze, downsample, add noise, JPEG, resize back, shift colours, make gray.

    Returns the same size and dtype; with `resize_back=False` the low-resolution picture, (h // scale, w // scale, 3), as it
    leaves the JPEG file, before any patch or change of colour. Sigma and kernel count pixels of the picture given: bring faces
    to 512×512 first to get what the papers mean.

    Source: FFHQDegradationDataset of GFPGAN: bilinear both ways, values cut to [0, 1] after the noise; haze and patch as in
    RestoreFormer++'s; chroma halved in both directions (4:2:0), the default of OpenCV's encoder.
    """
    small = _small(rgb, damage)
    if not resize_back:
        return small
    picture = _enlarged(small, rgb)
    if damage.patch is not None:
        side = min(damage.patch.side_px, *rgb.shape[:2])
        x, y = (int(place * (room - side + 1)) for place, room in zip(damage.patch.place_xy, rgb.shape[1::-1], strict=True))
        other = _enlarged(_small(rgb, damage.patch.damage), rgb)
        picture[y : y + side, x : x + side] = other[y : y + side, x : x + side]
    if any(damage.colour_shift):
        picture = np.clip(picture + np.array(damage.colour_shift) / 255.0, 0.0, 1.0)
    if damage.gray:
        luma = picture @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, OpenCV's weights for gray
        picture = np.repeat(luma[:, :, None], 3, axis=2)
    return _to_levels(picture)


def _small(rgb: UInt8, damage: Damage) -> UInt8:
    height, width = rgb.shape[:2]
    blur = kernel(damage.sigma_xy, damage.angle, side_px=damage.kernel_px)
    picture = cast(Float64, cv2.filter2D(rgb.astype(np.float64) / 255.0, -1, blur))
    if damage.haze:
        picture = picture * (1 - damage.haze) + damage.haze
    small_wh = (max(int(width // damage.scale), 1), max(int(height // damage.scale), 1))
    picture = cast(Float64, cv2.resize(picture, small_wh, interpolation=cv2.INTER_LINEAR))
    rng = np.random.Generator(np.random.PCG64(damage.noise_seed))
    picture = picture + rng.standard_normal(picture.shape) * (damage.noise / 255.0)
    file = io.BytesIO()
    Image.fromarray(_to_levels(picture)).save(file, "JPEG", quality=damage.jpeg, subsampling="4:2:0")
    return np.asarray(Image.open(file).convert("RGB"))


def _enlarged(small: UInt8, like: UInt8) -> Float64:
    size_wh = (like.shape[1], like.shape[0])
    return cast(Float64, cv2.resize(small.astype(np.float64) / 255.0, size_wh, interpolation=cv2.INTER_LINEAR))


def kernel(sigma_xy: tuple[float, float], angle: float, *, side_px: int = 41) -> Float64:
    """The Gaussian blur kernel, (side_px, side_px) float64, sum 1: sigmas in pixels along its axes, turned by `angle` radians.

    Source: the bivariate normal density with covariance R diag(sx², sy²) Rᵀ, sampled at pixel centres.
    """
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    precision = turn @ np.diag([sigma_xy[0] ** -2.0, sigma_xy[1] ** -2.0]) @ turn.T
    x, y = np.meshgrid(*[np.arange(side_px) - side_px // 2] * 2)
    density = np.exp(-0.5 * (precision[0, 0] * x * x + 2 * precision[0, 1] * x * y + precision[1, 1] * y * y))
    return cast(Float64, density / density.sum())


def _pick(values: Range | Choices, u: float) -> float:
    if isinstance(values, list):
        return values[int(u * len(values))]
    return values[0] + (values[1] - values[0]) * u


def _to_levels(picture: Float64) -> UInt8:
    return cast(UInt8, np.rint(np.clip(picture, 0.0, 1.0) * 255.0).astype(np.uint8))
