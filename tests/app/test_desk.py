"""What the page does without a page: the words of a run, faces under a click, folders that may be opened, methods in words."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="gradio is not installed")

from gfpup.app import methods, pictures, request
from gfpup.app.comparison import compare, grid
from gfpup.app.desk import Seen
from gfpup.app.folders import Folders
from gfpup.app.methods import Consent, Speeds
from gfpup.app.request import Choice
from gfpup.app.serve import password_check, serve
from gfpup.app.texts import EN, duration
from gfpup.core.errors import GfpupError
from gfpup.models import backends
from gfpup.weights.catalogue import find
from gfpup.weights.store import Store


def test_only_what_was_changed_is_said(tmp_path: Path) -> None:
    plain = request.words(Choice(), ["a.jpg"], "out", picked={"a.jpg": None})
    assert plain == ["--input", "a.jpg", "--backend", "classical", "--save-faces", "--output", "out"]
    choice = Choice("codeformer", 0.8, 0.7, 4.0, "none", ("--device", "cpu"))
    said = request.words(
        choice, ["in/a.jpg"], "x/out", picked={"a.jpg": set()}, consent=Consent(find("codeformer"), licence=True, trust=False)
    )
    assert request.command(said) == (
        "gfpup run --input a.jpg --backend codeformer --strength 0.8 --fidelity 0.7 --upscale 4 --background none "
        "--pick-faces a.jpg=none --accept-licence s-lab-1.0 --save-faces --device cpu --output out/"
    )


def test_a_click_takes_the_smaller_of_two_faces() -> None:
    boxes = [(0, 0, 100, 100), (20, 20, 60, 60)]
    assert pictures.face_at(30, 30, (200, 200), boxes) == 1
    assert pictures.face_at(90, 90, (200, 200), boxes) == 0
    assert pictures.face_at(150, 150, (200, 200), boxes) is None
    assert pictures.face_at(30, 30, (3200, 3200), [(50, 50, 70, 70)]) == 0  # shown at half its size


def test_unchanged_faces_are_not_picked() -> None:
    seen = Seen(Path("a.jpg"), (10, 10), [[0, 0, 1, 1]] * 3, [None, "too small", None], {0, 2})
    assert seen.picked is None
    seen.taken = {2}
    assert seen.picked == {2}


def test_paths_outside_are_refused_even_through_links(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "open" / "link").symlink_to(tmp_path / "secret")
    folders = Folders.of(tmp_path / "own", [tmp_path / "open"], keep=False)
    assert folders.inside(tmp_path / "open", "") == tmp_path / "open"
    for path in ("secret", "open/../secret", "open/link", "openly", "own"):
        with pytest.raises(GfpupError, match="outside"):
            folders.inside(tmp_path / path, EN.outside)


def test_the_folder_is_emptied_at_the_end_unless_kept(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine.txt").write_text("mine")
    for keep in (True, False):
        with Folders.of(tmp_path / "own", [], keep=keep) as folders:
            (tmp_path / "a.jpg").write_bytes(b"a")
            job, placed = folders.new_job([tmp_path / "a.jpg", tmp_path / "a.jpg"])
            assert [path.name for path in placed] == ["a.jpg", "a_2.jpg"]
            with pytest.raises(GfpupError, match="another gfpup app"), Folders.of(tmp_path / "own", [], keep=keep):
                pass
        assert job.exists() == keep
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["mine.txt"]


def test_a_method_says_its_licence_its_weights_and_its_seconds(tmp_path: Path) -> None:
    store = Store(tmp_path)
    said = " ".join(methods.description("codeformer", store, Speeds({}, gflops=100.0), faces=2, texts=EN))
    assert "non-commercial" in said
    assert "not on this computer" in said
    assert "About 24 s for 2 faces, by arithmetic" in said
    assert "About 3.0 s a photo" in methods.description("classical", store, Speeds({"classical": 3.0}), faces=1, texts=EN)[-1]
    assert methods.default(store) == "classical"
    assert [duration(seconds) for seconds in (0.01, 9.94, 59.6, 150, 4000)] == ["0.1 s", "9.9 s", "60 s", "2 min", "1 h 7 min"]


def test_a_method_asks_for_its_licence_and_for_trust_until_it_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gfpup.weights.licences.is_accepted", lambda licence: False)
    store = Store(tmp_path)
    asked = {method: methods.consent_needed(method, store) for method in methods.OFFERED}
    flags = {method: consent.flags for method, consent in asked.items() if consent is not None}
    assert flags["codeformer"] == ["--accept-licence", "s-lab-1.0"]
    assert flags["gpen"] == ["--accept-licence", "gpen-unstated", "--trust-first-download"]
    assert flags["elir"] == flags["pmrf"] == ["--trust-first-download"]
    assert not {"auto", "gfpgan", "classical"} & set(flags)
    sentence = asked["gpen"].sentence(EN) if asked["gpen"] else ""
    assert "I accept the licence none stated" in sentence and "I trust the first one" in sentence
    # Once a file was trusted its hash is known, and the licence, once accepted, is remembered.
    monkeypatch.setattr("gfpup.weights.licences.is_accepted", lambda licence: True)
    elir = backends.published("elir")
    assert elir is not None
    (tmp_path / elir.file).write_bytes(b"weights")
    Store(tmp_path, trust_first_download=True).ensure(elir.name)
    assert methods.consent_needed("elir", Store(tmp_path)) is None
    assert methods.consent_needed("codeformer", store) is None


def test_any_folders_of_equal_names_are_compared(finished_sweep: Path, tmp_path: Path) -> None:
    folders = Folders.of(tmp_path / "own", [finished_sweep.parent], keep=False)
    runs = sorted(path.parent for path in finished_sweep.rglob("manifest.json"))
    compared = compare([finished_sweep, finished_sweep.parent / "photos"], folders, EN)
    assert compared.columns == ("input", "classical", "identity", "photos")
    assert len(runs) == 2
    names = compared.ordered(by_difference=True)
    assert len(names) == 3
    shown = grid(compared, names, EN)
    assert "<img src=x" not in shown  # a photo's name is text
    with pytest.raises(GfpupError, match="outside"):
        compare([tmp_path], folders, EN)


def test_a_password_is_a_name_and_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("täglich\n", encoding="utf-8")
    check = password_check("anna", tmp_path / "password")
    assert check("anna", "täglich")
    assert not any((check("anna", "tag"), check("otto", "täglich"), check("", "")))
    (tmp_path / "empty").write_text("\n")
    for file in (tmp_path / "empty", tmp_path / "none"):
        with pytest.raises(GfpupError):
            password_check("anna", file)


@pytest.mark.parametrize("how", [{"host": "0.0.0.0"}, {"share": True}])
def test_others_are_let_in_by_a_password_only(how: dict[str, object]) -> None:
    with pytest.raises(GfpupError, match="opens the page to others: give --auth"):
        serve(**how)
