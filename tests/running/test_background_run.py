"""Backgrounds, masks and the guard by the public path, with checkpoints in the official format."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from builders import Run, manifest
from golden import Golden
from official import written
from pictures import read, save


def plan_of(out: Path) -> dict:
    return manifest(out)["plan"]["pixels"]


def test_real_esrgan_behind_the_faces(gfpup: Run, shared: Path, tmp_path: Path, portrait: np.ndarray) -> None:
    save(tmp_path / "a.png", cv2.resize(portrait, (96, 80)))
    with written(Golden.load(shared, "rrdbnet_x2"), tmp_path) as path:
        args = ("-i", "a.png", "--backend", "identity", "--detector", "cascade", "-q", "--background", "realesrgan")
        assert gfpup("run", *args, "-o", "whole", "--background-path", path, "--tile", "0") == 0
        assert gfpup("run", *args, "-o", "tiled", "--background-path", path, "--tile", "64", "--tile-overlap", "32") == 0
    whole, tiled = read(tmp_path / "whole/a.png"), read(tmp_path / "tiled/a.png")
    assert whole.shape == (160, 192, 3)
    assert np.abs(whole.astype(int) - tiled).max() <= 1
    assert np.abs(whole.astype(int) - cv2.resize(read(tmp_path / "a.png"), (192, 160))).mean() > 5
    assert plan_of(tmp_path / "tiled")["tiles"] == [64, 32]


def test_tile_flags_do_not_switch_the_background_on(gfpup: Run, tmp_path: Path, portrait: np.ndarray) -> None:
    save(tmp_path / "a.png", portrait)
    args = ("-i", "a.png", "-o", "out", "--backend", "identity", "--detector", "cascade", "-q", "--device", "cpu")
    assert gfpup("run", *args, "--tile", "200") == 0
    assert plan_of(tmp_path / "out")["background"] == "none"
    assert plan_of(tmp_path / "out")["tiles"] is None


def test_the_guard_and_the_parsed_mask(gfpup: Run, shared: Path, tmp_path: Path, portrait: np.ndarray) -> None:
    save(tmp_path / "a.png", cv2.GaussianBlur(portrait, (0, 0), 2))
    args = ("-i", "a.png", "--backend", "classical", "--detector", "cascade", "-q")
    bisenet, arcface = Golden.load(shared, "bisenet"), Golden.load(shared, "arcface_ir_se50")
    with written(bisenet, tmp_path) as mask, written(arcface, tmp_path) as identity:
        assert gfpup("run", *args, "-o", "out", "--mask", "bisenet", "--mask-path", mask) == 0
        assert gfpup("run", *args, "-o", "guarded", "--identity-min", "0.999999", "--identity-path", identity) == 0
    assert plan_of(tmp_path / "out")["mask"] == "bisenet"
    (face,) = manifest(tmp_path / "guarded")["photos"][0]["faces"]
    assert face["identity"] is not None
    assert face["guarded"] == (face["reason"] is not None)


@pytest.mark.parametrize("flag", ["--mask-path", "--identity-path", "--background-path"])
def test_a_wrong_file_is_refused_before_the_first_photo(
    gfpup: Run, tmp_path: Path, portrait: np.ndarray, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    save(tmp_path / "a.png", portrait)
    (tmp_path / "wrong.pth").write_bytes(b"<html>not found</html>")
    needs = {
        "--mask-path": ("--mask", "bisenet"),
        "--identity-path": ("--identity-min", "0.5"),
        "--background-path": ("--background", "realesrgan"),
    }[flag]
    args = ("-i", "a.png", "-o", "out", "--backend", "identity", "--detector", "cascade")
    assert gfpup("run", *args, *needs, flag, "wrong.pth") == 2
    assert "wrong.pth" in capsys.readouterr().err
    assert gfpup("run", *args, *needs, flag, "absent.pth") == 2
    assert "absent.pth" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
