"""Reading: every kind of file that a folder of photos may hold, each made here."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from gfpup.core.errors import PhotoError
from gfpup.core.types import Photo
from gfpup.photos import modes, probe, read_photo

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def noise(seed: int, *shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def smooth(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([40 + 3 * x, 60 + 4 * y, 200 - x - y], axis=-1).clip(0, 255).astype(np.uint8)


def saved(path: Path, array: np.ndarray, mode: str | None = None, **settings: object) -> Photo:
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **settings)
    return read_photo(path)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(np.mean((a.astype(float) - b.astype(float)) ** 2), 1e-9)))


def exif_with(**tags: object) -> bytes:
    exif = Image.Exif()
    exif[0x0110] = "a camera"
    exif[0x8825] = {1: "N", 2: (52.0, 30.0, 0.0)}
    if "orientation" in tags:
        exif[0x0112] = tags["orientation"]
    return exif.tobytes()


# How a viewer shows each orientation, written with Pillow's own words and not with ours.
SHOWN = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["photo.png", "photo.webp", "photo.tiff", "photo.jpg", "photo.avif"])
def test_orientation_is_applied_to_pixels_and_alpha_and_reset(tmp_path: Path, orientation: int, name: str) -> None:
    alphas = not name.endswith("jpg")
    stored = Image.fromarray(np.dstack([smooth(20, 30), noise(3, 20, 30)]) if alphas else smooth(20, 30))
    settings = {"lossless": True, "exact": True} if name.endswith("webp") else {"quality": 98, "subsampling": "4:4:4"}
    stored.save(tmp_path / name, exif=exif_with(orientation=orientation), **({} if name[-3:] in ("png", "iff") else settings))
    turn = SHOWN[orientation]
    shown = np.array(stored.transpose(turn) if turn is not None else stored)
    photo = read_photo(tmp_path / name)
    assert photo.pixels.shape == shown[..., :3].shape
    if name[-3:] in ("jpg", "vif"):
        assert psnr(photo.pixels, shown[..., :3]) > 35
    else:
        assert np.array_equal(photo.pixels, shown[..., :3])
        assert photo.alpha is not None and np.array_equal(photo.alpha, shown[..., 3])
    assert photo.metadata.exif is not None
    kept = Image.Exif()
    kept.load(photo.metadata.exif)
    assert kept.get(0x0112, 1) == 1
    assert kept[0x0110] == "a camera"
    assert kept.get_ifd(0x8825)[2] == (52.0, 30.0, 0.0)
    assert probe(tmp_path / name).size_hw == photo.size_hw
    assert photo.warnings == ()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_16_bits(tmp_path: Path, orientation: int) -> None:
    deep = noise(7, 6, 9, 3, dtype=np.uint16)
    tifffile.imwrite(tmp_path / "deep.tif", deep, photometric="rgb", extratags=[(274, 3, 1, orientation, True)])
    data = cv2.imencode(".png", deep[..., ::-1])[1].tobytes()
    block = exif_with(orientation=orientation)[6:]
    chunk = struct.pack(">I", len(block)) + b"eXIf" + block + struct.pack(">I", zlib.crc32(b"eXIf" + block))
    (tmp_path / "deep.png").write_bytes(data[:33] + chunk + data[33:])
    shown = [np.array(Image.fromarray((deep[..., c] >> s & 255).astype(np.uint8))) for c in range(3) for s in (0, 8)]
    turn = SHOWN[orientation]
    turned = [np.array(Image.fromarray(p).transpose(turn)) if turn is not None else p for p in shown]
    expected = np.stack([turned[2 * c].astype(np.uint16) | turned[2 * c + 1].astype(np.uint16) << 8 for c in range(3)], axis=-1)
    for name in ("deep.tif", "deep.png"):
        photo = read_photo(tmp_path / name)
        assert photo.pixels.dtype == np.uint16
        assert np.array_equal(photo.pixels, expected), name
        assert probe(tmp_path / name).size_hw == photo.size_hw
        assert probe(tmp_path / name).bits == 16


def test_profile_and_resolution_are_kept(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png", "a.webp", "a.tif", "a.avif"):
        photo = saved(tmp_path / name, smooth(16, 16), icc_profile=SRGB, dpi=(300, 150))
        assert photo.metadata.icc_profile == SRGB, name
        if name not in ("a.webp", "a.avif"):
            assert photo.metadata.dpi == pytest.approx((300, 150), abs=0.02), name  # PNG counts dots a metre
    assert read_photo(tmp_path / "a.jpg").metadata.format == "JPEG"


def test_a_turned_photo_has_its_resolution_turned(tmp_path: Path) -> None:
    photo = saved(tmp_path / "a.jpg", smooth(16, 24), dpi=(300, 150), exif=exif_with(orientation=6))
    assert photo.size_hw == (24, 16)
    assert photo.metadata.dpi == (150, 300)


def test_damaged_profile_is_dropped_and_said(tmp_path: Path) -> None:
    photo = saved(tmp_path / "a.jpg", smooth(16, 16), icc_profile=b"no profile at all" * 20)
    assert photo.metadata.icc_profile is None
    assert any("profile" in warning for warning in photo.warnings)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits_stay(tmp_path: Path, suffix: str, channels: int) -> None:
    deep = noise(11, 9, 14, channels, dtype=np.uint16)
    path = tmp_path / f"deep.{suffix}"
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
    path.write_bytes(cv2.imencode(f".{suffix}", deep[..., order])[1].tobytes())
    photo = read_photo(path)
    assert photo.pixels.dtype == np.uint16
    expected = np.repeat(deep, 3, axis=2) if channels == 1 else deep[..., :3]
    assert np.array_equal(photo.pixels, expected)
    assert (photo.alpha is not None) == (channels == 4)
    if photo.alpha is not None:
        assert np.array_equal(photo.alpha, deep[..., 3])


def raw_png(width: int, height: int, depth: int, colour: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    extra = b"".join(chunk(*one) for one in chunks)
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_16_bit_transparency_by_key_colour_and_grey_with_alpha(tmp_path: Path) -> None:
    for colour, channels in ((0, 1), (2, 3)):
        values = noise(13, 4, 5, channels, dtype=np.uint16)
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
        (tmp_path / "key.png").write_bytes(raw_png(5, 4, 16, colour, rows, (b"tRNS", values[1, 2].astype(">u2").tobytes())))
        photo = read_photo(tmp_path / "key.png")
        assert np.array_equal(photo.pixels, np.repeat(values, 3 // channels, axis=2))
        assert photo.alpha is not None and photo.alpha[1, 2] == 0 and photo.alpha[0, 0] == 65535
    values = noise(14, 4, 5, 2, dtype=np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    (tmp_path / "la.png").write_bytes(raw_png(5, 4, 16, 4, rows))
    photo = read_photo(tmp_path / "la.png")
    assert np.array_equal(photo.pixels[..., 1], values[..., 0])
    assert photo.alpha is not None and np.array_equal(photo.alpha, values[..., 1])


def test_16_bit_tiff_layouts(tmp_path: Path) -> None:
    deep = noise(17, 7, 9, 3, dtype=np.uint16)
    for kind in ({"byteorder": ">"}, {"compression": "zlib", "predictor": 2}, {"tile": (16, 16)}, {"bigtiff": True}):
        tifffile.imwrite(tmp_path / "a.tif", deep, photometric="rgb", **kind)
        assert np.array_equal(read_photo(tmp_path / "a.tif").pixels, deep), kind
    tifffile.imwrite(tmp_path / "inverted.tif", deep[..., 0], photometric="miniswhite")
    assert np.array_equal(read_photo(tmp_path / "inverted.tif").pixels[..., 2], 65535 - deep[..., 0])
    tifffile.imwrite(tmp_path / "planes.tif", deep.transpose(2, 0, 1), photometric="rgb", planarconfig="separate")
    with pytest.raises(PhotoError, match="interleaved"):
        read_photo(tmp_path / "planes.tif")
    alpha = noise(18, 7, 9, 1, dtype=np.uint16)
    whole = np.dstack(((deep.astype(np.uint64) * alpha + 32767) // 65535, alpha)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "associated.tif", whole, photometric="rgb", extrasamples=["assocalpha"])
    photo = read_photo(tmp_path / "associated.tif")
    clear = alpha[..., 0] > 6553
    assert np.abs(photo.pixels.astype(int) - deep)[clear].max() <= 6  # half a level, divided by an alpha of a tenth
    tifffile.imwrite(tmp_path / "unnamed.tif", whole, photometric="rgb", extrasamples=["unspecified"])
    assert read_photo(tmp_path / "unnamed.tif").alpha is None


@pytest.mark.parametrize("dtype", ["float32", "uint32", "int16", "float16"])
def test_values_without_an_agreed_white_are_refused(tmp_path: Path, dtype: str) -> None:
    for shape, photometric in (((5, 6), "minisblack"), ((5, 6, 3), "rgb")):
        tifffile.imwrite(tmp_path / "f.tif", np.ones(shape, dtype), photometric=photometric)
        with pytest.raises(PhotoError, match=r"f\.tif cannot be read: .*16"):
            read_photo(tmp_path / "f.tif")


def test_grey_one_bit_and_palette(tmp_path: Path) -> None:
    grey = noise(19, 8, 9)
    photo = saved(tmp_path / "grey.png", grey)
    assert np.array_equal(photo.pixels, np.repeat(grey[..., None], 3, axis=2))
    assert photo.alpha is None
    black = saved(tmp_path / "bw.tif", (grey > 90).astype(np.uint8) * 255, "1")
    assert np.array_equal(black.pixels[..., 0], np.where(grey > 90, 255, 0))
    image = Image.new("P", (3, 2))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.putdata([0, 1, 2, 2, 1, 0])
    image.save(tmp_path / "p.png", transparency=bytes([255, 0, 128]))
    photo = read_photo(tmp_path / "p.png")
    assert photo.pixels[0].tolist() == [[10, 20, 30], [40, 50, 60], [70, 80, 90]]
    assert photo.alpha is not None and photo.alpha[0].tolist() == [255, 0, 128]
    image.save(tmp_path / "p.gif", transparency=1)
    photo = read_photo(tmp_path / "p.gif")
    assert photo.alpha is not None and photo.alpha[0].tolist() == [255, 0, 255]


def grey_profile(gamma: float) -> bytes:
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    white = b"XYZ \0\0\0\0" + struct.pack(">iii", 63190, 65536, 54061)
    text = b"text\0\0\0\0none\0\0\0\0"
    start, table, body = 128 + 4 + 12 * 4, b"", b""
    for tag, data in (
        (b"wtpt", white),
        (b"kTRC", curve),
        (b"cprt", text),
        (b"desc", b"desc\0\0\0\0" + struct.pack(">I", 2) + b"g\0" + b"\0" * 80),
    ):
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    head = struct.pack(
        ">I4sI4s4s4s12s4s", start + len(body), b"none", 0x02400000, b"mntr", b"GRAY", b"XYZ ", b"\0" * 12, b"acsp"
    )
    head += b"\0" * 28 + struct.pack(">iii", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", 4) + table + body


def test_grey_profile_is_applied_and_dropped(tmp_path: Path) -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    photo = saved(tmp_path / "g.png", ramp, icc_profile=grey_profile(1.8))
    assert photo.metadata.icc_profile is None
    linear = (ramp / 255) ** 1.8
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 255
    assert np.abs(photo.pixels[..., 0] - srgb).max() < 2
    assert np.array_equal(photo.pixels[..., 0], photo.pixels[..., 2])


def test_cmyk_without_profile_is_converted_and_said(tmp_path: Path) -> None:
    picture = smooth(16, 24)
    for name in ("a.jpg", "a.tif"):
        photo = saved(tmp_path / name, picture, "CMYK", quality=98)
        assert psnr(photo.pixels, picture) > 35, name
        assert photo.metadata.icc_profile is None
        assert any("CMYK" in warning for warning in photo.warnings)


def test_lab_is_converted(tmp_path: Path) -> None:
    picture = smooth(16, 24)
    lab = ImageCms.profileToProfile(
        Image.fromarray(picture), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    lab.save(tmp_path / "lab.tif")
    assert psnr(read_photo(tmp_path / "lab.tif").pixels, picture) > 35


def test_first_of_several_pictures_is_read_and_said(tmp_path: Path) -> None:
    frames = [Image.fromarray(noise(seed, 12, 10, 3)) for seed in (21, 22, 23)]
    for name, exact in (
        ("a.tif", True),
        ("a.png", True),
        ("a.webp", True),
        ("a.gif", False),
        ("a.avif", False),
        ("a.mpo", False),
    ):
        settings = {"lossless": True} if name == "a.webp" else {}
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **settings)
        photo = read_photo(tmp_path / name)
        assert [w for w in photo.warnings if "only the first" in w], name
        if exact:
            assert np.array_equal(photo.pixels, np.array(frames[0])), name
        else:
            assert photo.size_hw == (12, 10)
    assert read_photo(tmp_path / "a.mpo").metadata.format == "JPEG"


def test_deeper_avif_and_jpeg2000_are_reduced_and_said(tmp_path: Path) -> None:
    assert saved(tmp_path / "a.jp2", smooth(32, 32), irreversible=False).warnings == ()
    assert saved(tmp_path / "a.avif", smooth(32, 32)).warnings == ()
    deep = np.repeat(smooth(32, 32).astype(np.uint16), 2, axis=1) * 257
    (tmp_path / "b.jp2").write_bytes(cv2.imencode(".jp2", deep)[1].tobytes())
    assert any("16-bit" in warning for warning in read_photo(tmp_path / "b.jp2").warnings)
    (tmp_path / "b.avif").write_bytes(cv2.imencode(".avif", deep >> 6, [cv2.IMWRITE_AVIF_DEPTH, 10])[1].tobytes())
    assert any("10-bit" in warning for warning in read_photo(tmp_path / "b.avif").warnings)
    (tmp_path / "grey.jp2").write_bytes(cv2.imencode(".jp2", deep[..., 0])[1].tobytes())
    grey = read_photo(tmp_path / "grey.jp2")
    assert grey.pixels.dtype == np.uint16
    assert np.abs(grey.pixels[..., 1].astype(int) - deep[..., 0]).mean() < 257


@pytest.mark.parametrize(
    "name", ["with space, comma=1.jpg", "${HOME}.jpg", "дедушка.jpg", "写真 [1].jpg", 'it\'s "q".jpg', "noextension"]
)
def test_any_name(tmp_path: Path, name: str) -> None:
    Image.fromarray(smooth(8, 8)).save(tmp_path / name, "JPEG")
    assert read_photo(tmp_path / name).size_hw == (8, 8)


def test_content_decides_and_not_the_extension(tmp_path: Path) -> None:
    Image.fromarray(smooth(8, 8)).save(tmp_path / "really_png.jpg", "PNG")
    photo = read_photo(tmp_path / "really_png.jpg")
    assert photo.metadata.format == "PNG"
    assert np.array_equal(photo.pixels, smooth(8, 8))


def encoded(form: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(noise(29, 64, 64, 3)).save(file, form, **({"exif": exif_with(orientation=6)} if form != "BMP" else {}))
    return file.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "AVIF", "GIF"])
def test_cut_off_files_are_refused(tmp_path: Path, form: str) -> None:
    data = encoded(form)
    for part in (0.2, 0.5, 0.9):
        path = tmp_path / f"cut.{form.lower()}"
        path.write_bytes(data[: int(len(data) * part)])
        with pytest.raises(PhotoError, match=r"cut\.\w+ cannot be read: "):
            read_photo(path)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "I;16"])
def test_a_png_whose_data_ends_early_is_refused(tmp_path: Path, mode: str) -> None:
    """Every chunk is whole and the compressed stream has its end: Pillow makes the missing rows black and says nothing."""
    path, image = tmp_path / "a.png", Image.new(mode, (40, 30), 1)
    image.putpixel((39, 0), 1)
    image.save(path)
    assert read_photo(path).size_hw == (30, 40), "a photo that is black to its end is one"
    data = path.read_bytes()
    at = data.index(b"IDAT")
    rows = zlib.decompress(data[at + 4 : at + 4 + int.from_bytes(data[at - 4 : at], "big")])
    for lost in (1, len(rows) // 2):
        short = zlib.compress(rows[:-lost])
        body = b"IDAT" + short
        chunk = struct.pack(">I", len(short)) + body + struct.pack(">I", zlib.crc32(body))
        path.write_bytes(data[: at - 4] + chunk + data[-12:])
        with pytest.raises(PhotoError, match=r"cut off|OpenCV does not decode"):
            read_photo(path)
    header = b"IHDR" + struct.pack(">II", 15_000, 15_000) + data[24:29]
    path.write_bytes(data[:8] + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + data[33:])
    with pytest.raises(PhotoError, match="bytes cannot hold"):
        read_photo(path)


def test_cut_off_16_bits_are_refused(tmp_path: Path) -> None:
    for suffix in ("png", "tif"):
        data = cv2.imencode(f".{suffix}", noise(30, 40, 40, 3, dtype=np.uint16))[1].tobytes()
        (tmp_path / f"a.{suffix}").write_bytes(data[: len(data) // 2])
        with pytest.raises(PhotoError):
            read_photo(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\0" * 100, "it is not a picture"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "text"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEI[CF]"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "it is not a picture"),
    ],
)
def test_what_is_no_picture_is_refused_with_the_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    for act in (read_photo, probe):
        with pytest.raises(PhotoError, match=rf"photo\.jpg cannot be read: .*{reason}"):
            act(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for path, reason in ((tmp_path, "folder"), (tmp_path / "pipe.jpg", "ordinary"), (tmp_path / "gone.jpg", "No such file")):
        with pytest.raises(PhotoError, match=reason):
            read_photo(path)


def test_absurd_sizes_are_refused_before_decoding(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(raw_png(100_000, 90_000, 8, 2, b""))
    with pytest.raises(PhotoError, match="9000 megapixels"):
        read_photo(bomb)
    photo = tmp_path / "small.png"
    Image.fromarray(smooth(20, 20)).save(photo)
    with pytest.raises(PhotoError, match="20 x 20"):
        read_photo(photo, max_pixels=399)
    assert read_photo(photo, max_pixels=400).size_hw == (20, 20)


def test_photos_beyond_pillows_own_limit_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    Image.fromarray(smooth(20, 20)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    monkeypatch.setattr(modes, "_STRIP_PIXELS", 80)  # a strip is far below the limit
    assert read_photo(tmp_path / "a.png").size_hw == (20, 20)
    assert len(recwarn) == 0
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_is_a_warning(tmp_path: Path) -> None:
    for block in (b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\0\0", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"):
        photo = saved(tmp_path / "a.jpg", smooth(9, 12), exif=block)
        assert photo.size_hw == (9, 12)
        assert photo.metadata.exif is None
        assert any("EXIF" in warning for warning in photo.warnings)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "AVIF"])
@pytest.mark.filterwarnings("ignore")
def test_damage_never_escapes_as_another_error(tmp_path: Path, form: str) -> None:
    whole = encoded(form)
    rng = np.random.default_rng(31)
    path = tmp_path / "fuzzed"
    for _ in range(120):
        data = bytearray(whole)
        for at in rng.integers(0, min(len(data), 400), rng.integers(1, 12)):
            data[at] = rng.integers(0, 256)
        path.write_bytes(data)
        try:
            photo = read_photo(path, max_pixels=10**6)
        except PhotoError as error:
            assert str(path) in str(error)
            assert "\n" not in str(error)
        else:
            assert photo.pixels.ndim == 3 and photo.pixels.shape[2] == 3


def test_the_shared_photos_are_read(shared: Path) -> None:
    paths = sorted((shared / "data" / "photos").iterdir())
    assert len(paths) == 5
    for path in paths:
        photo = read_photo(path)
        assert photo.size_hw == probe(path).size_hw
        assert photo.warnings == ()
        with Image.open(path) as image:
            assert np.array_equal(photo.pixels, np.array(image.convert("RGB")))
    assert read_photo(shared / "data" / "photos" / "old_couple.png").alpha is not None
