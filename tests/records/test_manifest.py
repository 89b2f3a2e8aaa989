"""What counts as done is neither restored twice nor skipped wrongly, and a folder never mixes the results of two plans."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfpup.core.errors import GfpupError
from gfpup.core.types import AlignedCrop, Face, FaceResult, Metadata, Photo, RestoredPhoto
from gfpup.records.manifest import Manifest, check_folder, photo_line, reused
from gfpup.records.photo_record import PhotoRecord
from gfpup.records.run_record import read_lines

HEADER = {"fingerprint": "0" * 16, "plan": {"pixels": {"backend": "identity"}}}


def line(name: str = "a.png", **more: Any) -> dict[str, Any]:
    facts = {"name": name, "input": f"/in/{name}", "input_sha256": "a", "faces": [], "face_files": [], "seconds": {}}
    return {**facts, "output_bytes": 3, "warnings": [], "error": None, **more}


def is_done(folder: Path, recorded: dict[str, Any], *, sha256: str = "a", faces: bool = False) -> bool:
    with Manifest(folder, HEADER, overwrite=True) as manifest:
        manifest.add(recorded)
        return manifest.done("a.png", sha256, faces=faces)


def test_done_asks_for_the_same_input_no_failure_and_whole_files(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"abc")
    (tmp_path / "face.png").write_bytes(b"abc")
    assert is_done(tmp_path, line())
    assert is_done(tmp_path, line(output_bytes=None)), "an older record has no size"
    assert is_done(tmp_path, line(face_files=["face.png"]))
    assert not is_done(tmp_path, line("other.png"))
    assert not is_done(tmp_path, line(), sha256="b")
    assert not is_done(tmp_path, line(error="torn"))
    assert not is_done(tmp_path, line(output_bytes=4))
    assert not is_done(tmp_path, line(face_files=["face.png", "lost.png"]))
    assert not is_done(tmp_path, line(faces=[{"failed": True, "affine": None}]))
    (tmp_path / "a.png").unlink()
    assert not is_done(tmp_path, line(output_bytes=None))


def test_done_asks_for_the_pictures_of_faces_where_they_are_wanted(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"abc")
    (tmp_path / "face.png").write_bytes(b"abc")
    cut, uncut = {"failed": False, "affine": [[1, 0, 0], [0, 1, 0]]}, {"failed": False, "affine": None}
    assert is_done(tmp_path, line(faces=[cut]))
    assert not is_done(tmp_path, line(faces=[uncut, cut]), faces=True)
    assert is_done(tmp_path, line(faces=[uncut]), faces=True)
    assert is_done(tmp_path, line(faces=[cut], face_files=["face.png"]), faces=True)


def test_failures_of_photos_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    with Manifest(tmp_path, HEADER, overwrite=False) as manifest:
        manifest.add(line("good.png"), line("gone.png", error="torn"), line("here.png", error="torn"))
        manifest.forget_failures(["here.png"])
        assert list(manifest.photos) == ["good.png", "here.png"]


def test_a_resumed_record_keeps_whole_lines_and_an_overwritten_one_none(tmp_path: Path) -> None:
    with Manifest(tmp_path, HEADER, overwrite=False) as manifest:
        manifest.add(line("b.png"), line("a.png"))
    lines = tmp_path / "manifest.jsonl"
    lines.write_bytes(lines.read_bytes() + b'{"name": "torn')
    (tmp_path / "sub").mkdir()
    torn = tmp_path / "sub" / ".gfpup-1-ab.part"
    torn.write_bytes(b"")
    with Manifest(tmp_path, HEADER, overwrite=False) as manifest:
        assert list(manifest.photos) == ["b.png", "a.png"] and not torn.exists()
        document = manifest.close("done", argv=["gfpup"])
    assert [photo["name"] for photo in document["photos"]] == ["a.png", "b.png"] and document["argv"] == ["gfpup"]
    assert json.loads((tmp_path / "manifest.json").read_text()) == document
    assert list(read_lines(lines).photos) == ["b.png", "a.png"]
    with Manifest(tmp_path, HEADER, overwrite=True) as manifest:
        assert manifest.photos == {}
    assert read_lines(lines).photos == {} and len(lines.read_bytes().splitlines()) == 1


def test_the_folder_says_that_a_run_is_going_on_and_keeps_another_away(tmp_path: Path) -> None:
    with Manifest(tmp_path / "out", HEADER, overwrite=False) as manifest:
        document = json.loads((tmp_path / "out" / "manifest.json").read_text())
        assert document["status"] == "running" and document["fingerprint"] == HEADER["fingerprint"]
        with pytest.raises(GfpupError, match="another run is writing"), Manifest(tmp_path / "out", HEADER, overwrite=False):
            pass
        manifest.close("stopped")
    with Manifest(tmp_path / "out", HEADER, overwrite=False):
        pass


def test_results_of_other_settings_are_not_mixed(tmp_path: Path) -> None:
    with Manifest(tmp_path / "out", HEADER, overwrite=False):
        pass
    check_folder(tmp_path / "out", "0" * 16, {}, overwrite=False)
    check_folder(tmp_path / "new", "1" * 16, {}, overwrite=False)
    check_folder(tmp_path / "out", "1" * 16, {}, overwrite=True)
    with pytest.raises(GfpupError, match=r"other settings \(--backend was identity and is gfpgan\)"):
        check_folder(tmp_path / "out", "1" * 16, {"backend": "gfpgan"}, overwrite=False)
    with pytest.raises(GfpupError, match="an older version of gfpup made them"):
        check_folder(tmp_path / "out", "1" * 16, HEADER["plan"]["pixels"], overwrite=False)  # type: ignore[index]
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(GfpupError, match="is a file; give a folder"):
        check_folder(tmp_path / "file", "0" * 16, {}, overwrite=True)


def test_a_photo_line_holds_its_faces_files_and_seconds(tmp_path: Path) -> None:
    found = Face((0.12345, 1, 2, 3), 0.98765432, np.full((5, 2), 1.23456))
    crop = AlignedCrop(found, np.zeros((512, 512, 3), np.uint8), np.array([[1.23456789, 0, 0], [0, 1, 0]]))
    faces = (
        FaceResult(found, restored=True, crop=crop, identity=0.123456789, guarded=True),
        FaceResult(found, restored=False, failed=True, reason="why"),
    )
    pixels = np.zeros((9, 9, 3), np.uint8)
    photo = RestoredPhoto(
        Photo(Path("a.png"), pixels, Metadata("PNG")), pixels, None, faces, {}, reused={"detect": 0.123456}, method="gfpgan",
        notes=("a note",),
    )  # fmt: skip
    output = tmp_path / "a.png"
    output.write_bytes(b"abc")
    made = photo_line(
        "a.png", input_path=Path("in/a.png"), input_sha256="f", output=output, restored=photo, seconds={"detect": 1.23456},
        warnings=("w",), face_files=("f.png",),
    )  # fmt: skip
    whole, failed = made["faces"]
    assert whole["affine"] == [[1.234568, 0, 0], [0, 1, 0]] and whole["landmarks_xy"] == [[1.235, 1.235]] * 5
    assert (whole["restored"], whole["identity"], whole["guarded"], whole["score"]) == (True, 0.123457, True, 0.987654)
    assert (failed["affine"], failed["identity"], failed["failed"], failed["reason"]) == (None, None, True, "why")
    assert whole["box_xyxy"] == [0.123, 1, 2, 3]
    assert (made["output_bytes"], made["seconds"], made["reused"]) == (3, {"detect": 1.2346}, {"detect": 0.1235})
    assert (made["method"], made["notes"], made["warnings"], made["face_files"]) == ("gfpgan", ["a note"], ["w"], ["f.png"])
    assert Path(made["input"]).is_absolute() and made["output"] == str(output)
    lost = photo_line(
        "a.png", input_path=Path("a.png"), input_sha256=None, output=None, restored=None, seconds={}, error="torn"
    )
    assert (lost["output"], lost["output_bytes"], lost["faces"], lost["reused"], lost["error"]) == (None, None, [], {}, "torn")


def test_reused_counts_photos_and_saved_seconds_by_stage() -> None:
    lines = [
        {"seconds": {"detect": 0.0, "align": 1.0}, "reused": {"detect": 2.0}},
        {"seconds": {"detect": 3.0}, "reused": {}},
        {"seconds": {"detect": 0.0}, "reused": {"detect": 0.5}},
        {"seconds": {}},
    ]
    assert reused([PhotoRecord.of({"name": "a.png", **line}) for line in lines]) == {
        "detect": {"photos": 2, "of": 3, "seconds": 2.5}
    }
