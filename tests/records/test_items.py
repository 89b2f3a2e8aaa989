"""What is scored beside what: by a run's record or by name, and refused by name where a partner is lacking."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import save

from gfpup.core.errors import GfpupError
from gfpup.records.items import NOT_TIMED, Item, items_of_folder, items_of_run
from gfpup.records.run_record import RunRecord

AFFINE = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]


def picture(path: Path, level: int = 90) -> Path:
    save(path, np.full((20, 30, 3), level, np.uint8))
    return path


def line(folder: Path, name: str, source: Path, **more: Any) -> dict[str, Any]:
    picture(folder / name)
    sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
    face = {"affine": AFFINE, "restored": True, "failed": False}
    facts = {"name": name, "input": str(source), "input_sha256": sha256, "faces": [face], "error": None}
    return {**facts, "seconds": {"detect": 1.0}, "reused": {}, **more}


def record(folder: Path, *lines: dict[str, Any], configuration: Any = None, **pixels: Any) -> RunRecord:
    document = {"status": "done", "photos": lines, "plan": {"pixels": pixels}, "configuration": configuration or {}}
    return RunRecord(folder, document, (), "run")


def by_name(found: tuple[list[Item], list[str]]) -> dict[str, Item]:
    return {item.name: item for item in found[0]}


def test_photos_of_a_run_have_the_inputs_and_faces_of_its_record(tmp_path: Path) -> None:
    out, source, gone, changed = (tmp_path / name for name in ("out", "in/a.jpg", "in/gone.jpg", "in/changed.jpg"))
    for path in (source, gone, changed):
        picture(path)
    lines = [line(out, path.name, path) for path in (source, gone, changed)]
    lines.append(line(out, "failed.jpg", source, error="torn"))
    gone.unlink()
    picture(changed, 200)
    (out / "failed.jpg").unlink()
    lines.append(line(out, "lost.jpg", source))
    (out / "lost.jpg").unlink()
    items = by_name(items_of_run(record(out, *lines)))
    whole = items["a.jpg"]
    assert (whole.restored, whole.degraded, whole.reference, whole.refusal) == (out / "a.jpg", source, None, None)
    assert whole.affines is not None and np.array_equal(whole.affines[0], AFFINE) and whole.stages == {"detect": 1.0}
    assert not whole.referenced and whole.no_faces is None and whole.damage is None and whole.no_seconds is None
    for name, why in (("gone.jpg", "is not there: give --input"), ("changed.jpg", "has changed since the run")):
        item = items[name]
        assert item.degraded is None and item.affines == {} and item.refusal is None
        assert why in item.no_input and why in str(item.no_faces)
    assert items["failed.jpg"].refusal == "torn"
    assert items["lost.jpg"].refusal == f"{out / 'lost.jpg'} is not there"


def test_a_run_of_another_tools_results_has_no_seconds_and_a_synthetic_one_a_reference(tmp_path: Path) -> None:
    source = picture(tmp_path / "in" / "a.jpg")
    (item,), said = items_of_run(
        record(tmp_path / "out", line(tmp_path / "out", "a.jpg", source), backend="precomputed", damage=["mild", 3])
    )
    assert item.stages is None and item.no_seconds == NOT_TIMED
    assert item.damage == ("mild", 3) and item.referenced and item.reference is None and said == []


def test_references_of_a_run_are_its_own_or_those_given(tmp_path: Path) -> None:
    source, out = picture(tmp_path / "in" / "a.jpg"), tmp_path / "out"
    lines = [line(out, "a.png", source), line(out, "b.png", picture(tmp_path / "in" / "b.jpg"))]
    own, other = picture(tmp_path / "own" / "a.png"), picture(tmp_path / "other" / "a.png")
    recorded = record(out, *lines, configuration={"source": {"reference": str(own.parent)}})
    items = by_name(items_of_run(recorded))
    assert items["a.png"].reference == own and items["a.png"].referenced and items["a.png"].refusal is None
    assert items["b.png"].reference is None and items["b.png"].referenced
    assert items["b.png"].refusal == f"it has no reference in {own.parent}"
    assert by_name(items_of_run(recorded, reference=other.parent))["a.png"].reference == other
    own.unlink()
    own.parent.rmdir()
    (first, _), said = items_of_run(recorded)
    assert first.reference is None and not first.referenced and said == [
        f"the references of {out} are not at {own.parent}: give them with --reference"
    ]  # fmt: skip
    picture(own.with_name("nobody.png"))
    with pytest.raises(GfpupError, match=r"no photo of .* has a reference"):
        items_of_run(recorded)
    with pytest.raises(GfpupError, match=r"there is no folder .*: --reference takes a folder"):
        items_of_run(recorded, reference=tmp_path / "nowhere")


def test_inputs_from_another_folder_take_the_place_of_the_recorded_ones(tmp_path: Path) -> None:
    source, out = picture(tmp_path / "in" / "a.jpg"), tmp_path / "out"
    lines = [line(out, "restored_imgs/a_1.png", source)]
    moved = picture(tmp_path / "moved" / "deep" / "a.jpg").parent.parent
    recorded = record(out, *lines, configuration={"write": {"layout": "gfpgan"}})
    (item,), _ = items_of_run(recorded, degraded=moved / "deep")
    assert item.degraded == moved / "deep" / "a.jpg" and item.affines is not None and 0 in item.affines
    (item,), _ = items_of_run(recorded, degraded=moved)
    assert item.degraded is None and f"in {moved}" in item.no_input and "another folder" in item.no_input


def test_a_run_that_goes_on_is_not_scored(tmp_path: Path) -> None:
    with pytest.raises(GfpupError, match="has not ended"):
        items_of_run(RunRecord(tmp_path, {"status": "running", "photos": []}))


def test_pictures_of_a_folder_are_matched_by_their_paths(tmp_path: Path) -> None:
    for name in ("out/sub/1.png", "out/2.png", "out/10.png", "ref/sub/1.jpg", "ref/2.jpg", "ref/9.jpg", "in/2.bmp", "in/9.bmp"):
        picture(tmp_path / name)
    out, ref, degraded = tmp_path / "out", tmp_path / "ref", tmp_path / "in"
    items, said = items_of_folder(out, reference=ref)
    assert [item.name for item in items] == ["2.png", "9.jpg", "10.png", "sub/1.png"] and said == []
    found = {item.name: item for item in items}
    assert all(item.referenced and item.no_faces is not None for item in items)
    assert found["sub/1.png"].reference == ref / "sub/1.jpg" and found["sub/1.png"].restored == out / "sub/1.png"
    assert found["10.png"].refusal == f"it has no reference in {ref}"
    assert found["9.jpg"].restored is None and found["9.jpg"].refusal == f"there is no result of it in {out}"
    found = by_name(items_of_folder(out, reference=ref, degraded=degraded))
    assert found["2.png"].reference == ref / "2.jpg" and found["2.png"].degraded == degraded / "2.bmp"
    assert found["2.png"].refusal is None and found["sub/1.png"].refusal == f"it has no input in {degraded}"
    assert [name for name in found if name.startswith("9.")] == ["9.jpg"], "named once, of references and inputs"
    plain, _ = items_of_folder(out)
    assert [item.refusal for item in plain] == [None] * 3 and not any(item.referenced for item in plain)
    (tmp_path / "strangers").mkdir()
    picture(tmp_path / "strangers" / "x.png")
    with pytest.raises(GfpupError, match="has its partners"):
        items_of_folder(out, reference=tmp_path / "strangers")
    with pytest.raises(GfpupError, match="--restored takes a folder"):
        items_of_folder(tmp_path / "nowhere")
