"""Hostile files for a folder of photos: each has a kind, and what has to become of it.

`make` fills a folder. A file is "good" (has to be restored), "bad" (has to be named with a reason), "either" (it may still be
decodable, so one of the two), or "skipped" (counted and named before the run, not taken).
"""

from __future__ import annotations

import io
import os
import random
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import skimage.data
from PIL import Image

FORMATS: Final = {
    "jpg": ("JPEG", {"quality": 90}),
    "progressive.jpg": ("JPEG", {"progressive": True}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {}),
    "lossless.webp": ("WEBP", {"lossless": True}),
    "tif": ("TIFF", {}),
    "lzw.tif": ("TIFF", {"compression": "tiff_lzw"}),
    "deflate.tif": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "jpeg.tif": ("TIFF", {"compression": "jpeg"}),
    "avif": ("AVIF", {}),
    "gif": ("GIF", {}),
    "jp2": ("JPEG2000", {}),
    "bmp": ("BMP", {}),
}
File = tuple[str, bytes | Callable[[Path], None], str]
"""The name, the bytes or what makes the file at its path, and what has to become of it."""


def portrait(shift: int = 0) -> Image.Image:
    """A photo (256, 256) with a face."""
    return Image.fromarray(np.ascontiguousarray(np.roll(skimage.data.astronaut()[:256, 96:352], shift, axis=0)))


def encoded(extension: str, image: Image.Image) -> bytes:
    """The image in one of `FORMATS`."""
    name, options = FORMATS[extension]
    data = io.BytesIO()
    image.save(data, name, **options)
    return data.getvalue()


def chunk(kind: bytes, data: bytes, *, crc: int | None = None) -> bytes:
    """A chunk of a PNG, with the right checksum unless another is given."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) if crc is None else crc)


def png(width: int, height: int, *between: bytes, depth: int = 8, colour: int = 0, rows: int | None = None) -> bytes:
    """A PNG of zeros with other chunks before its data; of `rows` rows, whatever its header says."""
    bits = width * depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    row, deflate = bytes(1 + (bits + 7) // 8), zlib.compressobj(1)
    data = b"".join(deflate.compress(row) for _ in range(height if rows is None else rows)) + deflate.flush()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(between) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def tiff(entries: list[tuple[int, int, int, int]], *, data: bytes = b"", following: int = 0) -> bytes:
    """A little-endian TIFF of one directory with these (tag, type, count, value), and `data` behind it."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + struct.pack("<I", following) + data


def plain_tiff(width: int, height: int, *, compression: int = 1, bits: int = 8, data: bytes = b"", **changed: int) -> bytes:
    """A grey TIFF in one strip; `changed` are values of tags, by `tag_<number>`."""
    values = {256: width, 257: height, 258: bits, 259: compression, 262: 1, 273: 0, 277: 1, 278: height, 279: len(data)}
    values |= {int(key.removeprefix("tag_")): value for key, value in changed.items()}
    start = 8 + 2 + 12 * len(values) + 4
    values[273] = values[273] or start
    return tiff([(tag, 4, 1, value) for tag, value in sorted(values.items())], data=data)


def exif_jpeg(block: bytes) -> bytes:
    """A good JPEG with an EXIF block of any content: the photo is to be restored whatever the block says."""
    data = encoded("jpg", portrait(3))
    segment = b"Exif\0\0" + block
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]


def damaged(draw: random.Random, count: int) -> Iterator[File]:
    """Photos of every format, cut off or with flipped bits."""
    whole = {extension: encoded(extension, portrait().resize((96, 96))) for extension in FORMATS}
    for number in range(count):
        extension = list(whole)[number % len(whole)]
        data = bytearray(whole[extension])
        if number % 2:
            yield f"cut {number}.{extension}", bytes(data[: draw.randrange(len(data))]), "either"
            continue
        start = 0 if number % 4 else len(data) // 8  # half of them also in the header
        for _ in range(draw.choice((1, 3, 30, 300))):
            data[draw.randrange(start, len(data))] ^= 1 << draw.randrange(8)
        yield f"flipped {number}.{extension}", bytes(data), "either"


