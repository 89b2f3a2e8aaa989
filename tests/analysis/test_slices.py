"""Slices hold what they should, and the test of whether they differ keeps its level and finds what is there."""

from __future__ import annotations

import numpy as np
import pytest

from gfpup.analysis import render
from gfpup.analysis.compare import compare
from gfpup.analysis.slices import SliceLine, corrected, cut, interaction
from gfpup.core.types import Score
from gfpup.records.run_record import RunRecord


def rejected(sizes: tuple[int, ...], spreads: tuple[float, ...], *, trials: int, resamples: int, gap: float = 0.0) -> float:
    rng = np.random.default_rng(3)
    p_values = []
    for trial in range(trials):
        groups = [rng.normal(5 + gap * i, spread, size) for i, (size, spread) in enumerate(zip(sizes, spreads, strict=True))]
        p_values.append(interaction(groups, resamples=resamples, seed=trial))
    return float(np.mean(np.array(p_values) <= 0.05))


EVEN, UNEVEN = ((12, 12, 12), (1.0, 1.0, 1.0)), ((30, 15), (1.0, 3.0))


@pytest.mark.parametrize(("sizes", "spreads"), [EVEN, UNEVEN])
def test_equal_slices_are_called_different_at_the_stated_rate(sizes: tuple[int, ...], spreads: tuple[float, ...]) -> None:
    # Three standard errors of 300 trials; the smaller slice spreads more, where one pooled variance would reject too often.
    assert 0.01 <= rejected(sizes, spreads, trials=300, resamples=199) <= 0.095


@pytest.mark.slow
@pytest.mark.parametrize(("sizes", "spreads"), [EVEN, UNEVEN, ((60, 20, 10), (1.0, 2.0, 4.0))])
def test_the_rate_is_exact_to_two_percent(sizes: tuple[int, ...], spreads: tuple[float, ...]) -> None:
    assert rejected(sizes, spreads, trials=3000, resamples=499) == pytest.approx(0.05, abs=0.02)


def test_different_slices_are_found() -> None:
    assert rejected((15, 15), (1.0, 1.0), trials=60, resamples=199, gap=1.5) > 0.9


def test_it_agrees_with_welchs_test_and_constants_differ_or_do_not() -> None:
    from scipy import stats

    rng = np.random.default_rng(5)
    a, b = rng.normal(0, 1, 40), rng.normal(0.6, 2, 50)
    expected = stats.ttest_ind(a, b, equal_var=False).pvalue
    assert interaction([a, b], seed=1) == pytest.approx(expected, abs=0.015)
    assert interaction([a, b], seed=1) == interaction([a + 9, b + 9], seed=1)
    assert interaction([np.full(8, 0.2), np.full(8, 0.2)]) == 1.0
    assert interaction([np.full(8, 0.2), np.full(8, 0.7)]) < 0.01


def test_numbers_are_cut_into_thirds_or_halves_and_words_and_grades_into_groups() -> None:
    sizes = {str(i): float(i) for i in range(30)}
    thirds = cut(sizes)
    assert [len(members) for members in thirds.values()] == [10, 10, 10]
    assert list(thirds) == ["under 9.667", "9.667 to 19.33", "from 19.33"] and "0" in thirds["under 9.667"]
    assert [len(members) for members in cut({str(i): float(i) for i in range(12)}).values()] == [6, 6]
    assert cut({"a": "old", "b": "new", "c": "old"}) == {"new": {"b"}, "old": {"a", "c"}}
    assert cut({"a": 1.0, "b": 0.0, "c": 0.0}) == {"0": {"b", "c"}, "1": {"a"}}
    assert cut({}) == {}
    everyone = cut({str(i): float(max(i, 20)) for i in range(30)})
    assert sum(len(members) for members in everyone.values()) == 30 and all(everyone.values())


def test_each_kind_of_p_is_corrected_for_its_own_number() -> None:
    def line(by: str, part: str, p: float, equal: float) -> SliceLine:
        return SliceLine(by, part, "ssim", "photo", "b", 9, 0.1, None, p, equal)

    found = corrected([line("x", "1", 0.01, 0.02), line("x", "2", 0.5, 0.02), line("y", "1", 0.03, 0.04)])
    assert [each.p_value for each in found] == pytest.approx([0.03, 0.5, 0.06])
    assert [each.interaction_p for each in found] == pytest.approx([0.04, 0.04, 0.04])


