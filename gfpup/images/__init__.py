"""Photos in and out: the only place that knows files, codecs and OpenCV's BGR. Everywhere else a photo is RGB and upright."""

from gfpup.images.formats import (
    FOREIGN_EXTENSIONS,
    MAX_PIXELS,
    PICTURE_EXTENSIONS,
    WRITABLE,
    check_size,
    output_extension,
)
from gfpup.images.opening import Probe, probe
from gfpup.images.read import read_photo
from gfpup.images.write import TEMPORARY_GLOB, WriteOptions, encode, write_atomic, write_photo

__all__ = [
    "FOREIGN_EXTENSIONS",
    "MAX_PIXELS",
    "PICTURE_EXTENSIONS",
    "TEMPORARY_GLOB",
    "WRITABLE",
    "Probe",
    "WriteOptions",
    "check_size",
    "encode",
    "output_extension",
    "probe",
    "read_photo",
    "write_atomic",
    "write_photo",
]