def no_pictures(draw: random.Random) -> Iterator[File]:
    """Files whose name promises a picture that is not there, and pictures below another format's name."""
    contents = {
        "nothing": b"", "one": b"\xff", "zeros": bytes(4096), "noise": draw.randbytes(5000), "text": b"hello\n" * 50,
        "page": b"<!doctype html><html>404</html>", "drawing": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "zip": b"PK\3\4" + bytes(60), "pdf": b"%PDF-1.7\n" + bytes(60), "script": b"%!PS-Adobe-3.0 EPSF-3.0\nquit\n",
        "program": b"\x7fELF" + bytes(60), "heic": b"\0\0\0\x18ftypheic" + bytes(60), "jxl": b"\xff\x0a" + bytes(60),
        "pickle": b"\x80\4cposix\nsystem\n(S'false'\ntR.", "raw": b"II*\0\x10\0\0\0CR\2\0" + bytes(60),
    }  # fmt: skip
    for extension in ("jpg", "png", "webp", "tif", "avif", "gif", "jp2", "bmp", "heic"):
        for kind, data in contents.items():
            yield f"{kind} as.{extension}", data, "bad"
    for extension in FORMATS:
        wrong = "png" if extension.endswith("jpg") else "jpg"
        yield f"{extension} as.{wrong}", encoded(extension, portrait(5)), "good" if extension == "png" else "either"


def bombs() -> Iterator[File]:
    """Few bytes that promise or hold much: dimensions, text, profiles, directories, frames, and holes in the file."""
    for side in (20_000, 65_500, 100_000, 2**31 - 1):
        yield f"declared {side}.png", png(side, side, rows=1), "bad"
        yield f"declared {side}.tif", plain_tiff(side, side, data=bytes(64)), "bad"
        yield (
            f"declared {side}.bmp",
            b"BM" + struct.pack("<IIIIiiHHIIiiII", 100, 0, 54, 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0),
            "bad",
        )
        yield (
            f"declared {side % 65536}.gif",
            b"GIF89a" + struct.pack("<HH", side % 65536, side % 65536) + b"\xf0\0\0" + bytes(20),
            "bad",
        )
    for number in range(6):
        yield f"promised {number}.png", png(15_900 - number, 15_900, rows=1, colour=2), "bad"
        yield f"promised {number}.tif", plain_tiff(15_900 - number, 15_900, data=bytes(64)), "bad"
    yield "deep promised.png", png(10_000, 8_000, rows=1_000, colour=2, depth=16), "bad"
    yield "promised.png", png(9_000, 9_000, rows=1_000, colour=2), "bad"
    gigabyte = zlib.compressobj(1)
    zeros = b"".join(gigabyte.compress(bytes(2**20)) for _ in range(512)) + gigabyte.flush()
    yield "profile bomb.png", png(64, 64, chunk(b"iCCP", b"x\0\0" + zeros), colour=2), "either"
    yield "text bomb.png", png(64, 64, chunk(b"zTXt", b"x\0\0" + zeros), colour=2), "either"
    yield "itxt bomb.png", png(64, 64, chunk(b"iTXt", b"x\0\1\0\0\0" + zeros), colour=2), "either"
    yield "many texts.png", png(64, 64, *[chunk(b"tEXt", b"k%d\0" % i + bytes(2**16)) for i in range(900)], colour=2), "either"
    yield "many chunks.png", png(64, 64, *[chunk(b"abCd", b"")] * 200_000, colour=2), "either"
    for extension in ("jpg", "png", "webp", "lossless.webp", "tif", "avif", "gif", "jp2", "bmp"):
        whole = encoded(extension, portrait(7))
        yield f"with a hole behind.{extension}", _sparse(whole, 700_000_000), "either"
        yield f"too large.{extension}", _sparse(whole, 2**33), "bad"
    yield "deep with a hole behind.png", _sparse(png(64, 64, colour=2, depth=16), 3_900_000_000), "either"
    deep = plain_tiff(64, 64, bits=16, data=bytes(64 * 64 * 2))
    yield "deep with a hole behind.tif", _sparse(deep, 3_900_000_000), "either"
    yield "black 50 megapixels.png", png(8000, 6250, colour=2), "good"


