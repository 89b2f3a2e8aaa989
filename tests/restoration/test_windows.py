"""Windows around proposals: where they begin and end, when they are united, and which face of one is the one proposed."""

from __future__ import annotations

import numpy as np
import pytest

from gfpup.core.types import Face
from gfpup.restoration.windows import (
    BEYOND_RGB,
    BUCKET_PX,
    GRID_PX,
    MARGIN_PX,
    MOST_PIXELS,
    buckets,
    filled,
    is_meant,
    windows_around,
)

SIZE_HW = (4000, 6000)


def box(x0: float, y0: float, x1: float, y1: float) -> Face:
    return Face((x0, y0, x1, y1), 0.5, np.zeros((5, 2)))


@pytest.mark.parametrize("at", [(1000, 900), (992, 896), (1010.5, 913.2)])
def test_a_window_is_the_smallest_on_the_grid_that_holds_the_margin(at: tuple[float, float]) -> None:
    x, y = at
    (window,) = windows_around([box(x, y, x + 50, y + 70)], SIZE_HW)
    for start, first in ((window.x0, x), (window.y0, y)):
        assert start % GRID_PX == 0 and MARGIN_PX <= first - start < MARGIN_PX + GRID_PX
    for end, last in ((window.x1, x + 50), (window.y1, y + 70)):
        assert end % GRID_PX == 0 and MARGIN_PX <= end - last < MARGIN_PX + GRID_PX
    assert window.area == (window.x1 - window.x0) * (window.y1 - window.y0)


def test_a_window_ends_with_the_photo_and_one_outside_it_is_none() -> None:
    (window,) = windows_around([box(5, 7, 190, 195)], (200, 201))
    assert (window.x0, window.y0, window.x1, window.y1) == (0, 0, 201, 200)
    assert windows_around([box(-300, 0, -200, 50), box(0, -300, 50, -200), box(0, 400, 50, 450)], (200, 200)) == []


def test_windows_are_united_as_long_as_that_saves_pixels_and_stand_from_the_top_to_the_bottom() -> None:
    faces = [box(2000, 2000, 2050, 2050), box(1000, 100, 1050, 150), box(1040, 110, 1090, 160), box(300, 100, 350, 150)]
    found, places = windows_around(faces, SIZE_HW), {id(face): i for i, face in enumerate(faces)}
    assert [sorted(places[id(face)] for face in window.proposals) for window in found] == [[3], [1, 2], [0]]
    pair = found[1]
    alone = [windows_around([face], SIZE_HW)[0] for face in pair.proposals]
    assert (pair.x0, pair.y0) == (min(one.x0 for one in alone), min(one.y0 for one in alone))
    assert (pair.x1, pair.y1) == (max(one.x1 for one in alone), max(one.y1 for one in alone))
    diagonal = windows_around([box(1000, 1000, 1050, 1050), box(1200, 1200, 1250, 1250)], SIZE_HW)
    assert len(diagonal) == 2, "together they would take more pixels than apart"


def test_a_chain_of_windows_becomes_one_as_they_reach_each_other() -> None:
    faces = [box(1000, 1000, 1100, 1100), box(1300, 1000, 1400, 1100), box(1150, 1000, 1250, 1100)]
    (window,) = windows_around(faces, SIZE_HW)
    assert set(map(id, window.proposals)) == set(map(id, faces))


def test_no_union_takes_more_pixels_than_a_look_may() -> None:
    row = [box(60.0 * i, 300, 60.0 * i + 50, 1000) for i in range(90)]
    found = windows_around(row, SIZE_HW)
    assert len(found) > 1 and max(window.area for window in found) <= MOST_PIXELS
    assert sum(len(window.proposals) for window in found) == 90


def test_a_face_is_meant_where_its_centre_lies_in_the_proposal_and_it_is_half_to_twice_as_large() -> None:
    proposal = box(100, 200, 140, 260)

    def meant(centre_x: float, centre_y: float, longer: float = 60) -> bool:
        return is_meant(proposal, box(centre_x - 10, centre_y - longer / 2, centre_x + 10, centre_y + longer / 2))

    assert all(meant(*at) for at in ((120, 230), (100, 230), (140, 230), (120, 200), (120, 260)))
    assert not any(meant(*at) for at in ((99, 230), (141, 230), (120, 199), (120, 261)))
    assert [meant(120, 230, side) for side in (29, 30, 120, 121)] == [False, True, True, False]


def test_pictures_share_a_size_that_holds_them_and_lie_in_its_corner() -> None:
    sizes = [(100, 128), (128, 1), (129, 128), (128, 128)]
    pictures = [np.full((*size, 3), 9, np.uint8) for size in sizes]
    found = buckets(pictures)
    assert found == {(BUCKET_PX, BUCKET_PX): [0, 1, 3], (2 * BUCKET_PX, BUCKET_PX): [2]}
    whole = filled(pictures[0], (128, 128))
    assert whole.shape == (128, 128, 3) and (whole[:100] == 9).all() and (whole[100:] == BEYOND_RGB).all()
    right = filled(pictures[1], (128, 128))
    assert (right[:, :1] == 9).all() and (right[:, 1:] == BEYOND_RGB).all()
