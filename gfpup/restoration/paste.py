"""Put restored crops back into the photo: only the rectangle a face touches is computed, whatever the size of the photo.

Source: the feathered mask follows facexlib's FaceRestoreHelper.paste_faces_to_input_image (erosion and blur of a twentieth of
the face's side each), as one ramp in crop space. What differs from it: no half-pixel shift, and overlapping faces share the
pixels between them instead of the later one covering the earlier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from gfpup.core.types import Float32, Float64, Pixels
from gfpup.ops import geometry

SHARING = 10.0  # how fast a face gives way to a nearer one; at 10 the change takes about a tenth of a crop

Rectangle = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Patch:
    """A crop on its way back: `pixels` (512, 512, 3) float32 in [0, 255], `mask` (512, 512) float32 in [0, 1].

    `affine` (2, 3) maps crop pixels to canvas pixels.
    """

    pixels: Float32
    mask: Float32
    affine: Float64


def paste_faces(canvas: Pixels, patches: Sequence[Patch]) -> None:
    """Blend `patches` into `canvas`, (h, w, 3) uint8 or uint16 RGB, in place; pixels where every mask is 0 keep their bits.

    Where faces overlap each pixel goes mostly to the face whose centre is nearer, so that no face is covered by the unrestored
    edge of its neighbour; the result hardly depends on their order.
    """
    size_hw = canvas.shape[0], canvas.shape[1]
    rectangles = [geometry.touched_rectangle(p.affine, (p.mask.shape[0], p.mask.shape[1]), size_hw) for p in patches]
    full_scale = 257.0 if canvas.dtype == np.uint16 else 1.0
    for i, (patch, rectangle) in enumerate(zip(patches, rectangles, strict=True)):
        if rectangle is None:
            continue
        x0, y0, x1, y1 = rectangle
        others = [j for j, other in enumerate(rectangles) if j != i and other is not None and meet(rectangle, other)]
        alpha = _alpha(patches, i, others, rectangle)[..., None]
        pixels = geometry.warp(patch.pixels, _into(patch, rectangle), (y1 - y0, x1 - x0))
        under = canvas[y0:y1, x0:x1]
        blended = under * (1 - alpha) + pixels * (alpha * np.float32(full_scale))
        under[:] = np.where(alpha > 0, np.rint(np.clip(blended, 0, np.iinfo(canvas.dtype).max)), under)


def _into(patch: Patch, rectangle: Rectangle) -> Float64:
    return geometry.shift(patch.affine, (-rectangle[0], -rectangle[1]))


def meet(a: Rectangle, b: Rectangle) -> bool:
    return max(a[0], b[0]) < min(a[2], b[2]) and max(a[1], b[1]) < min(a[3], b[3])


def _mask_on(patch: Patch, rectangle: Rectangle) -> Float32:
    x0, y0, x1, y1 = rectangle
    size_wh = (x1 - x0, y1 - y0)
    return cv2.warpAffine(patch.mask, _into(patch, rectangle), size_wh, flags=cv2.INTER_LINEAR, borderValue=(0.0,))  # type: ignore[return-value]


def _claim(patch: Patch, mask: Float32, rectangle: Rectangle) -> Float32:
    """How strongly a face asks for each pixel of the rectangle: its mask times the closeness to its centre."""
    x0, y0, x1, y1 = rectangle
    back = geometry.invert(patch.affine)
    half = patch.mask.shape[0] / 2
    x, y = np.meshgrid(np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32))
    u = (back[0, 0] * x + back[0, 1] * y + back[0, 2]) / half - 1
    v = (back[1, 0] * x + back[1, 1] * y + back[1, 2]) / half - 1
    return np.asarray(mask * np.exp(-SHARING * (u * u + v * v)), np.float32)


def _alpha(patches: Sequence[Patch], i: int, others: Sequence[int], rectangle: Rectangle) -> Float32:
    """The opacity with which face i goes over what lies there already.

    The faces' shares p of a pixel are to come out as p, whatever the order they are laid down in: the one laid last has
    opacity p, the one before it p / (1 - p_last), and so on.
    """
    mask = _mask_on(patches[i], rectangle)
    if not others:
        return mask
    masks = {i: mask} | {j: _mask_on(patches[j], rectangle) for j in others}
    claims = {j: _claim(patches[j], m, rectangle) for j, m in masks.items()}
    total = np.maximum(np.sum(list(claims.values()), axis=0), np.float32(1e-12))
    shares = {j: masks[j] * claims[j] / total for j in masks}
    laid_later = np.sum([shares[j] for j in others if j > i] or [np.zeros_like(mask)], axis=0)
    return np.asarray(np.clip(shares[i] / np.maximum(1 - laid_later, np.float32(1e-6)), 0, 1), np.float32)
