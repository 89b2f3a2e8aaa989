"""A folder of persons is listed by name, refused in one sentence, and known by its photos' bytes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gfpup.core.errors import GfpupError
from gfpup.photos.people import also_among, digest_of, find_people, nobodys


def make(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())
    return folder


def test_each_folder_is_a_person_with_all_that_lies_below(tmp_path: Path) -> None:
    folk = make(tmp_path, "p10/a.jpg", "p2/10.jpg", "p2/9.JPG", "p2/old/x.png", "p2/notes.txt", ".hidden/a.jpg", "loose.jpg")
    people = find_people(folk)
    assert {name: [path.relative_to(folk).as_posix() for path in photos] for name, photos in people.items()} == {
        "p2": ["p2/9.JPG", "p2/10.jpg", "p2/old/x.png"],
        "p10": ["p10/a.jpg"],
    }
    assert list(people) == ["p2", "p10"]
    assert nobodys(folk, people) == [folk / "loose.jpg"]


def test_what_is_no_folder_of_persons_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GfpupError, match=r"invalid value '.*absent' for --people: expected a folder with"):
        find_people(tmp_path / "absent")
    make(tmp_path / "flat", "a.jpg")
    with pytest.raises(GfpupError, match="holds no folders: make one for each person"):
        find_people(tmp_path / "flat")
    make(tmp_path / "folk", "ann/a.jpg", "Uncle Ben/notes.txt")
    with pytest.raises(GfpupError, match="holds no photo: put photos of Uncle Ben there"):
        find_people(tmp_path / "folk")


def test_the_digest_is_of_persons_and_bytes_and_not_of_names(tmp_path: Path) -> None:
    folk = make(tmp_path, "ann/a.jpg", "ann/b.jpg", "ben/c.jpg")
    before = digest_of(find_people(folk))
    (folk / "ann/a.jpg").rename(folk / "ann/z.jpg")
    assert digest_of(find_people(folk)) == before
    (folk / "ann/z.jpg").write_bytes(b"other")
    assert digest_of(find_people(folk)) != before
    (folk / "ann/z.jpg").write_bytes(b"a.jpg")
    assert digest_of(find_people(folk)) == before
    (folk / "ann/b.jpg").rename(folk / "ben/b.jpg")
    assert digest_of(find_people(folk)) != before


def test_photos_that_are_restored_too_are_found_by_their_bytes(tmp_path: Path) -> None:
    folk = make(tmp_path / "folk", "ann/a.jpg", "ann/b.jpg", "ben/c.jpg")
    photos = make(tmp_path / "photos", "x.jpg", "y.jpg")
    (photos / "x.jpg").write_bytes(b"c.jpg")
    (photos / "y.jpg").write_bytes(b"d.jpg")
    people = find_people(folk)
    assert also_among(people, [photos / "x.jpg", photos / "y.jpg", photos / "gone.jpg"]) == [folk / "ben/c.jpg"]
    assert also_among(people, []) == []
    if hasattr(os, "mkfifo"):  # which would never end; it has no bytes to compare
        os.mkfifo(photos / "pipe.jpg")
        assert also_among(people, [photos / "pipe.jpg"]) == []
