"""Degraded photos and their references: matched by name, made by a named protocol, or one of the field's test sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from gfpup.core.errors import GfpupError
from gfpup.core.types import UInt8
from gfpup.ops import degrade
from gfpup.photos.matching import key_of, match
from gfpup.photos.sources import SourcePhoto, some

FACE_PX: Final = 512
"""The size at which the protocols count their pixels."""


@dataclass(frozen=True)
class Pair:
    """A degraded photo and its reference."""

    degraded: SourcePhoto
    reference: SourcePhoto


def match_pairs(degraded: Sequence[SourcePhoto], reference: Sequence[SourcePhoto]) -> list[Pair]:
    """Match the photos of two folders (see `matching`), in the order of `degraded`.

    Raises: GfpupError (a photo of either folder has no partner in the other, or more than one).
    """
    by_name(degraded, what="degraded")
    by_name(reference, what="reference")
    found = match(degraded, reference, what="reference")
    taken = {each.partner for each in found}
    alone = [key_of(each.photo) for each in found if each.partner is None]
    unused = [key_of(photo) for photo in reference if photo not in taken]
    clauses = [f"{len(alone)} degraded photos have no reference ({some(alone)})"] if alone else []
    clauses += [f"{len(unused)} references have no degraded photo ({some(unused)})"] if unused else []
    if clauses:
        raise GfpupError(f"{' and '.join(clauses)}: give two folders whose file names are equal but for their extensions")
    return [Pair(each.photo, each.partner) for each in found if each.partner is not None]


def by_name(photos: Sequence[SourcePhoto], *, what: str) -> dict[str, SourcePhoto]:
    """Photos by the name under which they are matched; `what` names them in the error.

    Raises: GfpupError (two photos have one name).
    """
    found: dict[str, SourcePhoto] = {}
    for photo in photos:
        other = found.setdefault(key_of(photo), photo)
        if other is not photo:
            pair = f"{str(other.relative)!r} and {str(photo.relative)!r}"
            raise GfpupError(f"the {what} photos {pair} have one name but for their extensions: keep one of them")
    return found


def synthesise(reference: UInt8, *, protocol: str, seed: int, name: str) -> tuple[UInt8, UInt8, dict[str, Any]]:
    """Damage a reference, (h, w, 3) uint8, by a named protocol; the same name and seed give the same damage everywhere.

    Returns the degraded picture, its reference, both uint8 with a short side of 512, where the protocols count their pixels (a
    reference of another size is resized first, by area or Lanczos), and the record of the damage, ready for JSON. `name` is the
    photo's path or file name; its folder does not count.

    Raises: GfpupError (unknown protocol).
    """
    height, width = reference.shape[:2]
    factor = FACE_PX / min(height, width)
    if factor != 1:
        size_wh = (max(FACE_PX, round(width * factor)), max(FACE_PX, round(height * factor)))
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LANCZOS4
        reference = np.asarray(cv2.resize(reference, size_wh, interpolation=how), np.uint8)
    damage = degrade.draw(protocol, seed=seed, name=Path(name).name)
    record = {"name": Path(name).name, "protocol": protocol, "seed": seed, **asdict(damage)}
    return degrade.apply(reference, damage), reference, record


@dataclass(frozen=True)
class TestSet:
    """A test set of the field: how many photos it holds, and whether references exist."""

    name: str
    photos: int
    paired: bool
    source: str


_GFPGAN: Final = "https://xinntao.github.io/projects/gfpgan"
# Source of counts: the papers of GFPGAN (2021), CodeFormer (2022) and VQFR (2022), and the repositories named. CelebA-Test is
# damaged by GFPGAN's protocol; other papers damage the same faces otherwise.
TEST_SETS: Final[Mapping[str, TestSet]] = {
    test.name: test
    for test in (
        TestSet("celeba-test", 3000, True, "https://github.com/wzhouxiff/RestoreFormerPlusPlus (README, test data)"),
        TestSet("lfw-test", 1711, False, _GFPGAN),
        TestSet("webphoto-test", 407, False, _GFPGAN),
        TestSet("wider-test", 970, False, "https://github.com/sczhou/CodeFormer (README, test data)"),
        TestSet("celebchild-test", 180, False, _GFPGAN),
    )
}


def check_test_set(name: str, degraded: Sequence[SourcePhoto], reference: Sequence[SourcePhoto] | None = None) -> None:
    """Check that folders hold the test set `name` before a run begins.

    Raises: GfpupError (unknown set, another number of photos than it holds, or references missing or left over).
    """
    test = TEST_SETS.get(name)
    if test is None:
        raise GfpupError(f"there is no test set {name!r}: choose one of {', '.join(TEST_SETS)}")
    if len(degraded) != test.photos:
        raise GfpupError(f"{name} holds {test.photos} photos and {len(degraded)} were found: get it from {test.source}")
    if test.paired:
        if not reference:
            raise GfpupError(f"{name} is paired and no references were given: get them from {test.source}")
        match_pairs(degraded, reference)
