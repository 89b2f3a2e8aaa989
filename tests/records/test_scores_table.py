"""Scores on disk: every digit comes back, a killed run keeps what it had, a photo done again is there once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gfpup.core.errors import GfpupError
from gfpup.core.types import Metadata, Photo, RestoredPhoto, Score
from gfpup.records.scores import COLUMNS, ScoreWriter, as_csv, per_photo, read, summarise, write

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
