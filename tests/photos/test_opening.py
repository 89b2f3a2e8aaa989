"""Only regular files are opened, whatever a name promises, and their hash is taken under the same rule."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from gfpup.core.errors import PhotoError
from gfpup.photos import probe, read_photo
from gfpup.photos.jpeg_quality import file_jpeg_quality
from gfpup.photos.opening import MAX_FILE_BYTES, MAX_WHOLE_BYTES, photo_sha256


def links(folder: Path) -> dict[str, str]:
    """Files that are no photos, by name, with what is to be said of each."""
    os.mkfifo(folder / "pipe.png")
    (folder / "folder.jpg").mkdir()
    (folder / "empty.jpg").touch()
    with (folder / "huge.jpg").open("wb") as file:
        os.truncate(file.fileno(), MAX_FILE_BYTES + 1)
    said = {"pipe.png": "a pipe", "folder.jpg": "a folder", "empty.jpg": "is empty", "huge.jpg": "over the limit"}
    targets = {
        "loop.jpg": ("loop.jpg", "symbolic links"),
        "gone.jpg": ("nowhere.jpg", "No such file"),
        "zero.jpg": ("/dev/zero", "a device"),
        "noise.png": ("/dev/urandom", "a device"),
        "full.png": ("/dev/full", "a device"),
        "memory.jpg": ("/proc/self/mem", "is empty"),
        "to_pipe.png": ("pipe.png", "a pipe"),
    }
    for name, (target, _) in targets.items():
        (folder / name).symlink_to(target)
    return said | {name: words for name, (_, words) in targets.items()}


def test_what_is_no_regular_file_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    for name, words in links(tmp_path).items():
        for read in (read_photo, probe, photo_sha256):
            with pytest.raises(PhotoError, match=words) as refusal:
                read(tmp_path / name)
            assert name in str(refusal.value)
        assert file_jpeg_quality(tmp_path / name) is None


def test_a_socket_is_no_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's whole path may be too long
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.jpg")
        with pytest.raises(PhotoError, match="a socket and not an ordinary file"):
            read_photo(tmp_path / "s.jpg")


def test_the_hash_is_that_of_the_file(tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    (tmp_path / "a.jpg").write_bytes(data)
    assert photo_sha256(tmp_path / "a.jpg") == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("name", ["a.webp", "a.avif", "deep.png", "deep.tif", "a.jpg", "a.png"])
def test_gigabytes_behind_a_few_pixels_are_never_read_into_memory(tmp_path: Path, name: str) -> None:
    """A sparse file costs nobody anything to send. Formats that are read piece by piece stop at the end of the picture."""
    path, deep = tmp_path / name, name.startswith("deep")
    Image.fromarray(np.full((8, 8), 7, np.uint16 if deep else np.uint8)).save(path)
    os.truncate(path, MAX_WHOLE_BYTES + 1)
    if name in ("a.jpg", "a.png"):
        assert read_photo(path).pixels.shape == (8, 8, 3)
        return
    with pytest.raises(PhotoError, match=f"has {MAX_WHOLE_BYTES + 1} bytes, over the limit of {MAX_WHOLE_BYTES}"):
        read_photo(path)


HEIC = b"\0\0\0\x18ftypheic" + b"\0" * 60


def test_heic_without_its_package_is_refused_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.heic").write_bytes(HEIC)
    with pytest.raises(PhotoError, match=r"needs the package pillow-heif: pip install 'gfpup\[heic\]'"):
        read_photo(tmp_path / "a.heic")


def test_heic_is_read_through_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Decoder(ImageFile.ImageFile):
        format = "HEIF"

        def _open(self) -> None:
            self._size, self._mode = (3, 2), "RGB"

        def load(self) -> None:
            self.im = Image.new("RGB", (3, 2), (9, 8, 7)).im

    package = types.ModuleType("pillow_heif")
    accepts = lambda head: head[4:12] == b"ftypheic"  # noqa: E731 (Pillow takes a function of the first bytes)
    package.register_heif_opener = lambda: Image.register_open("HEIF", Decoder, accepts)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pillow_heif", package)
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    monkeypatch.setattr(Image, "ID", list(Image.ID))
    (tmp_path / "a.heic").write_bytes(HEIC)
    photo = read_photo(tmp_path / "a.heic")
    assert photo.metadata.format == "HEIF" and photo.pixels.tolist() == [[[9, 8, 7]] * 3] * 2
