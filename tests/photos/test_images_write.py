"""Writing: what comes back when the result is read again, by gfpup and by others."""

from __future__ import annotations

import errno
import io
import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from gfpup.core.errors import OutputError, PhotoError
from gfpup.core.files import write_atomic
from gfpup.core.types import Metadata
from gfpup.photos import WriteOptions, encode, exif, read_photo, write_photo

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PLAIN = Metadata("PNG")


def noise(seed: int, *shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def smooth(height: int, width: int, dtype: type = np.uint8) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    eight = np.stack([40 + 3 * x, 60 + 4 * y, 200 - x - y], axis=-1).clip(0, 255)
    return (eight * (257 if dtype is np.uint16 else 1)).astype(dtype)


def tiff_block(order: str, entries: list[tuple[int, int, int, bytes]], *, tail: bytes = b"", following: int = 0) -> bytes:
    """An EXIF block laid out by hand: a first directory at 8, then `tail`."""
    body = b"".join(struct.pack(order + "HHI", *entry[:3]) + entry[3].ljust(4, b"\0") for entry in entries)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return head + struct.pack(order + "H", len(entries)) + body + struct.pack(order + "I", following) + tail


def camera_block(order: str) -> bytes:
    """Model, an Exif directory with a size and a maker's note that holds an offset from the block's start, and GPS."""
    first = 8 + 2 + 3 * 12 + 4
    model = first
    exif_at = model + 10
    note_at = exif_at + 2 + 3 * 12 + 4
    gps_at = note_at + 12
    size = struct.pack(order + "I", 4000)
    exif_directory = tiff_block(
        order,
        [
            (0x927C, 7, 12, struct.pack(order + "I", note_at)),
            (0xA002, 4, 1, size),
            (0xA003, 3, 1, struct.pack(order + "H", 3000)),
        ],
    )[8:]
    note = b"MAKR" + struct.pack(order + "I", note_at + 8) + b"deep"
    gps = tiff_block(order, [(1, 2, 2, b"N\0")])[8:]
    entries = [
        (0x0110, 2, 10, struct.pack(order + "I", model)),
        (0x8769, 4, 1, struct.pack(order + "I", exif_at)),
        (0x8825, 4, 1, struct.pack(order + "I", gps_at)),
    ]
    return tiff_block(order, entries, tail=b"old friend"[:9] + b"\0" + exif_directory + note + gps)


def read_exif(path: Path) -> Image.Exif:
    with Image.open(path) as image:
        image.load()
        return image.getexif()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("suffix", ["png", "tif", "tiff"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_lossless_formats_keep_everything(tmp_path: Path, dtype: type, channels: int, suffix: str, order: str) -> None:
    whole = noise(5, 37, 53, channels, dtype=dtype)
    pixels, alpha = np.ascontiguousarray(whole[..., :3]), np.ascontiguousarray(whole[..., 3]) if channels == 4 else None
    block = camera_block(order)
    path = tmp_path / f"a.{suffix}"
    metadata = Metadata("JPEG", icc_profile=SRGB, exif=block, dpi=(300.0, 200.0))
    assert write_photo(path, pixels, alpha=alpha, metadata=metadata) == ()
    photo = read_photo(path)
    assert photo.warnings == ()
    assert photo.pixels.dtype == dtype
    assert np.array_equal(photo.pixels, pixels)
    assert (photo.alpha is None) == (alpha is None)
    if alpha is not None:
        assert np.array_equal(photo.alpha, alpha)
    assert photo.metadata.icc_profile == SRGB
    assert photo.metadata.dpi == pytest.approx((300, 200), abs=0.02)
    kept = Image.Exif()
    kept.load(photo.metadata.exif)
    assert kept[0x0110] == "old frien"
    assert kept.get_ifd(0x8825)[1] == "N"
    assert kept.get_ifd(0x8769)[0xA002] == 53
    assert kept.get_ifd(0x8769)[0xA003] == 37


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_is_understood_by_others_and_keeps_offsets_in_makers_notes(tmp_path: Path, order: str) -> None:
    deep, alpha = noise(6, 700, 130, 3, dtype=np.uint16), noise(7, 700, 130, dtype=np.uint16)
    block = camera_block(order)
    path = tmp_path / "a.tif"
    write_photo(path, deep, alpha=alpha, metadata=Metadata("TIFF", icc_profile=SRGB, exif=block, dpi=(72.5, 72.5)))
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        assert len(page.dataoffsets) > 1
        assert np.array_equal(page.asarray(), np.dstack((deep, alpha)))
        assert page.tags[0x8773].value == SRGB
        assert page.tags[0x0110].value == "old frien"
        assert page.extrasamples == (2,)
    opened = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(opened[..., [2, 1, 0, 3]], np.dstack((deep, alpha)))
    data = path.read_bytes()
    note = read_exif(path).get_ifd(0x8769)[0x927C]
    (inner,) = struct.unpack(order + "I", note[4:8])
    assert data[inner : inner + 4] == b"deep"


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "webp", "avif", "bmp"])
def test_lossy_formats_keep_the_look_and_what_they_can(tmp_path: Path, suffix: str) -> None:
    pixels, alpha = smooth(48, 64), np.full((48, 64), 255, np.uint8)
    alpha[:10] = 40
    path = tmp_path / f"a.{suffix}"
    warnings = write_photo(path, pixels, alpha=alpha, metadata=Metadata("JPEG", SRGB, camera_block("<"), (300, 300)))
    photo = read_photo(path)
    assert np.abs(photo.pixels.astype(int) - pixels).mean() < 1.5
    keeps_alpha, keeps_metadata = suffix in ("webp", "avif"), suffix != "bmp"
    assert (photo.alpha is not None) == keeps_alpha
    assert any("transparency" in warning for warning in warnings) != keeps_alpha
    assert any("colour profile and EXIF" in warning for warning in warnings) != keeps_metadata
    if photo.alpha is not None:
        assert np.abs(photo.alpha.astype(int) - alpha).mean() < 1
    if keeps_metadata:
        assert photo.metadata.icc_profile == SRGB
        assert read_exif(path)[0x0110] == "old frien"
        assert read_exif(path).get_ifd(0x8769)[0xA002] == 64


def test_opaque_alpha_goes_without_a_word(tmp_path: Path) -> None:
    assert write_photo(tmp_path / "a.jpg", smooth(8, 8), alpha=np.full((8, 8), 255, np.uint8), metadata=PLAIN) == ()


@pytest.mark.parametrize("suffix", ["jpg", "webp", "avif", "bmp"])
def test_16_bits_are_reduced_and_said(tmp_path: Path, suffix: str) -> None:
    deep = smooth(32, 32, np.uint16)
    warnings = write_photo(tmp_path / f"a.{suffix}", deep, alpha=None, metadata=PLAIN)
    assert len(warnings) == 1 and "16 bits" in warnings[0]
    assert np.abs(read_photo(tmp_path / f"a.{suffix}").pixels.astype(int) - smooth(32, 32)).mean() < 1.5


def test_reduction_rounds() -> None:
    deep = np.array([[[0, 128, 129], [385, 386, 65535]]], np.uint16)
    data, _ = encode("BMP", deep, alpha=None, metadata=PLAIN)
    with Image.open(io.BytesIO(data)) as image:
        assert np.array(image).tolist() == [[[0, 0, 1], [1, 2, 255]]]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "avif", "bmp"])
