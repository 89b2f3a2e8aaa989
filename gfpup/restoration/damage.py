"""How damaged a face is: sharpness, noise, blocks and colours, measured without a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from gfpup.core.types import Face, Float64, UInt8
from gfpup.restoration.align import align_faces

SHARPNESS_PX: Final = 64
"""Side at which sharpness is measured: of 64, 128 and 256 the one that follows blur best (conf/auto.yaml), and noise least."""

NOISE_PX: Final = 128
"""Side at which noise is measured: at 256 and 512 the noise of an enlarged face is smooth, and looks like none."""

BLOCK_PX: Final = 8
CALM_SHARE: Final = 0.1
"""Noise is everywhere, texture is not: it is measured in the calmest tenth of the face's 8 px blocks."""

_SECOND_DIFFERENCES: Final = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float64)


@dataclass(frozen=True)
class Damage:
    """What was measured of a photo: of its largest face, but for `jpeg_quality` (the file's) and `faces` (how many).

    `sharpness`: variance of the Laplacian over variance, at 64 px a face. `noise`: standard deviation in 8-bit levels at
    128 px a face. `blockiness`: steps at the borders of 8 px blocks over the others, 1 for none; None where `jpeg_quality` is
    known. `colours`: standard deviation across the main line of colours in levels, 0 for grey. `face_px`: shorter side.
    """

    faces: int
    face_px: float | None = None
    sharpness: float | None = None
    noise: float | None = None
    blockiness: float | None = None
    colours: float | None = None
    jpeg_quality: int | None = None


def measure_damage(rgb: UInt8, faces: Sequence[Face], *, jpeg_quality: int | None = None) -> Damage:
    """Measure the damage of an (h, w, 3) uint8 RGB photo with these faces; `jpeg_quality` is that of its file.

    The largest face that can be aligned decides: a blurred face in the background must not choose the method.
    """
    by_size = sorted(faces, key=lambda face: -_side_px(face))
    crop = next((crop for crop in align_faces(rgb, by_size) if not isinstance(crop, str)), None)
    if crop is None:
        return Damage(len(faces), jpeg_quality=jpeg_quality)
    luma = cv2.cvtColor(crop.pixels, cv2.COLOR_RGB2GRAY).astype(np.float64)
    x0, y0, x1, y1 = (round(value) for value in crop.face.box_xyxy)
    box = rgb[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1]  # the photo's own pixels, where blocks of 8 are still 8 px wide
    return Damage(
        faces=len(faces),
        face_px=_side_px(crop.face),
        sharpness=_sharpness(luma),
        noise=_noise(luma),
        blockiness=_blockiness(box) if jpeg_quality is None else None,
        colours=_colours(crop.pixels),
        jpeg_quality=jpeg_quality,
    )


def _side_px(face: Face) -> float:
    x0, y0, x1, y1 = face.box_xyxy
    return min(x1 - x0, y1 - y0)


def _sharpness(luma: Float64) -> float:
    """Variance of the Laplacian of the (512, 512) crop at 64 px, over its variance: contrast does not count as sharpness."""
    small = cv2.resize(luma, (SHARPNESS_PX, SHARPNESS_PX), interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(small, cv2.CV_64F).var() / max(float(small.var()), 1.0))


def _noise(luma: Float64) -> float:
    """Standard deviation of the noise in the calmest tenth of the crop's blocks at 128 px, in levels.

    Source: Immerkaer, "Fast noise variance estimation" (1996): the mean of |second differences| times sqrt(pi / 2) / 6.
    """
    small = cv2.resize(luma, (NOISE_PX, NOISE_PX), interpolation=cv2.INTER_AREA)
    rough = np.abs(cv2.filter2D(small, -1, _SECOND_DIFFERENCES))
    side = NOISE_PX // BLOCK_PX
    blocks = rough.reshape(side, BLOCK_PX, side, BLOCK_PX).mean(axis=(1, 3)) * np.sqrt(np.pi / 2) / 6
    return float(np.quantile(blocks, CALM_SHARE))


def _blockiness(rgb: UInt8) -> float | None:
    """Steps between columns (or rows) 8 px apart over the others, where they are largest; 1: no grid, None: few pixels."""
    luma = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY).astype(np.float64)
    if min(luma.shape) < 4 * BLOCK_PX:
        return None
    ratios = []
    for plane in (luma, luma.T):
        steps = np.abs(np.diff(plane, axis=1)).mean(axis=0)
        means = np.array([steps[place::BLOCK_PX].mean() for place in range(BLOCK_PX)])
        others = np.delete(means, means.argmax())
        ratios.append(float(means.max() / max(float(others.mean()), 1e-3)))
    return min(ratios)  # a grid runs both ways; the edge of a collar runs one


def _colours(rgb: UInt8) -> float:
    """Standard deviation in levels across the line along which the colours of a (512, 512, 3) crop vary most."""
    small = cv2.resize(rgb, (SHARPNESS_PX, SHARPNESS_PX), interpolation=cv2.INTER_AREA).reshape(-1, 3).astype(np.float64)
    return float(np.sqrt(max(float(np.linalg.eigvalsh(np.cov(small.T))[1]), 0.0)))
