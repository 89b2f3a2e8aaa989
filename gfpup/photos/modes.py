"""Every colour mode that a file may have, turned into 8-bit RGB with or without alpha, and its colour profile with it.

The rule for profiles: one that describes RGB stays with the pixels, which stay as they were; any other (grey, CMYK, Lab) cannot
stay with RGB pixels, so these are converted to sRGB through it and it goes.
"""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from PIL import Image, ImageCms

from gfpup.core.types import Pixels, UInt8

_STRIP_PIXELS: Final = 4_000_000
_SPACES: Final = {b"RGB ": "RGB", b"GRAY": "grey", b"CMYK": "CMYK", b"Lab ": "Lab"}


def to_rgb8(image: Image.Image, icc: bytes | None) -> tuple[UInt8, UInt8 | None, bytes | None, tuple[str, ...]]:
    """Turn a decoded picture of any 8-bit mode into (h, w, 3) uint8 RGB, its (h, w) alpha or None, profile and warnings.

    Grey becomes three equal channels; transparency of a palette or of one key colour becomes alpha.
    """
    grey = image.mode in ("1", "L", "LA", "La")
    alpha = None
    if image.has_transparency_data:
        image = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        alpha = np.array(image.getchannel("A"))
    if image.mode in ("CMYK", "LAB"):
        rgb, warnings = _through_profile(image, icc)
        return _rgb(rgb), alpha, None, warnings
    pixels = _rgb(image)
    if grey and space_of(icc) == "grey":
        return _grey_curve(icc or b"")[pixels], alpha, None, ()
    icc, warnings = fitting_profile(icc)
    return pixels, alpha, icc, warnings


def _rgb(image: Image.Image) -> UInt8:
    """The pixels as (h, w, 3) RGB, strip by strip: converted at once, a photo would lie in memory four times."""
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        pixels[top:bottom] = np.asarray(image.crop((0, top, width, bottom)).convert("RGB"))
    return pixels


def fitting_profile(icc: bytes | None) -> tuple[bytes | None, tuple[str, ...]]:
    """Keep a colour profile that describes RGB; drop any other, with a warning."""
    if icc is None or space_of(icc) == "RGB":
        return icc, ()
    return None, (f"its colour profile was dropped: it describes {space_of(icc)} and the pixels are RGB",)


def space_of(icc: bytes | None) -> str:
    """Name the colour space that a profile describes, from its header. Source: ICC.1:2022, section 7.2."""
    if icc is None:
        return "nothing"
    if len(icc) < 132 or icc[36:40] != b"acsp":
        return "nothing that can be read"
    return _SPACES.get(icc[16:20], "another colour space")


def rounded_to_8(pixels: Pixels) -> UInt8:
    """Reduce 16-bit values to 8 bits, rounded; 8-bit ones are returned as they are."""
    if pixels.dtype == np.uint8:
        return pixels  # type: ignore[return-value]
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _through_profile(image: Image.Image, icc: bytes | None) -> tuple[Image.Image, tuple[str, ...]]:
    if image.mode == "LAB":
        return _to_srgb(image, ImageCms.createProfile("LAB")), ()
    why = "it has no colour profile"
    if space_of(icc) == "CMYK":
        try:
            return _to_srgb(image, io.BytesIO(icc or b"")), ()
        except (OSError, ImageCms.PyCMSError):
            why = "its colour profile is damaged"
    return image.convert("RGB"), (f"its CMYK colours were converted by a plain formula, for {why}: they may be off",)


def _to_srgb(image: Image.Image, source: object) -> Image.Image:
    target = ImageCms.createProfile("sRGB")
    result = ImageCms.profileToProfile(image, source, target, outputMode="RGB")  # type: ignore[arg-type]
    assert result is not None
    return result


def _grey_curve(icc: bytes) -> UInt8:
    # A grey profile is one tone curve: 256 values tell all of it, and one curve for all keeps the three channels equal.
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    try:
        return np.array(_to_srgb(ramp, io.BytesIO(icc)))[0, :, 1]
    except (OSError, ImageCms.PyCMSError):
        return np.arange(256, dtype=np.uint8)
