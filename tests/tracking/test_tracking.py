"""Runs in MLflow: all that is logged is read back, parallel jobs lose nothing, and whatever fails stays out of the run."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import socket
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pictures import read, save

from gfpup.core.types import Metadata, Photo, RestoredPhoto, Score
from gfpup.machine.usage import Usage
from gfpup.records.run_record import RunRecord
from gfpup.records.scores import write
from gfpup.tracking import facts as tracking_facts
from gfpup.tracking import local_store, ui_view
from gfpup.tracking import store as tracking_store
from gfpup.tracking import tracker as tracking
from gfpup.tracking.backfill import track, track_sweep
from gfpup.tracking.store import AFTER, BEFORE, TrackingError, client, end_sweep, prepare_store, start_sweep, store_uri
from gfpup.tracking.target import Target
from gfpup.tracking.tracker import Tracker

NAMES = ("photo2.png", "photo10.png", "sub/großmutter, 1=2.png")


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One store for all tests, for making it takes seconds; each test has experiments of its own."""
    uri = store_uri(str(tmp_path_factory.mktemp("mlruns")))
    prepare_store(uri)
    return uri


class Run:
    """A finished run's folder, made by hand, and the photos as an observer sees them."""

    def __init__(self, folder: Path, *, seed: int, names: Sequence[str] = NAMES, method: str = "identity") -> None:
        self.folder = folder / method
        rng = np.random.default_rng(seed)
        self.inputs = {name: rng.integers(0, 256, (40, 60, 3), dtype=np.uint8) for name in names}
        self.outputs = {name: rng.integers(0, 256, (80, 120, 3), dtype=np.uint8) for name in names}
        self.scores = {name: float(rng.uniform(20, 30)) for name in names}
        self.header = {
            "title": f"{method} at 2x",
            "started": "2026-03-01T10:00:00+00:00",
            "fingerprint": f"{seed:016x}",
            "argv": ["gfpup", "run", "--backend", method],
            "configuration": {"backend": {"name": method}, "restore": {"fidelity": None}, "source": {"path": ["x" * 9000]}},
            "versions": {"gfpup": "0.1", "torch": "2.13.0+cpu"},
            "commit": "a" * 40,
            "hardware": {"cores": 2},
            "plan": {
                "pixels": {"backend": method, "upscale": 2},
                "device": "cpu",
                "threads": 2,
                "reasons": [{"setting": "device", "value": "cpu", "why": "no GPU is here"}],
                "warnings": ["it is slow"],
            },
            "checkpoints": {"backend": {"file": "weights.pth", "sha256": "b" * 64}},
            "licences": {},
            "metrics": [],
        }
        (self.folder / "sub").mkdir(parents=True)
        self.lines: dict[str, dict[str, Any]] = {}
        for name in names:
            source = folder / "photos" / Path(name).name
            source.parent.mkdir(exist_ok=True)
            save(source, self.inputs[name])
            save(self.folder / name, self.outputs[name])
            self.lines[name] = {
                "name": name,
                "input": str(source),
                "input_sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
                "output": str(self.folder / name),
                "faces": [{"restored": True, "failed": False}, {"restored": False, "failed": True}],
                "seconds": {"restore": 0.5},
                "error": None,
            }
        self.rows = [replace(score, photo=name) for name in names for score in self.scores_of(name)]
        self.rows.append(Score("fid", 12.5, False))

    def scores_of(self, name: str) -> tuple[Score, ...]:
        value = self.scores[name]
        return (
            Score("psnr", value, True),
            Score("identity", 0.25, True, face=0),
            Score("identity", 0.75, True, face=1),
            Score("ssim", float("inf"), True),
            Score("niqe", None, False, "it is not installed"),
        )

    def restored(self, name: str) -> RestoredPhoto:
        photo = Photo(Path(name), self.inputs[name], Metadata("PNG"))
        return RestoredPhoto(photo, self.outputs[name], None, (), {}, scores=self.scores_of(name))

    def document(self, status: str = "done") -> dict[str, Any]:
        facts = {"status": status, "finished": "2026-03-01T10:01:00+00:00", "photos": list(self.lines.values())}
        return {"schema_version": 1, **self.header, **facts}

    def finish(self, status: str = "done") -> dict[str, Any]:
        """Write what a run leaves; returns the manifest's document."""
        write(self.folder, self.rows)
        (self.folder / "manifest.json").write_text(json.dumps(self.document(status)))
        return self.document(status)


