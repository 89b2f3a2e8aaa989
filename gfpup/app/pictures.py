"""Pictures as the page shows them: small enough to travel, as data or as pixels, with the faces drawn on."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Collection, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from gfpup.core.errors import PhotoError
from gfpup.core.types import UInt8
from gfpup.photos import read_photo

Box = Sequence[float]
SHOWN_PX: Final = 1600
"""The longer side of a picture in the page; the files to download are whole."""
THUMB_PX: Final = 360
_TAKEN, _LEFT, _INK = (11, 92, 173), (89, 99, 110), (255, 255, 255)
"""The colours of `analysis/style.css` that show on any photo: the accent, and the faint ink."""


@lru_cache(maxsize=64)
def _read(path: Path, stamp: tuple[int, int], side_px: int) -> Image.Image:
    picture = Image.fromarray(read_photo(path).rgb8)
    picture.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    return picture


def shown(path: Path, side_px: int = SHOWN_PX) -> Image.Image:
    """A picture of any readable format, upright RGB, with a longer side of at most `side_px`.

    Raises: PhotoError: it cannot be read.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise PhotoError(f"{path} cannot be read: {error.strerror}") from None
    return _read(path, (status.st_size, status.st_mtime_ns), side_px).copy()


def uri(picture: Image.Image | UInt8, side_px: int = THUMB_PX) -> str:
    """A picture as a data address, WebP, with a longer side of at most `side_px`."""
    small = picture.copy() if isinstance(picture, Image.Image) else Image.fromarray(picture)
    small.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "WEBP", quality=85)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def figure(picture: Image.Image | None, caption: str, *, alt: str = "", missing: str = "", side_px: int = THUMB_PX) -> str:
    """A picture with its caption, as HTML; `missing` stands where there is none."""
    text = html.escape(caption)
    inner = f'<div class="missing">{html.escape(missing)}</div>'
    if picture is not None:
        inner = f'<img src="{uri(picture, side_px)}" alt="{html.escape(alt or caption)}" loading="lazy">'
    return f"<figure>{inner}<figcaption>{text}</figcaption></figure>"


def with_faces(path: Path, size_hw: Sequence[int], boxes: Sequence[Box], taken: Collection[int]) -> Image.Image:
    """The photo with a numbered frame around each face: filled labels for those taken, crossed frames for the others."""
    picture = shown(path)
    scale = picture.width / size_hw[1]
    draw = ImageDraw.Draw(picture)
    line = max(2, round(max(picture.size) / 400))
    font = ImageFont.load_default(size=max(14, round(max(picture.size) / 45)))
    for i, box in enumerate(boxes):
        x0, y0, x1, y1 = (value * scale for value in box)
        colour = _TAKEN if i in taken else _LEFT
        draw.rectangle((x0, y0, x1, y1), outline=_INK, width=line + 2)
        draw.rectangle((x0 + 1, y0 + 1, x1 - 1, y1 - 1), outline=colour, width=line)
        if i not in taken:
            draw.line((x0, y0, x1, y1), fill=colour, width=line)
            draw.line((x0, y1, x1, y0), fill=colour, width=line)
        text = str(i + 1)
        left, _, right, bottom = draw.textbbox((x0, y0), text, font=font)
        draw.rectangle((x0, y0, right + (left - x0) + 8, bottom + 6), fill=colour)
        draw.text((x0 + 4, y0 + 2), text, fill=_INK, font=font)
    return picture


def face_at(x: float, y: float, size_hw: Sequence[int], boxes: Sequence[Box]) -> int | None:
    """The number of the face at a point of the picture that `with_faces` made; of several the smallest, None where none is."""
    scale = min(1.0, SHOWN_PX / max(size_hw))
    inside = [i for i, (x0, y0, x1, y1) in enumerate(boxes) if x0 <= x / scale <= x1 and y0 <= y / scale <= y1]
    return min(inside, key=lambda i: (boxes[i][2] - boxes[i][0]) * (boxes[i][3] - boxes[i][1]), default=None)
