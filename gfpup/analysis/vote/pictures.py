"""The pictures of a trial: the same cut of two results and of their input, re-encoded without anything that names a method."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageCms

from gfpup.analysis.vote.methods import Method, Unit, framing
from gfpup.core.errors import GfpupError
from gfpup.core.types import UInt8
from gfpup.evaluation.scorer import ASPECT_TOLERANCE
from gfpup.ops import geometry
from gfpup.photos import pairs, read_photo
from gfpup.records.items import Item

_WHITE: Final = 255


class Cutter:
    """Cuts pictures alike and encodes them as WebP of `quality` (1 to 100), `crop_px` at the longer side."""

    def __init__(self, methods: Sequence[Method], *, crop_px: int, quality: int) -> None:
        self.methods = methods
        self.crop_px = crop_px
        self.quality = quality
        self._results: dict[tuple[int, Unit], bytes] = {}
        self._inputs: dict[Unit, bytes | None] = {}

    def result(self, method: int, unit: Unit) -> bytes:
        """A method's picture of a unit; a GfpupError where it cannot be read or has another shape than the others."""
        if (method, unit) not in self._results:
            photo, face = unit
            item, base = self.methods[method].items[photo], self._base(photo)
            assert item.restored is not None
            pixels = geometry.turned_pixels(_opened(item.restored), (base.turned - item.turned) % 360)
            self._results[method, unit] = self._cut(pixels, base, face, of=self.methods[method].name)
        return self._results[method, unit]

    def degraded(self, unit: Unit) -> bytes | None:
        """The input of a unit, None where there is none."""
        if unit not in self._inputs:
            base = self._base(unit[0])
            pixels = _degraded(base)
            self._inputs[unit] = None if pixels is None else self._cut(pixels, base, unit[1], of="the input")
        return self._inputs[unit]

    def _base(self, photo: str) -> Item:
        """The item that sets the frame of a photo: one whose record has faces, else one with an input, else the first."""
        items = [method.items[photo] for method in self.methods if method.has(photo)]
        found = framing(self.methods, photo) or next((item for item in items if item.degraded is not None), None)
        return found or items[0]

    def _cut(self, pixels: UInt8, base: Item, face: int | None, *, of: str) -> bytes:
        frame = _degraded(base)
        if frame is None:
            assert base.restored is not None
            frame = _opened(base.restored)
        (h, w), (base_h, base_w) = pixels.shape[:2], frame.shape[:2]
        if abs(w * base_h / (h * base_w) - 1) > ASPECT_TOLERANCE:
            raise GfpupError(f"{base.name} of {of} is {w}x{h}, and others are {base_w}x{base_h}: they are of different shape")
        if face is None:
            scale = self.crop_px / max(base_h, base_w)
            affine, size = np.eye(2, 3), (max(1, round(base_h * scale)), max(1, round(base_w * scale)))
            affine = geometry.resize_affine((h, w), size)
        else:
            assert base.affines is not None
            size = self.crop_px, self.crop_px
            to_crop = geometry.of_another_side(base.affines[face], geometry.CROP_PX, self.crop_px)
            affine = geometry.compose(to_crop, geometry.resize_affine((h, w), (base_h, base_w)))
        return encoded(np.asarray(geometry.warp(pixels, affine, size), np.uint8), self.quality)


def encoded(pixels: UInt8, quality: int) -> bytes:
    """Pixels (h, w, 3) as WebP without metadata: no profile, no EXIF, no comment."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=quality, method=4)
    return file.getvalue()


def _degraded(item: Item) -> UInt8 | None:
    """The input as its result is turned, damaged again where it was made from a reference; None where there is none."""
    if item.degraded is None:
        return None
    pixels = _opened(item.degraded)
    if item.damage is not None:
        protocol, seed = item.damage
        pixels, _, _ = pairs.synthesise(pixels, protocol=protocol, seed=seed, name=item.degraded.name)
    return geometry.turned_pixels(pixels, item.turned)


@lru_cache(maxsize=8)
def _opened(path: Path) -> UInt8:
    """A photo in sRGB, (h, w, 3) uint8, on white where it is transparent.

    Pages carry no profiles, because a method may drop the profile of its input, and the pictures would be told apart by it.
    """
    photo = read_photo(path)
    pixels: UInt8 = photo.rgb8
    profile = photo.metadata.icc_profile
    if profile:
        try:
            own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(Image.fromarray(pixels), own, ImageCms.createProfile("sRGB"))
            pixels = np.asarray(converted, np.uint8)
        except (ImageCms.PyCMSError, OSError):
            pass  # a damaged profile, or one of another colour space: shown as if it had none
    if photo.alpha is None:
        return pixels
    alpha = (photo.alpha.astype(np.float32) / np.iinfo(photo.alpha.dtype).max)[..., None]
    return np.round(pixels * alpha + _WHITE * (1 - alpha)).astype(np.uint8)
