"""Photos in and out: the only place that knows files, codecs and OpenCV's BGR. Everywhere else a photo is RGB and upright."""

from gfpup.photos.formats import WRITABLE, check_size, output_extension
from gfpup.photos.opening import probe
from gfpup.photos.read import read_photo
from gfpup.photos.write import WriteOptions, encode, write_photo

__all__ = ["WRITABLE", "WriteOptions", "check_size", "encode", "output_extension", "probe", "read_photo", "write_photo"]