def test_same_input_same_bytes(tmp_path: Path, suffix: str) -> None:
    metadata = Metadata("JPEG", SRGB, camera_block(">"), (300, 300))
    for name in ("one", "two"):
        write_photo(tmp_path / f"{name}.{suffix}", smooth(90, 70), alpha=None, metadata=metadata)
    assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "avif"])
def test_metadata_is_stripped_on_request(tmp_path: Path, suffix: str) -> None:
    metadata = Metadata("JPEG", SRGB, camera_block("<"), (300, 300))
    path = tmp_path / f"a.{suffix}"
    write_photo(path, smooth(9, 9), alpha=None, metadata=metadata, options=WriteOptions(keep_metadata=False))
    photo = read_photo(path)
    assert (photo.metadata.icc_profile, photo.metadata.exif, photo.metadata.dpi) == (None, None, None)
    assert b"old frien" not in path.read_bytes()


def test_quality_options_matter() -> None:
    for form, field in (("JPEG", "jpeg_quality"), ("WEBP", "webp_quality"), ("AVIF", "avif_quality")):
        sizes = [
            len(encode(form, noise(8, 64, 64, 3), alpha=None, metadata=PLAIN, options=WriteOptions(**{field: q}))[0])
            for q in (30, 95)
        ]
        assert sizes[0] < sizes[1], form
    flat = [
        len(encode("PNG", smooth(64, 64), alpha=None, metadata=PLAIN, options=WriteOptions(png_compression=c))[0])
        for c in (9, 0)
    ]
    assert flat[0] < flat[1]


def test_exif_too_long_for_jpeg_is_dropped_and_said(tmp_path: Path) -> None:
    block = camera_block("<") + b"\0" * 70_000
    warnings = write_photo(tmp_path / "a.jpg", smooth(8, 8), alpha=None, metadata=Metadata("PNG", None, block))
    assert any("EXIF" in warning for warning in warnings)
    assert read_photo(tmp_path / "a.jpg").metadata.exif is None


def test_broken_exif_from_elsewhere_is_dropped_and_said(tmp_path: Path) -> None:
    for suffix in ("tif", "png", "avif"):
        warnings = write_photo(tmp_path / f"a.{suffix}", smooth(8, 8), alpha=None, metadata=Metadata("PNG", None, b"nothing"))
        assert any("EXIF" in warning for warning in warnings)


