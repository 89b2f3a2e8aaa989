"""Photos in and out: the only place that knows files, codecs and OpenCV's BGR. Everywhere else a photo is RGB and upright."""

from gfpup.core.files import TEMPORARY_GLOB, write_atomic
from gfpup.photos.formats import FOREIGN_EXTENSIONS, MAX_PIXELS, PICTURE_EXTENSIONS, WRITABLE, check_size, output_extension
from gfpup.photos.opening import Probe, probe
from gfpup.photos.read import read_photo
from gfpup.photos.write import WriteOptions, encode, write_photo

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
