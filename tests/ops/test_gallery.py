"""A face is scored against its person, and the gallery's own rates are those of its persons, bounded at the stated rate."""

from __future__ import annotations

import numpy as np
import pytest

from gfpup.ops.gallery import Gallery, upper_bound

RIGHT, UP, BOTH = np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), np.array([1.0, 1.0, 0])


def test_a_face_has_its_best_its_mean_and_a_margin_to_the_nearest_other() -> None:
    gallery = Gallery({"ann": np.stack([RIGHT, BOTH]), "bob": UP[None], "cy": -RIGHT[None]})
    score = gallery.score(3 * RIGHT, "ann")
    assert (score.best, score.nearest) == (pytest.approx(1), "bob") and score.margin == pytest.approx(1)
    assert score.mean == pytest.approx((1 + 0.5**0.5) / 2)
    assert gallery.score(UP, "ann").margin == pytest.approx(0.5**0.5 - 1), "more like bob"
    assert gallery.nearest(UP + 0.1 * RIGHT) == ("bob", pytest.approx(1.01**-0.5))
    assert gallery.nearest(np.array([0, 0, 1.0]))[1] == pytest.approx(0)
    alone = Gallery({"ann": RIGHT[None]}).score(RIGHT, "ann")
    assert (alone.margin, alone.nearest) == (None, None)


def test_rates_count_pairs_of_persons_and_pairs_of_their_photos() -> None:
    rates = Gallery({"ann": np.stack([RIGHT, BOTH]), "bob": UP[None], "cy": -RIGHT[None]}).error_rates(0.7)
    # Of ann and bob one pair of photos in two is alike; the other pairs of persons are not.
    assert rates.false_match == pytest.approx(0.5 / 3) and rates.false_non_match == 0.0
    assert rates.at_most is not None and rates.at_most > 0.9, "three persons say next to nothing"
    lonely = Gallery({"ann": RIGHT[None]}).error_rates(0.7)
    assert (lonely.false_match, lonely.at_most, lonely.false_non_match) == (None, None, None)


def test_the_bound_is_exact_without_a_match_and_shrinks_with_n() -> None:
    for n in (1, 10, 100):
        assert upper_bound(0.0, n) == pytest.approx(1 - 0.05 ** (1 / n))
    assert upper_bound(0.1, 10) > upper_bound(0.1, 100) > upper_bound(0.1, 10_000) > 0.1
    assert upper_bound(0.1, 10**6) == pytest.approx(0.1, abs=2e-3) and upper_bound(0.0, 0) == upper_bound(1.0, 5) == 1.0


@pytest.mark.parametrize("spread", [0.3, 1.0])
def test_the_bound_holds_at_its_rate_for_people_drawn_at_random(spread: float) -> None:
    rng = np.random.default_rng(1)

    def drawn(people: int, photos: int) -> Gallery:
        centres = rng.normal(size=(people, 4))
        return Gallery({str(i): centre + spread * rng.normal(size=(photos, 4)) for i, centre in enumerate(centres)})

    truth = drawn(600, 1).error_rates(0.8).false_match
    assert truth is not None and 0.02 < truth < 0.3
    bounds = [drawn(20, 2).error_rates(0.8).at_most for _ in range(200)]
    assert np.mean([bound is not None and bound >= truth for bound in bounds]) >= 0.95


def test_small_galleries_say_so_and_empty_ones_are_refused() -> None:
    full = Gallery({str(i): np.eye(25)[[i, i, i]] for i in range(25)})
    assert full.warnings() == []
    few, people = Gallery({"ann": np.eye(3), "bob": np.eye(3)[:1]}).warnings()
    assert "bob" in few and "ann" not in few and people.startswith("2 people are too few")
    assert any("one person" in text for text in Gallery({"ann": np.eye(3)}).warnings())
    for wrong in ({}, {"ann": np.empty((0, 3))}, {"ann": np.zeros((1, 3))}):
        with pytest.raises(ValueError, match=r"gallery needs|no direction"):
            Gallery(wrong)


def test_the_threshold_is_the_smallest_that_keeps_the_rate() -> None:
    rng = np.random.default_rng(4)
    gallery = Gallery({str(i): rng.normal(size=(1 + i % 4, 6)) for i in range(12)})
    for rate in (0.0, 0.01, 0.05, 0.3):
        threshold = gallery.threshold(rate, at_least=-1.0)
        below = float(np.nextafter(threshold, -2.0))
        found, before = (gallery.error_rates(value).false_match for value in (threshold, below))
        assert found is not None and before is not None and found <= rate < before
    assert gallery.threshold(1.0, at_least=0.2) == 0.2 and gallery.threshold(0.0, at_least=1.5) == 1.5
    assert Gallery({"ann": np.eye(3)}).threshold(0.01, at_least=0.3) == 0.3
