"""For whom a method is better: paired differences within slices of the photos, and whether these differ among the slices."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from gfpup.analysis.statistics import FEWEST_FOR_INTERVAL, RESAMPLES, Interval, holm, intervals, sign_flip
from gfpup.core.types import Float64

Fact = float | str
Facts = Mapping[str, Mapping[str, Fact]]
"""What is known of photos: by the name of the fact, by what a photo is matched by."""
THIRDS_FROM: Final = 30
"""From so many photos numbers are cut into thirds of the photos; below into halves."""
FEWEST_NUMBERS: Final = 5
"""So many different numbers or fewer are words: grades, or yes and no as 1 and 0."""
MOST_SLICES: Final = 12
"""Of more different words the most frequent are slices, and the others are left out."""
_CHUNK_VALUES: Final = 4_000_000


@dataclass(frozen=True)
class SliceLine:
    """One run by one metric within one slice of the photos: `difference` is to the baseline, paired by photo.

    `p_value` is of no difference within the slice, `interaction_p` of equal differences in all slices of `by`; each is
    corrected for the number of all tests of its kind, and None where there were too few photos. `interval` is at the
    comparison's confidence.
    """

    by: str
    slice: str
    metric: str
    level: str
    run: str
    n: int
    difference: float
    interval: Interval | None = None
    p_value: float | None = None
    interaction_p: float | None = None


def cut(facts: Mapping[str, Fact]) -> dict[str, set[str]]:
    """Photos by the slice that they are in: thirds or halves by a number, groups by a word; in order."""
    values = list(facts.values())
    if not values:
        return {}
    if len(set(values)) <= FEWEST_NUMBERS:
        facts = {photo: f"{value:g}" if isinstance(value, float) else value for photo, value in facts.items()}
        values = list(facts.values())
    if not all(isinstance(value, float) for value in values):
        words = sorted({str(value) for value in values}, key=lambda word: (-sum(str(v) == word for v in values), word))
        return {word: {photo for photo, value in facts.items() if str(value) == word} for word in sorted(words[:MOST_SLICES])}
    shares = (1 / 3, 2 / 3) if len(values) >= THIRDS_FROM else (1 / 2,)
    edges = sorted({float(edge) for edge in np.quantile(np.array(values, np.float64), shares)})
    edges = [edge for edge in edges if edge > min(float(value) for value in values)]  # else the first slice is empty
    names = _ranges(edges)
    places = {photo: int(np.searchsorted(edges, float(value), side="right")) for photo, value in facts.items()}
    return {name: {photo for photo, place in places.items() if place == i} for i, name in enumerate(names)}


def slice_lines(
    key: tuple[str, str],
    photos: Sequence[str],
    differences: Mapping[str, Float64],
    facts: Facts,
    *,
    confidence: float,
    seed: int,
) -> list[SliceLine]:
    """The lines of one metric, uncorrected: `differences` are (photos,) float64 to the baseline, by run."""
    lines = []
    for by, known in facts.items():
        stream = zlib.crc32("/".join((*key, by)).encode()) + (seed << 32)
        groups = {name: np.array([photo in members for photo in photos], bool) for name, members in cut(known).items()}
        groups = {name: inside for name, inside in groups.items() if inside.any()}
        tested = [inside for inside in groups.values() if inside.sum() >= FEWEST_FOR_INTERVAL]
        for run, values in differences.items():
            p = None if len(tested) < 2 else interaction([values[inside] for inside in tested], seed=stream)
            for name, inside in groups.items():
                own = values[inside]
                enough = len(own) >= FEWEST_FOR_INTERVAL
                (bounds,) = intervals(own[:, None], confidence=confidence, seed=stream)
                test = sign_flip(own, seed=stream) if enough else None
                lines.append(SliceLine(by, name, *key, run, len(own), float(own.mean()), bounds, test, p if enough else None))
    return lines


def interaction(groups: Sequence[Float64], *, resamples: int = RESAMPLES, seed: int = 0) -> float:
    """The p-value of equal means in all `groups`, each (n,) float64 with n of 2 or more: how often shuffling does as much.

    The statistic is Welch's, with each group's own variance, so that its level holds, for large groups, also where these
    differ. Source: Welch, "On the comparison of several mean values" (Biometrika 38, 1951); permuted, Chung and Romano, "Exact
    and asymptotically robust permutation tests" (Annals of Statistics 41, 2013).
    """
    values = np.concatenate(groups)
    values = values - values.mean()
    if float(np.abs(values).max()) <= 1e-12 * max(1e-300, max(float(np.abs(group).max()) for group in groups)):
        return 1.0
    sizes = np.array([len(group) for group in groups])
    members = np.repeat(np.eye(len(groups)), sizes, axis=0)
    observed = float(_welch(values[None], members, sizes)[0])
    rng = np.random.default_rng(seed)
    reached, step = 0, max(1, _CHUNK_VALUES // len(values))
    for start in range(0, resamples, step):
        shuffled = rng.permuted(np.broadcast_to(values, (min(step, resamples - start), len(values))), axis=1)
        reached += int(np.sum(_welch(shuffled, members, sizes) >= observed * (1 - 1e-9)))
    return (reached + 1) / (resamples + 1)


def corrected(lines: Iterable[SliceLine]) -> list[SliceLine]:
    """The lines with p-values corrected by Holm: differences within slices, and interactions, each for their own number."""
    found = list(lines)
    tested = [i for i, line in enumerate(found) if line.p_value is not None]
    for i, p in zip(tested, holm([found[i].p_value or 0.0 for i in tested]), strict=True):
        found[i] = replace(found[i], p_value=p)
    tests = {_test(line): line.interaction_p for line in found if line.interaction_p is not None}
    adjusted = dict(zip(tests, holm(list(tests.values())), strict=True))
    return [line if line.interaction_p is None else replace(line, interaction_p=adjusted[_test(line)]) for line in found]


def _test(line: SliceLine) -> tuple[str, str, str, str]:
    return line.by, line.metric, line.level, line.run


def _welch(values: Float64, members: Float64, sizes: npt.NDArray[np.int64]) -> Float64:
    """Welch's statistic of each row of `values` (r, n), whose columns belong to the groups of `members` (n, k), of `sizes`."""
    means = values @ members / sizes
    variances = np.maximum(values**2 @ members / sizes - means**2, 0.0) * sizes / (sizes - 1)
    weights = sizes / np.maximum(variances, 1e-9 * float(np.mean(values[0] ** 2)))
    whole = weights.sum(axis=1, keepdims=True)
    centre = (weights * means).sum(axis=1, keepdims=True) / whole
    k = len(sizes)
    between = (weights * (means - centre) ** 2).sum(axis=1) / (k - 1)
    spread = ((1 - weights / whole) ** 2 / (sizes - 1)).sum(axis=1)
    ratio: Float64 = between / (1 + 2 * (k - 2) / (k**2 - 1) * spread)
    return ratio


def _ranges(edges: Sequence[float]) -> list[str]:
    if not edges:
        return ["all"]
    said = [f"{edge:.4g}" for edge in edges]
    middle = [f"{low} to {high}" for low, high in pairwise(said)]
    return [f"under {said[0]}", *middle, f"from {said[-1]}"]
