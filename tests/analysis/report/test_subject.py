"""What a report is about is read from folders: which are runs, which metrics are compared, and what else is shown of each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gfpup.analysis.render import interval_text
from gfpup.analysis.report import pictures, write_report
from gfpup.analysis.report import tables as report_tables
from gfpup.analysis.report.data import read_subject
from gfpup.analysis.report.tables import comparison_tables, runs_table
from gfpup.core.errors import GfpupError
from gfpup.core.types import Score
from gfpup.records.scores import write

PHOTOS = 6


def scored(folder: Path, metrics: Mapping[str, Sequence[float]]) -> Path:
    """A folder of scores alone, without a record."""
    folder.mkdir(parents=True)
    rows = [
        Score(metric, value, True, photo=f"{i}.png") for metric, values in metrics.items() for i, value in enumerate(values)
    ]
    write(folder, rows)
    return folder


def run(folder: Path, metrics: Mapping[str, Sequence[float]], *, photos: int = PHOTOS, status: str = "done") -> Path:
    """A run that has ended, with its pictures."""
    scored(folder, metrics) if metrics else folder.mkdir(parents=True)
    lines: list[dict[str, Any]] = []
    for i in range(photos):
        Image.fromarray(np.full((24, 32, 3), 40 * i % 256, np.uint8)).save(folder / f"{i}.png")
        facts = {"error": None, "warnings": [], "faces": [], "seconds": {"restore": 1.0}}
        lines.append({"name": f"{i}.png", "input": f"/nowhere/{i}.png", **facts})
    document = {
        **{key: {} for key in ("hardware", "versions", "checkpoints", "licences")},
        "status": status,
        "photos": lines,
        "started": "2026-01-02T03:04:05+00:00",
        "title": folder.name,
        "cwd": "/here",
        "argv": ["gfpup", "run"],
        "commit": None,
        "plan": {"pixels": {"backend": folder.name}, "reasons": [], "warnings": []},
    }
    (folder / "manifest.json").write_text(json.dumps(document))
    return folder


def rising(start: float, step: float = 0.01) -> list[float]:
    return [start + step * i for i in range(PHOTOS)]


def test_runs_are_read_as_runs_and_scores_alone_as_a_folder_that_was_scored(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    run(sweep / "classical", {"ssim": rising(0.5)})
    scored(sweep / "beside", {"ssim": rising(0.6)})
    found = read_subject([sweep])
    assert [each.name for each in found.runs] == ["classical"], "beside runs a folder that only has scores is none of them"
    assert found.runs[0].pixels == {"backend": "classical"} and found.photos == tuple(str(i) for i in range(PHOTOS))
    alone = read_subject([sweep / "beside"])
    assert [each.name for each in alone.runs] == ["beside"] and not alone.runs[0].pixels
    assert "the scored pictures are not shown" in alone.notes[0]
    with pytest.raises(GfpupError, match="holds neither a run nor scores"):
        read_subject([tmp_path / "nothing"])


def test_a_run_that_has_not_ended_is_left_out_beside_others_and_refused_alone(tmp_path: Path) -> None:
    ended, going = run(tmp_path / "ended", {"ssim": rising(0.5)}), run(tmp_path / "going", {}, status="running")
    subject = read_subject([ended, going])
    assert [each.name for each in subject.runs] == ["ended"] and subject.comparison is None
    assert [note.partition(":")[0] for note in subject.notes] == ["going is left out"]
    with pytest.raises(GfpupError, match="has not ended"):
        read_subject([going])
    stopped = read_subject([run(tmp_path / "stopped", {"ssim": rising(0.5)}, status="stopped")])
    assert stopped.notes == ("stopped ended as stopped",)


def test_of_one_run_every_metric_has_its_mean_with_an_interval(tmp_path: Path) -> None:
    subject = read_subject([run(tmp_path / "one", {"ssim": rising(0.5), "niqe": rising(4.0, 0.1)})])
    assert subject.comparison is None and subject.baseline == "one"
    assert [(line.metric, line.n, line.mean) for line in subject.lines] == [
        ("ssim", PHOTOS, pytest.approx(np.mean(rising(0.5)))),
        ("niqe", PHOTOS, pytest.approx(np.mean(rising(4.0, 0.1)))),
    ]
    for line in subject.lines:
        assert line.interval is not None and line.interval[0] < line.mean < line.interval[1]


def test_faces_of_aligned_crops_are_not_shown_a_second_time(tmp_path: Path) -> None:
    folder = run(tmp_path / "one", {"identity": rising(0.5)})
    both = [(None, rising(0.5)), (0, rising(0.5))]
    write(folder, [Score("identity", v, True, photo=f"{i}.png", face=face) for face, of in both for i, v in enumerate(of)])
    assert read_subject([folder]).keys == [("identity", "photo")]
    both[1] = (0, rising(0.6))
    write(folder, [Score("identity", v, True, photo=f"{i}.png", face=face) for face, of in both for i, v in enumerate(of)])
    assert read_subject([folder]).keys == [("identity", "photo"), ("identity", "faces")]


def test_what_all_runs_have_is_compared_and_what_only_one_has_is_shown_once(tmp_path: Path) -> None:
    one = run(tmp_path / "one", {"ssim": rising(0.5), "niqe": rising(4.0)})
    two = run(tmp_path / "two", {"ssim": rising(0.6, 0.02)})
    bare = run(tmp_path / "bare", {})
    subject = read_subject([one, two, bare], baseline="two")
    assert subject.comparison is not None and subject.comparison.metrics == [("ssim", "photo")]
    assert [(line.metric, line.run) for line in subject.lines] == [("ssim", "one"), ("ssim", "two"), ("niqe", "one")]
    assert subject.baseline == subject.comparison.baseline == "two"
    assert [line.run for line in subject.of(("ssim", "photo")).values()] == ["two", "one"], "best first"
    assert any(note.startswith("bare has no scores: gfpup score ") for note in subject.notes)
    other = read_subject([one, two, bare], baseline="bare")
    assert other.comparison is not None and other.comparison.baseline == "one", "a run without scores is none to compare with"
    with pytest.raises(GfpupError, match="unknown baseline 'none': choose one of one; two; bare"):
        read_subject([one, two, bare], baseline="none")


def test_runs_without_a_metric_in_common_are_shown_and_not_compared(tmp_path: Path) -> None:
    subject = read_subject([run(tmp_path / "one", {"ssim": rising(0.5)}), run(tmp_path / "two", {"niqe": rising(4.0)})])
    assert subject.comparison is None and [line.metric for line in subject.lines] == ["ssim", "niqe"]
    assert [note for note in subject.notes if note.startswith("the runs are not compared: ")]


def test_photos_are_in_natural_order_and_called_as_in_the_first_run_that_has_them(tmp_path: Path) -> None:
    first, second = run(tmp_path / "first", {}, photos=11), run(tmp_path / "second", {}, photos=12)
    document = json.loads((second / "manifest.json").read_text())
    for line in document["photos"]:
        line["name"] = line["name"].replace(".png", ".jpg")
    (second / "manifest.json").write_text(json.dumps(document))
    subject = read_subject([first, second])
    assert [subject.name(photo) for photo in subject.photos] == [*(f"{i}.png" for i in range(11)), "11.jpg"]


def test_the_interval_stands_below_each_mean_and_the_verdict_where_runs_were_compared(tmp_path: Path) -> None:
    one, two = (run(tmp_path / name, {"ssim": rising(level, 0.01 * (1 + i))}) for i, (name, level) in enumerate(
        (("one", 0.5), ("two", 0.6))))  # fmt: skip
    alone, both = read_subject([one]), read_subject([one, two])
    assert runs_table(alone).rows[0][-1].small == (interval_text(alone.lines[0]),)
    assert not runs_table(alone).rows[0][-1].strong, "one run is not the best of several"
    cells = [row[-1] for row in runs_table(both).rows]
    assert [cell.small for cell in cells] == [
        (interval_text(both.lines[0]), "baseline"),
        (interval_text(both.lines[1]), "too few"),
    ]
    assert [cell.strong for cell in cells] == [False, True]
    few = read_subject([run(tmp_path / "few", {"ssim": [0.5, 0.6]}, photos=2)])
    assert runs_table(few).rows[0][-1].small == ()


def test_the_tables_of_a_comparison_name_runs_and_sort_by_numbers(tmp_path: Path) -> None:
    one, two = run(tmp_path / "one", {"ssim": rising(0.5)}), run(tmp_path / "two", {"ssim": rising(0.6, 0.02)})
    (table,) = comparison_tables(read_subject([one, two]))
    assert table.caption == "ssim, higher is better"
    assert [(row[1].text, row[1].run) for row in table.rows] == [("two", 1), ("one", 0)]
    kinds = dict(zip(table.heads, table.kinds, strict=True))
    assert (kinds["rank"], kinds["run"], kinds["mean"], kinds["verdict"]) == ("number", "text", "number", "text")
    assert table.rows[0][2].value == pytest.approx(np.mean(rising(0.6, 0.02)))
    assert comparison_tables(read_subject([one])) == []


def test_settings_that_differ_are_named_and_those_alike_are_not(tmp_path: Path) -> None:
    subject = read_subject([run(tmp_path / "one", {}), run(tmp_path / "two", {})])
    for each, more in zip(
        subject.runs, ({"upscale": 2, "own": {"a": 1, "b": True}}, {"upscale": 2, "own": {"a": 2}}), strict=True
    ):
        each.plan["pixels"].update(more)  # type: ignore[index]
    table = report_tables.differing_settings(subject)
    assert table is not None and list(table.heads) == ["run", "backend", "own.a", "own.b"]
    assert [[cell.text for cell in row] for row in table.rows] == [["one", "one", "1", "true"], ["two", "two", "2", ""]]
    assert report_tables.differing_settings(read_subject([tmp_path / "one"])) is None


def test_a_command_stands_once_with_the_folder_and_the_runs_that_it_made(tmp_path: Path) -> None:
    subject = read_subject([run(tmp_path / name, {}) for name in ("one", "two", "three")])
    subject.runs[2].document["cwd"] = "/a place"  # type: ignore[index]
    assert report_tables.commands(subject) == [
        ("cd /here\ngfpup run", ["one", "two"]),
        ("cd '/a place'\ngfpup run", ["three"]),
    ]


def test_photos_on_one_page_are_read_once_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    original = pictures.read_photo

    def counted(path: Path, *args: Any, **more: Any) -> Any:
        read.append(Path(path).name)
        return original(path, *args, **more)

    monkeypatch.setattr(pictures, "read_photo", counted)
    runs = [run(tmp_path / name, {}) for name in ("one", "two")]
    write_report(runs, tmp_path / "report.html")
    assert sorted(read) == sorted(2 * [f"{i}.png" for i in range(PHOTOS)])


def test_the_title_and_the_lead_count_photos_runs_and_faces(tmp_path: Path) -> None:
    runs = [run(tmp_path / name, {}, photos=1) for name in ("one", "two")]
    html = write_report(runs, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "gfpup report: 1 photo, 2 runs" in html and "Started 2026-01-02 03:04 UTC." in html
    document = json.loads((runs[1] / "manifest.json").read_text())
    document["photos"][0]["faces"] = [{"restored": True}, {"restored": False}]
    document["started"] = "2026-01-01T00:00:00+00:00"
    (runs[1] / "manifest.json").write_text(json.dumps(document))
    html = write_report(runs, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "2 faces, started 2026-01-01 00:00 UTC." in html


def test_each_note_ends_with_one_full_stop(tmp_path: Path) -> None:
    stopped, going = run(tmp_path / "stopped", {}, status="stopped"), run(tmp_path / "going", {}, status="running")
    html = write_report([stopped, going], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "stopped ended as stopped." in html and "give its command again, which resumes it." in html
    assert "stopped.." not in html and "resumes it.." not in html
