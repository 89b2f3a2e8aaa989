"""A sweep detects each photo once: by the command, through the cache on disk, and the record says what was reused."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from builders import Run, manifest
from golden import Golden
from hydra.core.config_store import ConfigStore
from official import written
from pictures import read, save

from gfpup.models import backends
from gfpup.models.nets.rrdbnet import RRDBNet
from gfpup.records import items as results
from gfpup.records.run_record import read_record
from gfpup.restoration.detect import CascadeDetector

FIVE = ("identity", "classical", "ensemble", "precomputed", "again")
QUIET = ("--tracking", "none", "--no-report", "-q")


@pytest.fixture
def pair(tmp_path: Path, portrait: np.ndarray) -> Path:
    """A folder of two photos with one face each."""
    folder = tmp_path / "pair"
    folder.mkdir()
    save(folder / "a.png", portrait)
    save(folder / "b.png", np.ascontiguousarray(portrait[:, ::-1]))
    return folder


@pytest.fixture
def detections(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with each detection in this process."""
    seen: list[int] = []
    detect = CascadeDetector.detect

    def counted(self: CascadeDetector, rgb: np.ndarray) -> list:
        seen.append(len(seen))
        return detect(self, rgb)

    monkeypatch.setattr(CascadeDetector, "detect", counted)
    return seen


@pytest.fixture
def stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GFPUP_CACHE_DIR", str(tmp_path / "stages"))
    return tmp_path / "stages"