def watched(run: Run, target: Target, *, passing: Sequence[str] = NAMES, status: str = "done") -> Tracker:
    """The tracker of a whole run, of which the photos `passing` are done now and the others were before."""
    tracker = Tracker(run.folder, target, names=list(run.lines))
    tracker.start(run.header)
    for name in passing:
        tracker.photo_done(run.lines[name], run.restored(name))
    tracker.run_done(run.finish(status))
    return tracker


def pictures(uri: str, run_id: str, to: Path) -> dict[tuple[str, int], np.ndarray]:
    """The logged pictures by key and step, decoded."""
    found = {}
    for file in client(uri).list_artifacts(run_id, "images"):
        if file.path.endswith(".png"):
            key, _, step, *_ = Path(file.path).name.split("+")
            assert (key, int(step)) not in found, "a picture is there twice"
            found[key, int(step)] = read(Path(client(uri).download_artifacts(run_id, file.path, str(to))))
    return found


def history(uri: str, run_id: str, key: str) -> dict[int, float]:
    found = client(uri).get_metric_history(run_id, key)
    assert len({metric.step for metric in found}) == len(found), f"a step of {key} is there twice"
    return {metric.step: metric.value for metric in found}


def artifact(uri: str, run_id: str, path: str, to: Path) -> str:
    return Path(client(uri).download_artifacts(run_id, path, str(to))).read_text()


@pytest.mark.parametrize("passing", [NAMES, NAMES[:1], ()], ids=["live", "resumed", "afterwards"])
def test_all_of_a_run_is_read_back(store: str, tmp_path: Path, passing: Sequence[str]) -> None:
    run = Run(tmp_path, seed=11 + len(passing))
    target = Target(store, f"read back {len(passing)}", max_images=2, image_px=60)
    tracker = watched(run, target, passing=passing, status="failed")
    assert tracker.failure is None
    assert tracker.record()["run_id"] == tracker.run_id and tracker.record()["failure"] is None
    found = client(store).get_run(tracker.run_id)
    assert found.info.status == "FAILED" and found.info.run_name == "identity at 2x"
    assert found.info.end_time - found.info.start_time == 60_000
    params = found.data.params
    assert params["backend.name"] == "identity" and params["restore.fidelity"] == "null"
    assert params["plan.device"] == "cpu" and params["plan.upscale"] == "2" and params["weights.backend"] == "b" * 64
    assert len(params["source.path"]) == tracking_facts.VALUE_CHARACTERS
    tags = found.data.tags
    assert tags["version.torch"] == "2.13.0+cpu" and tags["mlflow.source.git.commit"] == "a" * 40
    assert "no GPU is here" in tags["mlflow.note.content"] and "it is slow" in tags["mlflow.note.content"]
    assert tags["mlflow.loggedImages"] and tags[tracking_facts.COMPLETE] == "true" and tags["gfpup.status"] == "failed"

    values = [run.scores[name] for name in NAMES]
    assert history(store, tracker.run_id, "per_photo/psnr") == pytest.approx(dict(enumerate(values)))
    assert history(store, tracker.run_id, "per_photo_faces/identity") == {0: 0.5, 1: 0.5, 2: 0.5}
    assert history(store, tracker.run_id, "per_photo_seconds/restore") == {0: 0.5, 1: 0.5, 2: 0.5}
    metrics = found.data.metrics
    assert metrics["mean_photo/psnr"] == pytest.approx(np.mean(values)) and metrics["mean_faces/identity"] == 0.5
    assert metrics["run/fid"] == 12.5 and metrics["infinite_photo/ssim"] == 3 and metrics["missing_photo/niqe"] == 3
    assert "mean_photo/ssim" not in metrics and "mean_photo/niqe" not in metrics
    assert metrics["count/photos"] == 3 and metrics["count/faces"] == 6 and metrics["count/faces_failed"] == 3

    dataset = found.inputs.dataset_inputs[0].dataset
    assert dataset.name == "photos" and json.loads(dataset.profile) == {"num_photos": 3}
    assert dataset.digest == tracking_facts.data_set(RunRecord(run.folder, run.document()).photos)[1]

    shown = pictures(store, tracker.run_id, tmp_path)
    assert set(shown) == {(tracking_facts.picture_key(name), step) for name in NAMES[:2] for step in (BEFORE, AFTER)}
    for name in NAMES[:2]:
        key = tracking_facts.picture_key(name)
        assert np.array_equal(shown[key, BEFORE], run.inputs[name])
        assert np.array_equal(shown[key, AFTER], cv2.resize(run.outputs[name], (60, 40), interpolation=cv2.INTER_AREA))

    table = json.loads(artifact(store, tracker.run_id, "scores_by_photo.json", tmp_path))
    assert [row[0] for row in table["data"]] == list(NAMES)
    assert [row[table["columns"].index("photo/psnr")] for row in table["data"]] == pytest.approx(values)
    assert [row[table["columns"].index("photo/niqe")] for row in table["data"]] == [None] * 3
    assert json.loads(artifact(store, tracker.run_id, "manifest.json", tmp_path)) == run.document("failed")
    assert artifact(store, tracker.run_id, "scores.csv", tmp_path) == (run.folder / "scores.csv").read_text()
    facts = json.loads(artifact(store, tracker.run_id, "run.json", tmp_path))
    assert facts["plan"] == run.header["plan"] and facts["configuration"] == run.header["configuration"]


