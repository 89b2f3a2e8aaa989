"""The windows of a photo in which proposed faces are decided: in the photo's own pixels, as the whole photo would show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from gfpup.core.types import Face, UInt8
from gfpup.restoration.boxes import longer_side

GRID_PX = 32
"""Windows begin at multiples of the network's coarsest step, so that anchors and cells lie where the whole photo has them."""
MARGIN_PX = 96
"""Photo around a proposal in its window. Landmarks of 11 of 12 faces then differ from the whole photo's by 0.7 px of the crop
at most, with 64 px by 7; of the twelfth two anchors tie. Source: experiments/015-detection."""

MOST_PIXELS = 4 * 640**2
"""Pixels of a look at most (640 px and four times as long), so that what a photo of any size takes of memory is known."""

BUCKET_PX = 128
"""The step to which the sides of pictures are filled up, so that they can share a forward."""
BEYOND_RGB = (123, 117, 104)
"""What lies outside the photo: the colour that RetinaFace takes for zero."""

MOST_GROWTH = 2.0
"""How much larger or smaller than its proposal a face is at most: the first look saw it 5 px wide."""


@dataclass(frozen=True, eq=False)
class Window:
    """A rectangle of the photo (x0, y0, x1, y1; ends excluded) and the proposals to be decided in it."""

    x0: int
    y0: int
    x1: int
    y1: int
    proposals: tuple[Face, ...]

    @property
    def area(self) -> int:
        return (self.x1 - self.x0) * (self.y1 - self.y0)

    def united(self, other: Window) -> Window:
        """The smallest window around both."""
        corners = min(self.x0, other.x0), min(self.y0, other.y0), max(self.x1, other.x1), max(self.y1, other.y1)
        return Window(*corners, (*self.proposals, *other.proposals))


def windows_around(proposals: Iterable[Face], size_hw: tuple[int, int]) -> list[Window]:
    """The windows in which `proposals` are decided; two are united where that takes no more pixels than both."""
    h, w = size_hw
    windows: list[Window] = []
    for face in proposals:
        x0, y0, x1, y1 = face.box_xyxy
        left, top = (max(0, int((v - MARGIN_PX) // GRID_PX) * GRID_PX) for v in (x0, y0))
        right, bottom = (min(end, -int(-(v + MARGIN_PX) // GRID_PX) * GRID_PX) for v, end in ((x1, w), (y1, h)))
        if left < right and top < bottom:
            windows.append(Window(left, top, right, bottom, (face,)))
    merged: list[Window] = []
    while windows:
        window = windows.pop(0)
        for i, other in enumerate(merged):
            if (both := window.united(other)).area <= min(window.area + other.area, MOST_PIXELS):
                windows.append(both)  # which may now reach others
                del merged[i]
                break
        else:
            merged.append(window)
    return sorted(merged, key=lambda window: (window.y0, window.x0))


def is_meant(proposal: Face, face: Face) -> bool:
    """Whether `face` is where `proposal` was, and of about its size."""
    x0, y0, x1, y1 = proposal.box_xyxy
    a0, b0, a1, b1 = face.box_xyxy
    within = x0 <= (a0 + a1) / 2 <= x1 and y0 <= (b0 + b1) / 2 <= y1
    return within and 1 / MOST_GROWTH <= longer_side(face) / longer_side(proposal) <= MOST_GROWTH


def buckets(pictures: Sequence[UInt8]) -> dict[tuple[int, int], list[int]]:
    """The pictures, by their places, that are filled up to one size (h, w)."""
    found: dict[tuple[int, int], list[int]] = {}
    for i, picture in enumerate(pictures):
        h, w = (-(-side // BUCKET_PX) * BUCKET_PX for side in picture.shape[:2])
        found.setdefault((h, w), []).append(i)
    return found


def filled(picture: UInt8, size_hw: tuple[int, int]) -> UInt8:
    """A picture with `BEYOND_RGB` to its right and below it, up to `size_hw`."""
    canvas = np.full((*size_hw, 3), BEYOND_RGB, np.uint8)
    canvas[: picture.shape[0], : picture.shape[1]] = picture
    return canvas
