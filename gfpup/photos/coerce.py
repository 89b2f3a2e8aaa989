"""Whatever stands for a photo in the Python API: a photo, a result, pixels, the path of a file."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gfpup import photos
from gfpup.core.errors import GfpupError, PhotoError
from gfpup.core.types import Metadata, Photo, RestoredPhoto

File = str | PathLike[str]
Picture = Photo | RestoredPhoto | npt.NDArray[np.uint8] | File
"""A photo, a result, (h, w, 3) uint8 RGB pixels, or the path of a file."""


def read_photo(path: File) -> Photo:
    """Read a photo of any readable format: (h, w, 3) uint8 or uint16 RGB, upright, with alpha and metadata.

    Raises: PhotoError (not a photo, damaged, cut off, too large, or of a kind that has no agreed look).
    """
    return photos.read_photo(Path(path))


def write_photo(
    path: File,
    result: Picture,
    *,
    jpeg_quality: int = 95,
    webp_quality: int = 95,
    png_compression: int = 3,
    keep_metadata: bool = True,
    mark: bool = True,
) -> tuple[str, ...]:
    """Write a result in the format of the path's extension, all at once; returns what the format could not keep.

    EXIF, colour profile and resolution of the photo go along unless `keep_metadata` is False. Of a restored photo the XMP says
    by which method, unless `mark` is False. Qualities are 1 to 100, PNG's
    compression 0 (large, fast) to 9.

    Raises:
        PhotoError: this picture cannot be written so.
        OutputError: the disk is full, or the folder cannot be written.
    """
    options = photos.WriteOptions(
        jpeg_quality=jpeg_quality, webp_quality=webp_quality, png_compression=png_compression, keep_metadata=keep_metadata
    )
    for name, low, high in (("jpeg_quality", 1, 100), ("webp_quality", 1, 100), ("png_compression", 0, 9)):
        if not low <= (value := getattr(options, name)) <= high:
            raise GfpupError(f"invalid value {value!r} for {name}: expected a whole number from {low} to {high}.")
    photo = as_photo(result)
    said = result.mark if mark and isinstance(result, RestoredPhoto) else None
    return photos.write_photo(Path(path), photo.pixels, alpha=photo.alpha, metadata=photo.metadata, options=options, mark=said)


def as_photo(picture: Picture) -> Photo:
    """A photo of whatever stands for one: arrays are (h, w, 3) uint8 or uint16 RGB.

    Raises: PhotoError (a file that cannot be read, or an array of another shape or dtype).
    """
    if isinstance(picture, Photo):
        return picture
    if isinstance(picture, RestoredPhoto):
        return Photo(picture.photo.path, picture.pixels, picture.photo.metadata, alpha=picture.alpha)
    if isinstance(picture, str | PathLike):
        return read_photo(picture)
    pixels = np.asarray(picture)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype not in (np.uint8, np.uint16) or 0 in pixels.shape:
        raise PhotoError(
            f"an array of shape {pixels.shape} and {pixels.dtype} is not a photo: expected (height, width, 3) uint8 RGB."
        )
    return Photo(Path("the array"), np.ascontiguousarray(pixels), Metadata("PNG"))
