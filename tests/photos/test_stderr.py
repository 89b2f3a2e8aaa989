"""What libraries say on the side is caught, told with the photo, and keeps off the screen."""

from __future__ import annotations

import logging
import os
import struct
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gfpup.core.errors import PhotoError
from gfpup.photos import probe, read_photo
from gfpup.photos.stderr import LINE_CHARACTERS, LINES, collected_stderr, collected_warnings, told


def test_lines_of_libraries_are_caught_and_python_still_reaches_the_screen(capfd: pytest.CaptureFixture[str]) -> None:
    with collected_stderr() as said:
        os.write(2, b"Fax4Decode: bad code\n\nlibpng error: CRC\n")
        sys.stderr.write("progress\n")
        sys.stderr.flush()
    os.write(2, b"afterwards\n")
    assert [line for line in said if "progress" not in line] == ["Fax4Decode: bad code", "", "libpng error: CRC"]
    seen = capfd.readouterr().err
    assert "afterwards" in seen and "Fax4Decode" not in seen


def test_warnings_are_collected_from_their_own_thread_alone() -> None:
    with warnings.catch_warnings(record=True) as elsewhere:
        warnings.simplefilter("always")
        with collected_warnings() as said:
            other = threading.Thread(target=lambda: warnings.warn("another thread's", stacklevel=1))
            other.start()
            other.join()
            warnings.warn("mine", stacklevel=1)
            with collected_warnings() as inner:
                warnings.warn("inner", stacklevel=1)
            warnings.warn("mine again", stacklevel=1)
        warnings.warn("after", stacklevel=1)
    assert (said, inner) == (["mine", "mine again"], ["inner"])
    assert [str(each.message) for each in elsewhere][-1] == "after"


def test_what_is_told_is_short() -> None:
    many = [f"line {i}" for i in range(10)] + ["line 1", "", "x" * 999]
    assert len(told(many)) == LINES + 1 and told(many)[-1] == "and 8 more such lines"
    assert told(["a\n b"]) == ("the decoder says: a b",)
    assert len(told(["x" * 999])[0]) < LINE_CHARACTERS + 30
    assert told([]) == ()


def test_damaged_metadata_is_a_warning_of_its_photo(tmp_path: Path) -> None:
    block = b"Exif\0\0II*\0\x08\0\0\0\x05\0\x0f\x01\x02\0\x40\0\0\0\xff\xff\0\0"
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / "odd.jpg", exif=block)
    bilevel = Image.fromarray(np.eye(200, dtype=bool))
    bilevel.save(tmp_path / "fax.tif", compression="group4")
    data = bytearray((tmp_path / "fax.tif").read_bytes())
    data[12:30] = bytes(byte ^ 0x5A for byte in data[12:30])
    (tmp_path / "fax.tif").write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("odd.jpg", "fax.tif"):
            assert read_photo(tmp_path / name).warnings, name


def test_what_pillow_logs_does_not_reach_the_screen(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A TIFF of more samples a pixel than Pillow decodes: it logs an error, which Python prints where nobody handles it."""
    entries = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 200, 277: 2**31, 278: 8, 279: 64}
    data = b"II*\0" + struct.pack("<IH", 8, len(entries))
    data += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items()) + bytes(200)
    (tmp_path / "a.tif").write_bytes(data)
    for read in (read_photo, probe):
        with pytest.raises(PhotoError, match=r"a\.tif"):
            read(tmp_path / "a.tif")
    with collected_warnings() as said:
        logging.getLogger("PIL.TiffImagePlugin").error("more samples")
    assert said == ["more samples"]
    assert capfd.readouterr().err == ""
