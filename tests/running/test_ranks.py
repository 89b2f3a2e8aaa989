"""Several ranks: the bytes and the record of one process, no photo twice, none lost, also when a rank is killed."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import Run, manifest
from forks import Fork, Forks
from pictures import save

from gfpup.core.errors import GfpupError
from gfpup.machine.hardware import Gpu, Machine
from gfpup.planning.schema import Hardware, Settings
from gfpup.running.distributed import rank as ranks
from gfpup.running.distributed.rank import Rank, find_rank, share_of

COMMON = ["--backend", "classical", "--detector", "cascade", "--tracking", "none", "hardware.threads=1", "hardware.workers=0"]
LINUX = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc")


@pytest.fixture
def album(tmp_path: Path, portrait: np.ndarray) -> Path:
    """Eight photos, most with a face that the cascade finds, no two alike."""
    folder = tmp_path / "album"
    folder.mkdir()
    for i in range(8):
        save(folder / f"{i:02d}.png", np.ascontiguousarray(np.roll(portrait, -i, axis=0)))
    return folder


def started(forks: Forks, album: Path, out: Path, *more: str) -> Fork:
    return forks.gfpup(["run", "-i", album, "-o", out, *COMMON, *more])


def finished(forks: Forks, album: Path, out: Path, *more: str) -> Fork:
    done = started(forks, album, out, *more)
    done.wait(timeout=300)
    return done


def pictures(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.rglob("*.png")}


def timeless(document: dict[str, Any], out: Path) -> dict[str, Any]:
    """A record without what depends on when, where and in how many processes it was made."""
    text = json.dumps({key: document[key] for key in document if key not in ("started", "finished", "argv")})
    kept: dict[str, Any] = json.loads(text.replace(str(out), "OUT"))
    for line in kept["photos"]:
        assert all(value >= 0 for value in line["seconds"].values())
        line["seconds"] = sorted(line["seconds"])
    kept["configuration"]["hardware"] |= {"devices": 1}
    kept["configuration"]["screen"] = None
    del kept["plan"]["reasons"]  # they speak of the machine's cores and memory, of which a rank has a part
    kept["hardware"]["free_bytes"] = 0
    return kept


def test_two_ranks_do_what_one_does(gfpup: Run, forks: Forks, album: Path, tmp_path: Path) -> None:
    (album / "02b.png").write_bytes(b"no photo")  # falls to rank 1
    for i in range(5, 8):
        (album / f"{i:02d}.png").unlink()
    one, two = tmp_path / "one", tmp_path / "two"
    assert gfpup("run", "-i", album, "-o", one, *COMMON, "--metrics", "psnr,seconds", "-q") == 1
    done = finished(forks, album, two, "--metrics", "psnr,seconds", "--devices", "2", "--json")
    assert done.returncode == 1, done.stderr
    assert done.stderr == ""
    facts = json.loads(done.stdout)
    faces = sum(face["restored"] for line in manifest(one)["photos"] for face in line["faces"])
    assert faces >= 3
    assert (facts["photos"], facts["failed"], facts["faces_restored"], facts["skipped"]) == (6, 1, faces, 0)
    assert pictures(two) == pictures(one)
    assert len(pictures(two)) == 5
    assert timeless(manifest(two), two) == timeless(manifest(one), one)
    lines = [json.loads(line) for line in (two / "manifest.jsonl").read_text().splitlines()]
    assert sorted(line["name"] for line in lines if "name" in line) == sorted(line["name"] for line in manifest(two)["photos"])
    left = {path.name for path in two.rglob("*")} - set(pictures(two))
    assert left == {"manifest.json", "manifest.jsonl", ".manifest.lock", "scores.csv", "scores.json"}
    scores = []
    for folder in (one, two):
        rows = list(csv.DictReader((folder / "scores.csv").open()))
        seconds = {row["photo"]: row["value"] for row in rows if row["metric"] == "seconds"}
        assert {photo for photo, value in seconds.items() if value} == set(pictures(two))
        assert set(seconds) == {*pictures(two), "02b.png"} and not seconds["02b.png"], (
            "a failed photo has a reason, not a value"
        )
        scores.append([row for row in rows if row["metric"] != "seconds"])
    assert scores[0] == scores[1]


@LINUX
def test_a_killed_rank_ends_the_run_and_the_same_command_goes_on(gfpup: Run, forks: Forks, album: Path, tmp_path: Path) -> None:
    """Also to the scores of one undisturbed process, to the last digit: of lossy files, where rounding would show."""
    out = tmp_path / "out"
    lossy = ("--ext", "jpg", "--metrics", "psnr,ssim")
    running = started(forks, album, out, *lossy, "--devices", "2", "-q")
    (child,) = _children(running, out)
    os.kill(child, signal.SIGKILL)
    assert running.wait() == 1, running.stderr
    assert (
        running.stderr
        == "gfpup: rank 1 ended with status -9 before its photos were done; run the same command again to resume.\n"
    )
    torn = manifest(out)
    assert torn["status"] == "stopped"
    restored = {line["name"] for line in torn["photos"]}
    assert 2 <= len(restored) < 8
    assert {"01.jpg", "03.jpg"} <= restored, "what the killed rank had done is in the record"
    before = {name: (out / name).stat().st_ctime_ns for name in restored}
    resumed = finished(forks, album, out, *lossy, "--devices", "2", "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(resumed.stdout)["skipped"] == len(restored)
    assert {name: (out / name).stat().st_ctime_ns for name in restored} == before
    assert [line["name"] for line in manifest(out)["photos"]] == [f"{i:02d}.jpg" for i in range(8)]
    assert sorted(path.name for path in out.glob("*.jpg")) == [f"{i:02d}.jpg" for i in range(8)]
    assert gfpup("run", "-i", album, "-o", tmp_path / "one", *COMMON, *lossy, "-q") == 0
    for table in ("scores.csv", "scores.json"):
        assert (out / table).read_text() == (tmp_path / "one" / table).read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such statuses")
@pytest.mark.parametrize(("rank", "status", "said"), [("143", 143, "interrupted; run"), ("3", 1, "rank 1 ended with status 3")])
def test_a_run_that_waits_deaf_for_a_rank_ends_as_that_did(rank: str, status: int, said: str) -> None:
    """Until the ranks have met, the first waits where it hears no signal: that of the whole group ended the others."""
    program = """
