"""The stage cache: what it returns is what was computed, whatever happens to its files; and it stays within its bounds."""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gfpup.restoration import stage_cache
from gfpup.restoration.stage_cache import SHARES, Arrays, Reuse, StageCache, digest_of, noting

WAIT_SECONDS = 60


class Count:
    """A computation that counts how often it is done."""

    def __init__(self, arrays: Arrays | None = None, seconds: float = 0.0) -> None:
        self.arrays = {"faces": np.array([[1 / 3, 2e-300], [-0.0, np.inf]])} if arrays is None else arrays
        self.seconds = seconds
        self.times = 0

    def __call__(self) -> Arrays:
        self.times += 1
        time.sleep(self.seconds)
        return {name: array.copy() for name, array in self.arrays.items()}


def store(folder: Path, limit_bytes: int = 10**9, warn: Callable[[str], None] | None = None) -> StageCache:
    return StageCache(folder, limit_bytes=limit_bytes, warn=warn)


def entries(folder: Path, stage: str = "detect") -> list[Path]:
    return sorted((folder / stage).glob("*.npz"))


def same(found: Arrays, expected: Arrays) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()


def test_what_is_read_is_what_was_computed(tmp_path: Path) -> None:
    arrays = {
        "pixels": np.arange(2 * 3 * 3, dtype=np.uint16).reshape(2, 3, 3),
        "none": np.zeros((0, 5, 2)),
        "reasons": np.array(["", "it lies outside the photo, at x > 10: “é”"]),
        "faces": np.array([np.nextafter(1, 2), -0.0, np.nan, 1e-310]),
    }
    compute = Count(arrays, seconds=0.05)
    same(store(tmp_path).get("detect", {"a": 1}, compute), arrays)
    with noting(reuse := Reuse()):
        found = store(tmp_path).get("detect", {"a": 1}, compute)
    same(found, arrays)
    assert compute.times == 1
    assert 0.05 <= reuse.seconds["detect"] < 5
    found["pixels"][:] = 0  # the caller's own
    same(store(tmp_path).get("detect", {"a": 1}, compute), arrays)
    assert [path.suffix for path in (tmp_path / "detect").iterdir()] == [".npz"]


def test_whatever_decides_the_bytes_is_in_the_key(tmp_path: Path) -> None:
    compute = Count()
    wanted = [("detect", {"a": 1}), ("detect", {"a": 1.5}), ("detect", {"a": None}), ("detect", {"b": 1}), ("align", {"a": 1})]
    for stage, facts in wanted:
        store(tmp_path).get(stage, facts, compute)
    assert compute.times == len(wanted)
    store(tmp_path).get("detect", {"y": 1, "x": [2]}, compute)
    store(tmp_path).get("detect", {"x": [2], "y": 1}, compute)
    assert compute.times == len(wanted) + 1


def test_the_digest_is_of_shape_dtype_and_bytes() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    others = [pixels.reshape(3, 2, 4), pixels.view(np.int8), pixels.view(np.uint16), pixels[:1], pixels + np.uint8(1)]
    assert len({digest_of(array) for array in [pixels, *others]}) == 6
    assert digest_of(pixels[:, ::-1][:, ::-1]) == digest_of(np.asfortranarray(pixels)) == digest_of(pixels)


def test_a_damaged_or_foreign_entry_is_computed_again(tmp_path: Path) -> None:
    """Every byte in turn, every length, other files under its name: never an error, never another result."""
    compute = Count()
    store(tmp_path).get("detect", {"a": 1}, compute)
    (path,) = entries(tmp_path)
    whole = path.read_bytes()
    store(tmp_path).get("detect", {"a": 2}, Count({"faces": np.ones((2, 2))}))
    (other,) = set(entries(tmp_path)) - {path}
    broken = [whole[:n] for n in range(0, len(whole), 7)]
    for at in range(0, len(whole), 3):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << at % 8
        broken.append(bytes(flipped))
    broken += [other.read_bytes(), b"\x93NUMPY\x01\x00", os.urandom(4000), whole + b"more", b"PK\x05\x06" + bytes(18)]
    computed = 0
    for content in broken:
        path.write_bytes(content)
        again = Count()
        same(store(tmp_path).get("detect", {"a": 1}, again), compute.arrays)
        computed += again.times
        assert entries(tmp_path) and store(tmp_path).get("detect", {"a": 1}, again)
        assert again.times <= 1, "it was mended"
    assert computed > len(broken) / 2
    path.unlink()
    path.mkdir()
    same(store(tmp_path).get("detect", {"a": 1}, compute), compute.arrays)