def test_a_photo_has_one_key_and_one_step_in_all_runs() -> None:
    keys = [
        tracking_facts.picture_key(name) for name in (*NAMES, "sub/photo2.png", "photo2.jpg", "写真.png", "a" * 300 + ".png")
    ]
    assert len(set(keys)) == len(keys)
    assert all(len(key) <= 60 and key.isascii() and set(key) <= set("-_") | set(filter(str.isalnum, key)) for key in keys)
    assert tracking_facts.picture_key(NAMES[2]).startswith("sub-gro")
    assert tracking_facts.steps(reversed(NAMES)) == {name: i for i, name in enumerate(NAMES)}
    assert tracking_facts.steps(NAMES[1:], NAMES) == {NAMES[1]: 0, NAMES[2]: 1, NAMES[0]: 2}


def test_pictures_are_eight_bit_bounded_and_never_enlarged() -> None:
    deep = np.full((300, 100, 3), 0x8080, np.uint16)
    assert tracking_facts.shrunk(deep, 30).shape == (30, 10, 3) and (tracking_facts.shrunk(deep, 30) == 0x80).all()
    small = np.random.default_rng(3).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    kept = tracking_facts.shrunk(small, 512)
    assert np.array_equal(kept, small) and not np.shares_memory(kept, small)
    assert tracking_facts.shrunk(np.zeros((1, 4000, 3), np.uint8), 100).shape == (1, 100, 3)


def test_the_digest_follows_the_bytes_and_not_the_names(tmp_path: Path) -> None:
    first, again, other = (Run(tmp_path / str(i), seed=seed) for i, seed in enumerate((5, 5, 6)))
    digests = [tracking_facts.data_set(RunRecord(run.folder, run.document()).photos)[1] for run in (first, again, other)]
    assert digests[0] == digests[1] != digests[2] and len(digests[0]) <= 36


def test_usage_is_told_now_and_then() -> None:
    assert Usage(every=60).sample() == {}
    found = Usage(every=0).sample()
    assert found["system/process_cpu_percentage"] >= 0 and found.get("system/process_memory_megabytes", 1) > 0


def _job(uri: str, folder: str, number: int, target: Mapping[str, Any], barrier: Any, results: Any) -> None:
    run = Run(Path(folder) / str(number), seed=100 + number, method=f"job{number}")
    barrier.wait()
    prepared = prepare_store(uri, "made at once")  # as eight runs without a sweep would
    tracker = watched(run, Target(uri, **target))
    results.put((number, prepared, tracker.run_id, tracker.failure))


