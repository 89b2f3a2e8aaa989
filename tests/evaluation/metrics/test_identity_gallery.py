"""`identity_gallery` compares a restored face with the photos of the person that its input shows, and of nobody else's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gfpup.core.types import Float64, UInt8
from gfpup.evaluation.metrics import GALLERY, MetricError, load
from gfpup.evaluation.metrics.identity_gallery import Comparison, IdentityGallery
from gfpup.evaluation.scorer import Pictures, load_scorer
from gfpup.models.recognition import People
from gfpup.ops.gallery import Gallery

ANN, BEN = np.array([[1.0, 0, 0], [1.0, 1.0, 0]]), np.array([[0, 1.0, 0]])
RED, GREEN, BLUE, YELLOW = (200, 0, 0), (0, 200, 0), (0, 0, 200), (180, 90, 0)


class Counting:
    """An embedder that is a face's mean colour, and counts."""

    count = 0

    def __call__(self, face: UInt8) -> Float64:
        self.count += 1
        return face.reshape(-1, 3).mean(axis=0).astype(np.float64)


def crop(colour: tuple[int, int, int]) -> UInt8:
    return np.full((512, 512, 3), colour, np.uint8)


def people(embed: Counting | None = None, **persons: Float64) -> People:
    return People(Gallery(persons or {"ann": ANN, "ben": BEN}), embed or Counting(), 0.0)


AFFINES = {0: np.eye(2, 3)}


def scores(folk: People, restored: UInt8, degraded: UInt8 | None) -> dict[str, tuple[float | None, str | None]]:
    rows = load_scorer(["identity_gallery"], find=Path, people=folk)(Pictures(restored, degraded, affines=AFFINES))
    return {row.metric: (row.value, row.missing_reason) for row in rows}


def test_best_mean_and_margin_are_those_of_the_gallery() -> None:
    """The restored face looks like the other person: its own input decides whose photos count, so the margin is negative."""
    folk = people()
    found = scores(folk, crop(GREEN), crop(RED))
    expected = folk.gallery.score(np.array([0, 1.0, 0]), "ann")
    assert list(found) == list(GALLERY)
    assert [value for value, _ in found.values()] == pytest.approx([expected.best, expected.mean, expected.margin])
    assert expected.margin is not None and expected.margin < 0
    assert scores(folk, crop(RED), crop(RED))["identity_gallery"][0] == pytest.approx(1)


def test_a_face_that_is_nobody_has_a_reason() -> None:
    found = scores(people(), crop(RED), crop(BLUE))
    assert found == dict.fromkeys(GALLERY, (None, "its input is recognised as nobody of --people"))


def test_one_person_has_no_margin() -> None:
    found = scores(people(ann=ANN), crop(RED), crop(RED))
    assert found["identity_gallery_margin"] == (None, "--people has nobody else to compare with")
    assert found["identity_gallery"][0] == pytest.approx(1)


def test_without_an_input_nobody_is_recognised() -> None:
    assert scores(people(), crop(RED), None) == dict.fromkeys(GALLERY, (None, "there is no input to compare with"))


def test_the_three_cost_one_comparison() -> None:
    embed = Counting()
    scores(people(embed), crop(YELLOW), crop(RED))
    assert embed.count == 2
    compare = Comparison(people(embed))
    first, second = IdentityGallery(compare), IdentityGallery(compare)
    restored, degraded = crop(YELLOW), crop(RED)
    assert first.score(restored, degraded) == second.score(restored, degraded) and embed.count == 4
    assert first.score(crop(RED), degraded).value != second.score(restored, degraded).value and embed.count == 6


def test_without_persons_it_is_missing_and_says_what_to_give() -> None:
    with pytest.raises(MetricError, match="give them to gfpup run with --people DIR"):
        load("identity_gallery", {})
    scorer = load_scorer(["identity_gallery"], find=Path)
    assert set(scorer.missing) == set(GALLERY)
    rows = scorer(Pictures(crop(RED), crop(RED), affines=AFFINES))
    assert all("--people" in str(row.missing_reason) for row in rows)
    assert {row.metric for row in scorer.unmeasured("a.png", "it failed", referenced=True)} == set(GALLERY)