@pytest.mark.parametrize(("suffix", "side"), [("webp", 16_383), ("jpg", 65_500), ("avif", 32_768)])
def test_limits_of_formats(tmp_path: Path, suffix: str, side: int) -> None:
    path = tmp_path / f"a.{suffix}"
    write_photo(path, np.zeros((1, side, 3), np.uint8), alpha=None, metadata=PLAIN)
    assert read_photo(path).size_hw == (1, side)
    with pytest.raises(PhotoError, match=rf"b\.{suffix} cannot be written: .* {side} px"):
        write_photo(tmp_path / f"b.{suffix}", np.zeros((1, side + 1, 3), np.uint8), alpha=None, metadata=PLAIN)
    assert not (tmp_path / f"b.{suffix}").exists()


def test_a_failed_write_leaves_the_old_file_and_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"a\.png cannot be written: No space left"):
        write_photo(path, smooth(8, 8), alpha=None, metadata=PLAIN)
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.png"]


def test_an_interrupted_write_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "a.png", b"new")
    assert list(tmp_path.iterdir()) == []


def test_folders_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    with pytest.raises(OutputError, match="file"):
        write_atomic(tmp_path / "file" / "a.png", b"new")

    def closed(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", closed)  # root may write anywhere, so the refusal is played
    with pytest.raises(OutputError, match="Permission denied"):
        write_atomic(tmp_path / "a.png", b"new")


def test_too_long_a_name_fails_alone(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="too long"):
        write_atomic(tmp_path / ("x" * 300 + ".png"), b"new")
    assert list(tmp_path.iterdir()) == []


def test_folders_are_made_and_permissions_are_ordinary(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deeper, ${x}=1" / "写真.png"
    write_photo(path, smooth(8, 8), alpha=None, metadata=PLAIN)
    (tmp_path / "plain").write_bytes(b"")
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_preview_is_dropped_and_everything_else_stays_in_place() -> None:
    for order in ("<", ">"):
        preview = b"\xff\xd8 a preview \xff\xd9"
        entries = [(0x0112, 3, 1, struct.pack(order + "H", 6)), (0x0110, 2, 4, b"cam\0")]
        second = 8 + 2 + 24 + 4
        at = second + 2 + 36 + 4
        following = [
            (0x0112, 3, 1, struct.pack(order + "H", 6)),
            (0x0201, 4, 1, struct.pack(order + "I", at)),
            (0x0202, 4, 1, struct.pack(order + "I", len(preview))),
        ]
        block = tiff_block(order, entries, tail=tiff_block(order, following)[8:] + preview, following=second)
        assert exif.orientation_of(block) == 6
        changed = exif.upright(block)
        assert exif.orientation_of(changed) == 1
        assert b"preview" not in changed
        loaded = Image.Exif()
        loaded.load(changed)
        assert loaded[0x0110] == "cam"
        assert not loaded.get_ifd(0x014A) and struct.unpack_from(order + "I", changed, 8 + 2 + 24)[0] == 0
        assert exif.upright(changed) == changed


@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_can_be_taken_out(order: str) -> None:
    entries = [(0x0110, 2, 4, b"cam\0"), (0x0112, 3, 1, struct.pack(order + "H", 6)), (0x0132, 2, 2, b"7\0")]
    block = tiff_block(order, entries, tail=b"the rest", following=0)
    changed = exif.without_orientation(block)
    assert len(changed) == len(block) and changed.endswith(b"the rest")
    loaded = Image.Exif()
    loaded.load(changed)
    assert dict(loaded) == {0x0110: "cam", 0x0132: "7"}


def test_avif_keeps_makers_notes_and_survives_half_broken_exif(tmp_path: Path) -> None:
    for order in ("<", ">"):
        block = exif.block_of(camera_block(order))
        write_photo(tmp_path / "a.avif", smooth(8, 8), alpha=None, metadata=Metadata("JPEG", None, block))
        (inner,) = struct.unpack(order + "I", read_exif(tmp_path / "a.avif").get_ifd(0x8769)[0x927C][4:8])
        kept = read_photo(tmp_path / "a.avif").metadata.exif
        assert kept is not None and kept[inner : inner + 4] == b"deep"
    odd = tiff_block("<", [(0x0110, 2, 9, struct.pack("<I", 9999)), (0x0112, 3, 1, b"\1\0"), (0x8769, 2, 4, b"abc\0")])
    for suffix in ("avif", "tif", "png", "jpg", "webp"):
        write_photo(tmp_path / f"odd.{suffix}", smooth(8, 8), alpha=None, metadata=Metadata("JPEG", None, odd))
        assert read_photo(tmp_path / f"odd.{suffix}").size_hw == (8, 8)


def test_size_in_exif_may_outgrow_its_type() -> None:
    changed = exif.with_size(camera_block("<"), (70_000, 80_000))
    loaded = Image.Exif()
    loaded.load(changed)
    assert (loaded.get_ifd(0x8769)[0xA003], loaded.get_ifd(0x8769)[0xA002]) == (70_000, 80_000)
