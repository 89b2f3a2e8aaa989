"""Votes become strengths, agreement and consistency; bad files are refused by name and line; runs get what people said."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from raters import METHODS, ballots, write_votes
from scipy.stats import kendalltau

from gfpup.analysis.compare import compare
from gfpup.analysis.vote import agreement, collect, ranking, read_trial
from gfpup.analysis.vote.tables import FORMATS
from gfpup.analysis.vote.votes import read_file
from gfpup.core.errors import GfpupError
from gfpup.core.types import Score
from gfpup.records.run_record import RunRecord, read_scored

LIKING = {"sharpestmethod": 2.0, "middlingmethod": 1.0, "blurriestmethod": -1.0}


@pytest.fixture
def files(tmp_path: Path, trial_folder: Path) -> list[Path]:
    trial = read_trial(trial_folder)
    return [write_votes(tmp_path / f"{i}.csv", trial, f"rater {i}", LIKING, noise=1.0, seed=i) for i in range(6)]


def test_raters_preferences_are_found(trial_folder: Path, files: list[Path]) -> None:
    result = collect(files, trial_folder)
    assert [about.question for about in result.questions] == ["better", "same-person"] and not result.scored
    for about in result.questions:
        assert [line.method for line in about.strengths] == list(METHODS)
        assert (about.votes, about.raters, about.photos) == (216, 6, 12)
        assert about.pairs[1].verdict == "preferred" and about.pairs[1].preferred > 60
        assert all(line.interval and line.interval[0] < line.strength < line.interval[1] for line in about.strengths)
    again = collect(files, trial_folder)
    assert again == result
    rows = list(csv.DictReader((trial_folder / "votes.csv").open()))
    assert len(rows) == 480 and {row["choice"] for row in rows} == set(METHODS)
    assert json.loads((trial_folder / "votes.json").read_text())["trial"] == result.trial
    for name, form in FORMATS.items():
        text = form(result)
        assert text.endswith("\n") and "sharpestmethod" in text and "rater 3" in text, name
        assert name in ("csv", "json") or "Davidson" in text


def test_too_few_votes_are_named_with_the_rule(trial_folder: Path, files: list[Path], tmp_path: Path) -> None:
    (alone,) = collect(files[:1], trial_folder).questions[:1]
    assert any("1 rater the intervals say nothing of other people" in note for note in alone.notes)
    assert any("too few for a verdict" in note and ranking.RULE in note for note in alone.notes)
    assert {pair.verdict for pair in alone.pairs} == {"too few votes"}
    lines = files[0].read_text().splitlines()
    (tmp_path / "two.csv").write_text("\n".join(lines[:3]) + "\n")
    result = collect([tmp_path / "two.csv"], trial_folder)
    (about,) = result.questions
    assert any("too few for intervals" in note for note in about.notes) and about.strengths[0].interval is None
    assert any("nobody answered the question 'same-person'" in note for note in result.notes)
    assert "too few votes" in FORMATS["text"](result)


def test_a_file_of_two_raters_and_a_rater_in_two_files_are_named_and_count_once(
    trial_folder: Path, files: list[Path], tmp_path: Path
) -> None:
    one, two = (file.read_text() for file in files[:2])
    both = tmp_path / "both.csv"
    both.write_text(one + two.partition("\n")[2])
    changed = one.replace(",a,left", ",b,left", 1)
    (tmp_path / "changed.csv").write_text(changed)
    result = collect([both, files[0], tmp_path / "changed.csv"], trial_folder)
    assert result.questions[0].votes == 72 and len(result.raters) == 2
    said = " ".join(result.notes)
    assert "both.csv holds the votes of 2 raters: rater 0, rater 1" in said
    assert "0.csv repeats 80 votes of rater 0 that were read before, which count once" in said
    assert "and 1 of them differ; the first answer counts" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("rater,trial", "who,trial", 1), "line 1 of .* expected rater,trial"),
        (lambda text: "\ufeff" + text[:-1], "line 81 of .* is cut short"),
        (lambda text: text[: len(text) // 2].rpartition(",")[0], "line .* has . fields of 7"),
        (lambda text: text.replace(",better,", ",prettier,", 1), "line 2 of .* invalid question 'prettier'"),
        (lambda text: text.replace(",left,", ",above,", 1), "line . of .* invalid side 'above'"),
        (lambda text: text.rstrip("\n").rpartition(",")[0] + ",soon\n", "line 81 of .* invalid seconds 'soon'"),
        (lambda text: "\n".join(["x".join(line.split("rater 0")) for line in text.split("\n")]), None),
        (lambda text: text.replace("rater 0", "", 1), "line 2 of .* invalid rater ''"),
    ],
)
def test_a_damaged_file_is_refused_by_name_and_line(trial_folder: Path, files: list[Path], change: object, said: str) -> None:
    files[0].write_text(change(files[0].read_text()))  # type: ignore[operator]
    if said is None:
        assert read_file(files[0], read_trial(trial_folder))[0].rater == "x"
        return
    with pytest.raises(GfpupError, match=f"(?s){said}") as refusal:
        collect(files, trial_folder)
    assert "0.csv" in str(refusal.value) and "\n" not in str(refusal.value)


def test_votes_of_another_trial_or_of_none_are_refused(trial_folder: Path, files: list[Path], tmp_path: Path) -> None:
    trial = read_trial(trial_folder)
    files[0].write_text(files[0].read_text().replace(trial.id, "abcabcabcabc"))
    with pytest.raises(GfpupError, match=r"line 2 of .*0.csv is of the trial 'abcabcabcabc'"):
        collect(files, trial_folder)
    item = next(iter(trial.items))
    files[1].write_text(files[1].read_text().replace(item, "00000000"))
    with pytest.raises(GfpupError, match=r"line 2 of .*1.csv is damaged: invalid item '00000000'"):
        collect(files[1:], trial_folder)
    for path, said in ((tmp_path / "no.csv", "cannot be read"), (trial_folder / "vote.html", "line 1 of")):
        with pytest.raises(GfpupError, match=said):
            collect([path], trial_folder)
    files[0].write_bytes(b"\xff\xfe\x00")
    with pytest.raises(GfpupError, match="not text in UTF-8"):
        collect(files, trial_folder)
    with pytest.raises(GfpupError, match="give the --output folder of gfpup vote with --trial"):
        collect(files, tmp_path)


def test_a_metric_made_to_agree_is_found_to_agree_and_chance_is_not() -> None:
    truth, seen = np.array([1.0, 0.4, -0.4, -1.0]), {"agrees": 0, "chance": 0, "opposes": 0}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        made = ballots(rng, truth, raters=8, photos=20, votes=40)
        found = ranking.rank(made, rng, resamples=200)
        noise = rng.normal(0, 1, (20, 4))
        values = {"agrees": truth + 0.1 * noise, "opposes": 0.1 * noise - truth, "chance": rng.normal(0, 1, (20, 4))}
        measured = [
            {(name, "photo"): (True, {(f"{p}.png", None): table[p, m] for p in range(20)}) for name, table in values.items()}
            for m in range(4)
        ]
        lines = agreement.metrics(found, [(f"{p}.png", None) for p in made.photos], measured, 0.95)
        for line in lines:
            low, high = line.share_interval or (0, 1)
            seen[line.metric] += (
                low > 0.5 if line.metric == "agrees" else high < 0.5 if line.metric == "opposes" else low < 0.5 < high
            )
            assert line.tau is not None and line.tau_interval is not None
            assert {"agrees": line.tau > 0.6, "opposes": line.tau < -0.6}.get(line.metric, True)
    assert seen["agrees"] == seen["opposes"] == 20 and seen["chance"] >= 18


def test_kendall_and_kappa_are_those_of_others() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.integers(0, 5, (2, 6)).astype(float)
        assert agreement.kendall(a, b) == pytest.approx(kendalltau(a, b).statistic, nan_ok=True)
    # Cohen's own example of two categories: 20, 5, 10 and 15 of 50.
    both = [("left", "left")] * 20 + [("left", "right")] * 5 + [("right", "left")] * 10 + [("right", "right")] * 15
    assert agreement.kappa(both) == pytest.approx(0.4)
    assert agreement.kappa([("left", "left")]) is None and agreement.kappa([]) is None


def test_consistency_is_that_of_the_rater(trial_folder: Path, tmp_path: Path) -> None:
    trial = read_trial(trial_folder)
    sure = write_votes(tmp_path / "sure.csv", trial, "sure", LIKING)
    text = write_votes(tmp_path / "left.csv", trial, "left", LIKING).read_text().splitlines()
    rows = [line.split(",") for line in text]
    lazy = [[*row[:4], "a" if row[5] == "left" else "b", *row[5:]] for row in rows[1:]]
    (tmp_path / "left.csv").write_text("\n".join(map(",".join, [rows[0], *lazy])) + "\n")
    left, certain = collect([sure, tmp_path / "left.csv"], trial_folder).raters
    assert (certain.same, certain.repeated, certain.kappa) == (8, 8, 1.0)
    assert (left.same, left.left) == (0, 1.0) and left.kappa is not None and left.kappa <= 0


def test_runs_show_people_beside_their_metrics(swept: Path) -> None:
    trial = read_trial(swept / "trial")
    files = [
        write_votes(swept / f"{i}.csv", trial, str(i), {"identity": 0.0, "classical": 1.0}, noise=1, seed=i) for i in range(5)
    ]
    result = collect(files, swept / "trial")
    assert sorted(Path(folder).name for folder in result.scored) == ["backend=classical", "backend=identity"]
    found = compare(read_scored([swept / "out"]))
    strengths = {line.method: line.strength for line in result.questions[0].strengths}
    for name, line in found.by_run(("people_better", "photo")).items():
        assert line.mean == pytest.approx(strengths[name]) and line.n == 3
    (metric,) = (line for line in result.questions[0].metrics if (line.metric, line.level) == ("ssim_to_input", "faces"))
    assert metric.tau in (-1.0, 1.0) and metric.share_interval is not None
    assert metric.tau_interval is None, "three photos are too few to resample"
    assert not any(
        line.metric.startswith(("people", "seconds")) for line in collect(files, swept / "trial").questions[0].metrics
    )
    document = json.loads((swept / "out" / "backend=identity" / "manifest.json").read_text())
    document["started"] = "2031-01-01T00:00:00+00:00"
    (swept / "out" / "backend=identity" / "manifest.json").write_text(json.dumps(document))
    later = collect(files, swept / "trial")
    assert any("identity was run again after the trial was made" in note for note in later.notes)
    assert [Path(folder).name for folder in later.scored] == ["backend=classical"]


def test_a_face_has_its_own_value_and_a_photo_the_mean() -> None:
    rows = tuple(Score("sharpness", value, True, photo="a.png", face=face) for face, value in enumerate((1.0, 3.0)))
    values = agreement.values_of(RunRecord(Path(), {}, (*rows, Score("seconds", 1.0, False, photo="a.png"))))
    assert values == {("sharpness", "faces"): (True, {("a", None): 2.0, ("a", 0): 1.0, ("a", 1): 3.0})}


def test_a_run_beside_which_nothing_can_be_written_is_named(swept: Path) -> None:
    trial = read_trial(swept / "trial")
    file = write_votes(swept / "0.csv", trial, "ann", {"identity": 0.0, "classical": 1.0})
    (swept / "out" / "backend=identity" / "people.csv" / "in the way").mkdir(parents=True)
    result = collect([file], swept / "trial")
    assert [Path(folder).name for folder in result.scored] == ["backend=classical"]
    assert any(note.startswith("people's votes are not beside the scores of identity: ") for note in result.notes)
