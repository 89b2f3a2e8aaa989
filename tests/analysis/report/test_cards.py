"""A card shows one photo's scores beside each other, marks the best and says how far the runs are apart."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from gfpup.analysis.compare import Line
from gfpup.analysis.report.cards import Order, PhotoScores
from gfpup.analysis.report.data import ReportedRun, Subject
from gfpup.analysis.report.pictures import Views
from gfpup.analysis.report.tables import failures, gaps, runs_table
from gfpup.core.types import Score
from gfpup.records.photo_record import PhotoRecord


def line(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "error": None, "warnings": [], "faces": [], "seconds": {"detect": 1.0, "restore": 2.0}, **more}


def run_of(name: str, lines: list[dict[str, Any]], scores: list[Score]) -> ReportedRun:
    document = {"status": "done", "photos": lines}
    return ReportedRun(
        Path(name), document, tuple(scores), name, {}, {each["name"][:-4]: PhotoRecord.of(each) for each in lines}
    )


def score(metric: str, value: float | None, photo: str, *, better: bool = True, face: int | None = None) -> Score:
    return Score(metric, value, better, "no consent" if value is None else None, f"{photo}.png", face)


@pytest.fixture
def subject() -> Subject:
    """Two runs over three photos: `a` is alike in both, `b` differs most, `c` failed in one."""
    one = run_of(
        "one",
        [line("a.png"), line("b.png", notes=["a note"], warnings=["odd"]), line("c.png")],
        [score("lpips", 0.2, "a", better=False), score("lpips", 0.9, "b", better=False), score("lpips", 0.3, "c", better=False),
         score("psnr_to_input", 30.0, "a"), score("psnr_to_input", math.inf, "b"), score("psnr_to_input", 10.0, "c"),
         score("identity", 0.5, "a", face=0), score("niqe", None, "a"), score("niqe", None, "b")],
    )  # fmt: skip
    faces = [{"failed": True, "restored": False, "reason": "not finite"}, {"failed": False, "restored": True, "reason": None}]
    two = run_of(
        "two",
        [line("a.png", warnings=["odd"], faces=faces), line("b.png", warnings=["odd"]), line("c.png", error="torn")],
        [score("lpips", 0.25, "a", better=False), score("lpips", 0.1, "b", better=False),
         score("psnr_to_input", 20.0, "a"), score("psnr_to_input", 40.0, "b"), score("niqe", None, "a"),
         Score("fid", 12.5, False)],
    )  # fmt: skip
    keys = [("identity", "faces", True), ("lpips", "photo", False), ("psnr_to_input", "photo", True)]
    lines = [Line(metric, level, better, run, 3, 0.5, 1) for metric, level, better in keys for run in ("one", "two")]
    return Subject((one, two), ("a", "b", "c"), "one", tuple(lines), None, (), (("job 3", "no weights"),))


def card(subject: Subject, photo: str) -> Any:
    return PhotoScores(subject).card(Views(photo, (30, 20), ((0.1, 0.1, 0.2, 0.2), (0, 0, 0.9, 0.9)), {}))


def test_scores_of_photos_come_before_those_of_faces(subject: Subject) -> None:
    scores = PhotoScores(subject)
    assert scores.keys == [("lpips", "photo"), ("psnr_to_input", "photo"), ("identity", "faces")]
    assert scores.numbers == {"a": 1, "b": 2, "c": 3}
    assert scores.row(("lpips", "photo"), "b") == [0.9, 0.1] and scores.row(("lpips", "photo"), "c") == [0.3, None]


def test_the_best_is_marked_and_never_what_is_nearest_the_input(subject: Subject) -> None:
    shown = card(subject, "b")
    assert shown.scores == [
        ("lpips ↓", [("0.9", False), ("0.1", True)], "0.8"),
        ("psnr_to_input", [("∞", False), ("40", False)], ""),
    ]
    assert json.loads(shown.values) == [[0.9, 0.1], [None, 40.0], [None, None]]
    assert card(subject, "c").scores[0] == ("lpips ↓", [("0.3", False), ("none", False)], "")
    assert [name for name, _, _ in card(subject, "a").scores] == ["lpips ↓", "psnr_to_input", "identity of faces ↑"]


def test_a_card_says_what_happened_once_for_all_runs_and_by_number_for_some(subject: Subject) -> None:
    assert card(subject, "b").notes == [("a note", [0], False), ("odd", [], False)]
    assert card(subject, "a").notes == [("odd", [1], False), ("face 1: not finite", [1], False)]
    assert card(subject, "c").notes == [("torn", [1], True)]
    assert card(subject, "a").facts == "0 or 2 faces, 30×20 px" and card(subject, "c").facts == "0 faces, 30×20 px"
    assert (card(subject, "b").number, card(subject, "b").name) == (2, "b.png")
    assert card(subject, "b").faces == ((0.1, 0.1, 0.2, 0.2),), "a face that fills its picture has no button"


def test_a_card_says_what_became_of_faces_in_plain_words() -> None:
    faces = [
        {"restored": True},
        {"restored": False, "reason": "its box is 9 px, under the minimum of 20"},
        {"restored": False, "failed": True, "reason": "not finite"},
    ]
    small = run_of("small", [line("a.png", faces=faces)], [])
    whole = run_of("whole", [line("a.png", faces=[{"restored": True}] * 3)], [])
    other = run_of("other", [line("a.png", faces=[{"restored": False, "reason": "it is left as it was"}])], [])
    shown = card(Subject((small, whole, other), ("a",), "small", (), None, (), ()), "a")
    assert shown.decided == (("1 of 3 faces restored", [0]), ("3 of 3 faces restored", [1]), ("face left as it was", [2]))
    assert shown.notes == [
        ("face 2 was left as it was: its box is 9 px, under the minimum of 20", [0], False),
        ("face 3: not finite", [0], False),
        ("face 1: it is left as it was", [2], False),
    ]
    one = card(Subject((whole,), ("a",), "whole", (), None, (), ()), "a")
    assert one.decided == (("3 of 3 faces restored", []),)


def test_faces_have_the_numbers_of_the_record(subject: Subject) -> None:
    boxes = ((0.1, 0.1, 0.2, 0.2), (0.4, 0.1, 0.3, 0.3), (0.0, 0.0, 0.9, 0.9))
    shown = PhotoScores(subject).card(Views("a", (30, 20), boxes, {}, (2, 1, 3)))
    assert shown.face_numbers == (1, 2) and shown.faces == (boxes[1], boxes[0])


def test_pictures_that_differ_most_come_first_and_unknown_ones_last(subject: Subject) -> None:
    scores = PhotoScores(subject, {"a": 0.5, "c": 3.21})
    first = scores.orders()["Largest difference first"][0]
    assert (first.label, first.value) == ("difference between pictures", "pixels 0 higher")
    assert scores.sorted_photos(first) == ["c", "a", "b"]
    shown = scores.card(Views("c", (30, 20), (), {}))
    assert (shown.apart, shown.difference) == (3.21, "The results differ by 3.2 of 255 levels")
    unknown = scores.card(Views("b", (30, 20), (), {}))
    assert (unknown.apart, unknown.difference) == (-1, "")
    equal = PhotoScores(subject, {"a": 0.0, "b": 0.0, "c": 0.0})
    assert equal.card(Views("a", (30, 20), (), {})).difference == "The results are equal"
    assert equal.orders()["Largest difference first"][0].kind == "difference", "an order in which all are equal is not offered"


def test_each_of_several_faces_has_its_difference(subject: Subject) -> None:
    scores, boxes = PhotoScores(subject, {"a": 12.3}), ((0.1, 0.1, 0.2, 0.2), (0.4, 0.1, 0.3, 0.3))
    shown = scores.card(Views("a", (30, 20), boxes, {}, (2, 1), faces_apart=(12.3, 0.41)))
    assert shown.difference == "The results differ by 12 of 255 levels: face 2 by 12, face 1 by 0.41"
    alone = scores.card(Views("a", (30, 20), boxes[:1], {}, (1,), faces_apart=(12.3,)))
    assert alone.difference == "The results differ by 12 of 255 levels"


def test_photos_can_be_sorted_by_difference_and_worst_first(subject: Subject) -> None:
    scores = PhotoScores(subject)
    orders = scores.orders()
    assert {heading: [order.label for order in found] for heading, found in orders.items()} == {
        "Largest difference first": ["difference in lpips", "difference in psnr_to_input"],
        "Worst score first": ["worst lpips", "worst identity of faces"],
        "Most changed first": ["most changed by psnr_to_input"],
        "Name": ["name"],
    }
    assert [order.value for order in orders["Largest difference first"]] == ["difference 0 lower", "difference 1 higher"]
    assert scores.sorted_photos(orders["Largest difference first"][0]) == ["b", "a", "c"]
    assert scores.sorted_photos(orders["Worst score first"][0]) == ["b", "c", "a"]
    assert scores.sorted_photos(orders["Most changed first"][0]) == ["c", "a", "b"]
    assert scores.sorted_photos(Order("name", "name")) == ["a", "b", "c"]


def test_tables_count_failures_gaps_and_faces(subject: Subject) -> None:
    assert [[cell.text for cell in row] for row in failures(subject).rows] == [
        ["job 3", "", "job", "no weights"],
        ["two", "a.png", "face 1", "not finite"],
        ["two", "c.png", "photo", "torn"],
    ]
    assert [[cell.text for cell in row] for row in gaps(subject).rows] == [
        ["one", "psnr_to_input", "1", "the pictures are identical"],
        ["all 2 runs", "niqe", "3", "no consent"],
    ]
    table = runs_table(subject)
    assert table.heads[:5] == ["run", "photos", "failed", "faces", "seconds per photo"] and table.heads[-1] == "fid of the run"
    one, two = ([cell.text for cell in row] for row in table.rows)
    assert one[:5] == ["one", "3", "0", "0 of 0", "3"] and two[:4] == ["two", "3", "1", "1 of 2"]
    assert one[-1] == "none" and two[-1] == "12.5"
    assert table.kinds[:3] == ["text", "number", "number"]