def directories() -> Iterator[File]:
    """TIFF and EXIF directories that loop, lie or are cut off, and fax data that is none."""
    for number, offset in enumerate((8, 0xFFFFFFF0, 3, 9)):
        data = bytearray(plain_tiff(32, 32, data=bytes(1024)))
        data[8 + 2 + 12 * 9 : 8 + 2 + 12 * 9 + 4] = struct.pack("<I", offset)
        yield f"next directory {number}.tif", bytes(data), "either"
        data[4:8] = struct.pack("<I", offset)
        yield f"first directory {number}.tif", bytes(data), "either"
    for number, (tag, value) in enumerate(
        (t, v) for t in (258, 262, 273, 277, 278, 279, 284, 322, 339) for v in (0, 7, 2**31, 2**32 - 1)
    ):
        yield f"tag {number}.tif", plain_tiff(32, 32, data=bytes(1024), **{f"tag_{tag}": value}), "either"
        yield (
            f"count {number}.tif",
            tiff([(tag, 1 + number % 12, 2**28 + number, value), (256, 4, 1, 32), (257, 4, 1, 32)]),
            "either",
        )
    for number, compression in enumerate((2, 3, 4, 5, 6, 7, 8, 32773, 34676, 34712, 34925, 50000, 50001, 65535) * 2):
        noise = random.Random(number).randbytes(3000)
        yield f"fax {number}.tif", plain_tiff(200, 200, compression=compression, bits=1, data=noise), "either"
    for number in range(12):
        tag = (0x8769, 0x8825, 0xA005, 0x0112)[number % 4]
        value, count = (8, 26, 2**31, 2**32 - 1)[number // 4 % 4], (1, 2**24)[number % 2]
        yield f"exif loop {number}.jpg", exif_jpeg(tiff([(tag, 4, count, value)], following=8)), "good"
        yield f"exif noise {number}.jpg", exif_jpeg(b"II*\0" + random.Random(number).randbytes(500)), "good"


def chunks() -> Iterator[File]:
    """PNG with chunks that are broken, missing, doubled or in the wrong place."""
    good = png(64, 64, colour=2)
    head, end = good[8:33], chunk(b"IEND", b"")
    yield "no data.png", good[:33] + end, "bad"
    yield "no end.png", good[:-12], "either"
    yield "two heads.png", good[:33] + head + good[33:], "either"
    yield "checksum.png", png(64, 64, chunk(b"gAMA", b"\0\1\x86\xa0", crc=1), colour=2), "either"
    yield "no palette.png", png(64, 64, colour=3), "either"
    for kind in (
        b"tRNS",
        b"PLTE",
        b"iCCP",
        b"cHRM",
        b"gAMA",
        b"pHYs",
        b"eXIf",
        b"acTL",
        b"fcTL",
        b"fdAT",
        b"zTXt",
        b"iTXt",
        b"sRGB",
    ):
        for size in (0, 1, 7, 3000):
            yield f"{kind.decode()} of {size}.png", png(64, 64, chunk(kind, b"\xfe" * size), colour=2), "either"
        lying = png(64, 64, struct.pack(">I", 2**31 - 1) + kind + b"\0" * 8, colour=2)
        yield f"{kind.decode()} lies.png", lying, "either"


def no_files() -> Iterator[File]:
    """Links, pipes, sockets and folders with a picture's name."""
    devices = ("zero", "urandom", "full", "tty", "stdin")
    kernel = ("self/mem", "self/maps", "self/environ", "kcore", "kmsg", "self/root")
    targets = (
        [f"/dev/{name}" for name in devices] + [f"/proc/{name}" for name in kernel] + ["/sys/power/state", "/nowhere", "/"]
    )
    for number, target in enumerate(targets):  # each once: several links to one file are one photo
        name = f"link {number}.{('jpg', 'png', 'tif')[number % 3]}"
        yield name, lambda path, target=target: path.symlink_to(target), "skipped" if Path(target).is_dir() else "bad"
    yield "itself.jpg", lambda path: path.symlink_to(path.name), "bad"
    yield "there.png", lambda path: path.symlink_to("back.png"), "bad"
    yield "back.png", lambda path: path.symlink_to("there.png"), "bad"
    yield "here.jpg", lambda path: path.symlink_to("."), "skipped"
    for number in range(5):
        yield f"pipe {number}.jpg", lambda path: os.mkfifo(path), "bad"
        yield f"socket {number}.png", _socket, "bad"
        yield f"folder {number}.jpg", lambda path: path.mkdir(), "skipped"


def names() -> Iterator[File]:
    """Good and bad photos with names that hurt."""
    words = [
        "caf\udce9",
        "two\nlines",
        "\x1b[2J\x1b[31m",
        "[red]markup[bold]",
        "-rf",
        "%s%n{0}",
        "$(false)`false`",
        "'\"",
        " ",
        "\t",
    ]
    words += ["\r", "\x7f\x07", "\u202eexe", "é", "e\u0301", "a" * 251, "照" * 83, "C:\\x", "=1+1", "<script>alert(1)"]
    words += ["x\u2028y", "nul"]
    for number, word in enumerate(words):
        yield f"{word}.jpg", encoded("jpg", portrait(number)), "good"
        if len(os.fsencode(word)) < 250:
            yield f"{word}.png", b"no picture", "bad"


def _sparse(data: bytes, size: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(data)
        os.truncate(path, size)

    return write


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's address is short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


def make(folder: Path, *, count: int, seed: int) -> dict[str, str]:
    """Fill a new folder with `count` files; returns what has to become of each, by its name."""
    folder.mkdir(parents=True)
    draw = random.Random(seed)
    files = [*names(), *no_files(), *chunks(), *directories(), *bombs(), *no_pictures(draw)]
    files += damaged(draw, count - len(files))
    for name, content, _ in files:
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            content(folder / name)
    return {name: expected for name, _, expected in files}
