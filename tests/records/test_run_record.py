"""Runs from Python: started, interrupted, read, compared and tracked."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from pictures import portrait, save

import gfpup

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


def test_an_interrupted_run_closes_its_record_and_goes_on_later(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(30):
        save(tmp_path / "photos" / f"{number}.png", PORTRAIT)
    out = tmp_path / "out"

    def interrupt() -> None:
        lines, until = out / "manifest.jsonl", time.monotonic() + 120
        while (not lines.exists() or lines.read_bytes().count(b"\n") < 2) and time.monotonic() < until:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    again = {"output": out, "backend": "identity", "detector": "cascade", "upscale": 1, "quiet": True}
    watcher = threading.Thread(target=interrupt)
    watcher.start()
    with pytest.raises(KeyboardInterrupt):
        gfpup.run(tmp_path / "photos", **again)
    watcher.join()
    record = gfpup.read_run(out)
    assert record.status == "interrupted" and 0 < len(record.photos) < 30
    assert gfpup.run(tmp_path / "photos", limit=len(record.photos), **again).status == "done"


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