@pytest.fixture
def again(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A fifth method that needs no weights, as an installed package would add one."""
    monkeypatch.setitem(backends.TABLE, "again", backends.BackendFacts("gfpup.models.backends.identity:Identity", "once more"))
    store = ConfigStore.instance()
    store.store(group="backend", name="again", node={"name": "again"}, provider="a test")
    yield
    del store.repo["backend"]["again.yaml"]


def seconds_of(folder: Path) -> dict[str, float]:
    with (folder / "scores.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "seconds"]
        return {row["photo"]: float(row["value"]) for row in rows if row["value"]}


def test_five_backends_cost_one_detection_a_photo(
    gfpup: Run, pair: Path, tmp_path: Path, detections: list[int], stages: Path, again: None
) -> None:
    args = ("-i", pair, "-m", "--backend", ",".join(FIVE), "--detector", "cascade", *QUIET)
    own = ("ensemble.backends=[identity,classical]", f"precomputed.folder={pair}", "--metrics", "seconds")
    assert gfpup("run", *args, *own, "-o", "shared") == 0
    assert len(detections) == 2
    assert gfpup("run", *args, *own, "-o", "alone", "--no-cache") == 0
    assert len(detections) == 2 + 10
    for backend in FIVE:
        shared, alone = tmp_path / f"shared/backend={backend}", tmp_path / f"alone/backend={backend}"
        for name in ("a.png", "b.png"):
            assert (shared / name).read_bytes() == (alone / name).read_bytes()
        document, without = manifest(shared), manifest(alone)
        assert document["fingerprint"] == without["fingerprint"], "sharing changes no byte, so results may lie together"
        assert without["reused"] == {}
        expected = {} if backend == "identity" else {"detect": 2, "align": 2}
        if backend not in ("identity", "precomputed"):
            expected["background"] = 2
        assert {stage: entry["photos"] for stage, entry in document["reused"].items()} == expected
        assert all(entry["of"] == 2 for entry in document["reused"].values())
        for line, other in zip(document["photos"], without["photos"], strict=True):
            assert line["faces"] == other["faces"]
            assert line["seconds"].keys() == other["seconds"].keys()
            counted = sum(
                {**line["seconds"], **line["reused"]}.get(s, 0) for s in line["seconds"] if s not in ("read", "write", "score")
            )
            if backend != "precomputed":  # another tool's time is not known
                assert seconds_of(shared)[line["name"]] == pytest.approx(counted, abs=1e-3)
        assert bool(seconds_of(shared)) == (backend != "precomputed")
        reasons = {reason["setting"]: reason["value"] for reason in document["plan"]["reasons"]}
        assert reasons["shared_stages"] is True
    first, last = (manifest(tmp_path / f"shared/backend={backend}")["photos"] for backend in ("identity", "classical"))
    spent = [sum(line["seconds"]["detect"] for line in lines) for lines in (first, last)]
    assert spent[1] < spent[0], "what was really spent"
    for one, other in zip(first, last, strict=True):
        assert 0 < other["reused"]["detect"] <= one["seconds"]["detect"]
    assert {path.name for path in stages.iterdir()} == {"detect", "align", "background"}


def test_scoring_again_does_not_punish_the_first_job(gfpup: Run, pair: Path, tmp_path: Path) -> None:
    args = ("-i", pair, "-m", "--backend", "identity,classical", "--detector", "cascade", *QUIET)
    assert gfpup("run", *args, "-o", "out") == 0
    items, _ = results.items_of_run(read_record(tmp_path / "out/backend=classical"))
    for item, line in zip(items, manifest(tmp_path / "out/backend=classical")["photos"], strict=True):
        assert item.stages is not None
        assert item.stages["detect"] == line["reused"]["detect"] != line["seconds"]["detect"]
        assert item.stages["restore"] == line["seconds"]["restore"]


def test_a_single_run_shares_only_when_asked(
    gfpup: Run, pair: Path, tmp_path: Path, detections: list[int], stages: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ("run", "-i", pair, "--detector", "cascade", "--backend")
    assert gfpup(*args, "identity", "-o", "one", "-q") == 0
    assert not stages.exists()
    assert gfpup(*args, "identity", "-o", "two", "-q", "--cache") == 0
    assert len(detections) == 4
    capsys.readouterr()
    assert gfpup(*args, "classical", "-o", "three", "--cache") == 0
    assert len(detections) == 4
    assert "detect 2 of 2" in capsys.readouterr().out
    assert read(tmp_path / "one/a.png").tobytes() == read(tmp_path / "two/a.png").tobytes()
    assert gfpup(*args, "classical", "-o", "four", "--cache", "--json", "detect.size=200") == 0
    assert json.loads(capsys.readouterr().out)["reused"].keys() == {"background"}
    assert len(detections) == 6


def test_a_folder_of_its_own_and_a_limit(
    gfpup: Run, pair: Path, tmp_path: Path, stages: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ("run", "-i", pair, "--detector", "cascade", "--backend", "identity", "-q", "--cache")
    assert gfpup(*args, "-o", "one", "cache.dir=mine", "cache.max_gb=0.002") == 0
    assert not stages.exists()
    assert {path.name for path in (tmp_path / "mine").iterdir()} >= {"detect", "background"}
    assert sum(path.stat().st_size for path in (tmp_path / "mine").rglob("*.npz")) <= 0.002e9
    assert gfpup(*args, "-o", "two", "cache.max_gb=0") == 2
    assert "cache.max_gb" in capsys.readouterr().err
    (tmp_path / "file").write_text("no folder")
    assert gfpup(*args, "-o", "three", "cache.dir=file/stages") == 0
    said = capsys.readouterr().err
    assert said.count("cannot be written") == 1 and "Traceback" not in said
    warnings = [warning for line in manifest(tmp_path / "three")["photos"] for warning in line["warnings"]]
    assert len(warnings) == 1 and "cannot be written" in warnings[0]


def test_aligned_faces_have_nothing_to_share(gfpup: Run, pair: Path, tmp_path: Path, stages: Path) -> None:
    assert gfpup("run", "-i", pair, "--aligned", "-m", "--backend", "identity,classical", "-o", "out", *QUIET) == 0
    reasons = {reason["setting"]: reason for reason in manifest(tmp_path / "out/backend=identity")["plan"]["reasons"]}
    assert reasons["shared_stages"]["value"] is False
    assert not stages.exists()


def test_jobs_in_other_processes_share_too(gfpup: Run, pair: Path, tmp_path: Path, stages: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="the extra gfpup[joblib] is not installed")
    args = ("-i", pair, "-m", "--backend", "identity,classical", "--detector", "cascade", *QUIET)
    assert gfpup("run", *args, "-o", "out", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hardware.threads=1") == 0
    lines = [line for name in ("identity", "classical") for line in manifest(tmp_path / f"out/backend={name}")["photos"]]
    assert len(lines) == 4
    for stage in ("detect", "align", "background"):
        assert sum(stage not in line["reused"] for line in lines) == 2, "each photo's was computed by one of the two"


def test_a_networks_background_is_computed_once(
    gfpup: Run, shared: Path, tmp_path: Path, portrait: np.ndarray, stages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    forward = RRDBNet.forward
    monkeypatch.setattr(RRDBNet, "forward", lambda self, tile: (passes.append(1), forward(self, tile))[1])
    (tmp_path / "in").mkdir()
    save(tmp_path / "in/a.png", np.ascontiguousarray(portrait[80:120, 80:116]))
    with written(Golden.load(shared, "rrdbnet_x2"), tmp_path) as path:
        args = ("-i", "in", "--detector", "cascade", "--background", "realesrgan", "--background-path", path, *QUIET)
        assert gfpup("run", *args, "-o", "out", "-m", "--backend", "identity,classical") == 0
        assert len(passes) == 1
        assert gfpup("run", *args, "-o", "small", "--backend", "classical", "--cache", "--upscale", "1") == 0
        assert len(passes) == 2, "another size, another pass"
    assert manifest(tmp_path / "out/backend=classical")["reused"]["background"]["photos"] == 1
