"""Runs from Python: started, interrupted, read, compared and tracked; and what is read of records that lie on disk."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from forks import Forks
from pictures import portrait, save

import gfpup
from gfpup.core.types import Score
from gfpup.records.run_record import RunRecord, chosen, find_record, job_statuses, read_lines, read_scored, recorded_names
from gfpup.records.scores import write

PORTRAIT = portrait()


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONFIG", "WEIGHTS", "CACHE"):
        monkeypatch.setenv(f"GFPUP_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.setenv("GFPUP_TRACKING", "none")


def make_photos(folder: Path) -> None:
    folder.mkdir()
    for name in ("a.png", "b.png", "c.jpg"):
        save(folder / name, PORTRAIT)


@pytest.mark.usefixtures("forked_runs")
def test_a_run_with_a_broken_photo_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make_photos(tmp_path / "photos")
    (tmp_path / "photos" / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    with pytest.warns(UserWarning, match="1 photos of .* failed"):
        record = gfpup.run(tmp_path / "photos", output=tmp_path / "out", backend="identity", detector="cascade")
    assert record.status == "failed" and set(record.failures) == {"torn.jpg"}
    assert "torn.jpg" in record.failures["torn.jpg"]
    with pytest.raises(gfpup.GfpupError, match="holds results of other settings"):
        gfpup.run(tmp_path / "photos", output=tmp_path / "out", backend="classical", detector="cascade", quiet=True)
    assert gfpup.read_run(tmp_path / "out").status == "failed"
    assert capfd.readouterr().out == ""


def test_an_interrupted_run_closes_its_record_and_goes_on_later(tmp_path: Path, forks: Forks) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(30):
        save(tmp_path / "photos" / f"{number}.png", PORTRAIT)
    out = tmp_path / "out"
    again = {"output": str(out), "backend": "identity", "detector": "cascade", "upscale": 1, "quiet": True}
    run = f"gfpup.run({str(tmp_path / 'photos')!r}, **{again!r})"
    running = forks.start(f"import gfpup, sys\ntry:\n    {run}\nexcept KeyboardInterrupt:\n    sys.exit(7)")
    lines, until = out / "manifest.jsonl", time.monotonic() + 120
    while (not lines.exists() or lines.read_bytes().count(b"\n") < 2) and time.monotonic() < until:
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    assert running.wait() == 7, "the command's own exception for Ctrl-C"
    record = gfpup.read_run(out)
    assert record.status == "interrupted" and 0 < len(record.photos) < 30
    assert gfpup.run(tmp_path / "photos", limit=len(record.photos), **again).status == "done"


@pytest.mark.usefixtures("forked_runs")
def test_a_sweep_is_run_read_compared_and_tracked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_photos(tmp_path / "photos")
    out = tmp_path / "out"
    records = gfpup.sweep(
        "photos", output=out, backend=["identity", "classical"], detector="cascade", metrics="psnr", quiet=True, upscale=1
    )
    assert [record.document["plan"]["pixels"]["backend"] for record in records] == ["classical", "identity"]
    comparison = gfpup.compare_runs(out, baseline=records[1].folder)
    assert comparison.baseline == "identity" and comparison.photos == 3
    best = comparison.of("psnr_to_input", "photo")[0]
    assert best.run == "identity"
    assert records[0].document["argv"][:2] == ["gfpup", "sweep"]
    assert gfpup.compare_runs(*records, baseline="backend=identity").lines == comparison.lines
    ids = gfpup.track(out, uri=str(tmp_path / "store"))
    assert len(ids) == 2 and gfpup.track(out, uri=str(tmp_path / "store")) == ids
    with pytest.raises(gfpup.GfpupError, match=r"holds 2 runs: gfpup\.read_runs"):
        gfpup.read_run(out)
    with pytest.raises(gfpup.GfpupError, match="there is no folder"):
        gfpup.read_runs(tmp_path / "nowhere")


def record_at(folder: Path, *photos: dict[str, Any], status: str = "done") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps({"status": status, "photos": list(photos)}), encoding="utf-8")
    return folder


def scored_at(folder: Path, *scores: Score) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write(folder, scores or [Score("psnr", 30.0, True, photo="a.png")])
    return folder


def names_of(*folders: Path) -> list[str]:
    return [record.name for record in gfpup.read_runs(*folders)]


def test_runs_are_called_by_what_tells_them_apart(tmp_path: Path) -> None:
    for job in ("backend=gfpgan,restore.strength=0.5", "backend=classical", "a.size=1,b.size=2", "x=,y=1", "plain"):
        record_at(tmp_path / "sweep" / job)
    assert names_of(tmp_path / "sweep") == ["a.size 1, b.size 2", "classical", "gfpgan, strength 0.5", "plain", "x=,y=1"]
    for parent in ("p/one", "p/two", "q/one"):
        record_at(tmp_path / parent / "out")
    assert names_of(tmp_path / "p/one/out", tmp_path / "p/two/out") == ["one/out", "two/out"]
    every = [tmp_path / parent / "out" for parent in ("p/one", "p/two", "q/one")]
    assert names_of(*every) == ["p/one/out", "p/two/out", "q/one/out"]


def test_runs_of_a_sweep_come_in_natural_order_and_hidden_folders_do_not(tmp_path: Path) -> None:
    for name in ("job 10", "job 9", ".ranks/1", "nested/deep"):
        record_at(tmp_path / name)
    assert names_of(tmp_path) == ["job 9", "job 10", "deep"]
    with pytest.raises(gfpup.GfpupError, match="holds 3 runs"):
        gfpup.read_run(tmp_path)


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    folder = record_at(tmp_path / "out")
    for text in ("{", "[]", "{}", '{"status": 1, "photos": []}', '{"status": "done", "photos": [{"name": 3}]}'):
        (folder / "manifest.json").write_text(text)
        with pytest.raises(gfpup.GfpupError, match="is not the record of a run"):
            gfpup.read_run(folder)
        assert find_record(folder) is None


def test_scored_folders_need_no_record_and_are_given_once(tmp_path: Path) -> None:
    theirs, ours = scored_at(tmp_path / "theirs"), scored_at(record_at(tmp_path / "ours", {"name": "a.png"}))
    first, second = read_scored([theirs / "scores.csv", ours])
    assert (first.name, dict(first.document), len(first.scores)) == ("theirs", {}, 1)
    assert (second.name, second.status, len(second.scores)) == ("ours", "done", 1)
    with pytest.raises(gfpup.GfpupError, match="one run is given twice"):
        read_scored([ours, theirs, ours])
    bare = record_at(tmp_path / "bare's")
    with pytest.raises(gfpup.GfpupError, match=r"holds no scores\.csv.*run gfpup score '.*bare'\"'\"'s' first"):
        read_scored([bare])
    (tmp_path / "album").mkdir()
    with pytest.raises(gfpup.GfpupError, match=r"gfpup score --restored .*album --output .*album-scores"):
        read_scored([tmp_path / "album"])


def test_means_and_failures_of_a_record(tmp_path: Path) -> None:
    face = {"failed": True, "reason": "not finite"}
    photos = [
        {"name": "a.png", "error": None, "faces": []},
        {"name": "b.png", "error": None, "faces": [face, {"failed": False, "reason": "small"}]},
        {"name": "c.png", "error": "torn", "faces": []},
    ]
    scores = [Score("psnr", 20.0, True, photo="a.png"), Score("psnr", 40.0, True, photo="b.png"), Score("fid", 5.0, False)]
    scores += [Score("niqe", None, False, "no consent", photo="a.png")]
    record = gfpup.read_run(scored_at(record_at(tmp_path / "out", *photos, status="failed"), *scores))
    assert record.failures == {"b.png": "not finite", "c.png": "torn"}
    assert (record.mean("psnr"), record.mean("fid", "run"), record.mean("niqe")) == (30.0, 5.0, None)
    with pytest.raises(
        gfpup.GfpupError, match=r"has no scores psnr \(faces\); it has psnr \(photo\), niqe \(photo\), fid \(run\)"
    ):
        record.mean("psnr", "faces")
    assert record.ended() is record and record.tracking is None
    with pytest.raises(gfpup.GfpupError, match="has not ended"):
        gfpup.read_run(record_at(tmp_path / "going on", status="running")).ended()


def test_photos_are_matched_without_the_extension_where_that_is_unambiguous(tmp_path: Path) -> None:
    once = RunRecord(tmp_path, {"photos": [{"name": "sub/a.png"}]}, (Score("psnr", 1.0, True, photo="b.jpg"),))
    assert once.matches == {"sub/a.png": "sub/a", "b.jpg": "b"}
    twice = RunRecord(tmp_path, {"photos": [{"name": "a.png"}, {"name": "a.jpg"}]})
    assert twice.matches == {"a.png": "a.png", "a.jpg": "a.jpg"}


def test_a_run_is_chosen_by_its_name_its_folder_or_its_folders_name(tmp_path: Path) -> None:
    jobs = [record_at(tmp_path / name / job) for name in ("x", "y") for job in ("backend=classical", "backend=gfpgan")]
    records = gfpup.read_runs(*jobs[:3])
    assert [record.name for record in records] == ["x/classical", "x/gfpgan", "y/classical"]
    assert chosen(records, None) is None and chosen(records, "x/gfpgan") == "x/gfpgan"
    assert chosen(records, jobs[2]) == "y/classical" and chosen(records, "backend=gfpgan") == "x/gfpgan"
    assert chosen(records, "backend=classical") == "backend=classical", "fits two"
    assert chosen(records, "other") == "other"


def test_lines_that_cannot_be_resumed_by_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    photo = {"name": "a.png", "error": None, "input_sha256": "0", "faces": [], "face_files": [], "input": "/in/a.png"}
    header = {"run": {"plan": {"pixels": {"backend": "identity"}}}}
    path.write_text("".join(json.dumps(line) + "\n" for line in ({"run": {}}, photo, header)) + '{"name')
    lines = read_lines(path)
    assert list(lines.photos) == ["a.png"] and lines.pixels == {"backend": "identity"}
    assert lines.end == path.stat().st_size - len('{"name')
    assert recorded_names(tmp_path) == {"/in/a.png": "a.png"}
    assert read_lines(tmp_path / "none").header is None and read_lines(tmp_path / "none").pixels is None
    for text, words in (
        ("{\n", "line 1 of"),
        (json.dumps(photo) + "\nnot json\n", "line 2 of"),
        ('{"name": "a.png"}\n', "is damaged"),
        ('{"run": 3}\n', "is damaged"),
    ):
        path.write_text(text)
        with pytest.raises(gfpup.GfpupError, match=words):
            read_lines(path)


def test_jobs_of_a_sweep_come_in_their_order_and_torn_ones_are_left_out(tmp_path: Path) -> None:
    status = tmp_path / ".sweep"
    status.mkdir()
    for name, text in (("10", '{"number": 10}'), ("9", '{"number": 9}'), ("8", '{"num'), ("7", "[]")):
        (status / f"{name}.json").write_text(text)
    assert [job["number"] for job in job_statuses(tmp_path)] == [9, 10]
    assert job_statuses(tmp_path / "none") == []