def test_parallel_jobs_make_one_store_and_lose_nothing(tmp_path: Path) -> None:
    uri = store_uri(str(tmp_path / "new"))
    experiment = prepare_store(uri, "sweep")
    parent = start_sweep(uri, experiment, title="sweep", argv=["gfpup", "sweep"], output=tmp_path)
    context, jobs = multiprocessing.get_context("spawn"), 3
    barrier, results = context.Barrier(jobs), context.Queue()
    target = {"experiment": "sweep", "experiment_id": experiment, "parent_run_id": parent}
    processes = [context.Process(target=_job, args=(uri, str(tmp_path), i, target, barrier, results)) for i in range(jobs)]
    for process in processes:
        process.start()
    ended = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(30)
    assert [failure for *_, failure in ended] == [None] * jobs
    assert len({prepared for _, prepared, _, _ in ended}) == 1
    end_sweep(uri, parent, jobs=[{"status": 0}, {"status": 1, "output": "out/backend=classical"}, {"status": 0}], status=1)
    store = client(uri)
    assert sorted(each.name for each in store.search_experiments()) == ["Default", "made at once", "sweep"]
    assert store.search_runs(["0"]) == []
    found = tracking_store.children(store, parent)
    assert {run.info.run_id for run in found} == {run_id for _, _, run_id, _ in ended}
    assert {run.info.run_name for run in found} == {f"job{i}" for i in range(jobs)}
    for run in found:
        assert set(history(uri, run.info.run_id, "per_photo/psnr")) == {0, 1, 2}
        assert run.data.tags[ui_view.SWEEP] == parent
    keys = [{key for key, _ in pictures(uri, run.info.run_id, tmp_path / run.info.run_id)} for run in found]
    assert keys[0] == keys[1] == keys[2] and len(keys[0]) == 3
    # The sweep's own run shows what was given, beside each job's result.
    assert set(pictures(uri, parent, tmp_path / "parent")) == {(key, step) for key in keys[0] for step in (BEFORE, AFTER)}
    own = store.get_run(parent)
    assert own.info.status == "FINISHED" and own.data.tags["gfpup.failed_jobs"] == "classical"
    assert own.data.metrics["mean_photo/psnr"] == pytest.approx(np.mean([run.data.metrics["mean_photo/psnr"] for run in found]))
    assert store.get_run(parent).data.metrics["count/jobs_failed"] == 1
    last = tracking_store.last_sweep(store, [experiment])
    assert last is not None and last.info.run_id == parent


def test_a_run_is_tracked_once_and_what_failed_is_replaced(store: str, tmp_path: Path) -> None:
    run = Run(tmp_path, seed=21)
    target = Target(store, "once")
    half = Tracker(run.folder, target, names=NAMES)
    half.start(run.header)  # and then the server went away
    run.finish()
    first = track(run.folder, target)
    assert first != half.run_id and track(run.folder, target) == first
    found = client(store).search_runs([prepare_store(store, "once")])
    assert [each.info.run_id for each in found] == [first]
    later = Run(tmp_path / "later", seed=21)
    later.header["started"] = "2026-03-01T10:00:05+00:00"
    later.finish()
    assert track(later.folder, target) != first


def test_a_sweep_is_tracked_below_one_run(store: str, tmp_path: Path) -> None:
    runs = [Run(tmp_path, seed=30 + i, method=method) for i, method in enumerate(("identity", "classical"))]
    for run in runs:
        run.finish()
    target = Target(store, "sweep again", max_images=1)
    alone = track(runs[0].folder, target)  # it was there before, without a sweep
    parent, ids = track_sweep(tmp_path, [run.folder for run in runs], target)
    assert ids[0] == alone and track_sweep(tmp_path, [run.folder for run in runs], target) == (parent, ids)
    assert {run.info.run_id for run in tracking_store.children(client(store), parent)} == set(ids)
    assert len(pictures(store, parent, tmp_path)) == 2


def test_a_run_that_goes_on_or_is_none_is_refused(store: str, tmp_path: Path) -> None:
    run = Run(tmp_path, seed=41)
    run.finish("running")
    with pytest.raises(TrackingError, match="has not ended"):
        track(run.folder, Target(store))
    (run.folder / "manifest.json").write_text("[1]")
    with pytest.raises(TrackingError, match="is not the record of a run"):
        track(run.folder, Target(store))


def test_inputs_that_changed_or_were_damaged_are_not_shown_as_given(store: str, tmp_path: Path) -> None:
    run = Run(tmp_path, seed=51, names=NAMES[:2])
    save(Path(run.lines[NAMES[0]]["input"]), run.outputs[NAMES[0]])
    run.finish()
    shown = pictures(store, track(run.folder, Target(store, "changed")), tmp_path)
    second = tracking_facts.picture_key(NAMES[1])
    assert set(shown) == {(tracking_facts.picture_key(NAMES[0]), AFTER), (second, BEFORE), (second, AFTER)}


