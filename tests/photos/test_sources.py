"""Finding photos and naming their results."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest

from gfpup.core.errors import GfpupError
from gfpup.core.files import natural_key
from gfpup.photos.sources import SourcePhoto, expand, left_out, plan_outputs


def make(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def names(photos: list[SourcePhoto]) -> list[str]:
    return [str(photo.relative) for photo in photos]


def test_a_folder_gives_its_pictures_in_natural_order(tmp_path: Path) -> None:
    make(
        tmp_path,
        "p10.jpg",
        "p2.JPG",
        "P1.png",
        "notes.txt",
        ".hidden.jpg",
        "sub/x.jpg",
        "b.heic",
        ".cache/y.jpg",
        "noextension",
    )
    assert names(expand([str(tmp_path)], recursive=False)) == ["b.heic", "P1.png", "p2.JPG", "p10.jpg"]
    assert names(expand([str(tmp_path)], recursive=True)) == ["b.heic", "P1.png", "p2.JPG", "p10.jpg", "sub/x.jpg"]


def test_a_named_file_is_taken_whatever_its_extension(tmp_path: Path) -> None:
    make(tmp_path, "notes.txt", ".hidden.jpg")
    photos = expand([str(tmp_path / "notes.txt"), str(tmp_path / ".hidden.jpg")], recursive=False)
    assert names(photos) == ["notes.txt", ".hidden.jpg"]
    assert photos[0].path == tmp_path / "notes.txt"


def test_inputs_keep_their_order_and_a_file_comes_once(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg", "a/2.jpg", "b/1.jpg")
    (tmp_path / "b" / "link.jpg").symlink_to(tmp_path / "a" / "1.jpg")
    photos = expand([str(tmp_path / "b"), str(tmp_path / "a"), str(tmp_path / "a" / ".." / "a" / "2.jpg")], recursive=False)
    assert [photo.path for photo in photos] == [tmp_path / "b/1.jpg", tmp_path / "b/link.jpg", tmp_path / "a/2.jpg"]


def test_globs(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg", "a/2.png", "a/deep/3.jpg", "a/.hid/4.jpg", "a/t.txt")
    assert names(expand([str(tmp_path / "a" / "*.jpg")], recursive=False)) == ["1.jpg"]
    assert names(expand([str(tmp_path / "a" / "**" / "*.jpg")], recursive=False)) == ["1.jpg", "deep/3.jpg"]
    assert names(expand([str(tmp_path / "a" / "*")], recursive=False)) == ["1.jpg", "2.png"]
    assert names(expand([str(tmp_path / "?" / "[12].*")], recursive=False)) == ["a/1.jpg", "a/2.png"]
    with pytest.raises(GfpupError, match="matches no photo"):
        expand([str(tmp_path / "a" / "*.webp")], recursive=False)


def test_what_exists_is_no_glob(tmp_path: Path) -> None:
    make(tmp_path, "a[1].jpg", "a1.jpg", "family [1990]/x.jpg", "family 1/x.jpg")
    assert names(expand([str(tmp_path / "a[1].jpg")], recursive=False)) == ["a[1].jpg"]
    photos = expand([str(tmp_path / "family [1990]" / "*.jpg")], recursive=False)
    assert [photo.path for photo in photos] == [tmp_path / "family [1990]" / "x.jpg"]


def test_relative_globs_and_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "x.jpg", "in/y.jpg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert names(expand(["*.jpg"], recursive=False)) == ["x.jpg"]
    assert names(expand(["~/in"], recursive=False)) == ["y.jpg"]
    assert names(expand(["."], recursive=False)) == ["x.jpg"]


def test_nothing_found_says_what_to_do(tmp_path: Path) -> None:
    make(tmp_path, "deep/er/x.jpg", "empty/readme.md")
    with pytest.raises(GfpupError, match="--recursive"):
        expand([str(tmp_path)], recursive=False)
    with pytest.raises(GfpupError, match="holds no photo: extensions"):
        expand([str(tmp_path / "empty")], recursive=True)
    with pytest.raises(GfpupError, match=r"'gone\.jpg' does not exist"):
        expand(["gone.jpg"], recursive=False)


def test_only_what_can_be_read_is_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for installed in (None, object()):
        monkeypatch.setattr("gfpup.photos.sources.find_spec", lambda name, found=installed: found)
        with pytest.raises(GfpupError) as refusal:
            expand([str(tmp_path)], recursive=False)
        assert ("heic" in str(refusal.value)) == (installed is not None)
        assert "jxl" not in str(refusal.value)


def test_what_a_folder_holds_beside_photos_is_counted_and_named(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "notes.txt", ".hidden", "sub/b.jpg", "sub/list.csv", "out/a.png", "more/c.jpg")
    out = tmp_path / "out"
    flat, deep = (left_out([str(tmp_path)], recursive=deep, exclude=out) for deep in (False, True))
    assert flat == (
        "2 sub-folders were skipped (more, sub): add --recursive to take them",
        "1 file was skipped, not a photo by the extension (notes.txt)",
    )
    assert deep == ("2 files were skipped, not a photo by the extension (notes.txt, list.csv)",)
    assert left_out([str(tmp_path / "a.jpg"), str(tmp_path / "*.jpg")], recursive=False) == ()


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "ok/x.jpg", "shut/y.jpg")
    listed = Path.iterdir

    def iterdir(self: Path) -> object:
        if self.name == "shut":
            raise PermissionError(13, "Permission denied")
        return listed(self)

    monkeypatch.setattr(Path, "iterdir", iterdir)  # root may list anything, so the refusal is played
    with pytest.raises(GfpupError, match=r"shut' cannot be listed: Permission denied"):
        expand([str(tmp_path)], recursive=True)


def test_links_in_circles_end(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg", "b/2.jpg")
    for here, there in (("a", "b"), ("b", "a"), ("a", ".")):
        (tmp_path / here / f"to_{there.strip('.') or 'top'}").symlink_to(tmp_path / there, target_is_directory=True)
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "nowhere.jpg")
    photos = expand([str(tmp_path)], recursive=True)
    assert sorted(photo.path.resolve().name for photo in photos if photo.path.exists()) == ["1.jpg", "2.jpg"]


def test_links_to_themselves_are_left_for_the_reader_to_name(tmp_path: Path) -> None:
    make(tmp_path, "good.jpg", "sub/x.jpg")
    for loop in ("loop.jpg", "loop_dir", "sub/loop.png"):
        (tmp_path / loop).symlink_to(Path(loop).name)
    (tmp_path / "sub" / "up").symlink_to("..", target_is_directory=True)
    assert names(expand([str(tmp_path)], recursive=True)) == ["good.jpg", "loop.jpg", "sub/loop.png", "sub/x.jpg"]
    assert names(expand([str(tmp_path / "*")], recursive=False, exclude=tmp_path / "loop_dir")) == ["good.jpg"]
    assert len(plan_outputs(expand([str(tmp_path)], recursive=True), output=tmp_path / "loop_dir", ext="auto")) == 4


def test_the_output_folder_inside_is_left_out(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "out/a.png", "out/deep/b.png", "outer/c.jpg")
    out = tmp_path / "out"
    assert names(expand([str(tmp_path)], recursive=True, exclude=out)) == ["a.jpg", "outer/c.jpg"]
    assert names(expand([str(tmp_path / "**" / "*.*")], recursive=True, exclude=out)) == ["a.jpg", "outer/c.jpg"]
    assert names(expand([str(out / "deep")], recursive=True, exclude=out)) == ["b.png"]
    with pytest.raises(GfpupError, match="choose another --output"):
        expand([str(out)], recursive=True, exclude=out)


def listed(*relatives: str) -> list[SourcePhoto]:
    return [SourcePhoto(Path("/nowhere") / str(i) / name, PurePosixPath(name)) for i, name in enumerate(relatives)]


def planned(photos: list[SourcePhoto], ext: str = "png", suffix: str = "") -> list[str]:
    return [path.relative_to("out").as_posix() for path in plan_outputs(photos, output=Path("out"), ext=ext, suffix=suffix)]


def test_outputs_mirror_folders(tmp_path: Path) -> None:
    assert planned(listed("a.jpg", "s/b.c.tif"), "auto", "_x") == ["a_x.jpg", "s/b.c_x.tif"]
    assert planned(listed("a.gif", "${x}=1, 2.heic"), "auto") == ["a.png", "${x}=1, 2.png"]


def test_results_never_share_a_name() -> None:
    assert planned(listed("a.jpg", "a.png", "A.webp", "a_2.jpg", "s/a.jpg")) == [
        "a.png",
        "a_3.png",
        "A_4.png",
        "a_2.png",
        "s/a.png",
    ]
    assert planned(listed("a.jpg", "a.jpg", "a.jpg")) == ["a.png", "a_2.png", "a_3.png"]
    assert planned(listed("caf\u00e9.jpg", "cafe\u0301.jpg")) == ["caf\u00e9.png", "cafe\u0301_2.png"]
    assert planned(listed("a.jpg", "a.png/b.jpg")) == ["a_2.png", "a.png/b.png"]
    many = planned(listed(*["x.jpg", "X.png", "x_2.gif", "x_2.bmp", "x_3.tif"] * 3))
    assert len({name.casefold() for name in many}) == len(many)


@pytest.mark.parametrize("suffix", ["/x", "..\\x", "a\0", "\n"])
def test_suffixes_stay_in_their_folder(suffix: str) -> None:
    with pytest.raises(GfpupError, match="suffix"):
        planned(listed("a.jpg"), suffix=suffix)


def test_photos_are_never_overwritten(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b.png")
    photos = expand([str(tmp_path)], recursive=False)
    with pytest.raises(GfpupError, match=r"would overwrite the photo .*a\.jpg"):
        plan_outputs(photos, output=tmp_path, ext="auto")
    assert [path.name for path in plan_outputs(photos, output=tmp_path, ext="auto", suffix="_new")] == [
        "a_new.jpg",
        "b_new.png",
    ]
    link = tmp_path.parent / (tmp_path.name + "_link")
    link.symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(GfpupError, match="overwrite"):
        plan_outputs(photos, output=link, ext="png")
    os.link(tmp_path / "a.jpg", tmp_path / "same.jpg")
    with pytest.raises(GfpupError, match="overwrite"):
        plan_outputs([SourcePhoto(tmp_path / "a.jpg", PurePosixPath("same.jpg"))], output=tmp_path, ext="jpg")


def test_natural_key() -> None:
    assert sorted(["b10", "B9", "a", "b1x", "10", "9", "²"], key=natural_key) == ["9", "10", "a", "b1x", "B9", "b10", "²"]
