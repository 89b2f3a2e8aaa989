"""The kit of experiments/014-gpu, on a CPU at small sizes: it has to work when a card is at hand for ten minutes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

KIT = Path(__file__).resolve().parents[2] / "experiments" / "014-gpu"


def run(out: Path, shared: Path, *words: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit status of the kit, and its lines."""
    command = [str(KIT / "run.sh"), "--device", "cpu", "--small", "--shared", str(shared), "--out", str(out), *words]
    environment = {**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    lines = (out / "results.jsonl").read_text(encoding="utf-8").splitlines()
    assert (out / "results.md").read_text(encoding="utf-8") in done.stdout, done.stderr
    return done.returncode, [json.loads(line) for line in lines]


def ends(rows: list[dict[str, Any]]) -> dict[str, str | None]:
    """Why each step failed, None where it did not."""
    return {row["step"]: row["error"] for row in rows if row.get("end")}


def test_the_machine_and_the_goldens_are_told_line_by_line(tmp_path: Path, shared: Path) -> None:
    status, rows = run(tmp_path, shared, "--steps", "machine,goldens")
    assert status == 0 and ends(rows) == {"machine": None, "goldens": None}
    assert {"python", "machine", "ceiling"} <= {row.get("what") for row in rows}
    checks = [row for row in rows if row["step"] == "goldens" and row.get("difference") is not None]
    assert {row["result"] for row in checks} == {"ok"}
    for arithmetic in ("golden, plain: ", "golden, as run: ", "TF32", "bfloat16"):
        assert any(arithmetic in row["check"] for row in checks), arithmetic
    exact = [row for row in checks if "TF32" not in row["check"] and "bfloat16" not in row["check"]]
    assert all(row["difference"] <= row["tolerance"] for row in exact)


def test_a_step_without_time_or_with_an_error_is_a_line_and_the_next_begins(tmp_path: Path) -> None:
    (tmp_path / "parity").mkdir()
    status, rows = run(tmp_path / "out", tmp_path, "--steps", "goldens,folder,machine", "--seconds", "300")
    said = ends(rows)
    assert status == 1 and said["goldens"] is None and said["machine"] is None
    assert "there are no photos" in str(said["folder"])
    assert all(row["result"] == "skipped" for row in rows if row["step"] == "goldens" and not row.get("end"))
    status, rows = run(tmp_path / "late", tmp_path, "--steps", "machine,goldens", "--seconds", "6.5")
    assert status == 1 and "ran out of its" in str(ends(rows)["machine"]) and ends(rows)["goldens"] is not None


def test_only_what_is_missing_is_unpacked(tmp_path: Path) -> None:
    wheels, site = tmp_path / "wheels", tmp_path / "site"
    wheels.mkdir()
    for name in ("numpy-0.1", "not_a_package_of_ours-1.0"):
        with zipfile.ZipFile(wheels / f"{name}-py3-none-any.whl", "w", zipfile.ZIP_LZMA) as wheel:
            wheel.writestr(f"{name.partition('-')[0]}.py", "")
    words = [sys.executable, str(KIT / "unpack.py"), str(wheels), str(site)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "not-a-package-of-ours 1.0: unpacked" in done.stdout and "as it is here" in done.stdout
    assert [path.name for path in site.iterdir()] == ["not_a_package_of_ours.py"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_whole_kit(tmp_path: Path, shared: Path) -> None:
    status, rows = run(tmp_path, shared, "--seconds", "850")
    assert status == 0 and set(ends(rows).values()) == {None}
    of = {step: [row for row in rows if row["step"] == step and not row.get("end")] for step in ends(rows)}
    assert all(row["levels"] <= 1 and row["repeats"] for row in of["batch_tolerance"])
    assert {row["batch"] for row in of["forwards"] if row.get("error") is None} == {1, 2}
    assert any("cudagraphs" in str(row.get("error")) for row in of["forwards"])
    (apart,) = [row for row in of["photo"] if row["paste"] == "difference"]
    assert apart["levels"] <= 2
    (folder,) = of["folder"]
    assert folder["status"] == 0 and folder["faces"] >= 2 and folder["faces_a_second"] > 0
    (official,) = of["official"]
    assert official.get("speedup") or "official packages" in official["error"]


@pytest.mark.slow
def test_the_pretended_device_gives_the_cpus_photo_and_waits_only_where_it_must() -> None:
    done = subprocess.run([sys.executable, str(KIT / "pretended.py")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    waits = {row["where"] for row in rows if "where" in row and not row["what"].endswith("pinned")}
    assert waits == {
        "ops/tiles.py:run_tiled_pixels",
        "restoration/background.py:_require",
        "restoration/parsing.py:parse",
        "restoration/paste_on_device.py:paste_faces_on",
        "restoration/restorer.py:_as_pixels",
        "restoration/retinaface.py:_look",
    }
