"""Which pairs a trial asks for: few votes that say much."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

import numpy as np

from gfpup.core.errors import GfpupError

Pair = tuple[int, int]


def choose(
    available: Sequence[tuple[str, Sequence[int]]],
    methods: int,
    wanted: int,
    rng: np.random.Generator,
    *,
    accept: Callable[[int, int, int], bool] = lambda unit, i, j: True,
) -> list[tuple[int, int, int]]:
    """Choose at most `wanted` comparisons (unit, method, method) from the units `available`: photo, and methods that have it.

    The design is a balanced incomplete one, found greedily: in each round every pair of methods comes once, in the order of its
    distance on a circle of the methods, shuffled anew, so that after any number of comparisons all pairs of methods, and all
    methods, were shown about equally often and the methods are connected from methods - 1 comparisons on. A pair is shown on
    the photo that was shown least. `accept` may refuse a comparison (two equal pictures), and is asked once about each.

    Raises: GfpupError: `wanted` comparisons cannot connect the methods, or those that are there do not.
    """
    if wanted < methods - 1:
        raise GfpupError(f"{wanted} pairs cannot compare {methods} methods: --pairs must be at least {methods - 1}")
    todo: dict[Pair, set[int]] = {pair: set() for pair in combinations(range(methods), 2)}
    for unit, (_, having) in enumerate(available):
        for pair in combinations(sorted(having), 2):
            todo[pair].add(unit)
    shown: Counter[str] = Counter()
    used: Counter[int] = Counter()
    found: list[tuple[int, int, int]] = []
    luck = rng.random(len(available))
    while any(todo.values()):
        for pair in _round(methods, rng):
            for unit in sorted(todo[pair], key=lambda unit: (shown[available[unit][0]], used[unit], luck[unit])):
                todo[pair].discard(unit)
                if accept(unit, *pair):
                    found.append((unit, *pair))
                    shown[available[unit][0]] += 1
                    used[unit] += 1
                    break
            if len(found) == wanted:
                return _connected(found, methods)
    return _connected(found, methods)


def _round(methods: int, rng: np.random.Generator) -> Iterator[Pair]:
    """Every pair of methods once: neighbours on a shuffled circle first, then those two apart, and so on."""
    circle = rng.permutation(methods).tolist()
    for distance in range(1, methods // 2 + 1):
        ends = methods if 2 * distance != methods else distance
        for at in range(ends):
            i, j = circle[at], circle[(at + distance) % methods]
            yield min(i, j), max(i, j)


def _connected(found: list[tuple[int, int, int]], methods: int) -> list[tuple[int, int, int]]:
    if connected([(i, j) for _, i, j in found], methods):
        return found
    raise GfpupError(
        "the methods cannot all be compared, directly or through others: some share no photo on which their pictures differ"
    )


def connected(pairs: Sequence[Pair], methods: int) -> bool:
    """Whether every method can be reached from every other through `pairs`."""
    group = list(range(methods))
    for i, j in pairs:
        old, new = group[i], group[j]
        group = [new if each == old else each for each in group]
    return len(set(group)) <= 1