def two_runs(n: int) -> list[RunRecord]:
    """Run b is better by 0.1 on the photos of odd number, and on no others."""
    rng = np.random.default_rng(8)
    base = rng.normal(0.6, 0.05, n)
    other = base + 0.1 * (np.arange(n) % 2) + rng.normal(0, 0.01, n)
    scores = {"a": base, "b": other}
    return [
        RunRecord(name, {}, tuple(Score("ssim", float(v), True, photo=f"{i}.png") for i, v in enumerate(of)), name)  # type: ignore[arg-type]
        for name, of in scores.items()
    ]


def test_a_comparison_says_for_whom_a_method_is_better() -> None:
    facts = {"parity": {str(i): ("odd" if i % 2 else "even") for i in range(40)}, "rare": {"0": "x", "1": "y"}}
    found = compare(two_runs(40), by=facts)
    even, odd = (line for line in found.slices if line.by == "parity")
    assert (even.slice, even.n, odd.slice) == ("even", 20, "odd")
    assert even.difference == pytest.approx(0, abs=0.01) and even.p_value is not None and even.p_value > 0.05
    assert odd.difference == pytest.approx(0.1, abs=0.01) and odd.interval is not None and odd.interval[0] > 0.09
    assert odd.p_value is not None and odd.p_value < 0.001
    assert odd.interaction_p == even.interaction_p and odd.interaction_p is not None and odd.interaction_p < 0.001
    x, y = (line for line in found.slices if line.by == "rare")
    assert (x.n, x.interval, x.p_value, x.interaction_p) == (1, None, None, None) and y.n == 1
    assert compare(two_runs(40)).lines == found.lines and found == compare(two_runs(40), by=facts)

    for form, words in (("text", "by parity"), ("markdown", "by parity"), ("latex", r"\caption{Differences to a by parity")):
        assert words in render.FORMATS[form](found), form
    assert ",parity,odd," in render.as_csv(found) and '"slice": "odd"' in render.as_json(found)


def test_few_different_numbers_are_grades_and_many_are_cut_where_thirty_photos_are_enough_for_thirds() -> None:
    def grades(different: int, photos: int) -> list[str]:
        return list(cut({str(i): float(i % different) for i in range(photos)}))

    assert grades(5, 40) == ["0", "1", "2", "3", "4"] and len(grades(6, 40)) == 3
    assert len(grades(29, 29)) == 2 and len(grades(30, 30)) == 3


def test_of_many_words_the_twelve_most_frequent_are_slices() -> None:
    words = {f"{word}{i}": word for word, count in zip("abcdefghijklmn", range(14, 0, -1), strict=True) for i in range(count)}
    assert list(cut(words)) == list("abcdefghijkl")
    equal = {word: word for word in "nmlkjihgfedcba"}
    assert list(cut(equal)) == list("abcdefghijkl"), "among equally frequent ones the alphabet decides"


def test_a_value_on_the_edge_belongs_to_the_slice_that_begins_there() -> None:
    halves = cut({**{f"low{i}": float(i) for i in range(4)}, **{f"edge{i}": 4.0 for i in range(2)}, "high": 9.0, "top": 10.0})
    assert {name: len(members) for name, members in halves.items()} == {"under 3.5": 4, "from 3.5": 4}
    many = cut({**{f"low{i}": float(i) for i in range(3)}, **{f"edge{i}": 4.0 for i in range(5)}, "a": 5.0, "b": 6.0})
    assert {name: len(members) for name, members in many.items()} == {"under 4": 3, "from 4": 7}


def test_slices_of_five_photos_are_tested_and_smaller_ones_are_not() -> None:
    def slices(*sizes: int) -> list[SliceLine]:
        names = [str(i) for i, size in enumerate(sizes) for _ in range(size)]
        facts = {"group": {str(photo): name for photo, name in enumerate(names)}}
        return list(compare(two_runs(len(names)), by=facts).slices)

    five, four = slices(5, 4)
    assert five.p_value is not None and five.interval is not None and (four.p_value, four.interval) == (None, None)
    assert (five.interaction_p, four.interaction_p) == (None, None), "one slice alone does not differ from itself"
    one, two, small = slices(5, 6, 4)
    assert one.interaction_p == two.interaction_p is not None and small.interaction_p is None
