"""Plain folders of pictures are matched by name; what has no partner is named, and what is unclear is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pictures import save

from gfpup.core.errors import GfpupError
from gfpup.records.folders import PictureFolder, read_folders
from gfpup.records.run_record import RunRecord


def folder(root: Path, name: str, *pictures: str) -> Path:
    for picture in pictures:
        (root / name / picture).parent.mkdir(parents=True, exist_ok=True)
        save(root / name / picture, np.zeros((8, 8, 3), np.uint8))
    return root / name


def restored(read: PictureFolder) -> dict[str, str | None]:
    return {item.name: None if item.restored is None else item.restored.name for item in read.items}


def test_pictures_are_matched_by_path_without_extension(tmp_path: Path) -> None:
    a = folder(tmp_path, "a", "one.png", "deep/1.png", "other/1.png")
    b = folder(tmp_path, "b", "one.jpg", "deep/1.jpg", "other/1.jpg")
    (first, second), notes = read_folders([a, b])
    assert notes == []
    assert restored(first) == {"one.png": "one.png", "deep/1.png": "1.png", "other/1.png": "1.png"}
    assert restored(second) == {"one.png": "one.jpg", "deep/1.png": "1.jpg", "other/1.png": "1.jpg"}
    assert [item.restored for item in second.items] == [b / "deep" / "1.jpg", b / "one.jpg", b / "other" / "1.jpg"]
    assert first.record.matches == second.record.matches and first.record.name == "a"
    assert [photo.error for photo in second.record.photos] == [None] * 3
    assert not second.record.photos[0].faces_recorded


def test_suffixes_of_other_tools_are_accepted_in_any_order(tmp_path: Path) -> None:
    a, b = folder(tmp_path, "a", "anna_out.png"), folder(tmp_path, "b", "anna.png")
    inputs = folder(tmp_path, "inputs", "anna.jpg")
    for order in ([a, b], [b, a]):
        read, notes = read_folders(order)
        assert notes == [] and [list(restored(each)) for each in read] == [["anna.png"]] * 2
    (first, second), _ = read_folders([a, b], degraded=inputs)
    assert restored(first) == {"anna.jpg": "anna_out.png"} and restored(second) == {"anna.jpg": "anna.png"}
    assert first.items[0].degraded == inputs / "anna.jpg"


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    a, b = folder(tmp_path, "a", "1.png", "2.png"), folder(tmp_path, "b", "1.png", "3.png")
    inputs, references = folder(tmp_path, "in", "1.png", "2.png", "9.png"), folder(tmp_path, "ref", "1.png")
    (first, second), notes = read_folders([a, b], degraded=inputs, reference=references)
    assert restored(first) == {"1.png": "1.png", "2.png": "2.png", "3.png": None}
    assert restored(second) == {"1.png": "1.png", "2.png": None, "3.png": "3.png"}
    assert first.record.photos[2].error == first.items[2].refusal == f"this photo has no picture in {a}"
    assert first.items[0].reference == references / "1.png" and first.items[1].reference is None
    assert notes == [
        "inputs are missing: 1 of 3 photos (3.png has no input)",
        "references are missing: 2 of 3 photos (2.png has no reference, 3.png has no reference)",
        "photos without a picture in any folder are not shown: 1 of 4 (9.png)",
        "a lacks pictures: 1 of 3 photos (3.png has no picture)",
        "b lacks pictures: 1 of 3 photos (2.png has no picture)",
    ]


def test_runs_beside_folders_keep_their_names(tmp_path: Path) -> None:
    a = folder(tmp_path, "a", "1.jpg", "2.jpg")
    lines = [{"name": name} for name in ("1.png", "7.png")]
    run = RunRecord(tmp_path / "run", {"status": "done", "photos": lines}, name="run")
    (read,), _ = read_folders([a], beside=[run])
    assert restored(read) == {"1.png": "1.jpg", "7.png": None, "2.jpg": "2.jpg"}
    with pytest.raises(GfpupError, match=r"no picture in .*b has the name of one in the other folders"):
        read_folders([folder(tmp_path, "b", "8.png")], beside=[run])


def test_what_is_unclear_is_refused(tmp_path: Path) -> None:
    a, b = folder(tmp_path, "a", "1.png"), folder(tmp_path, "b", "1.png", "1.jpg")
    with pytest.raises(GfpupError, match="have one name but for their extensions"):
        read_folders([a, b])
    with pytest.raises(GfpupError, match="one folder is given twice"):
        read_folders([a, tmp_path / "b" / ".." / "a"])
    with pytest.raises(GfpupError, match=r"there is no folder .*nowhere"):
        read_folders([a, tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(GfpupError, match="empty holds no pictures"):
        read_folders([a, tmp_path / "empty"])
    with pytest.raises(GfpupError, match=r"no picture in .*a has the name of one in the other folders: names must be equal"):
        read_folders([a, folder(tmp_path, "c", "5.png")])
    with pytest.raises(GfpupError, match=r"no picture in .*d has the name of one in .*a"):
        read_folders([a], degraded=folder(tmp_path, "d", "5.png"))
    two = folder(tmp_path, "two", "1_out.png", "1_restored.png")
    with pytest.raises(GfpupError, match="no picture in"):
        read_folders([a, two])
