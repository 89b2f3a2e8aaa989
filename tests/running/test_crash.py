"""A run killed at any moment resumes to the bytes of an undisturbed one; a signal to end it does so cleanly."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
from forks import Fork, Forks

ARM = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from crash_driver import arm; arm({{moment}})"
COMMON = ["--backend", "classical", "--detector", "cascade", "--quiet", "hardware.workers=0", "hardware.threads=1"]


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in (".png", ".jpg")
    }


def recorded(out: Path) -> int:
    """How many lines a run has recorded: one for itself and one for each photo."""
    lines = out / "manifest.jsonl"
    return lines.read_text().count("\n") if lines.exists() else 0


def wait_for(running: Fork, out: Path, count: int) -> None:
    """Wait until a run has recorded `count` lines; it must not end before."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and recorded(out) < count:
        assert running.poll() is None, running.stderr
        time.sleep(0.01)


def test_killed_at_every_moment_and_resumed(photos: Path, tmp_path: Path, forks: Forks) -> None:
    """One folder, killed at step 0, then resumed and killed at step 1 of that run, and so on: nothing lost, nothing torn."""
    words = ["run", "-i", photos, "--recursive", *COMMON, "-o"]
    assert forks.gfpup([*words, tmp_path / "whole"]).wait() == 0
    again = [*words, tmp_path / "torn"]
    killed = [forks.gfpup(again, before=ARM.format(moment=moment)).wait() for moment in range(9)]
    assert killed.count(-signal.SIGKILL) >= 6, "too few runs were killed for this test to mean something"
    assert forks.gfpup(again).wait() == 0
    assert files(tmp_path / "torn") == files(tmp_path / "whole")
    record = json.loads((tmp_path / "torn/manifest.json").read_text())
    assert record["status"] == "done"
    assert len(record["photos"]) == 4
    assert not [path for path in (tmp_path / "torn").rglob("*") if "part" in path.name or path.suffix == ".tmp"]


def test_a_killed_sweep_ends_in_the_undisturbed_scores(photos: Path, tmp_path: Path, forks: Forks) -> None:
    """To the last digit: the photo that was done when the kill came is measured from its lossy file, or was."""
    words = ["sweep", "-i", photos, "--backend", "identity,classical", *COMMON[2:], "--ext", "jpg", "--no-report"]
    words += ["--metrics", "psnr,ssim", "--tracking", "none", "-o"]
    assert forks.gfpup([*words, tmp_path / "whole"]).wait() == 0
    again = [*words, tmp_path / "torn"]
    killed = [forks.gfpup(again, before=ARM.format(moment=moment)).wait() for moment in range(14)]
    assert killed.count(-signal.SIGKILL) >= 10, "too few were killed for this test to mean something"
    assert forks.gfpup(again).wait() == 0
    assert files(tmp_path / "torn") == files(tmp_path / "whole")
    for backend in ("identity", "classical"):
        for table in ("scores.csv", "scores.json"):
            told = [(tmp_path / name / f"backend={backend}" / table).read_text() for name in ("whole", "torn")]
            assert told[0] == told[1]


def test_a_torn_last_line_is_forgotten(photos: Path, tmp_path: Path, forks: Forks) -> None:
    words = ["run", "-i", photos, *COMMON, "-o", tmp_path / "out"]
    assert forks.gfpup(words).wait() == 0
    before = files(tmp_path / "out")
    lines = tmp_path / "out/manifest.jsonl"
    lines.write_bytes(lines.read_bytes()[:-25])
    assert forks.gfpup(words).wait() == 0
    assert files(tmp_path / "out") == before
    assert all(json.loads(line) for line in lines.read_text().splitlines())


def test_ctrl_c_ends_cleanly_and_can_be_resumed(photos: Path, tmp_path: Path, forks: Forks) -> None:
    words = ["run", "-i", photos, "--recursive", *COMMON, "-o", tmp_path / "out"]
    running = forks.gfpup(words)
    wait_for(running, tmp_path / "out", 2)
    running.send_signal(signal.SIGINT)
    assert running.wait() == 130, running.stderr
    assert running.stderr.splitlines() == ["gfpup: interrupted; run the same command again to resume."]
    assert json.loads((tmp_path / "out/manifest.json").read_text())["status"] == "interrupted"
    assert forks.gfpup(words).wait() == 0
    assert json.loads((tmp_path / "out/manifest.json").read_text())["status"] == "done"


@pytest.fixture
def album(photos: Path) -> Path:
    """Fifteen photos."""
    for i in range(12):
        (photos / f"copy{i}.png").write_bytes((photos / "a.png").read_bytes())
    return photos


@pytest.mark.parametrize(
    ("number", "moments"),
    [
        pytest.param(signal.SIGTERM, (2, 4, 7), id="SIGTERM"),
        pytest.param(signal.SIGHUP, (4,), id="SIGHUP"),
        pytest.param(signal.SIGINT, (7,), id="SIGINT"),
    ],
)
def test_a_signal_to_the_whole_process_group_ends_cleanly(
    album: Path, tmp_path: Path, forks: Forks, number: signal.Signals, moments: tuple[int, ...]
) -> None:
    """Data workers get it too. A closing terminal and its shell both send theirs: twice is once."""
    words = ["run", "-i", album, "--backend", "classical", "--detector", "cascade", "-q", "hardware.workers=2", "-o"]
    for moment in moments:
        out = tmp_path / f"out{moment}"
        running = forks.gfpup([*words, out], own_session=True)
        wait_for(running, out, moment)
        os.killpg(running.pid, number)
        if running.poll() is None:
            os.killpg(running.pid, number)
        assert (running.wait(), running.stderr) == (
            128 + number,
            "gfpup: interrupted; run the same command again to resume.\n",
        )
        assert json.loads((out / "manifest.json").read_text())["status"] == "interrupted"
        assert not _alive(running.pid)
    assert forks.gfpup([*words, out]).wait() == 0
    assert len(json.loads((out / "manifest.json").read_text())["photos"]) == 15


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
def test_below_nohup_a_run_outlives_its_terminal(photos: Path, tmp_path: Path, forks: Forks) -> None:
    words = ["run", "-i", photos, *COMMON, "-o", tmp_path / "out"]
    running = forks.gfpup(words, before="import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)")
    wait_for(running, tmp_path / "out", 1)
    running.send_signal(signal.SIGHUP)
    assert running.wait() == 0


def test_a_killed_run_leaves_no_reader_behind(album: Path, tmp_path: Path, forks: Forks) -> None:
    words = ["run", "-i", album, "--backend", "classical", "--detector", "cascade", "-q", "-o", tmp_path / "out"]
    running = forks.gfpup([*words, "hardware.workers=2"], own_session=True)
    wait_for(running, tmp_path / "out", 2)
    group = running.pid
    running.kill()
    running.wait()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and _alive(group):
        time.sleep(0.02)
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
