"""Only regular files are opened, whatever a name promises, and their hash is taken under the same rule."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest

from gfpup.core.errors import PhotoError
from gfpup.photos import probe, read_photo
from gfpup.photos.jpeg_quality import file_jpeg_quality
from gfpup.photos.opening import MAX_FILE_BYTES, photo_sha256


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
        with pytest.raises(PhotoError, match="a socket and no ordinary file"):
            read_photo(tmp_path / "s.jpg")


def test_the_hash_is_that_of_the_file(tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    (tmp_path / "a.jpg").write_bytes(data)
    assert photo_sha256(tmp_path / "a.jpg") == hashlib.sha256(data).hexdigest()
