"""Odd paths through Hydra's launchers: what the user typed is what every job gets."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from builders import Run, manifest
from pictures import save

from gfpup.machine.hardware import probe
from gfpup.running import sweep

ODD = 'it\'s a=b, ${c} [d] "é" 照片'


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_odd_paths_survive_a_sweep(gfpup: Run, tmp_path: Path, portrait: np.ndarray, launcher: str) -> None:
    if launcher == "joblib":
        pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="the extra gfpup[joblib] is not installed")
    folder = tmp_path / ODD
    folder.mkdir()
    save(folder / f"{ODD}.png", portrait)
    out = tmp_path / f"out {ODD}"
    words = ("-i", folder, "-o", out, "--aligned", "--backend", "identity,classical", "--suffix", "_'x", "-q", "-m")
    assert gfpup("run", *words, f"hydra/launcher={launcher}") == 0
    for backend in ("identity", "classical"):
        record = manifest(out / f"backend={backend}")
        assert record["status"] == "done"
        assert Path(record["photos"][0]["output"]).name == f"{ODD}_'x.png"
        assert Path(record["photos"][0]["output"]).is_file()
        assert record["argv"][-1] == f"hydra/launcher={launcher}"


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


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local", "submitit_slurm"])
def test_jobs_in_other_processes(
    gfpup: Run, tmp_path: Path, portrait: np.ndarray, launcher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep whose jobs run elsewhere: one fails, the other and the end are there."""
    plugin = "hydra_submitit_launcher" if launcher.startswith("submitit") else "hydra_joblib_launcher"
    pytest.importorskip(f"hydra_plugins.{plugin}", reason=f"the extra of {launcher} is not installed")
    commands = {"sbatch": FAKE_SBATCH, "srun": FAKE_SRUN, "sacct": FAKE_SACCT, "scancel": "#!/bin/bash\n"}
    (tmp_path / "bin").mkdir()
    for name, text in commands.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    save(tmp_path / "in" / "one.png", cv2.resize(portrait, (512, 512)))
    words = ("sweep", "-i", tmp_path / "in", "-o", tmp_path / "out", "--aligned", "-q", "--no-download")
    words += ("--backend", "identity,codeformer", f"hydra/launcher={launcher}")
    assert gfpup(*words) == 1
    jobs = sweep.statuses(tmp_path / "out")
    assert [job["status"] for job in jobs] == [0, 2]
    assert "forbids commercial use" in jobs[1]["error"]
    assert (tmp_path / "out" / "backend=identity" / "one.png").is_file() and (tmp_path / "out" / "report.html").is_file()


def test_doubles_at_once(gfpup: Run, tmp_path: Path, portrait: np.ndarray) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="the extra gfpup[joblib] is not installed")
    save(tmp_path / "in" / "one.png", cv2.resize(portrait, (512, 512)))
    words = ("sweep", "-i", tmp_path / "in", "-o", tmp_path / "out", "--aligned", "-q", "--no-report")
    for _ in range(2):
        assert gfpup(*words, "--backend", "identity", "--fidelity", "0.2,0.4", "hydra/launcher=joblib") == 0
        done = sorted(path.parent.name for path in (tmp_path / "out").glob("*/manifest.json"))
        doubles = sorted(path.parent.name for path in (tmp_path / "out").glob("*/same_as.json"))
        assert len(done) == len(doubles) == 1, "which of the two is the double is chance where jobs run at once, but it stays"


def test_threads_are_divided_between_jobs_of_one_machine(gfpup: Run, tmp_path: Path, portrait: np.ndarray) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="the extra gfpup[joblib] is not installed")
    save(tmp_path / "in" / "one.png", cv2.resize(portrait, (512, 512)))
    words = ("sweep", "-i", tmp_path / "in", "-o", tmp_path / "out", "--aligned", "-q", "--no-report")
    assert gfpup(*words, "--backend", "identity,classical", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2") == 0
    alone = probe().cores
    for backend in ("identity", "classical"):
        plan = json.loads((tmp_path / "out" / f"backend={backend}" / "manifest.json").read_text())["plan"]
        assert plan["threads"] == max(1, alone // 2)
