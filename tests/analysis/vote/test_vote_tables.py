"""The result of a vote in words and numbers: signs, intervals, shares and what does not apply."""

from __future__ import annotations

import csv
import io
import json

import pytest

from gfpup.analysis.vote.result import MetricLine, PairLine, QuestionResult, RaterLine, Result, Strength
from gfpup.analysis.vote.tables import FORMATS, tables

PAIR = PairLine("a", "b", 20, 3, 7, 1.25, (0.5, 2.0), 0.0004, "preferred")


@pytest.fixture
def result() -> Result:
    question = QuestionResult(
        question="better",
        votes=30,
        raters=1,
        photos=12,
        tie_share=0.25,
        strengths=(Strength("a", 0.625, (0.1, 1.15), 1, 30), Strength("b", -0.625, None, 2, 30)),
        pairs=(PAIR,),
        metrics=(
            MetricLine("lpips", "photo", 27, 0.75, (0.5, 0.875), None, None),
            MetricLine("identity", "faces", 20, 0.6, None, -1.0, (-1.0, 0.5)),
        ),
        notes=("only photos vary",),
    )
    raters = (RaterLine("ann", 34, 4, 3, 0.5, 0.55, 2.25), RaterLine("bob", 30, 0, 0, None, None, 10.0))
    return Result("t1", 0.9, (question,), raters, ("from two files",))


def test_tables_hold_strengths_pairs_metrics_and_raters(result: Result) -> None:
    strengths, pairs, metrics, raters = tables(result)
    assert strengths[0] == "better: 30 votes of 1 rater on 12 photos; equally strong methods tie in 25%"
    assert strengths[1] == ["rank", "method", "strength", "90% CI", "votes"]
    assert strengths[2] == [["1", "a", "+0.62", "[+0.10, +1.15]", "30"], ["2", "b", "-0.62", "none", "30"]]
    assert pairs[2] == [["a", "b", "20", "3", "7", "+1.25", "[+0.50, +2.00]", "<0.001", "preferred"]]
    assert metrics[2] == [
        ["lpips", "75%", "[50%, 88%]", "27", "none", "none"],
        ["identity of faces", "60%", "none", "20", "-1.00", "[-1.00, +0.50]"],
    ]
    assert raters[2] == [["ann", "34", "3 of 4", "+0.50", "55%", "2.2"], ["bob", "30", "0 of 0", "none", "none", "10.0"]]


@pytest.mark.parametrize(
    ("p_value", "shown"), [(None, "none"), (0.000999, "<0.001"), (0.001, "0.001"), (0.0456, "0.046"), (1.0, "1.000")]
)
def test_small_p_values_are_bounded_and_others_have_three_places(p_value: float | None, shown: str, result: Result) -> None:
    about = result.questions[0]
    pair = PairLine("a", "b", 1, 0, 1, 0.0, None, p_value, "too few votes")
    changed = QuestionResult(**{**vars(about), "pairs": (pair,), "metrics": (), "raters": 2})
    found = tables(Result("t1", 0.9, (changed,), result.raters, ()))
    assert len(found) == 3, "without metrics there is no table of them"
    assert found[1][2][0][6:8] == ["none", shown] and " of 2 raters on " in found[0][0]


def test_rows_for_a_machine_have_the_bounds_of_each_interval_and_nothing_where_none_is(result: Result) -> None:
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"](result))))
    assert [row["table"] for row in rows] == ["strength", "strength", "pair", "metric", "metric", "rater", "rater"]
    assert [row["question"] for row in rows] == 5 * ["better"] + 2 * [""]
    assert (rows[0]["low"], rows[0]["high"], rows[1]["low"]) == ("0.1", "1.15", "")
    assert (rows[3]["share_low"], rows[3]["share_high"], rows[3]["tau_low"]) == ("0.5", "0.875", "")
    assert (rows[4]["share_low"], rows[4]["tau_low"], rows[4]["tau_high"]) == ("", "-1.0", "0.5")
    document = json.loads(FORMATS["json"](result))
    assert document["notes"][1:] == ["from two files", "better: only photos vary"] and document["confidence"] == 0.9
    assert document["questions"][0]["pairs"][0]["interval"] == [0.5, 2.0]


def test_every_form_names_what_has_to_be_known(result: Result) -> None:
    for form, note in (
        ("text", "note: better: only photos vary."),
        ("markdown", "- better: only photos vary."),
        ("latex", "% better: only photos vary."),
    ):
        assert note in FORMATS[form](result)
    text = FORMATS["text"](result).splitlines()
    at = text.index("Consistency of raters, kappa beyond chance")
    assert text[at + 1].startswith("  rater  votes  repeated alike") and text[at + 2].startswith("  ann    34     3 of 4")
    assert r"\begin{tabular}{lrrrr}" in FORMATS["latex"](result) and r"90\% CI" in FORMATS["latex"](result)
