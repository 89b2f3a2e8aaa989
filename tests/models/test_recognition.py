"""A face is a person from the gallery's own threshold on, and what the gallery is worth is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gfpup.core.types import Float64, UInt8
from gfpup.models.recognition import LEAST_SIMILARITY, People
from gfpup.ops.gallery import Gallery


def by_brightness(face: UInt8) -> Float64:
    """A direction in the plane: from 0 for black to a quarter turn for white."""
    angle = float(face.mean()) / 255 * np.pi / 2
    return 2 * np.array([np.cos(angle), np.sin(angle)])


def crop(degrees: float) -> UInt8:
    return np.full((512, 512, 3), round(degrees / 90 * 255), np.uint8)


def at(*degrees: float) -> Float64:
    turns = np.deg2rad(degrees)
    return np.stack([np.cos(turns), np.sin(turns)], axis=1)


def people(**persons: Float64) -> People:
    return People(Gallery(persons), by_brightness, 0.01)


def test_a_face_is_recognised_from_the_threshold_on() -> None:
    folk = people(ann=at(0, 20), ben=at(60, 80))
    assert folk.threshold == pytest.approx(np.cos(np.deg2rad(40))), "that of the two photos of two persons that are most alike"
    assert folk.threshold > np.cos(np.deg2rad(40)), "which do not match"
    found = folk.recognise(crop(10))
    assert (found.person, found.nearest) == ("ann", "ann") and found.similarity == pytest.approx(
        np.cos(np.deg2rad(10)), abs=1e-3
    )
    one = people(ann=at(90), ben=at(0, 1, 2))
    far = People(one.gallery, lambda face: -by_brightness(face), 0.01)
    assert far.recognise(crop(45)).person is None and far.recognise(crop(45)).similarity < 0


def test_strangers_do_not_match_a_gallery_whose_persons_lie_far_apart() -> None:
    assert people(ann=at(0), ben=at(180)).threshold == LEAST_SIMILARITY
    assert people(ann=at(0)).threshold == LEAST_SIMILARITY == pytest.approx(1 - 1.54 / 2)


def test_an_embedding_without_a_direction_is_nobody() -> None:
    for broken in (0.0, np.nan, np.inf):
        folk = People(Gallery({"ann": at(0)}), lambda face, value=broken: np.full(2, value), 0.01)  # type: ignore[misc]
        assert folk.recognise(crop(0)).person is None


def test_the_rates_and_what_is_too_few_are_said_and_recorded() -> None:
    folk = people(ann=at(0, 10, 20), ben=at(60, 80))
    rate, few_photos, few_people = folk.sentences()
    assert "one of 2 persons (5 photos) from a similarity of 0.77" in rate
    assert "0.0% of the pairs of photos of two persons match (at most 95% with 95% confidence)" in rate
    assert "and 0% of the pairs of photos of one person do not" in rate
    assert "ben" in few_photos and "2 people are too few" in few_people
    facts = folk.facts()
    assert facts["photos"] == {"ann": 3, "ben": 2} and facts["false_match"] == 0.0 and len(facts["warnings"]) == 2
    alone = people(ann=at(0, 10, 20))
    assert "one of 1 person (3 photos)" in alone.sentences()[0] and "two persons" not in alone.sentences()[0]
    assert alone.facts()["false_match"] is None and "one person" in alone.facts()["warnings"][0]


def test_photos_that_were_left_out_are_named() -> None:
    left_out = tuple((Path(f"ann/{i}.jpg"), "2 faces") for i in range(7))
    folk = People(Gallery({"ann": at(0, 10, 20)}), by_brightness, 0.01, left_out)
    (said,) = [text for text in folk.sentences() if "left out" in text]
    assert said.startswith("7 photos of --people left out (ann/0.jpg: 2 faces; ") and said.endswith("; and 2 more).")
    assert folk.facts()["left_out"]["ann/6.jpg"] == "2 faces"
