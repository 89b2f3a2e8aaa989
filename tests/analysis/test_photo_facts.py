"""Facts of photos: sizes and poses from the record, blur from the input, columns from a file of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from gfpup.analysis.photo_facts import pose, read_facts
from gfpup.core.errors import GfpupError
from gfpup.ops import geometry
from gfpup.records.run_record import RunRecord

UPRIGHT = np.array([[30.0, 40.0], [70.0, 40.0], [50.0, 60.0], [36.0, 80.0], [64.0, 80.0]])


def line(name: str, *faces: dict[str, Any], path: str = "") -> dict[str, Any]:
    return {"name": name, "input": path, "faces": list(faces)}


def face(side: float, landmarks: np.ndarray = UPRIGHT) -> dict[str, Any]:
    affine = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    return {"box_xyxy": (0.0, 0.0, side, side + 5), "affine": affine, "landmarks_xy": landmarks.tolist()}


def run(*lines: dict[str, Any], **pixels: Any) -> RunRecord:
    return RunRecord(Path("out"), {"photos": list(lines), "plan": {"pixels": pixels}}, name="out")


def test_the_largest_face_counts_and_photos_without_one_are_said() -> None:
    facts, (note,) = read_facts([run(line("a.png", face(20), face(80)), line("b.png"))], ["face_px"])
    assert facts == {"face_px": {"a": 80.0}} and note.startswith("1 photos have no face_px")


def test_pose_is_0_from_the_front_whatever_the_tilt_and_grows_to_both_sides() -> None:
    assert pose(UPRIGHT) == pytest.approx(0)
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    aside = UPRIGHT + np.array([[0, 0], [0, 0], [10, 0], [0, 0], [0, 0]])
    assert pose(UPRIGHT @ turn.T) == pytest.approx(0) and pose(aside @ turn.T) == pytest.approx(0.25)
    assert pose(2 * aside) == pytest.approx(pose(aside)) and pose(np.zeros((5, 2))) is None


def test_blur_grows_with_blur_and_is_refused_of_what_is_gone(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    lines = []
    for i, sigma in enumerate((1.0, 3.0, 6.0)):
        Image.fromarray(cv2.GaussianBlur(noise, (0, 0), sigma)).save(tmp_path / f"{i}.png")
        lines.append(line(f"{i}.png", face(90, UPRIGHT + 50), path=str(tmp_path / f"{i}.png")))
    facts, notes = read_facts([run(*lines)], ["blur"])
    assert list(facts["blur"]) == ["0", "1", "2"] and not notes
    values = list(facts["blur"].values())
    assert all(isinstance(value, float) for value in values) and values == sorted(values, key=float)
    assert geometry.turned_pixels(noise, 0) is not None
    with pytest.raises(GfpupError, match="--by blur is not available"):
        read_facts([run(*lines, damage=["bfr", 0])], ["blur"])


def test_columns_are_matched_by_name_and_numbers_are_numbers(tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("photo,age,sex\na.jpg,31,f\nb,44,m\nc,nan,\nstranger.png,50,f\n", encoding="utf-8")
    record = run(line("a.png"), line("b.png"), line("c.png"))
    facts, notes = read_facts([record], ["age", "sex"], file)
    assert facts == {"age": {"a": 31.0, "b": 44.0}, "sex": {"a": "f", "b": "m"}} and len(notes) == 2
    with pytest.raises(GfpupError, match=r"invalid value 'height' for --by: .*age, sex"):
        read_facts([record], ["height"], file)
    with pytest.raises(GfpupError, match="cannot be read"):
        read_facts([record], ["age"], tmp_path / "none.csv")


def test_only_faces_that_were_cut_out_count_and_the_first_run_that_has_any() -> None:
    uncut = {**face(90), "affine": None}
    first, second = (
        run(line("a.png", uncut, face(30)), line("b.png", uncut)),
        run(line("a.png", face(70)), line("b.png", face(50))),
    )
    assert read_facts([first, second], ["face_px"]) == ({"face_px": {"a": 30.0, "b": 50.0}}, [])
    assert read_facts([second, first], ["face_px"])[0] == {"face_px": {"a": 70.0, "b": 50.0}}


def test_a_face_is_as_large_as_its_shorter_side_and_photos_without_a_value_are_counted() -> None:
    wide = {**face(20), "box_xyxy": (5.0, 7.0, 100.0, 31.0)}
    assert read_facts([run(line("a.png", wide))], ["face_px"])[0] == {"face_px": {"a": 24.0}}
    upright = {**face(20), "box_xyxy": (5.0, 7.0, 31.0, 100.0)}
    assert read_facts([run(line("a.png", upright, wide))], ["face_px"])[0] == {"face_px": {"a": 26.0}}
    lost = {**face(20), "landmarks_xy": []}
    facts, notes = read_facts([run(line("a.png", lost), line("b.png", lost), line("c.png", face(20)))], ["pose", "face_px"])
    assert facts == {"pose": {"c": 0.0}, "face_px": {"a": 20.0, "b": 20.0, "c": 20.0}}
    assert notes == ["2 photos have no pose and are in none of its slices"]


def test_a_table_without_columns_is_refused_and_words_lose_their_spaces(tmp_path: Path) -> None:
    file, record = tmp_path / "people.csv", run(line("sub/a.png"), line("b.png"))
    for text in ("", "photo,age\n", "photo\na\n"):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(GfpupError, match="has no columns: expected a line of headings"):
            read_facts([record], ["age"], file)
    file.write_text("\ufeffphoto,age,sex\n sub/a.jpg ,31, f \n\nb.png,,m\n", encoding="utf-8")
    assert read_facts([record], ["age", "sex"], file)[0] == {"age": {"sub/a": 31.0}, "sex": {"sub/a": "f", "b": "m"}}
