"""A run killed at any moment resumes to the bytes of an undisturbed one; a signal to end it does so cleanly."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

DRIVER = Path(__file__).with_name("crash_driver.py")
COMMON = ["--backend", "classical", "--detector", "cascade", "--quiet", "hardware.workers=0", "hardware.threads=1"]


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in (".png", ".jpg")
    }


def test_killed_at_every_moment_and_resumed(photos: Path, tmp_path: Path) -> None:
    """One folder, killed at step 0, then resumed and killed at step 1 of that run, and so on: nothing lost, nothing torn."""
    words = ["run", "-i", str(photos), "--recursive", *COMMON]
    undisturbed = subprocess.run(
        [sys.executable, DRIVER, "0", *words, "-o", str(tmp_path / "whole")], check=True, capture_output=True, text=True
    )
    assert undisturbed.stdout.split() == ["0"]
    killed = subprocess.run(
        [sys.executable, DRIVER, "9", *words, "-o", str(tmp_path / "torn")], check=True, capture_output=True, text=True
    )
    statuses = [int(word) for word in killed.stdout.split()]
    assert statuses[:-1].count(-signal.SIGKILL) >= 6, "too few runs were killed for this test to mean something"
    assert statuses[-1] == 0
    assert files(tmp_path / "torn") == files(tmp_path / "whole")
    record = json.loads((tmp_path / "torn/manifest.json").read_text())
    assert record["status"] == "done"
    assert len(record["photos"]) == 4
    assert not [path for path in (tmp_path / "torn").rglob("*") if "part" in path.name or path.suffix == ".tmp"]


def test_a_killed_sweep_ends_in_the_undisturbed_scores(photos: Path, tmp_path: Path) -> None:
    """To the last digit: the photo that was done when the kill came is measured from its lossy file, or was."""
    words = ["sweep", "-i", str(photos), "--backend", "identity,classical", *COMMON[2:], "--ext", "jpg", "--no-report"]
    words += ["--metrics", "psnr,ssim", "--tracking", "none"]
    for moments, name in (("0", "whole"), ("14", "torn")):
        done = subprocess.run(
            [sys.executable, DRIVER, moments, *words, "-o", str(tmp_path / name)], capture_output=True, text=True
        )
        assert done.stdout.split()[-1:] == ["0"], done.stderr
    assert done.stdout.split().count(str(-signal.SIGKILL)) >= 10, "too few were killed for this test to mean something"
    assert files(tmp_path / "torn") == files(tmp_path / "whole")
    for backend in ("identity", "classical"):
        for table in ("scores.csv", "scores.json"):
            told = [(tmp_path / name / f"backend={backend}" / table).read_text() for name in ("whole", "torn")]
            assert told[0] == told[1]


def test_a_torn_last_line_is_forgotten(photos: Path, tmp_path: Path) -> None:
    words = ["run", "-i", str(photos), *COMMON, "-o", str(tmp_path / "out")]
    subprocess.run([sys.executable, DRIVER, "0", *words], check=True)
    before = files(tmp_path / "out")
    lines = tmp_path / "out/manifest.jsonl"
    lines.write_bytes(lines.read_bytes()[:-25])
    done = subprocess.run([sys.executable, DRIVER, "0", *words], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["0"]
    assert files(tmp_path / "out") == before
    assert all(json.loads(line) for line in lines.read_text().splitlines())


def test_ctrl_c_ends_cleanly_and_can_be_resumed(photos: Path, tmp_path: Path) -> None:
    words = ["run", "-i", str(photos), "--recursive", *COMMON, "-o", str(tmp_path / "out")]
    running = subprocess.Popen(
        [sys.executable, "-m", "gfpup", *words], stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    )
    lines = tmp_path / "out/manifest.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (lines.exists() and lines.read_text().count("\n") >= 2):
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert err.splitlines() == ["gfpup: interrupted; run the same command again to resume."]
    assert json.loads((tmp_path / "out/manifest.json").read_text())["status"] == "interrupted"
    done = subprocess.run([sys.executable, "-m", "gfpup", *words], check=False)
    assert done.returncode == 0
    assert json.loads((tmp_path / "out/manifest.json").read_text())["status"] == "done"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_to_the_whole_process_group_ends_cleanly(photos: Path, tmp_path: Path, number: signal.Signals) -> None:
    """Data workers get it too. A closing terminal and its shell both send theirs: twice is once."""
    for i in range(12):
        (photos / f"copy{i}.png").write_bytes((photos / "a.png").read_bytes())
    words = ["run", "-i", str(photos), "--backend", "classical", "--detector", "cascade", "-q", "hardware.workers=2"]
    for moment in (2, 4, 7):
        out = tmp_path / f"out{moment}"
        running = subprocess.Popen(
            [sys.executable, "-m", "gfpup", *words, "-o", str(out)], stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        lines = out / "manifest.jsonl"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (lines.exists() and lines.read_text().count("\n") >= moment):
            time.sleep(0.01)
        os.killpg(running.pid, number)
        if running.poll() is None:
            os.killpg(running.pid, number)
        _, err = running.communicate(timeout=60)
        assert (running.returncode, err) == (128 + number, "gfpup: interrupted; run the same command again to resume.\n")
        assert json.loads((out / "manifest.json").read_text())["status"] == "interrupted"
        assert not _alive(running.pid)
    done = subprocess.run([sys.executable, "-m", "gfpup", *words, "-o", str(out)], check=False)
    assert done.returncode == 0
    assert len(json.loads((out / "manifest.json").read_text())["photos"]) == 15


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
def test_below_nohup_a_run_outlives_its_terminal(photos: Path, tmp_path: Path) -> None:
    words = ["run", "-i", str(photos), *COMMON, "-o", str(tmp_path / "out")]
    running = subprocess.Popen(
        [sys.executable, "-m", "gfpup", *words], preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    )
    lines = tmp_path / "out/manifest.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not lines.exists():
        time.sleep(0.01)
    running.send_signal(signal.SIGHUP)
    assert running.wait(timeout=60) == 0


def test_a_killed_run_leaves_no_reader_behind(photos: Path, tmp_path: Path) -> None:
    for i in range(12):
        (photos / f"copy{i}.png").write_bytes((photos / "a.png").read_bytes())
    words = ["run", "-i", str(photos), "--backend", "classical", "--detector", "cascade", "-q", "-o", str(tmp_path / "out")]
    running = subprocess.Popen([sys.executable, "-m", "gfpup", *words, "hardware.workers=2"], start_new_session=True)
    lines = tmp_path / "out/manifest.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (lines.exists() and lines.read_text().count("\n") >= 2):
        time.sleep(0.01)
    group = running.pid
    running.kill()
    running.wait()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and _alive(group):
        time.sleep(0.2)
    assert not _alive(group)


def _alive(group: int) -> bool:
    """Whether a process of the group still runs (Linux)."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, process_group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(process_group) == group and state != "Z":
            return True
    return False
