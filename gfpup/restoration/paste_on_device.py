"""The paste on a GPU: what `paste` computes, with the same filters, and one wait for the device in a photo.

Numbers differ from `paste`'s by rounding; the mask is sampled at its exact place, which OpenCV's versions round differently.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gfpup.core.transfer import download, upload
from gfpup.core.types import Float64, Pixels
from gfpup.ops import geometry
from gfpup.ops.lanczos import FRACTIONS, TAPS, reducing_matrix, sampling_table
from gfpup.restoration.paste import SHARING, Patch, Rectangle, meet

SCALE = 1024
"""Steps of a pixel in which places are added up before they are rounded. Source: OpenCV, warpAffine."""


@torch.inference_mode()
def paste_faces_on(device: str, canvas: Pixels, patches: Sequence[Patch]) -> None:
    """Blend `patches` into `canvas` as `paste.paste_faces` does, on `device`: only the rectangles of faces travel."""
    size_hw = canvas.shape[0], canvas.shape[1]
    rectangles = [geometry.touched_rectangle(p.affine, (p.mask.shape[0], p.mask.shape[1]), size_hw) for p in patches]
    faces = {i: (_on(device, patches[i]), rectangle) for i, rectangle in enumerate(rectangles) if rectangle is not None}
    full_scale, top = (257.0, 65535.0) if canvas.dtype == np.uint16 else (1.0, 255.0)
    done: list[tuple[Rectangle, Tensor]] = []
    for members in _groups({i: rectangle for i, (_, rectangle) in faces.items()}):
        x0, y0, x1, y1 = whole = _around([faces[i][1] for i in members])
        under = canvas[y0:y1, x0:x1]
        # Torch has no arithmetic on uint16.
        tile = upload(np.ascontiguousarray(under, np.int32 if top > 255 else np.uint8), device).permute(2, 0, 1).float()
        for i in members:
            face, (left, upper, right, lower) = faces[i]
            others = {j: faces[j][0] for j in members if j != i and meet(faces[i][1], faces[j][1])}
            alpha = _alpha(face, faces[i][1], others, after=[j > i for j in others])
            pixels = face.pixels_on(faces[i][1]) * full_scale
            part = tile[:, upper - y0 : lower - y0, left - x0 : right - x0]
            blended = (part * (1 - alpha) + pixels * alpha).clamp(0, top).round()
            part.copy_(torch.where(alpha > 0, blended, part))
        done.append((whole, tile.permute(1, 2, 0).to(torch.int32 if top > 255 else torch.uint8).contiguous()))
    for (x0, y0, x1, y1), tile in done:  # all is under way before the first is waited for
        canvas[y0:y1, x0:x1] = download(tile)


class _Face:
    """A patch on the device: `pixels` (3, s, s) and `mask` (s, s) float32, and the affine from the canvas to it."""

    def __init__(self, pixels: Tensor, mask: Tensor, affine: Float64) -> None:
        self.pixels, self.mask, self.affine = pixels, mask, affine
        self.back = geometry.invert(affine)
        self.side = mask.shape[0]
        self.reduced = pixels, self.back
        reduction = geometry.scale_of(self.back)
        if reduction > geometry.UNFILTERED:
            small = max(1, round(self.side / (reduction / geometry.UNFILTERED)))
            matrix = upload(reducing_matrix(self.side, small).copy(), pixels.device)
            into = geometry.compose(geometry.resize_affine((self.side,) * 2, (small,) * 2), self.back)
            self.reduced = matrix @ pixels @ matrix.T, into

    def pixels_on(self, rectangle: Rectangle) -> Tensor:
        """The face as it lies in a rectangle of the canvas: (3, h, w) float32 in [0, 255]."""
        pixels, back = self.reduced
        return sampled(pixels, back, rectangle)

    def mask_on(self, rectangle: Rectangle) -> Tensor:
        """The mask as it lies in a rectangle of the canvas, (h, w), 0 outside the face; bilinear."""
        x, y = places(self.back, rectangle, self.mask.device)
        grid = torch.stack([(x + 0.5) * 2 / self.side - 1, (y + 0.5) * 2 / self.side - 1], dim=-1).float()[None]
        return torch.nn.functional.grid_sample(self.mask[None, None], grid, align_corners=False)[0, 0]

    def claim_on(self, rectangle: Rectangle, mask: Tensor) -> Tensor:
        """How strongly the face asks for each pixel: its mask times the closeness to its centre, as `paste` has it."""
        x, y = places(self.back, rectangle, mask.device)
        u, v = (x / (self.side / 2) - 1).float(), (y / (self.side / 2) - 1).float()
        return mask * torch.exp(-SHARING * (u * u + v * v))


def _on(device: str, patch: Patch) -> _Face:
    pixels = upload(np.ascontiguousarray(patch.pixels, np.float32), device).permute(2, 0, 1).contiguous()
    return _Face(pixels, upload(np.array(patch.mask, np.float32), device), patch.affine)


def _alpha(face: _Face, rectangle: Rectangle, others: dict[int, _Face], *, after: Sequence[bool]) -> Tensor:
    """The opacity of a face over what lies there already; `after` says which of `others` are laid down later."""
    mask = face.mask_on(rectangle)
    if not others:
        return mask
    masks = [mask, *(other.mask_on(rectangle) for other in others.values())]
    claims = [one.claim_on(rectangle, each) for one, each in zip((face, *others.values()), masks, strict=True)]
    total = torch.stack(claims).sum(0).clamp_min(1e-12)
    own, *shares = (each * claim / total for each, claim in zip(masks, claims, strict=True))
    laid_later = sum((share for share, later in zip(shares, after, strict=True) if later), torch.zeros_like(mask))
    return (own / (1 - laid_later).clamp_min(1e-6)).clamp(0, 1)


def places(back: Float64, rectangle: Rectangle, device: torch.device) -> tuple[Tensor, Tensor]:
    """Where the affine `back` maps the pixels of a rectangle: x and y, (h, w) float64."""
    x0, y0, x1, y1 = rectangle
    x, y = torch.arange(x0, x1, device=device, dtype=torch.float64), torch.arange(y0, y1, device=device, dtype=torch.float64)
    u, v = (row[0] * x[None] + row[1] * y[:, None] + row[2] for row in back.tolist())
    return u, v


def sampled(pixels: Tensor, back: Float64, rectangle: Rectangle) -> Tensor:
    """Sample (c, h, w) by Lanczos over 8x8 pixels where `back` maps a rectangle's pixels; its edge goes on beyond it.

    Places are rounded to 1/32 of a pixel as OpenCV rounds them.
    """
    x0, y0, x1, y1 = rectangle
    channels, height, width = pixels.shape
    x, y = (torch.arange(count, device=pixels.device, dtype=torch.float64) for count in (x1 - x0, y1 - y0))
    moved = geometry.compose(back, geometry.shift(np.eye(2, 3), (float(x0), float(y0))))
    fixed = [
        (torch.round((row[1] * y + row[2]) * SCALE) + SCALE / FRACTIONS / 2)[:, None] + torch.round(row[0] * x * SCALE)[None]
        for row in moved.tolist()
    ]
    across, down = (torch.floor(each * (FRACTIONS / SCALE)).long() for each in fixed)
    table = upload(sampling_table().copy(), pixels.device)
    flat, columns, rows = pixels.flatten(1), across // FRACTIONS, down // FRACTIONS
    weights_x, weights_y = table[across % FRACTIONS], table[down % FRACTIONS]
    out = pixels.new_zeros((channels, y1 - y0, x1 - x0))
    for i in range(TAPS):
        line = torch.zeros_like(out)
        row = (rows + (i - TAPS // 2 + 1)).clamp(0, height - 1) * width
        for j in range(TAPS):
            place = row + (columns + (j - TAPS // 2 + 1)).clamp(0, width - 1)
            line.addcmul_(flat[:, place], weights_x[..., j])
        out.addcmul_(line, weights_y[..., i])
    return out


def _groups(rectangles: dict[int, Rectangle]) -> list[list[int]]:
    """The faces whose rectangles meet, directly or by way of others, each group in order."""
    groups: list[list[int]] = []
    for i, rectangle in rectangles.items():
        near = [group for group in groups if any(meet(rectangle, rectangles[j]) for j in group)]
        groups = [group for group in groups if group not in near] + [sorted([i, *(j for group in near for j in group)])]
    return groups


def _around(rectangles: Sequence[Rectangle]) -> Rectangle:
    left, upper, right, lower = zip(*rectangles, strict=True)
    return min(left), min(upper), max(right), max(lower)