import subprocess, sys, threading, time
from gfpup.running.distributed import processes
processes.GRACE_SECONDS = processes.INTERRUPTED_SECONDS = 0.1
other = subprocess.Popen([sys.executable, "-c", f"import sys; sys.exit({sys.argv[1]})"])
threading.Thread(target=processes.Crew({1: other}).watch, daemon=True).start()
time.sleep(60)
"""
    done = subprocess.run([sys.executable, "-c", program, rank], capture_output=True, text=True, timeout=50)
    assert done.returncode == status and said in done.stderr


@LINUX
@pytest.mark.slow
def test_the_others_end_with_the_first_and_one_process_goes_on(gfpup: Run, forks: Forks, album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    running = started(forks, album, out, "--devices", "2", "-q")
    (child,) = _children(running, out)
    running.kill()
    running.wait()
    deadline = time.monotonic() + 60
    while _is_rank(child):
        assert time.monotonic() < deadline, "rank 1 outlives the run"
        time.sleep(0.1)
    half = {path.name: path.stat().st_ctime_ns for path in out.glob("*.png") if _recorded(out, path.name)}
    assert {"01.png", "03.png"} <= set(half)
    assert gfpup("run", "-i", album, "-o", out, *COMMON, "-q") == 0
    assert {name: (out / name).stat().st_ctime_ns for name in half} == half
    assert [line["name"] for line in manifest(out)["photos"]] == [f"{i:02d}.png" for i in range(8)]
    assert gfpup("run", "-i", album, "-o", tmp_path / "one", *COMMON, "-q") == 0
    assert pictures(out) == pictures(tmp_path / "one")
    assert not [path for path in out.rglob("*") if path.name.endswith(".part") or ".ranks" in path.parts]


def test_fewer_photos_than_ranks(forks: Forks, album: Path, tmp_path: Path) -> None:
    done = finished(forks, album, tmp_path / "out", "--devices", "2", "--limit", "1", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["photos"] == 1
    assert list(pictures(tmp_path / "out")) == ["00.png"]


def test_the_plan_says_who_shares_the_work(gfpup: Run, album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gfpup("run", "-i", album, "-o", "out", *COMMON[:6], "--device", "cpu", "--devices", "2", "--dry-run", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    (reason,) = [reason for reason in plan["reasons"] if reason["setting"] == "ranks"]
    assert reason["value"] == 2
    whole = ranks.hardware.probe().cores
    assert plan["threads"] == max(1, whole // 2)
    assert len(plan["photos"]) == 8


@pytest.mark.parametrize(
    "words", [("--devices", "0"), ("--devices", "half"), ("--num-nodes", "0"), ("hardware.strategy=fsdp",)]
)
def test_numbers_that_mean_nothing_are_refused(
    gfpup: Run, album: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert gfpup("run", "-i", album, "-o", "out", *COMMON, *words) == 2
    assert "invalid value" in capsys.readouterr().err


def asked(device: str = "cpu", devices: int | None = 1, num_nodes: int = 1, strategy: str = "auto") -> Settings:
    """Settings with the part that decides the rank."""
    return Settings(hardware=Hardware(device=device, devices=devices, num_nodes=num_nodes, strategy=strategy))


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nobody else starts ranks, and the machine has two GPUs."""
    for name in list(os.environ):
        if name.startswith(("SLURM_", "TORCHELASTIC_")) or name in ("LOCAL_RANK", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT"):
            monkeypatch.delenv(name)
    gpus = (Gpu("a", 8, 8, bfloat16=True), Gpu("b", 8, 8, bfloat16=True))
    monkeypatch.setattr(ranks.hardware, "probe", lambda: Machine(8, 80, gpus))
    return monkeypatch


def test_places(alone: pytest.MonkeyPatch) -> None:
    assert find_rank(asked()) == Rank()
    assert find_rank(asked("auto", None)).devices == 2
    assert find_rank(asked("cpu", None)) == Rank()
    assert find_rank(asked("cuda:1", None)) == Rank(), "auto does not take more than the one that was named"
    assert find_rank(asked(strategy="ddp")).ddp
    for refused in (asked("cuda:1", 2), asked("cuda", 3)):
        with pytest.raises(GfpupError, match="--devices"):
            find_rank(refused)
    with pytest.raises(GfpupError, match="NODE_RANK"):
        find_rank(asked(num_nodes=2))
    for name, value in {"NODE_RANK": "1", "MASTER_ADDR": "first", "MASTER_PORT": "5000"}.items():
        alone.setenv(name, value)
    rank = find_rank(asked(devices=3, num_nodes=2))
    assert (rank.global_rank, rank.world_size, rank.address, rank.port, rank.external) == (3, 6, "first", 5000, False)


def test_slurm_s_places(alone: pytest.MonkeyPatch) -> None:
    told = {"NTASKS": "4", "NTASKS_PER_NODE": "2", "NNODES": "2", "PROCID": "3", "LOCALID": "1", "NODEID": "1", "JOB_NAME": "x"}
    for name, value in told.items():
        alone.setenv(f"SLURM_{name}", value)
    rank = find_rank(asked("cuda", 2, 2))
    assert (rank.global_rank, rank.local_rank, rank.world_size, rank.external) == (3, 1, 4, True)
    assert share_of(Machine(8, 80), rank).cores == 8, "Slurm binds each task to cores of its own"
    alone.setenv("SLURM_NTASKS_PER_NODE", "4")
    with pytest.raises(GfpupError, match="ntasks-per-node"):
        find_rank(asked("cuda", 2, 2))


def test_ranks_of_one_machine_share_its_cores() -> None:
    shared = share_of(Machine(9, 90), Rank(devices=2, ddp=True))
    assert (shared.cores, shared.memory_bytes) == (4, 45)
    assert share_of(Machine(9, 90), Rank()) == Machine(9, 90)


def _children(running: Fork, out: Path) -> list[int]:
    """The ranks that a run started, when the second has recorded two photos."""
    part = out / ".ranks/1/manifest.jsonl"
    deadline = time.monotonic() + 120
    while not (part.exists() and part.read_bytes().count(b"\n") >= 2):
        assert running.poll() is None, "the run ended too early"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    return [int(child) for child in children if _is_rank(int(child))]


def _is_rank(process: int) -> bool:
    try:
        return b"gfpup.running" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


def _recorded(out: Path, name: str) -> bool:
    return any(f'"name": "{name}"' in path.read_text() for path in out.rglob("manifest.jsonl"))
