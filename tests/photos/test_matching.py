"""A photo gets the picture of its own path or none: a wrong match is another person's face."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from gfpup.photos.matching import SUFFIXES, match, match_listed
from gfpup.photos.sources import SourcePhoto


def photos(*names: str, root: str = "/photos") -> list[SourcePhoto]:
    return [SourcePhoto(Path(root) / name, PurePosixPath(name)) for name in names]


def matched(inputs: list[SourcePhoto], results: list[SourcePhoto]) -> list[str | None]:
    return [None if each.partner is None else str(each.partner.relative) for each in match(inputs, results, what="result")]


def reasons(inputs: list[SourcePhoto], results: list[SourcePhoto]) -> list[str | None]:
    return [each.reason for each in match(inputs, results, what="result")]


def test_photos_of_one_name_are_told_apart_by_their_folders() -> None:
    inputs = photos("album1/1.jpg", "album2/1.jpg")
    assert matched(inputs, photos("album1/1.png", "album2/1.webp")) == ["album1/1.png", "album2/1.webp"]
    assert matched(inputs, photos("album1/1.png")) == ["album1/1.png", None]
    assert reasons(inputs, photos("album1/1.png"))[1] == "has no result (album1/1.png lies in another folder)"
    assert matched(photos("1.jpg"), photos("album1/1.png")) == [None]


def test_accents_may_be_composed_or_not() -> None:
    assert matched(photos("Zoe\u0301.jpg"), photos("Zo\u00e9.png")) == ["Zo\u00e9.png"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_documented_suffixes_are_followed(suffix: str) -> None:
    assert matched(photos("s/anna.jpg"), photos(f"s/anna{suffix}.png")) == [f"s/anna{suffix}.png"]


def test_a_name_that_only_begins_alike_is_another_person() -> None:
    for other in ("anna_smith.png", "anna2.png", "anna-out.png", "annabel_out.png", "Anna.png"):
        assert matched(photos("anna.jpg"), photos(other)) == [None], other
    assert matched(photos("anna_out.jpg"), photos("anna.png")) == [None]


def test_a_suffix_counts_only_after_exact_names_and_where_one_is_left() -> None:
    assert matched(photos("a.jpg"), photos("a.png", "a_out.png")) == ["a.png"]
    assert matched(photos("a.jpg", "a_out.jpg"), photos("a_out.png")) == [None, "a_out.png"]
    assert matched(photos("a.jpg"), photos("a_out.png", "a_final.png")) == [None]
    assert "more than one possible result: a_out.png, a_final.png" in str(
        reasons(photos("a.jpg"), photos("a_out.png", "a_final.png"))
    )
    # A suffix on a suffix: the result of the longer name stays with the photo of the longer name.
    assert matched(photos("a.jpg", "a_out.jpg"), photos("a_out_out.png", "a_final.png")) == ["a_final.png", "a_out_out.png"]


def test_no_result_goes_to_two_photos() -> None:
    assert matched(photos("a.jpg", "a.png"), photos("a.png")) == [None, None]
    two_folders = photos("1.jpg", root="/album1") + photos("1.jpg", root="/album2")
    assert matched(two_folders, photos("1.png")) == [None, None]
    assert reasons(two_folders, photos("1.png"))[0] == "cannot be given the result 1.png, which also fits /album2/1.jpg"
    assert matched(photos("a.jpg"), photos("a.png", "a.webp")) == [None]


def listed(tmp_path: Path, inputs: list[SourcePhoto], *lines: tuple[str, str]) -> list[str | None]:
    found = match_listed(inputs, lines, tmp_path)
    return [each.reason if each.partner is None else str(each.partner.path.relative_to(tmp_path)) for each in found]


def test_a_mapping_names_photos_by_path_or_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("x.png", "y.png"):
        (tmp_path / name).touch()
    inputs = photos("album1/1.jpg", "album2/1.jpg")
    for first, second in (
        ("album1/1.jpg", "album2/1.jpg"),
        ("album1/1", "album2/1"),
        ("./album1/1.jpg", "album2//1.jpg"),
        ("/photos/album1/1.jpg", "/photos/album2/1.jpg"),
        ("/photos/album1/1", "album2/1.jpg"),
    ):
        assert listed(tmp_path, inputs, (first, "x.png"), (second, "y.png")) == ["x.png", "y.png"], first
    assert listed(tmp_path, photos("s/a.jpg", "b.jpg"), ("a", "x.png"), ("b.jpg", "y.png")) == ["x.png", "y.png"]
    monkeypatch.chdir("/")
    assert listed(tmp_path, inputs[:1], ("photos/album1/1.jpg", "x.png")) == ["x.png"]


def test_a_mapping_line_that_fits_several_photos_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.png").touch()
    first, second = listed(tmp_path, photos("album1/1.jpg", "album2/1.jpg"), ("1.jpg", "x.png"))
    assert "shares the line '1.jpg' of the mapping file with /photos/album2/1.jpg" in str(first)
    assert "/photos/album1/1.jpg" in str(second)
    top, below = listed(tmp_path, photos("1.jpg", "album/1.jpg"), ("1.jpg", "x.png"))
    assert top == "x.png" and "shares the line" in str(below)
    two_folders = photos("1.jpg", root="/album1") + photos("1.jpg", root="/album2")
    assert all("whole path" in str(said) for said in listed(tmp_path, two_folders, ("1.jpg", "x.png")))
    missing, unlisted = listed(tmp_path, photos("a.jpg", "b.jpg"), ("a.jpg", "gone.png"))
    assert "gone.png, which does not exist" in str(missing)
    assert "is not in the mapping file" in str(unlisted)
