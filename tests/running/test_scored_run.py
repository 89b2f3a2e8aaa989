"""`gfpup run` with metrics, references and synthetic damage."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.metrics
from builders import Run, manifest
from pictures import read, save


def scores(out: Path) -> list[dict[str, str]]:
    with (out / "scores.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def references(tmp_path: Path, portrait: np.ndarray) -> Path:
    folder = tmp_path / "references"
    folder.mkdir()
    large = cv2.resize(portrait, (512, 512), interpolation=cv2.INTER_CUBIC)
    save(folder / "one.png", large)
    save(folder / "two.png", np.ascontiguousarray(large[:, ::-1]))
    return folder


def test_synthetic_damage_is_scored_against_its_references(gfpup: Run, references: Path, tmp_path: Path) -> None:
    common = ("-i", references, "--source", "synthetic", "source.protocol=mild", "--aligned", "--metrics", "psnr,ssim", "-q")
    assert gfpup("run", *common, "-o", "out", "--backend", "classical") == 0
    rows = {(row["photo"], row["metric"], row["face"]): float(row["value"]) for row in scores(tmp_path / "out")}
    for name in ("one.png", "two.png"):
        restored, reference = read(tmp_path / "out" / name), read(references / name)
        expected = skimage.metrics.peak_signal_noise_ratio(reference, restored)
        assert rows[name, "psnr", ""] == pytest.approx(expected, abs=1e-3)
        assert 0 < rows[name, "ssim", ""] < 1
    # The same seed gives the same damage again; another one does not.
    assert gfpup("run", *common, "-o", "same", "--backend", "classical") == 0
    assert gfpup("run", *common, "-o", "other", "--backend", "classical", "source.seed=1") == 0
    assert (tmp_path / "same/one.png").read_bytes() == (tmp_path / "out/one.png").read_bytes()
    assert (tmp_path / "other/one.png").read_bytes() != (tmp_path / "out/one.png").read_bytes()


def test_paired_folders_are_matched_and_mismatches_refused(
    gfpup: Run, references: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    degraded = tmp_path / "degraded"
    degraded.mkdir()
    for path in references.iterdir():
        save(degraded / path.with_suffix(".jpg").name, cv2.GaussianBlur(read(path), (0, 0), 2))
    args = ("-i", degraded, "--source", "paired", "--reference", references, "--aligned", "--backend", "identity")
    assert gfpup("run", *args, "-o", "out", "--metrics", "psnr", "-q") == 0
    assert {row["metric"] for row in scores(tmp_path / "out")} == {"psnr"}
    (references / "two.png").unlink()
    assert gfpup("run", *args, "-o", "again", "--metrics", "psnr") == 2
    assert "two" in capsys.readouterr().err
    assert gfpup("run", "-i", degraded, "--source", "paired", "-o", "again", "--backend", "identity", "--aligned") == 2
    assert "--reference" in capsys.readouterr().err
    assert gfpup("run", "-i", degraded, "--source", "celeba-test", "-o", "again", "--backend", "identity", "--aligned") == 2
    assert "3000 photos and 2 were found" in capsys.readouterr().err


def test_without_a_reference_scores_are_named_to_input(gfpup: Run, photos: Path, tmp_path: Path) -> None:
    args = ("-i", photos / "a.png", "-o", "out", "--backend", "classical", "--detector", "cascade", "-q", "--no-download")
    assert gfpup("run", *args, "--metrics", "fast") == 0
    rows = scores(tmp_path / "out")
    assert {"psnr_to_input", "ssim_to_input", "identity_to_input", "seconds"} <= {row["metric"] for row in rows}
    assert "psnr" not in {row["metric"] for row in rows}
    (missing, *_) = [row for row in rows if row["metric"] == "identity_to_input"]
    assert missing["value"] == ""
    assert "arcface" in missing["missing_reason"]
    record = manifest(tmp_path / "out")
    assert any("ArcFace" in metric["implementation"] for metric in record["metrics"])


def test_required_metrics_are_refused_before_the_first_photo(
    gfpup: Run, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ("-i", photos / "a.png", "-o", "out", "--backend", "identity", "--detector", "cascade", "--no-download")
    assert gfpup("run", *args, "--metrics", "identity", "--require-metrics") == 2
    assert "identity" in capsys.readouterr().err
    assert gfpup("run", *args, "--metrics", "psnrr") == 2
    assert "psnr" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_run_resumed_with_metrics_scores_what_was_done_without(gfpup: Run, photos: Path, tmp_path: Path) -> None:
    args = ("-i", photos / "a.png", "-o", "out", "--backend", "identity", "--detector", "cascade", "-q")
    assert gfpup("run", *args) == 0
    assert gfpup("run", *args, "--metrics", "psnr") == 0
    assert {row["photo"] for row in scores(tmp_path / "out")} == {"a.png"}
    before = (tmp_path / "out/a.png").stat().st_ctime_ns
    assert gfpup("run", *args, "--metrics", "psnr") == 0
    assert (tmp_path / "out/a.png").stat().st_ctime_ns == before
