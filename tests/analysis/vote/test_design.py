"""Which pairs are asked: balanced over methods and photos, connected from the first ones on, and never of equal pictures."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from gfpup.analysis.vote.design import choose, connected
from gfpup.core.errors import GfpupError


@pytest.mark.parametrize("methods", [2, 3, 4, 5, 8])
def test_methods_and_photos_are_shown_about_equally_often(methods: int) -> None:
    units = [(f"{i}.png", range(methods)) for i in range(12)]
    every = methods * (methods - 1) // 2
    for wanted in range(methods - 1, min(36, 12 * every)):
        found = choose(units, methods, wanted, np.random.default_rng(wanted))
        assert len(found) == len(set(found)) == wanted
        assert connected([(i, j) for _, i, j in found], methods)
        pairs = Counter((i, j) for _, i, j in found)
        assert max(pairs.values()) - (min(pairs.values()) if len(pairs) == every else 0) <= 1
        photos = Counter(unit for unit, _, _ in found)
        assert max(photos.values()) - (min(photos.values()) if len(photos) == 12 else 0) <= 2
        shown = Counter(method for _, i, j in found for method in (i, j))
        assert max(shown.values()) - min(shown.values()) <= 2


def test_every_comparison_is_asked_once_where_more_are_wanted() -> None:
    units = [("a.png", (0, 1, 2)), ("b.png", (0, 2))]
    found = choose(units, 3, 50, np.random.default_rng(0))
    assert sorted(found) == [(0, 0, 1), (0, 0, 2), (0, 1, 2), (1, 0, 2)]


def test_faces_of_one_photo_count_as_that_photo() -> None:
    units = [("a.png", (0, 1))] * 3 + [("b.png", (0, 1))]
    photos = Counter(units[unit][0] for unit, _, _ in choose(units, 2, 2, np.random.default_rng(1)))
    assert photos == {"a.png": 1, "b.png": 1}


def test_equal_pictures_are_never_asked_and_what_cannot_be_compared_is_refused() -> None:
    units = [(f"{i}.png", range(3)) for i in range(4)]
    asked: list[tuple[int, int, int]] = []

    def differ(unit: int, i: int, j: int) -> bool:
        asked.append((unit, i, j))
        return unit != 2

    found = choose(units, 3, 30, np.random.default_rng(0), accept=differ)
    assert {unit for unit, _, _ in found} == {0, 1, 3} and len(asked) == len(set(asked))
    with pytest.raises(GfpupError, match="--pairs must be at least 2"):
        choose(units, 3, 1, np.random.default_rng(0))
    with pytest.raises(GfpupError, match="share no photo on which their pictures differ"):
        choose(units, 3, 30, np.random.default_rng(0), accept=lambda unit, i, j: 2 not in (i, j))
