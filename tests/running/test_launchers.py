"""Odd paths through Hydra's launchers: what the user typed is what every job gets."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from builders import Run, manifest
from pictures import save

from gfpup.machine.hardware import probe
from gfpup.running import sweep

JOBLIB = "the extra gfpup[joblib] is not installed"
TWO_AT_ONCE = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
ODD = 'it\'s a=b, ${c} [d] "é" 照片'


@pytest.fixture(scope="module")
def parallel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The command with joblib's launcher, in a folder of this module: its processes serve all tests, as they start slowly."""
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason=JOBLIB)
    from joblib.externals.loky import get_reusable_executor

    from gfpup.cli.main import main

    folder = tmp_path_factory.mktemp("parallel")
    handlers = list(logging.getLogger().handlers)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("GFPUP_CONFIG_DIR", str(folder / "config"))
        patch.setenv("GFPUP_WEIGHTS_DIR", str(folder / "weights"))
        get_reusable_executor().shutdown(wait=True)
        yield lambda *words: main([*map(str, words), *TWO_AT_ONCE])
        get_reusable_executor().shutdown(wait=True)
    logging.getLogger().handlers[:] = handlers


def odd_paths_survive(run: Run, folder: Path, portrait: np.ndarray, *more: str, last: str) -> None:
    photos, out = folder / ODD, folder / f"out {ODD}"
    photos.mkdir()
    save(photos / f"{ODD}.png", portrait)
    words = ("-i", photos, "-o", out, "--aligned", "--backend", "identity,classical", "--suffix", "_'x", "-q", "-m")
    assert run("run", *words, *more) == 0
    for backend in ("identity", "classical"):
        record = manifest(out / f"backend={backend}")
        assert record["status"] == "done"
        assert Path(record["photos"][0]["output"]).name == f"{ODD}_'x.png"
        assert Path(record["photos"][0]["output"]).is_file()
        assert record["argv"][-1] == last


def test_odd_paths_survive_a_sweep(gfpup: Run, tmp_path: Path, portrait: np.ndarray) -> None:
    odd_paths_survive(gfpup, tmp_path, portrait, "hydra/launcher=basic", last="hydra/launcher=basic")


def test_odd_paths_survive_a_sweep_in_other_processes(parallel: Run, tmp_path: Path, portrait: np.ndarray) -> None:
    odd_paths_survive(parallel, tmp_path, portrait, last=TWO_AT_ONCE[-1])
    alone = probe().cores
    for backend in ("identity", "classical"):
        plan = manifest(tmp_path / f"out {ODD}" / f"backend={backend}")["plan"]
        assert plan["threads"] == max(1, alone // 2), "threads are divided between jobs of one machine"


FAKE_SBATCH = """\
#!/bin/bash
# Stands in for Slurm: runs each task of the array here, at once.
last=$(grep -o -- '--array=0-[0-9]*' "$1" | grep -o '[0-9]*$')
for i in $(seq 0 "${last:-0}"); do
  SLURM_JOB_ID=$((100 + i)) SLURM_ARRAY_JOB_ID=77 SLURM_ARRAY_TASK_ID=$i SLURM_NTASKS=1 SLURM_PROCID=0 SLURM_LOCALID=0 \\
    SLURM_NODEID=0 SLURM_JOB_NODELIST=localhost SLURM_JOB_NUM_NODES=1 bash "$1" >/dev/null 2>&1 &
done
echo "Submitted batch job 77"
"""
FAKE_SRUN = """\
#!/bin/bash
while [[ "$1" == -* ]]; do
  if [[ "$1" == --output || "$1" == --error ]]; then shift; fi
  shift
done
exec "$@"
"""
FAKE_SACCT = """\
#!/bin/bash
echo "JobID|State|NodeList"
for i in 0 1 2 3; do echo "77_$i|RUNNING|localhost"; done
"""


def one_job_fails_and_the_other_is_there(run: Run, folder: Path, portrait: np.ndarray, *more: str) -> None:
    save(folder / "in" / "one.png", cv2.resize(portrait, (512, 512)))
    words = ("sweep", "-i", folder / "in", "-o", folder / "out", "--aligned", "-q", "--no-download")
    assert run(*words, "--backend", "identity,codeformer", *more) == 1
    jobs = sweep.statuses(folder / "out")
    assert [job["status"] for job in jobs] == [0, 2]
    assert "forbids commercial use" in jobs[1]["error"]
    assert (folder / "out" / "backend=identity" / "one.png").is_file() and (folder / "out" / "report.html").is_file()


def test_jobs_of_joblib(parallel: Run, tmp_path: Path, portrait: np.ndarray) -> None:
    one_job_fails_and_the_other_is_there(parallel, tmp_path, portrait)


@pytest.mark.parametrize("launcher", ["submitit_local", "submitit_slurm"])
def test_jobs_of_submitit(
    gfpup: Run, tmp_path: Path, portrait: np.ndarray, launcher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason=f"the extra of {launcher} is not installed")
    commands = {"sbatch": FAKE_SBATCH, "srun": FAKE_SRUN, "sacct": FAKE_SACCT, "scancel": "#!/bin/bash\n"}
    (tmp_path / "bin").mkdir()
    for name, text in commands.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    one_job_fails_and_the_other_is_there(gfpup, tmp_path, portrait, f"hydra/launcher={launcher}")


def test_doubles_at_once(parallel: Run, tmp_path: Path, portrait: np.ndarray) -> None:
    save(tmp_path / "in" / "one.png", cv2.resize(portrait, (512, 512)))
    words = ("sweep", "-i", tmp_path / "in", "-o", tmp_path / "out", "--aligned", "-q", "--no-report")
    for _ in range(2):
        assert parallel(*words, "--backend", "identity", "--fidelity", "0.2,0.4") == 0
        done = sorted(path.parent.name for path in (tmp_path / "out").glob("*/manifest.json"))
        doubles = sorted(path.parent.name for path in (tmp_path / "out").glob("*/same_as.json"))
        assert len(done) == len(doubles) == 1, "which of the two is the double is chance where jobs run at once, but it stays"
