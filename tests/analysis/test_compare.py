"""Runs are compared on what they share, by photo, and what may be said of them is said."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gfpup.analysis import render
from gfpup.analysis.compare import compare, verdict
from gfpup.core.errors import GfpupError
from gfpup.core.types import Score
from gfpup.records.run_record import RunRecord, read_scored
from gfpup.records.scores import write


def run_of(name: str, scores: tuple[Score, ...]) -> RunRecord:
    return RunRecord(Path(name), {}, scores, name)


def run(
    name: str, values: dict[str, float], *, metric: str = "ssim", better: bool = True, seconds: float | None = None
) -> RunRecord:
    rows = [Score(metric, value, better, photo=photo) for photo, value in values.items()]
    if seconds is not None:
        rows += [Score("seconds", seconds, False, photo=photo) for photo in values]
    return run_of(name, tuple(rows))


def noisy(mean: float, n: int, seed: int) -> dict[str, float]:
    values = np.random.default_rng(seed).normal(mean, 0.02, n)
    return {f"{i}.png": float(value) for i, value in enumerate(values)}


def line_of(comparison, name: str, metric: str = "ssim", level: str = "photo"):
    return next(line for line in comparison.of(metric, level) if line.run == name)


def test_means_differences_and_verdicts() -> None:
    base = noisy(0.7, 30, 1)
    better = {photo: value + 0.05 + 0.01 * np.sin(i) for i, (photo, value) in enumerate(base.items())}
    same = noisy(0.7, 30, 2)
    comparison = compare([run("old", base), run("new", better), run("other", same)])
    assert comparison.baseline == "old" and comparison.photos == 30 and comparison.tests == 2
    new, other = line_of(comparison, "new"), line_of(comparison, "other")
    assert new.mean == pytest.approx(np.mean(list(better.values()))) and new.rank == 1 and new.win_rate == 1.0
    assert new.difference == pytest.approx(np.mean([better[p] - base[p] for p in base]))
    assert new.difference_interval is not None and 0.04 < new.difference_interval[0] < 0.05 < new.difference_interval[1] < 0.06
    # Photos differ far more than the paired difference does: the pairing is what makes the interval narrow.
    assert new.interval is not None
    assert np.ptp(new.difference_interval) < np.ptp(new.interval)
    assert new.p_value == pytest.approx(2 / 10_001) and verdict(new) == "better"
    assert verdict(other) == "no difference shown" and verdict(line_of(comparison, "old")) == "baseline"


def test_lower_is_better_turns_rank_win_rate_and_verdict() -> None:
    base = noisy(0.3, 20, 3)
    comparison = compare(
        [
            run("a", base, metric="lpips", better=False),
            run("b", {p: v + 0.1 for p, v in base.items()}, metric="lpips", better=False),
        ]
    )
    b = line_of(comparison, "b", "lpips")
    assert b.rank == 2 and b.win_rate == 0.0 and verdict(b) == "worse"


def test_only_shared_photos_count_and_it_is_said() -> None:
    a, b = noisy(0.5, 14, 4), noisy(0.5, 12, 5)
    b["stranger.png"] = 0.9
    comparison = compare([run("a", a), run("b", b)])
    assert comparison.photos == 12 and comparison.left_out == {"a": 2, "b": 1}
    assert line_of(comparison, "b").mean == pytest.approx(np.mean([b[p] for p in a if p in b]))
    assert any("a has 2 photos" in note for note in comparison.notes)
    assert "12 photos they share" in render.as_text(comparison)


def test_a_photo_is_known_by_its_name_whatever_format_it_was_written_in() -> None:
    other = run("b", {"x.jpg": 1.0, "y.jpg": 3.0})
    written = replace(other, scores=tuple(replace(score, taken_from="JPEG 95") for score in other.scores))
    comparison = compare([run("a", {"x.png": 1.0, "y.png": 2.0}), written])
    assert comparison.photos == 2 and line_of(comparison, "b").difference == pytest.approx(0.5)


def test_numbers_from_memory_and_from_lossy_files_are_never_in_one_table() -> None:
    memory, files = ({f"{i}.jpg": float(i) for i in range(12)} for _ in range(2))
    written = run("files", files)
    written = replace(written, scores=tuple(replace(score, taken_from="JPEG 95") for score in written.scores))
    with pytest.raises(GfpupError, match="gfpup score measures the files of both"):
        compare([run("memory", memory), written])
    assert compare([written, replace(written, name="again")]).tests == 1


def test_cost_is_not_among_the_tests_and_other_tools_results_have_no_time() -> None:
    runs = [
        run(name, {f"{i}.png": i + gain for i in range(12)}, seconds=took)
        for name, gain, took in (("a", 0.0, 1.0), ("b", 0.1, 2.0), ("theirs", 0.2, 0.001))
    ]
    runs[2] = replace(runs[2], document={"plan": {"pixels": {"backend": "precomputed"}}})
    comparison = compare(runs)
    assert comparison.tests == 2 and {line.run for line in comparison.of("seconds", "photo")} == {"a", "b"}
    assert line_of(comparison, "theirs").on_front is None and line_of(comparison, "a").on_front
    assert any("theirs has no time of its own" in note for note in comparison.notes)
    both = compare([*runs, replace(runs[2], name="others")])
    assert "theirs, others have no time of their own, so they are not on a Pareto front" in both.notes


def test_an_interval_stays_inside_the_bounds_of_its_metric() -> None:
    values = {f"{i}.png": 1.0 if i % 4 else 0.9 for i in range(12)}
    line = line_of(compare([run("a", values), run("b", dict.fromkeys(values, 0.5))]), "a")
    assert line.interval is not None and line.interval[1] <= 1.0


def test_faces_of_a_photo_are_averaged_first() -> None:
    def faces(name: str, shift: float) -> RunRecord:
        rows = [Score("identity", 0.1 + shift, True, photo="crowd.png", face=face) for face in range(50)]
        rows += [Score("identity", 0.9 + shift, True, photo="single.png", face=0)]
        return run_of(name, tuple(rows))

    line = line_of(compare([faces("a", 0.0), faces("b", 0.0)]), "a", "identity", "faces")
    assert line.n == 2 and line.mean == pytest.approx(0.5)


def test_a_missing_value_takes_its_photo_out_of_that_metric_only() -> None:
    a = run("a", noisy(0.5, 12, 6))
    b = run("b", noisy(0.5, 12, 7))
    rows = tuple(Score(r.metric, None, True, "no", photo=r.photo) if r.photo == "3.png" else r for r in b.scores)
    comparison = compare([a, run_of("b", rows)])
    assert line_of(comparison, "a").n == 11 and comparison.photos == 12
    assert any("compared on 11 photos" in note for note in comparison.notes)
    assert not any("too few" in note for note in comparison.notes), "eleven are enough"


def test_few_photos_are_an_illustration() -> None:
    comparison = compare([run("a", noisy(0.5, 4, 8)), run("b", noisy(0.9, 4, 9))])
    line = line_of(comparison, "b")
    assert line.interval is None and verdict(line) == "too few"
    assert any("too few for a claim" in note and "illustration" in note for note in comparison.notes)
    assert "too few" in render.as_text(comparison)


def test_a_metric_that_few_photos_have_is_an_illustration_among_many_photos() -> None:
    def partly(name: str, seed: int) -> RunRecord:
        rows = run(name, noisy(0.5, 12, seed), seconds=1.0).scores
        return run_of(
            name,
            tuple(
                replace(r, value=None, missing_reason="no") if r.metric == "ssim" and int(r.photo[:-4]) >= 4 else r
                for r in rows
            ),
        )

    comparison = compare([partly("a", 6), partly("b", 7)])
    assert comparison.photos == 12 and line_of(comparison, "b").n == 4
    (note,) = (note for note in comparison.notes if "too few" in note)
    assert note.startswith("the 4 photos that have ssim are too few for a claim") and "below 0.12 is possible" in note


def test_the_correction_counts_every_test() -> None:
    base, other = noisy(0.5, 11, 10), noisy(0.515, 11, 11)
    alone = line_of(compare([run("a", base), run("b", other)]), "b")
    among = line_of(compare([run("a", base), run("b", other), *(run(f"c{i}", base) for i in range(4))]), "b")
    assert alone.p_value is not None and among.p_value is not None
    assert among.p_value == pytest.approx(min(1.0, 5 * alone.p_value))
    assert among.interval == alone.interval  # another run changes no interval


def test_ranking_and_front() -> None:
    runs = [
        run("slow-good", noisy(0.9, 12, 1), seconds=9.0),
        run("fast-fair", noisy(0.7, 12, 1), seconds=1.0),
        run("slow-bad", noisy(0.5, 12, 1), seconds=8.0),
    ]
    comparison = compare(runs)
    assert [line.run for line in comparison.of("ssim", "photo")] == ["slow-good", "fast-fair", "slow-bad"]
    assert {line.run for line in comparison.of("ssim", "photo") if line.on_front} == {"slow-good", "fast-fair"}
    assert all(line.on_front is None for line in comparison.of("seconds", "photo"))
    assert all(line.on_front is None for line in compare([run("a", noisy(1, 5, 1)), run("b", noisy(1, 5, 2))]).lines)


def test_infinite_values_are_left_out_and_it_is_said() -> None:
    a = run("a", {**noisy(30, 10, 1), "same.png": float("inf")}, metric="psnr")
    comparison = compare([a, run("b", {**noisy(30, 10, 2), "same.png": 40.0}, metric="psnr")])
    assert line_of(comparison, "b", "psnr").n == 10 and any("psnr is infinite" in note for note in comparison.notes)


@pytest.mark.parametrize(
    ("runs", "baseline", "said"),
    [
        ([run("a", {"x.png": 1.0})], None, "two runs"),
        ([run("a", {"x.png": 1.0}), run("b", {"x.png": 1.0})], "c", "unknown baseline 'c'"),
        ([run("a", {"x.png": 1.0}), run("b", {"y.png": 1.0})], None, "share no photo"),
        ([run("a", {"x.png": 1.0}), run("b", {"x.png": 1.0}, metric="psnr")], None, "share no metric"),
    ],
)
def test_what_cannot_be_compared_is_refused(runs: list[RunRecord], baseline: str | None, said: str) -> None:
    with pytest.raises(GfpupError, match=said):
        compare(runs, baseline=baseline)


def test_runs_are_read_and_named(tmp_path: Path) -> None:
    for folder in ("one/out", "two/out", "three/other"):
        (tmp_path / folder).mkdir(parents=True)
        write(tmp_path / folder, [Score("ssim", 0.5, True, photo="x.png")])
    assert [r.name for r in read_scored([tmp_path / "one/out", tmp_path / "three/other"])] == ["out", "other"]
    assert [r.name for r in read_scored([tmp_path / "one/out", tmp_path / "two/out/scores.csv"])] == ["one/out", "two/out"]
    with pytest.raises(GfpupError, match="given twice"):
        read_scored([tmp_path / "one/out", tmp_path / "one/out"])
    (tmp_path / "nowhere").mkdir()
    with pytest.raises(GfpupError, match="gfpup score"):
        read_scored([tmp_path / "one/out", tmp_path / "nowhere"])


def test_every_form_holds_the_same_numbers() -> None:
    comparison = compare(
        [run("a_1", noisy(0.7, 12, 1), seconds=1.0), run("b & co", noisy(0.8, 12, 2), seconds=2.0)], confidence=0.9, seed=3
    )
    document = json.loads(render.as_json(comparison))
    lines = list(csv.DictReader(io.StringIO(render.as_csv(comparison))))
    assert document["photos"] == 12 and document["confidence"] == 0.9 and document["ranking"]["ssim/photo"] == ["b & co", "a_1"]
    assert len(lines) == len(document["lines"]) == 4
    for row, flat in zip(lines, document["lines"], strict=True):
        assert row["run"] == flat["run"] and float(row["mean"]) == flat["mean"] and row["verdict"] == flat["verdict"]
        assert (row["low"] == "") == (flat["low"] is None) and (row["low"] == "" or float(row["low"]) == flat["low"])
    best = f"{line_of(comparison, 'b & co').mean:.4g}"
    for text in (render.as_text(comparison), render.as_markdown(comparison), render.as_latex(comparison)):
        assert best in text and text.endswith("\n")
    latex = render.as_latex(comparison)
    assert r"a\_1" in latex and r"b \& co" in latex and rf"\mathbf{{{best}}}" in latex
    assert latex.count(r" \\") == 3 and r"\begin{tabular}{lrr}" in latex
    table = [row for row in render.as_markdown(comparison).splitlines() if row.startswith("|")]
    assert len(table) == 8 and len({row.count("|") for row in table}) == 1
    assert set(render.FORMATS) == {"text", "json", "csv", "markdown", "latex"}


def test_published_numbers_stand_beside_their_own_protocol_only() -> None:
    comparison = compare([run("a", noisy(0.7, 12, 1)), run("b", noisy(0.7, 12, 2))])
    assert "published" not in render.as_text(comparison)
    assert json.loads(render.as_json(comparison))["published"] == []
    beside = render.as_text(comparison, protocol="pmrf-celeba-test")
    assert "RestoreFormer++ 0.6703 (PMRF" in beside
    assert len(json.loads(render.as_json(comparison, protocol="pmrf-celeba-test"))["published"]) == 5


def test_aligned_photos_are_not_tested_twice_as_faces() -> None:
    def both(name: str, seed: int) -> RunRecord:
        whole = run(name, noisy(0.5, 12, seed))
        return run_of(name, whole.scores + tuple(Score(r.metric, r.value, True, photo=r.photo, face=0) for r in whole.scores))

    comparison = compare([both("a", 1), both("b", 2)])
    assert comparison.metrics == [("ssim", "photo")] and comparison.tests == 1
    assert any("its own face" in note for note in comparison.notes)
    other = run_of(
        "b", tuple(Score(r.metric, 0.1, True, photo=r.photo, face=0) if r.face == 0 else r for r in both("b", 2).scores)
    )
    assert compare([both("a", 1), other]).tests == 2


def test_scores_against_the_input_are_not_called_better() -> None:
    runs = [run(name, noisy(0.5, 12, seed), metric="ssim_to_input") for seed, name in enumerate("ab")]
    text = render.as_text(compare(runs))
    assert "ssim_to_input, higher means less was changed, not better\n" in text and "  12  baseline\n" in text
    base = noisy(0.5, 12, 1)
    near = run("b", {photo: value + 0.2 for photo, value in base.items()}, metric="ssim_to_input")
    comparison = compare([run("a", base, metric="ssim_to_input"), near])
    assert verdict(line_of(comparison, "b", "ssim_to_input")) == "nearer the input"


def test_what_is_missing_from_some_runs_is_named_once_for_all_its_metrics() -> None:
    def more(name: str, *metrics: str) -> RunRecord:
        return run_of(name, tuple(s for m in ("ssim", *metrics) for s in run(name, noisy(0.5, 12, 1), metric=m).scores))

    notes = compare([more("a", "psnr", "lpips"), more("b"), more("c", "niqe")]).notes
    assert "psnr, lpips are not compared: missing from b, c" in notes
    assert "niqe is not compared: missing from a, b" in notes
    assert not any("infinite" in note or "formats" in note or "Pareto" in note for note in notes)


def test_results_of_several_formats_are_compared_with_a_word_of_warning() -> None:
    def written(name: str, kind: str) -> RunRecord:
        made = run(name, {f"{i}.jpg": float(i) for i in range(12)})
        return replace(made, scores=tuple(replace(score, taken_from=kind) for score in made.scores))

    (note,) = compare([written("a", "JPEG 95"), written("b", "JPEG 80")]).notes
    assert note.endswith("(a: JPEG 95; b: JPEG 80)") and "different formats" in note
    assert compare([written("a", "JPEG 95"), written("b", "JPEG 95")]).notes == ()


def test_seconds_are_means_of_the_photos_that_all_timed_runs_share() -> None:
    a = run("a", noisy(0.5, 12, 1), seconds=2.0)
    b = run("b", noisy(0.6, 12, 2))
    b = run_of("b", (*b.scores, *(Score("seconds", 1.0 if i else 99.0, False, photo=f"{i}.png") for i in range(12))))
    a = run_of("a", tuple(score for score in a.scores if (score.metric, score.photo) != ("seconds", "0.png")))
    comparison = compare([a, b])
    assert line_of(comparison, "b", "seconds").mean == 1.0 and line_of(comparison, "a", "seconds").n == 11
    assert line_of(comparison, "b").on_front and not line_of(comparison, "a").on_front


def test_costs_are_corrected_among_themselves() -> None:
    values = [noisy(0.5, 12, seed) for seed in range(3)]
    times = [{photo: 1.0 + 0.1 * seed + 0.05 * value for photo, value in noisy(0.0, 12, 9 + seed).items()} for seed in range(3)]
    runs = [
        run_of(name, run(name, v).scores + run(name, t, metric="seconds", better=False).scores)
        for name, v, t in zip("abc", values, times, strict=True)
    ]
    every = compare(runs)
    alone = compare([run_of(r.name, tuple(s for s in r.scores if s.metric == "ssim")) for r in runs])
    for name in "bc":
        assert line_of(every, name).p_value == line_of(alone, name).p_value
    lines = [line_of(every, name, "seconds") for name in "bc"]
    assert all(line.p_value is not None and line.p_value >= 2 * 2 / 2**12 for line in lines)
