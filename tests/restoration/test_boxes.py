"""Boxes: what they share, which of several overlapping ones stay, and their order."""

from __future__ import annotations

import numpy as np
import pytest

from gfpup.core.types import Face
from gfpup.restoration.boxes import (
    bounded_size,
    drop_contained,
    intersections,
    largest_first,
    longer_side,
    make_face,
    without_overlaps,
)

SQUARE = np.array([0.0, 0, 10, 10])


def beside(x: float, y: float = 0.0) -> list[float]:
    return [x, y, x + 10, y + 10]


def test_boxes_share_the_rectangle_that_both_cover() -> None:
    others = np.array([beside(4), beside(0, 7), beside(6, 8), beside(10), beside(20), beside(15, 15), [2, 3, 5, 4]])
    assert intersections(SQUARE, others).tolist() == [60, 30, 8, 0, 0, 0, 3]
    assert intersections(SQUARE, others[:0]).tolist() == []


def test_the_surest_of_boxes_that_overlap_more_than_allowed_stays() -> None:
    # Moved by d, two squares of side 10 share (10 - d) / (10 + d) of their union and (10 - d) / 10 of each.
    scores = np.array([0.5, 0.9])
    for d, of_union, of_each in ((4, 6 / 14, 0.6), (2, 8 / 12, 0.8)):
        boxes = np.array([beside(0), beside(d)])
        for share, of_smaller in ((of_union, False), (of_each, True)):
            assert without_overlaps(boxes, scores, share + 0.01, of_smaller=of_smaller).tolist() == [1, 0]
            assert without_overlaps(boxes, scores, share - 0.01, of_smaller=of_smaller).tolist() == [1]
    inner = np.array([[0.0, 0, 10, 10], [0, 0, 10, 2]])
    assert without_overlaps(inner, scores, 0.5).tolist() == [1, 0], "a fifth of the union"
    assert without_overlaps(inner, scores, 0.5, of_smaller=True).tolist() == [1], "all of the smaller"


def test_what_overlaps_only_a_dropped_box_stays_and_equal_scores_keep_their_order() -> None:
    chain = np.array([beside(0), beside(3), beside(6)])
    assert without_overlaps(chain, np.array([0.9, 0.8, 0.7]), 0.4).tolist() == [0, 2]
    assert without_overlaps(chain, np.array([0.8, 0.9, 0.7]), 0.4).tolist() == [1]
    assert without_overlaps(chain[[0, 0, 2]], np.ones(3), 0.4).tolist() == [0, 2]


def test_a_box_inside_several_larger_ones_is_part_of_one_only_where_that_one_holds_it() -> None:
    """Half in one face and half in another, a third face is its own."""
    assert drop_contained(np.array([[0.0, 0, 50, 100], [50, 0, 100, 100], [30, 30, 70, 70]])) == [0, 1, 2]
    assert drop_contained(np.array([[0.0, 0, 10, 10], [0, 0, 10, 5]]), share=0.4) == [0]
    assert drop_contained(np.array([[0.0, 0, 10, 10], [5, 0, 15, 8]]), share=0.6) == [0, 1]


def test_the_longer_side_and_the_order_by_area_then_height_then_side() -> None:
    def face(*box: float) -> Face:
        return make_face(np.array(box), 0.5, np.zeros((5, 2)))

    assert longer_side(face(1, 2, 5, 9)) == 7 and longer_side(face(1, 2, 10, 5)) == 9
    wide, right, left, low = face(0, 90, 60, 95), face(50, 10, 60, 20), face(20, 10, 30, 20), face(0, 40, 10, 50)
    assert largest_first([low, right, left, wide], (100, 100)) == [wide, left, right, low]
    beyond = [face(-50, -50, 5, 5), face(95, 95, 200, 200), face(-30, 20, -10, 90), face(30, 30, 34, 34)]
    assert largest_first(beyond, (100, 100)) == [beyond[0], beyond[1], beyond[3], beyond[2]], "what lies outside does not count"


@pytest.mark.parametrize(
    ("size_hw", "expected"), [((1000, 3900), (500, 1950)), ((1000, 4000), (500, 2000)), ((1000, 8000), (250, 2000))]
)
def test_a_panorama_is_bounded_by_four_times_the_short_side(size_hw: tuple[int, int], expected: tuple[int, int]) -> None:
    assert bounded_size(size_hw, 500) == expected and bounded_size(size_hw[::-1], 500) == expected[::-1]


def test_neither_side_of_a_reduced_copy_becomes_nothing() -> None:
    assert bounded_size((3, 100_000), 640) == (1, 2560) and bounded_size((100_000, 3), 640) == (2560, 1)
