"""Pictures on a page are bounded, and faces are cut where they lie, sharper than the whole."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gfpup.analysis.report.data import ReportedRun, Subject
from gfpup.analysis.report.pictures import LARGEST_PX, SMALLEST_PX, Limits, Picture, columns, differences, limits_for, views
from gfpup.records.items import Item
from gfpup.records.photo_record import PhotoRecord

SIZE_WH = (240, 120)


def picture(path: Path, colour: tuple[int, ...], size_wh: tuple[int, int] = SIZE_WH) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGBA" if len(colour) == 4 else "RGB", size_wh, colour).save(path)
    return path


def run_of(name: str, item: Item | None, *, faces: Any = (), **pixels: Any) -> ReportedRun:
    line = {"name": "a.png", "error": None, "warnings": [], "faces": [{"box_xyxy": box} for box in faces]}
    document = {"status": "done", "photos": [line], "plan": {"pixels": pixels}}
    items, lines = ({}, {}) if item is None else ({"a": item}, {"a": PhotoRecord.of(line)})
    return ReportedRun(Path(name), document, (), name, items, lines)


def subject_of(*runs: ReportedRun) -> Subject:
    return Subject(runs, ("a",), runs[0].name, (), None, (), ())


def opened(uri: str) -> np.ndarray:
    head, data = uri.split(",")
    assert head == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"), np.float64)


def views_of(*runs: ReportedRun, limits: Limits | None = None) -> Any:
    (found,) = views(subject_of(*runs), ["a"], limits or Limits(1000, 300))
    return found


def test_each_version_has_its_column_and_what_is_missing_its_reason(tmp_path: Path) -> None:
    before, reference, result = (picture(tmp_path / f"{i}.png", (40 * i, 0, 0)) for i in (1, 2, 3))
    whole = run_of("whole", Item("a.png", result, before, reference), backend="x")
    refused = run_of("refused", Item("a.png", result, refusal="torn"), backend="x")
    lost = run_of("lost", Item("a.png", None), backend="x")
    other = run_of("other", None, backend="x")
    gone = run_of("gone", Item("a.png", tmp_path / "gone.png"), backend="x")
    found = views_of(whole, refused, lost, other, gone)
    assert list(found.pictures) == ["before", "reference", "run-0", "run-1", "run-2", "run-3", "run-4"]
    for name, level in (("before", 40), ("reference", 80), ("run-0", 120)):
        assert abs(opened(found.pictures[name].uri)[..., 0].mean() - level) < 3
    assert [found.pictures[f"run-{i}"] for i in (1, 2, 3)] == [
        "torn",
        "there is no result",
        "this run does not have this photo",
    ]
    assert "gone.png" in found.pictures["run-4"] and found.size_wh == SIZE_WH


def test_before_and_reference_stand_only_where_there_are_some(tmp_path: Path) -> None:
    result = picture(tmp_path / "a.png", (9, 9, 9))
    scored = run_of("scored", Item("a.png", result))
    assert columns(subject_of(scored)) == {"run-0": "scored"}
    assert list(columns(subject_of(run_of("run", Item("a.png", result), backend="x")))) == ["before", "run-0"]
    assert list(columns(subject_of(run_of("s", Item("a.png", result, result))))) == ["before", "run-0"]
    assert list(columns(subject_of(run_of("s", Item("a.png", result, None, result))))) == ["reference", "run-0"]
    made = run_of("made", Item("a.png", result, result, damage=("mild", 0)))
    assert list(columns(subject_of(made))) == ["before", "reference", "run-0"]
    synthetic = views_of(made).pictures
    assert isinstance(synthetic["before"], Picture) and isinstance(synthetic["reference"], Picture)
    assert views_of(run_of("run", Item("a.png", result, no_input="moved"), backend="x")).pictures["before"] == "moved"


def test_transparent_parts_are_white(tmp_path: Path) -> None:
    half = views_of(run_of("r", Item("a.png", picture(tmp_path / "a.png", (100, 0, 50, 128)))))
    assert np.abs(opened(half.pictures["run-0"].uri).mean(axis=(0, 1)) - [177, 127, 152]).max() < 4
    clear = views_of(run_of("r", Item("a.png", picture(tmp_path / "b.png", (100, 0, 50, 0)))))
    assert opened(clear.pictures["run-0"].uri).min() > 252


def test_faces_are_fractions_of_the_input_from_left_to_right(tmp_path: Path) -> None:
    result = Item("a.png", picture(tmp_path / "a.png", (9, 9, 9), (480, 240)))
    boxes = [(120, 30, 180, 90), (-24, 0, 24, 60), (300, 0, 400, 50)]
    found = views_of(run_of("r", result, faces=boxes, upscale=2, backend="x"))
    assert found.size_wh == SIZE_WH
    assert found.faces == (pytest.approx((0, 0, 0.1, 0.5)), pytest.approx((0.5, 0.25, 0.25, 0.5)))
    many = [(10 * i, 0, 10 * i + 5 + i, 5 + i) for i in range(12)]
    kept = views_of(run_of("r", result, faces=many, upscale=2, backend="x")).faces
    assert [round(x * 240) for x, *_ in kept] == [10 * i for i in range(4, 12)], "the eight largest"
    assert views_of(run_of("r", Item("a.png", None, refusal="torn"))).size_wh == (4, 3)


def test_faces_of_a_picture_that_was_reduced_are_shown_sharper(tmp_path: Path) -> None:
    canvas = np.zeros((400, 800, 3), np.uint8)
    canvas[100:200, 200:300] = 255
    Image.fromarray(canvas).save(tmp_path / "a.png")
    run = run_of("r", Item("a.png", tmp_path / "a.png"), faces=[(200, 100, 300, 200)])
    shown = views_of(run, limits=Limits(200, 120)).pictures["run-0"]
    whole = opened(shown.uri)
    assert whole.shape[1] * whole.shape[0] <= 200 * 200 * 1.02 and whole.shape[1] == pytest.approx(2 * whole.shape[0], abs=1)
    (((x, y, w, h), uri),) = shown.patches
    # The box with a margin of 0.35 of its sides on each side, in whole pixels.
    assert (x * 800, y * 400, w * 800, h * 400) == pytest.approx((165, 65, 170, 170))
    patch = opened(uri)
    assert patch.shape[:2] == (120, 120) and patch[60, 60].min() > 240 and patch[5, 60].max() < 15 and patch[60, 5].max() < 15
    assert patch[:, 60].mean() / 255 == pytest.approx(100 / 170, abs=0.03)
    assert max(shown.thumbnail.size) == 200
    assert views_of(run, limits=Limits(1000, 120)).pictures["run-0"].patches == ()
    assert opened(views_of(run, limits=Limits(1000, 120)).pictures["run-0"].uri).shape == (400, 800, 3)


def test_runs_differ_by_the_largest_difference_of_their_pictures(tmp_path: Path) -> None:
    before, dark, bright = (picture(tmp_path / f"{level}.png", (level,) * 3) for level in (100, 110, 150))
    first, second = (
        run_of("one", Item("a.png", dark, before), backend="x"),
        run_of("two", Item("a.png", bright, before), backend="x"),
    )
    assert differences(subject_of(first, second)) == {"a": pytest.approx(40)}
    assert differences(subject_of(first)) == {"a": pytest.approx(10)}, "a single run differs from its input"
    lost = run_of("lost", Item("a.png", None, refusal="torn"), backend="x")
    assert differences(subject_of(first, lost)) == {}, "with one picture nothing can be said"
    spot = Image.new("RGB", SIZE_WH, (110,) * 3)
    spot.paste((200,) * 3, (0, 0, 24, 24))
    spot.save(tmp_path / "spot.png")
    third = run_of("three", Item("a.png", tmp_path / "spot.png", before), faces=[(0, 0, 24, 24)], backend="x")
    assert differences(subject_of(third, first)) == {"a": pytest.approx(90)}, "a face counts as much as a whole photo"
    seen = views_of(third, first)
    assert seen.face_numbers == (1,) and seen.faces_apart == (pytest.approx(90),)
    head, data = seen.map.split(",")
    where = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"), np.float64)
    assert head == "data:image/jpeg;base64"
    assert where[4:20, 4:20].mean() > 150 and where[40:, 40:].max() < 25, "bright where the spot is, black elsewhere"
    assert views_of(first).map == "" and views_of(first, first).map == "", "one run, and equal ones, have no map"


def test_the_more_pictures_the_smaller_they_are() -> None:
    sides = [limits_for(photos, 3).side_px for photos in (1, 20, 80, 200, 5000)]
    assert sides == sorted(sides, reverse=True) and sides[0] == LARGEST_PX and sides[-1] == SMALLEST_PX
    middle = limits_for(100, 3)
    assert middle.side_px == 547 and middle.face_px == 316
    assert limits_for(10, 3).face_px == 320 and limits_for(5000, 3).face_px == 96 and limits_for(0, 3).side_px == LARGEST_PX
