"""Results on disk are scored as they lie there, and what cannot be measured is there with its reason."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pictures import save

from gfpup.core.errors import GfpupError
from gfpup.core.types import Score
from gfpup.evaluation.scorer import Scorer, load_scorer
from gfpup.photos import pairs
from gfpup.records import rescore
from gfpup.records.items import Item
from gfpup.records.scores import read, write


def picture(path: Path, seed: int, *, height: int = 96, width: int = 128) -> Path:
    save(path, np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))
    return path


def no_file(name: str) -> Path:
    raise GfpupError(f"{name} is not there")


def scores_of(items: list[Item], *names: str, memory: bool = False) -> rescore.Result:
    return rescore.score_items(items, load_scorer(names, find=no_file), memory=memory)


def test_each_photo_has_its_scores_or_its_reason(tmp_path: Path) -> None:
    restored, degraded = picture(tmp_path / "a.png", 1), picture(tmp_path / "in.png", 2)
    items = [
        Item("a.png", restored, degraded, stages={"detect": 1.0, "align": 0.5}, no_faces="no faces here"),
        Item("refused.png", refusal="no result of it"),
        Item("torn.png", tmp_path / "nowhere.png"),
        Item("alone.png", restored, no_input="its input has moved", no_seconds="not timed"),
    ]
    result = scores_of(items, "psnr", "seconds", memory=True)
    found = {(row.photo, row.metric): row for row in result.rows}
    assert result.photos == 4 and set(result.unscored) == {"refused.png", "torn.png", "alone.png"}
    assert found["a.png", "psnr_to_input"].value is not None and found["a.png", "seconds"].value == 1.5
    assert found["a.png", "psnr_to_input"].taken_from == "PNG"
    assert found["refused.png", "psnr_to_input"].missing_reason == "no result of it" == result.unscored["refused.png"]
    assert "nowhere.png" in result.unscored["torn.png"]
    assert found["alone.png", "psnr_to_input"].missing_reason == "its input has moved" == result.unscored["alone.png"]
    assert found["alone.png", "seconds"].missing_reason == "not timed"
    memory = found["", "peak_memory"]
    assert memory.value is None and not memory.higher_is_better and "while photos are restored" in str(memory.missing_reason)
    assert not any(row.metric == "peak_memory" for row in scores_of(items[:1], "psnr").rows)


def test_resized_pairs_are_counted(tmp_path: Path) -> None:
    restored, reference = picture(tmp_path / "a.png", 1), picture(tmp_path / "b.png", 2, height=48, width=64)
    items = [Item(name, restored, None, reference, True) for name in ("a.png", "b.png")]
    ((note, count),) = scores_of(items, "psnr").said.items()
    assert count == 2 and "128x96" in note and "64x48" in note


def test_only_a_picture_of_512_pixels_is_its_own_face(tmp_path: Path) -> None:
    crop, tall = (
        picture(tmp_path / "crop.png", 1, height=512, width=512),
        picture(tmp_path / "tall.png", 2, height=600, width=512),
    )
    small = picture(tmp_path / "small.png", 3, height=256, width=256)
    affines = rescore.pictures_of(Item("crop.png", crop)).affines
    assert affines is not None and list(affines) == [0] and np.allclose(affines[0], np.eye(2, 3))
    affines = rescore.pictures_of(Item("crop.png", crop, small)).affines
    assert affines is not None and affines[0][0, 0] == 2, "the affine is from the input to the crop"
    assert rescore.pictures_of(Item("tall.png", tall)).affines == {}
    assert rescore.pictures_of(Item("small.png", small)).affines == {}
    assert rescore.pictures_of(Item("crop.png", crop, affines={})).affines == {}


def test_a_synthetic_input_is_made_again_from_its_seed(tmp_path: Path) -> None:
    restored, source = picture(tmp_path / "a.png", 1), picture(tmp_path / "in" / "a.png", 2)
    found = rescore.pictures_of(Item("a.png", restored, source, damage=("mild", 3)))
    original = rescore.pictures_of(Item("a.png", restored, source)).degraded
    assert original is not None and found.degraded is not None and found.reference is not None
    expected, reference, _ = pairs.synthesise(original, protocol="mild", seed=3, name="a.png")
    np.testing.assert_array_equal(found.degraded, expected)
    np.testing.assert_array_equal(found.reference, reference)
    other = picture(tmp_path / "other.png", 4)
    given = rescore.pictures_of(Item("a.png", restored, source, other, damage=("mild", 3)))
    np.testing.assert_array_equal(given.reference, rescore.pictures_of(Item("o", other)).restored)


def test_new_scores_replace_those_of_their_metric_and_say_what_made_them(tmp_path: Path) -> None:
    earlier = [Score("psnr", 1.0, True, photo="a.png"), Score("ssim", 0.5, True, photo="a.png")]
    write(tmp_path, [*earlier, Score("peak_memory", 7.0, False)], computed={"ssim": {"reference": "/r"}})
    resolver: Any = SimpleNamespace(paths={}, store=None)
    result = scores_of([Item("a.png", picture(tmp_path / "a.png", 1), picture(tmp_path / "b.png", 2))], "psnr", memory=True)
    origin = {"restored": tmp_path, "reference": None, "input": tmp_path / "in"}
    summary = rescore.write_scores(tmp_path, result, resolver=resolver, origin=origin)
    rows = {(row.metric, row.photo): row.value for row in read(tmp_path / "scores.csv")}
    assert set(rows) == {("psnr", "a.png"), ("psnr_to_input", "a.png"), ("ssim", "a.png"), ("peak_memory", "")}
    assert rows["peak_memory", ""] == 7.0, "what was measured is not replaced by a reason"
    assert summary["restored"] == str(tmp_path.resolve()) and summary["computed"]["ssim"] == {"reference": "/r"}
    made = summary["computed"]["psnr_to_input"]
    assert made["input"] == str((tmp_path / "in").resolve()) and made["reference"] is None and made["weights"] == []
    assert json.loads((tmp_path / "scores.json").read_text()) == summary
    fresh = rescore.write_scores(tmp_path / "new", result, resolver=resolver, origin=origin)
    assert "peak_memory" in {row["metric"] for row in fresh["scores"]}, "without a number the reason is kept"


def test_scores_go_into_no_folder_of_other_results(tmp_path: Path) -> None:
    ours, theirs, run = tmp_path / "ours", tmp_path / "theirs", tmp_path / "run"
    for folder in (ours, theirs, run):
        folder.mkdir()
    rescore.check_target(ours, ours)
    rescore.check_target(tmp_path / "new", ours)
    write(tmp_path / "scores", [], restored=str(ours.resolve()))
    rescore.check_target(tmp_path / "scores", ours)
    with pytest.raises(GfpupError, match=r"holds the scores of .*ours"):
        rescore.check_target(tmp_path / "scores", theirs)
    (run / "manifest.json").write_text("{}")
    rescore.check_target(run, run)
    with pytest.raises(GfpupError, match="is a run itself"):
        rescore.check_target(run, ours)


def test_metrics_of_the_whole_run_are_told_from_those_of_photos() -> None:
    assert rescore.per_photo_metrics(["psnr", "fid", "peak_memory", "seconds"]) == ["psnr", "seconds"]
    fid, memory = Score("fid", 1.0, False), Score("peak_memory", 1.0, False)
    assert rescore.has_run_scores(["psnr", "fid"], [fid, memory]) and rescore.has_run_scores(["psnr"], [])
    assert not rescore.has_run_scores(["fid", "peak_memory"], [fid])


class Never:
    """A metric of faces that is not asked, because there are none."""

    def score(self, restored: Any, reference: Any) -> Score:
        raise AssertionError("there is no face")


def test_faces_are_missing_for_the_reason_that_the_item_gives_and_whole_photos_for_their_own(tmp_path: Path) -> None:
    small, other = picture(tmp_path / "a.png", 1, height=9, width=9), picture(tmp_path / "b.png", 2, height=9, width=9)
    item = Item("a.png", small, other, affines={}, no_faces="the input has moved")
    faces = Scorer({"identity": Never()}, {}, ["identity"], device="cpu")
    (row,) = rescore.score_items([item], faces).rows
    assert (row.metric, row.missing_reason) == ("identity_to_input", "the input has moved")
    (row,) = scores_of([item], "ssim").rows
    assert row.metric == "ssim_to_input" and "11 pixels" in str(row.missing_reason)
    (row,) = scores_of([Item("a.png", small, None, other, True, no_input="no input")], "ssim").rows
    assert row.metric == "ssim" and "11 pixels" in str(row.missing_reason)
