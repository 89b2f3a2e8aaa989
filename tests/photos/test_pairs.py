"""Pairs are matched by name or refused, synthetic damage is the same everywhere, test sets are counted before a run."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from gfpup.core.errors import GfpupError
from gfpup.ops import degrade
from gfpup.photos.pairs import TEST_SETS, check_test_set, match_pairs, synthesise
from gfpup.photos.sources import SourcePhoto


def photos(*names: str) -> list[SourcePhoto]:
    return [SourcePhoto(Path("/set") / name, PurePosixPath(name)) for name in names]


def test_names_match_whatever_the_extension_and_the_accents_form() -> None:
    pairs = match_pairs(photos("b.png", "sub/a.jpg", "Zoe\u0301.png"), photos("sub/a.png", "Zo\u00e9.webp", "b.png"))
    assert [str(pair.reference.relative) for pair in pairs] == ["b.png", "sub/a.png", "Zo\u00e9.webp"]
    assert match_pairs([], []) == []


@pytest.mark.parametrize(
    ("degraded", "reference", "said"),
    [
        (("a.png", "b.png"), ("a.png",), r"1 degraded photos have no reference \(b\)"),
        (("a.png",), ("a.png", "b.png", "c.png", "d.png", "e.png"), r"4 references have no degraded photo \(b, c, d, \.\.\.\)"),
        (("a.png",), ("b.png",), "and 1 references"),
        (("a.png", "a.jpg"), ("a.png",), "'a.png' and 'a.jpg' have one name"),
        (("a.png",), ("x/a.png",), "no reference"),
        (("a.png",), ("a_smith.png",), "no reference"),
    ],
)
def test_mismatches_are_refused_in_a_sentence(degraded: tuple[str, ...], reference: tuple[str, ...], said: str) -> None:
    with pytest.raises(GfpupError, match=said) as refusal:
        match_pairs(photos(*degraded), photos(*reference))
    assert "\n" not in str(refusal.value)


def test_synthetic_damage_is_the_protocols_and_is_seeded_by_the_file_name() -> None:
    rgb = np.random.default_rng(5).integers(0, 256, (512, 512, 3), np.uint8)
    damaged, reference, record = synthesise(rgb, protocol="codeformer-stage3", seed=7, name="folder/0001.png")
    expected = degrade.apply(rgb, degrade.draw("codeformer-stage3", seed=7, name="0001.png"))
    assert np.array_equal(damaged, expected) and np.array_equal(reference, rgb)
    assert record["protocol"] == "codeformer-stage3" and record["seed"] == 7 and 60 <= record["jpeg"] <= 100
    json.dumps(record)
    assert np.array_equal(synthesise(rgb, protocol="codeformer-stage3", seed=7, name="elsewhere/0001.png")[0], damaged)
    assert not np.array_equal(synthesise(rgb, protocol="codeformer-stage3", seed=8, name="0001.png")[0], damaged)


def test_references_of_other_sizes_come_to_a_short_side_of_512() -> None:
    rgb = np.full((1024, 1024, 3), 77, np.uint8)
    damaged, reference, _ = synthesise(rgb, protocol="mild", seed=0, name="x.png")
    assert damaged.shape == reference.shape == (512, 512, 3) and (reference == 77).all()
    damaged, reference, _ = synthesise(np.full((512, 700, 3), 77, np.uint8), protocol="mild", seed=0, name="x.png")
    assert damaged.shape == reference.shape == (512, 700, 3)
    damaged, reference, _ = synthesise(np.full((300, 200, 3), 77, np.uint8), protocol="mild", seed=0, name="x.png")
    assert damaged.shape == reference.shape == (768, 512, 3)
    with pytest.raises(GfpupError, match="unknown degradation protocol"):
        synthesise(rgb, protocol="gfp", seed=0, name="x.png")


def test_test_sets_are_counted_before_a_run() -> None:
    assert set(TEST_SETS) == {"celeba-test", "lfw-test", "webphoto-test", "wider-test", "celebchild-test"}
    names = photos(*(f"{i}.png" for i in range(3000)))
    check_test_set("celeba-test", names, names)
    check_test_set("celebchild-test", names[:180])
    check_test_set("webphoto-test", names[:407])
    with pytest.raises(GfpupError, match=r"holds 407 photos and 408 were found: get it from https"):
        check_test_set("webphoto-test", names[:408])
    with pytest.raises(GfpupError, match="no references were given"):
        check_test_set("celeba-test", names)
    with pytest.raises(GfpupError, match="no test set 'ffhq'"):
        check_test_set("ffhq", names)