@pytest.mark.parametrize("case", ["no folder", "no database", "no server"])
def test_a_store_that_cannot_be_used_is_said_once_and_stops_nothing(
    tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    if case == "no folder":
        (tmp_path / "file").write_text("")
        uri = store_uri(str(tmp_path / "file" / "mlruns"))
    elif case == "no database":
        (tmp_path / "mlflow.db").write_bytes(b"not SQLite at all" * 100)
        uri = store_uri(str(tmp_path))
    else:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            uri = f"http://user:secret@127.0.0.1:{closed.getsockname()[1]}"
    run = Run(tmp_path, seed=61)
    began = time.monotonic()
    tracker = watched(run, Target(uri))
    assert time.monotonic() - began < 15
    assert tracker.run_id is None and tracker.failure is not None
    assert f"gfpup track {run.folder} repeats it" in tracker.failure and "\n" not in tracker.failure
    assert "secret" not in json.dumps(tracker.record())
    with pytest.raises(TrackingError):
        track(run.folder, Target(uri))
    with pytest.raises(TrackingError):
        start_sweep(uri, "1", title="sweep", argv=[], output=tmp_path) if case == "no server" else prepare_store(uri)


def test_a_store_that_is_gone_midway_ends_the_tracking_and_not_the_run(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path, seed=71)
    tracker = Tracker(run.folder, Target(store, "midway"), names=NAMES)
    tracker.start(run.header)
    calls = []

    def full(*_: object, **__: object) -> None:
        calls.append(1)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tracker._store, "log_batch", full)
    for name in NAMES:
        tracker.photo_done(run.lines[name], run.restored(name))
        time.sleep(0.01)
    tracker.run_done(run.finish())
    assert tracker.failure is not None and "No space left on device" in tracker.failure
    assert len(calls) == 1, "it was tried again after it had failed"
    repeated = track(run.folder, Target(store, "midway"))
    assert set(history(store, repeated, "per_photo/psnr")) == {0, 1, 2}


def test_a_store_that_hangs_is_left(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path, seed=81)
    tracker = Tracker(run.folder, Target(store, "hangs"), names=NAMES)
    tracker.start(run.header)
    monkeypatch.setattr(tracking, "DRAIN_SECONDS", 0.2)
    monkeypatch.setattr(tracker._store, "log_batch", lambda *_, **__: time.sleep(3))
    began = time.monotonic()
    tracker.photo_done(run.lines[NAMES[0]], run.restored(NAMES[0]))
    assert time.monotonic() - began < 0.1, "the loop waited"
    tracker.run_done(run.finish())
    assert time.monotonic() - began < 2 and "did not answer" in str(tracker.failure)


def test_stores_are_named_as_people_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert store_uri(None) == f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    assert store_uri("other") == f"sqlite:///{tmp_path}/other/mlflow.db"
    assert store_uri("a/b.db") == store_uri("sqlite:///a/b.db") == f"sqlite:///{tmp_path}/a/b.db"
    assert store_uri("https://host:5000") == "https://host:5000"
    assert tracking_store.shown("https://me:word@host:5000/x") == "https://host:5000/x"


def test_a_deleted_experiment_is_said(store: str) -> None:
    client(store).delete_experiment(prepare_store(store, "deleted"))
    with pytest.raises(TrackingError, match="was deleted"):
        prepare_store(store, "deleted")


def test_a_store_held_by_another_writer_is_waited_for_and_then_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = store_uri(str(tmp_path))
    monkeypatch.setattr(local_store, "BUSY_SECONDS", 0.2)
    with sqlite3.connect(tmp_path / "mlflow.db") as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TrackingError, match="locked"):
            prepare_store(uri)


def test_the_environment_names_the_store_where_nothing_else_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GFPUP_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert store_uri(None) == "http://127.0.0.1:5000" and store_uri("mine") == f"sqlite:///{tmp_path}/mine/mlflow.db"
    monkeypatch.setenv("GFPUP_TRACKING_URI", "ours")
    assert store_uri(None) == f"sqlite:///{tmp_path}/ours/mlflow.db"


def test_a_store_whose_making_was_interrupted_is_made_anew(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        connection.execute("CREATE TABLE experiments (experiment_id INTEGER)")
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
    (tmp_path / ".gfpup-1-aa.part").write_bytes(b"torn")
    assert prepare_store(store_uri(str(tmp_path)))
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} >= {"mlflow.db", "mlflow.db.incomplete"}
    assert not list(tmp_path.glob(".gfpup-*"))


def test_pictures_follow_a_store_that_is_moved(tmp_path: Path) -> None:
    uri = store_uri(str(tmp_path / "before"))
    prepare_store(uri)
    run = Run(tmp_path / "photos", seed=91, names=NAMES[:1])
    run.finish()
    run_id = track(run.folder, Target(uri))
    (tmp_path / "before").rename(tmp_path / "after")
    moved = store_uri(str(tmp_path / "after"))
    assert tracking_store.follow_folder(tmp_path / "after" / "mlflow.db")
    assert not tracking_store.follow_folder(tmp_path / "after" / "mlflow.db")
    assert len(pictures(moved, run_id, tmp_path)) == 2
    assert str(tmp_path / "after") in client(moved).get_experiment(prepare_store(moved)).artifact_location
