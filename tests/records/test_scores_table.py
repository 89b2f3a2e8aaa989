"""Scores on disk: every digit comes back, a killed run keeps what it had, a photo done again is there once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gfpup.core.errors import GfpupError
from gfpup.core.types import Metadata, Photo, RestoredPhoto, Score
from gfpup.records.scores import COLUMNS, ScoreWriter, as_csv, per_photo, read, read_summary, summarise, write

ROWS = [
    Score("psnr", float("inf"), True, photo='b, "c"\n10.png'),
    Score("lpips", 0.1 + 0.2, False, photo="a/2.png", face=1),
    Score("niqe", None, False, "no consent: say, so", photo="a/10.png"),
    Score("fid", 12.5, False),
]


def restored(*scores: Score) -> RestoredPhoto:
    pixels = np.zeros((2, 2, 3), np.uint8)
    return RestoredPhoto(Photo(Path("x.png"), pixels, Metadata("PNG")), pixels, None, (), {}, scores=scores)


def test_every_row_comes_back(tmp_path: Path) -> None:
    write(tmp_path, ROWS)
    assert (tmp_path / "scores.csv").read_text().splitlines()[0] == ",".join(COLUMNS)
    back = read(tmp_path / "scores.csv")
    assert sorted(back, key=repr) == sorted(ROWS, key=repr)
    assert [row.photo for row in back] == ["a/2.png", "a/10.png", ROWS[0].photo, ""]
    assert [row.level for row in back] == ["faces", "photo", "photo", "run"]


def test_a_torn_last_line_is_left_out_and_other_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    whole = as_csv([Score("ssim", 0.5, True, photo="a.png"), Score("ssim", 0.25, True, photo="b.png")])
    path.write_text(whole[:-6])
    assert [row.photo for row in read(path)] == ["a.png"]
    path.write_text(whole.replace("0.5", "half"))
    with pytest.raises(GfpupError, match="line 2"):
        read(path)
    path.write_text(whole.replace(",true,", ",true,too slow"))
    with pytest.raises(GfpupError, match="damaged"):
        read(path)
    path.write_text("something,else\n")
    with pytest.raises(GfpupError, match="not a table of scores"):
        read(path)


def test_means_are_of_photos_and_what_is_missing_is_counted() -> None:
    rows = [
        Score("identity", 0.2, True, photo="a.png", face=0),
        Score("identity", 0.4, True, photo="a.png", face=1),
        Score("identity", 0.9, True, photo="b.png", face=0),
        Score("psnr", float("inf"), True, photo="c.png"),
        Score("psnr", 20.0, True, photo="d.png"),
        Score("niqe", None, False, "why", photo="d.png"),
    ]
    assert per_photo(rows[:3]) == pytest.approx({"a.png": 0.3, "b.png": 0.9})
    summary = {(s["metric"], s["level"]): s for s in summarise(rows)["scores"]}
    assert summary["identity", "faces"]["mean"] == pytest.approx(0.6) and summary["identity", "faces"]["n"] == 2
    assert summary["psnr", "photo"]["mean"] == 20.0 and summary["psnr", "photo"]["infinite"] == 1
    assert summary["niqe", "photo"] == {
        "metric": "niqe", "level": "photo", "higher_is_better": False,
        "mean": None, "n": 0, "infinite": 0, "missing": {"why": 1},
    }  # fmt: skip
    json.dumps(summarise(rows), allow_nan=False)


def test_a_killed_run_keeps_its_scores_and_a_photo_done_again_replaces_them(tmp_path: Path) -> None:
    first = ScoreWriter(tmp_path)
    first.photo_done({"name": "a.png"}, restored(Score("ssim", 0.1, True), Score("ssim", 0.2, True, face=0)))
    first.photo_done({"name": "b.png"}, restored(Score("ssim", 0.3, True)))
    assert len(read(tmp_path / "scores.csv")) == 3  # without run_done: the process was killed

    second = ScoreWriter(tmp_path)
    second.photo_done({"name": "b.png"}, restored(Score("ssim", 0.4, True)))
    second.photo_done({"name": "c.png"}, None)
    second.run_scores([Score("fid", None, False, "too few")])
    second.run_done({})
    rows = read(tmp_path / "scores.csv")
    assert [(row.photo, row.value) for row in rows] == [("a.png", 0.1), ("a.png", 0.2), ("b.png", 0.4), ("", None)]
    summary = json.loads((tmp_path / "scores.json").read_text())["scores"]
    assert {s["metric"] for s in summary} == {"ssim", "fid"}

    fresh = ScoreWriter(tmp_path, fresh=True)
    fresh.run_done({})
    assert read(tmp_path / "scores.csv") == []


def test_a_mean_is_of_one_kind_of_pixels_and_says_of_which() -> None:
    def row(photo: str, value: float | None, taken_from: str, metric: str = "psnr") -> Score:
        return Score(metric, value, True, "no" if value is None else None, photo=photo, taken_from=taken_from)

    mixed = [row("a.jpg", 10.0, "memory"), row("b.jpg", 20.0, "JPEG 95"), row("c.jpg", 40.0, "JPEG 90"), row("d.jpg", None, "")]
    memory, files = summarise(mixed)["scores"]
    assert (memory["taken_from"], memory["mean"], memory["n"], memory["missing"]) == ("memory", 10.0, 1, {"no": 1})
    assert (files["taken_from"], files["mean"], files["n"], files["missing"]) == ("file", 30.0, 2, {})
    unknown, known = summarise([row("a.jpg", 10.0, ""), row("b.jpg", 20.0, "JPEG 95")])["scores"]
    assert (unknown["taken_from"], known["taken_from"]) == ("unknown", "file")
    for alike in (
        [row("a.png", 10.0, "memory"), row("b.jpg", 20.0, "JPEG 95")],  # a file without loss holds what was in memory
        [row("a.jpg", 10.0, ""), row("b.png", 20.0, "")],  # of an earlier version, which did not say
        [row("a.jpg", 10.0, "memory", "seconds"), row("b.jpg", 20.0, "JPEG 95", "seconds")],
        [row("", 10.0, "memory", "fid"), row("", 20.0, "JPEG 95", "fid")],
    ):
        (line,) = summarise(alike)["scores"]
        assert "taken_from" not in line


class Unmeasured:
    def unmeasured(self, photo: str, reason: str, *, referenced: bool) -> tuple[Score, ...]:
        return (Score("psnr" if referenced else "psnr_to_input", None, True, reason, photo),)


def test_a_photo_that_failed_has_a_line_a_metric_with_the_reason(tmp_path: Path) -> None:
    writer = ScoreWriter(tmp_path, scorer=Unmeasured(), referenced=True)  # type: ignore[arg-type]
    writer.photo_done({"name": "a.png", "error": "torn"}, None)
    writer.photo_done({"name": "b.png"}, None)
    writer.photo_done({"name": "c.png"}, restored(Score("psnr", 30.0, True)))
    rows = {row.photo: (row.metric, row.value, row.missing_reason) for row in read(tmp_path / "scores.csv")}
    assert rows == {
        "a.png": ("psnr", None, "torn"), "b.png": ("psnr", None, "it was not restored"), "c.png": ("psnr", 30.0, None)
    }  # fmt: skip


def test_a_photo_lacks_what_has_no_line_and_what_was_not_measured_on_its_file(tmp_path: Path) -> None:
    writer = ScoreWriter(tmp_path)
    writer.keep("a.jpg", [Score("psnr_to_input", 30.0, True, taken_from="JPEG 95"), Score("seconds", 1.0, False)])
    writer.keep("b.jpg", [Score("psnr_to_input", 30.0, True, taken_from="memory")])
    writer.keep("c.jpg", [Score("psnr_to_input", None, True, "no", taken_from="memory")])
    assert not writer.lacks("a.jpg", ["psnr", "seconds"]) and writer.lacks("a.jpg", ["psnr", "ssim"])
    assert writer.lacks("b.jpg", ["psnr"]) and not writer.lacks("c.jpg", ["psnr"])
    assert writer.lacks("unknown.jpg", ["psnr"]) and not writer.lacks("unknown.jpg", [])


def test_scores_of_the_run_stay_apart_and_come_last(tmp_path: Path) -> None:
    write(tmp_path, [Score("fid", 3.0, False), Score("psnr", 30.0, True, photo="a.png")])
    writer = ScoreWriter(tmp_path)
    assert writer.earlier_run == [Score("fid", 3.0, False)] and list(writer.rows) == ["a.png"]
    assert ScoreWriter(tmp_path, fresh=True).rows == {}
    writer.keep("10.png", [])
    writer.keep("9.png", [Score("psnr", 20.0, True)])
    writer.run_scores([Score("kid", 1.0, False)])
    writer.run_done({})
    assert [(row.photo, row.metric) for row in read(tmp_path / "scores.csv")] == [
        ("9.png", "psnr"), ("a.png", "psnr"), ("", "kid"),
    ]  # fmt: skip
    assert read_summary(tmp_path)["scores"][0]["mean"] == 25.0 and read_summary(tmp_path / "none") == {}


def test_tables_of_earlier_versions_have_no_last_column(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    head = "photo,face,metric,value,higher_is_better,missing_reason"
    path.write_text(f"{head}\na.jpg,2,psnr,30.5,true,\na.jpg,,niqe,,false,why\n")
    assert read(path) == [Score("psnr", 30.5, True, photo="a.jpg", face=2), Score("niqe", None, False, "why", photo="a.jpg")]
    path.write_text("photo,face,metric,value,higher_is_better\n")
    with pytest.raises(GfpupError, match="not a table of scores"):
        read(path)
    with pytest.raises(GfpupError, match="no scores found at"):
        read(tmp_path / "none.csv")
