"""Results as their files hold them: a lossy format changes pixels, so a run measures what it writes and not what it had.

Measuring the files again then gives the same numbers.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gfpup.core.types import RestoredPhoto, UInt8
from gfpup.photos import WriteOptions, encode, read_photo
from gfpup.photos.formats import WRITABLE, format_of
from gfpup.photos.jpeg_quality import file_jpeg_quality

LOSSLESS: Final = frozenset({"PNG", "TIFF", "BMP"})
LOSSLESS_EXTENSIONS: Final = frozenset({".png", ".tif", ".tiff", ".bmp"})
MEMORY: Final = "memory"


@dataclass(frozen=True, eq=False)
class Encoded:
    """A result ready to be written: the file's bytes, what the format could not keep, and the (h, w, 3) uint8 RGB in it.

    `taken_from` is what scores of these pixels say they were taken from.
    """

    data: bytes
    warnings: tuple[str, ...]
    pixels: UInt8
    taken_from: str


def encoded(name: str, restored: RestoredPhoto, options: WriteOptions) -> Encoded | None:
    """Encode a result for the file `name` and read it back; None for a format without loss, whose file holds the pixels as is.

    A PhotoError says why the picture cannot be written in this format.
    """
    form = format_of(Path(name))
    if form in LOSSLESS:
        return None
    data, warnings = encode(
        form,
        restored.pixels,
        alpha=restored.alpha,
        metadata=restored.photo.metadata,
        options=options,
        mark=restored.mark,
        name=name,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"result{Path(name).suffix}"
        path.write_bytes(data)
        return Encoded(data, warnings, read_photo(path).rgb8, file_kind(path))


def file_kind(path: Path) -> str:
    """What scores of this file say they were taken from: its format, by its name, and the quality of a JPEG."""
    extension = path.suffix.lower().removeprefix(".")
    form = WRITABLE.get(extension, extension.upper())
    quality = file_jpeg_quality(path) if form == "JPEG" else None
    return form if quality is None else f"{form} {quality}"