def test_an_error_of_the_stage_is_handed_on_and_blocks_nobody(tmp_path: Path) -> None:
    def fail() -> Arrays:
        raise FileNotFoundError("the stage's own")

    said: list[str] = []
    shared = store(tmp_path, warn=said.append)
    with pytest.raises(FileNotFoundError, match="the stage's own"):
        shared.get("detect", {"a": 1}, fail)
    compute = Count()
    shared.get("detect", {"a": 1}, compute)
    store(tmp_path).get("detect", {"a": 1}, compute)
    assert (compute.times, said) == (1, [])


def _compute_slowly(folder: Path, log: Path, start: float) -> None:
    def compute() -> Arrays:
        with log.open("a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(0.6)
        return {"faces": np.arange(4.0)}

    time.sleep(max(0.0, start - time.time()))
    for a in (1, 2):
        same(store(folder).get("detect", {"a": a}, compute), {"faces": np.arange(4.0)})


def test_of_several_processes_one_computes_and_the_others_wait(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    log = tmp_path / "log"
    start = time.time() + 3  # they begin together, whatever starting them takes
    jobs = [spawn.Process(target=_compute_slowly, args=(tmp_path / "stages", log, start)) for _ in range(3)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(WAIT_SECONDS)
    assert [job.exitcode for job in jobs] == [0, 0, 0]
    assert len(log.read_text().split()) == 2, "once a key"
    assert {path.suffix for path in (tmp_path / "stages/detect").iterdir()} == {".npz"}


def _compute_for_ever(folder: Path, begun: Path) -> None:
    def compute() -> Arrays:
        begun.touch()
        time.sleep(WAIT_SECONDS)
        return {}

    store(folder).get("detect", {"a": 1}, compute)


def test_a_killed_job_leaves_its_lock_to_the_next(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    job = multiprocessing.get_context("spawn").Process(target=_compute_for_ever, args=(tmp_path / "stages", begun))
    job.start()
    until = time.monotonic() + WAIT_SECONDS
    while not begun.exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert begun.exists()
    job.kill()
    job.join(WAIT_SECONDS)
    compute = Count()
    began = time.monotonic()
    store(tmp_path / "stages").get("detect", {"a": 1}, compute)
    assert compute.times == 1
    assert time.monotonic() - began < 5


def test_who_waits_too_long_computes_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_cache, "LOCK_SECONDS", 0.1)
    inner, outer = Count(), Count()

    def compute() -> Arrays:  # the lock is held meanwhile
        store(tmp_path).get("detect", {"a": 1}, inner)
        return outer()

    store(tmp_path).get("detect", {"a": 1}, compute)
    assert (inner.times, outer.times) == (1, 1)


KILOBYTES_96 = {"pixels": np.zeros(96 * 1024 - 512, np.uint8)}


def fill(shared: StageCache, *names: int) -> int:
    compute = Count(KILOBYTES_96)
    for name in names:
        shared.get("detect", {"a": name}, compute)
    return compute.times


def taken(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.npz"))


def test_the_least_recently_used_go_when_the_limit_is_passed(tmp_path: Path) -> None:
    limit = int(10 * 100 * 1024 / SHARES["detect"])
    fill(store(tmp_path, limit), *range(10))
    assert len(entries(tmp_path)) == 10
    for age, path in enumerate(sorted(entries(tmp_path), key=lambda path: path.stat().st_mtime_ns)):
        os.utime(path, (1e9 + age, 1e9 + age))
    assert fill(store(tmp_path, limit), 0, 1) == 0  # used: now the youngest
    assert fill(store(tmp_path, limit), 20, 21) == 2
    assert taken(tmp_path) <= limit * SHARES["detect"]
    assert fill(store(tmp_path, limit), 0, 1, 20, 21) == 0
    assert fill(store(tmp_path, limit), 2) == 1


def test_a_set_larger_than_the_limit_keeps_its_first_ones_and_says_so(tmp_path: Path) -> None:
    """Plain least-recently-used would lose each entry just before the next job asks for it."""
    limit = int(10 * 100 * 1024 / SHARES["detect"])
    fill(store(tmp_path, limit), *range(100, 105))  # another sweep's, which give way
    said: list[str] = []
    assert fill(store(tmp_path, limit, said.append), *range(20)) == 20
    assert ["cache.max_gb" in sentence for sentence in said] == [True]
    assert taken(tmp_path) <= limit * SHARES["detect"]
    assert fill(store(tmp_path, limit), *range(20)) <= 11
    assert taken(tmp_path) <= limit * SHARES["detect"]


def test_many_small_writers_stay_within_the_limit(tmp_path: Path) -> None:
    limit = int(20 * 100 * 1024 / SHARES["detect"])
    jobs = [store(tmp_path, limit) for _ in range(4)]
    for name in range(80):
        fill(jobs[name % 4], name)
        assert taken(tmp_path) <= limit * SHARES["detect"] * (1 + 4 / 20)


def test_one_stage_does_not_drive_out_another(tmp_path: Path) -> None:
    limit = 2 * 2**20
    fill(store(tmp_path, limit), 1)
    large = Count({"pixels": np.zeros(300_000, np.uint8)})
    for name in range(20):
        store(tmp_path, limit).get("background", {"a": name}, large)
    assert fill(store(tmp_path, limit), 1) == 0
    assert taken(tmp_path) <= limit
    said: list[str] = []
    shared, too_large = store(tmp_path, limit, said.append), Count({"pixels": np.zeros(limit, np.uint8)})
    for _ in range(2):
        shared.get("background", {"a": "too large"}, too_large)
    assert (too_large.times, len(said)) == (2, 1)
    for _ in range(2):
        shared.get("background", {"a": "one more"}, large)
    assert large.times == 21, "what fits is kept still"
    assert len(entries(tmp_path, "background")) > 1


def test_what_killed_jobs_left_goes_with_old_entries(tmp_path: Path) -> None:
    limit = int(5 * 100 * 1024 / SHARES["detect"])
    fill(store(tmp_path, limit), *range(4))
    left, fresh, foreign = (tmp_path / "detect" / name for name in ("1-ab.tmp", "2-cd.tmp", "notes.txt"))
    for path in (left, fresh, foreign):
        path.write_bytes(b"x" * 10)
    for path in (left, foreign):
        os.utime(path, (1e9, 1e9))
    fill(store(tmp_path, limit), 10, 11, 12)
    assert (left.exists(), fresh.exists(), foreign.exists()) == (False, True, True)


def test_entries_that_others_delete_are_computed_again(tmp_path: Path) -> None:
    shared = store(tmp_path)
    assert fill(shared, 1, 2) == 2
    entries(tmp_path)[0].unlink()
    assert fill(shared, 1, 2) == 1
    shutil.rmtree(tmp_path)
    assert fill(shared, 1, 2) == 2
    assert fill(store(tmp_path), 1, 2) == 0


def test_a_folder_that_cannot_be_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    said: list[str] = []
    shared = store(tmp_path / "file" / "stages", warn=said.append)
    with noting(reuse := Reuse()):
        assert fill(shared, 1, 2, 1) == 3
    (sentence,) = said
    assert str(tmp_path / "file" / "stages") in sentence and "cannot be written" in sentence
    assert reuse.remarks == said
    assert reuse.seconds == {}


def test_a_full_disk_stops_nothing_and_leaves_no_part(tmp_path: Path) -> None:
    assert fill(store(tmp_path), 1) == 1
    said: list[str] = []
    shared = store(tmp_path, warn=said.append)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))  # the system refuses to write more, as on a full disk
    try:
        assert fill(shared, 2, 3, 1) == 2, "what is there is read still"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(said) == 1
    assert [path.suffix for path in (tmp_path / "detect").iterdir()] == [".npz"]


def test_the_folder_is_the_users_cache_or_as_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GFPUP_CACHE_DIR", str(tmp_path / "mine"))
    assert stage_cache.default_folder() == tmp_path / "mine"
    monkeypatch.delenv("GFPUP_CACHE_DIR")
    assert stage_cache.default_folder().parts[-2:] == ("gfpup", "stages")
