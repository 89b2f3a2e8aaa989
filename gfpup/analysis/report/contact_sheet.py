"""The contact sheet: small copies of photos in rows, each version a column, names below."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from gfpup.analysis.report.pictures import THUMBNAIL_PX, Picture, Views

ROWS_SHOWN: Final = 100
ROWS_A_BLOCK: Final = 20
_GAP_PX, _TEXT_PX = 8, 13
_INK, _FAINT, _PAPER, _EMPTY = (30, 30, 30), (110, 110, 110), (250, 250, 250), (225, 225, 225)


def chosen(photos: Sequence[str]) -> list[str]:
    """The photos on the sheet: all, or an evenly spaced sample of many."""
    count = min(len(photos), ROWS_SHOWN)
    return [photos[i * len(photos) // count] for i in range(count)]


def contact_sheet(rows: Sequence[tuple[str, Views]], columns: Mapping[str, str], *, photos: int) -> bytes:
    """A JPEG of `rows`, each a photo's name and its versions; `photos` is the number of all photos."""
    font = ImageFont.load_default(_TEXT_PX)
    line = _TEXT_PX + 6
    cell_w, block_w = THUMBNAIL_PX + _GAP_PX, (THUMBNAIL_PX + _GAP_PX) * len(columns) + 2 * _GAP_PX
    a_block = math.ceil(len(rows) / max(1, math.ceil(len(rows) / ROWS_A_BLOCK)))
    blocks = [rows[at : at + a_block] for at in range(0, len(rows), a_block)] if rows else [[]]
    head = 2 * line + _GAP_PX
    height = head + max(sum(_height(views) + line + _GAP_PX for _, views in block) for block in blocks)
    sheet = Image.new("RGB", (block_w * len(blocks), height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    heading = f"{photos} photos" if len(rows) == photos else f"{len(rows)} of {photos} photos, evenly spaced"
    draw.text((_GAP_PX, _GAP_PX // 2), heading, fill=_FAINT, font=font)
    for number, block in enumerate(blocks):
        left, top = _GAP_PX + number * block_w, head
        for column, label in enumerate(columns.values()):
            draw.text((left + column * cell_w, head - line), _fitting(label, draw, font), fill=_INK, font=font)
        for name, views in block:
            tall = _height(views)
            for column, key in enumerate(columns):
                x, picture = left + column * cell_w, views.pictures.get(key)
                if isinstance(picture, Picture):
                    sheet.paste(picture.thumbnail, (x, top + (tall - picture.thumbnail.height) // 2))
                else:
                    draw.rectangle((x, top, x + THUMBNAIL_PX - 1, top + tall - 1), fill=_EMPTY)
                    draw.text((x + _GAP_PX, top + tall // 2 - _TEXT_PX // 2), "none", fill=_FAINT, font=font)
            draw.text((left, top + tall + 2), _fitting(name, draw, font, len(columns)), fill=_INK, font=font)
            top += tall + line + _GAP_PX
    file = io.BytesIO()
    sheet.save(file, "JPEG", quality=88)
    return file.getvalue()


def _height(views: Views) -> int:
    """The height of a row in pixels: that of its tallest picture."""
    return max((it.thumbnail.height for it in views.pictures.values() if isinstance(it, Picture)), default=40)


def _fitting(text: str, draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, cells: int = 1) -> str:
    """The text, shortened in its middle to fit into so many cells: photos often differ in the ends of their names."""
    text = " ".join(text.split())
    width, cut, keep = cells * (THUMBNAIL_PX + _GAP_PX) - _GAP_PX, text, len(text)
    while draw.textlength(cut, font=font) > width and keep > 2:
        keep -= 1
        cut = f"{text[: keep // 2]}…{text[-(keep - keep // 2) :]}"
    return cut
