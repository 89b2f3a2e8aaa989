"""Every method by the public path: ensembles, other tools' results, the learned networks on a real photo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from builders import Run, manifest
from golden import Golden, fill_randomly
from official import written
from pictures import read, save

from gfpup.models.table import ARCHITECTURES


def test_an_ensemble_is_the_weighted_mean_of_its_members(gfpup: Run, tmp_path: Path, portrait: np.ndarray) -> None:
    save(tmp_path / "a.png", cv2.GaussianBlur(portrait, (0, 0), 2))
    common = ("-i", "a.png", "--aligned", "-q", "-o")
    assert gfpup("run", *common, "one", "--backend", "identity") == 0
    assert gfpup("run", *common, "two", "--backend", "classical") == 0
    both = ("--ensemble-backends", "identity,classical", "--ensemble-weights", "0.25,0.75")
    assert gfpup("run", *common, "mean", "--backend", "ensemble", *both) == 0
    one, two, mean = (read(tmp_path / name / "a.png").astype(float) for name in ("one", "two", "mean"))
    assert np.abs(mean - (0.25 * one + 0.75 * two)).max() <= 1
    assert np.abs(one - two).max() > 4, "the members must differ for this to mean something"


def test_a_member_that_cannot_run_is_left_out_aloud(
    gfpup: Run, tmp_path: Path, portrait: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "a.png", portrait)
    members = (
        "--backend",
        "ensemble",
        "--ensemble-backends",
        "classical,codeformer,gfpgan",
        "--ensemble-weights",
        "0.2,0.4,0.4",
    )
    assert gfpup("run", "-i", "a.png", "-o", "out", "--aligned", "--no-download", *members) == 0
    err = capsys.readouterr().err
    assert "without codeformer" in err
    assert "--accept-licence s-lab-1.0" in err
    assert "without gfpgan" in err
    plan = manifest(tmp_path / "out")["plan"]
    assert [(m["backend"], m["weight"]) for m in plan["pixels"]["members"]] == [("classical", 1.0)]
    assert {r["setting"] for r in plan["reasons"] if r["value"] == "left out"} == {"ensemble.codeformer", "ensemble.gfpgan"}
    assert (
        gfpup("run", "-i", "a.png", "-o", "none", "--no-download", "--backend", "ensemble", "--ensemble-backends", "gfpgan")
        == 2
    )
    assert "no member of the ensemble can run here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--backend", "ensemble"], "--ensemble-backends"),
        (["--backend", "ensemble", "--ensemble-backends", "identity", "--ensemble-weights", "1,2"], "2 weights"),
        (["--backend", "ensemble", "--ensemble-backends", "identity", "--ensemble-weights", "-1"], "0 or more"),
        (["--backend", "ensemble", "--ensemble-backends", "identity,identity"], "twice"),
        (["--backend", "ensemble", "--ensemble-backends", "identity,ensemble"], "cannot be a member"),
        (["--backend", "ensemble", "--ensemble-backends", "gfpgna"], "did you mean 'gfpgan'"),
        (["--backend", "identity", "--ensemble-backends", "gfpgan"], "use --backend ensemble"),
        (["--backend", "precomputed"], "--restored"),
        (["--backend", "precomputed", "--restored", "nowhere"], "nowhere"),
        (["--backend", "identity", "--high-quality", "--memory-efficient"], "exclude each other"),
        (["--backend", "identity", "--model-path", "x.pth"], "no weights of its own"),
    ],
)
def test_wrong_methods_are_refused(
    gfpup: Run, tmp_path: Path, portrait: np.ndarray, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    save(tmp_path / "a.png", portrait)
    assert gfpup("run", "-i", "a.png", "-o", "out", "--detector", "cascade", "--no-download", *words) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_another_tool_s_results_are_taken_in(gfpup: Run, photos: Path, tmp_path: Path, portrait: np.ndarray) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    bright = np.clip(np.kron(portrait, np.ones((2, 2, 1))) + 30, 0, 255).astype(np.uint8)
    save(theirs / "a_restored.png", bright)
    args = ("--backend", "precomputed", "--detector", "cascade", "--restored", theirs, "-q")
    assert gfpup("run", "-i", photos / "a.png", "-o", "out", *args, "--save-faces") == 0
    np.testing.assert_array_equal(read(tmp_path / "out/a.png"), bright)
    aligned, restored = (read(tmp_path / f"out/faces/a.png/00_{kind}.png").astype(int) for kind in ("aligned", "restored"))
    difference = np.median(restored - aligned)
    assert difference == 30, "the face cut from the result is the same face, 30 levels brighter"
    # A photo without a result fails by name, the others do not.
    assert gfpup("run", "-i", photos, "-o", "some", *args) == 1
    errors = [photo["error"] for photo in manifest(tmp_path / "some")["photos"] if photo["error"]]
    assert len(errors) == 2
    (tmp_path / "map.csv").write_text("input,restored\nempty,a_restored.png\na.png,a_restored.png\n")
    assert gfpup("run", "-i", photos / "empty.png", "-o", "mapped", *args, "--mapping", tmp_path / "map.csv") == 0


def test_no_photo_gets_another_photo_s_result(gfpup: Run, tmp_path: Path, portrait: np.ndarray) -> None:
    for name in ("album1/1.jpg", "album2/1.jpg", "anna.jpg"):
        save(tmp_path / "in" / name, portrait)
    save(tmp_path / "theirs/album1/1.png", portrait // 2)
    save(tmp_path / "theirs/anna_smith.png", portrait // 4)
    args = ("-i", "in", "--recursive", "--aligned", "--backend", "precomputed", "--restored", "theirs", "-q")
    assert gfpup("run", *args, "-o", "out") == 1
    errors = {photo["name"]: photo["error"] for photo in manifest(tmp_path / "out")["photos"]}
    assert errors["album1/1.jpg"] is None
    assert "album2/1.jpg has no result (album1/1.png lies in another folder)" in errors["album2/1.jpg"]
    assert "anna.jpg has no result" in errors["anna.jpg"]
    save(tmp_path / "theirs/album2/1.png", portrait // 3)
    lines = f"album1/1.jpg,album1/1.png\n{tmp_path}/in/album2/1.jpg,album2/1.png\nanna,anna_smith.png\n"
    (tmp_path / "map.csv").write_text(lines)
    for out, words, status in (("both", (), 1), ("mapped", ("--mapping", "map.csv"), 0)):
        assert gfpup("run", *args, "-o", out, "--ext", "png", *words) == status
        for album, part in ((1, 2), (2, 3)):
            np.testing.assert_array_equal(read(tmp_path / f"{out}/album{album}/1.png"), portrait // part)


def test_published_outputs_of_real_methods(gfpup: Run, shared: Path, tmp_path: Path) -> None:
    outputs = shared / "data/published_outputs"
    rows = [f"face_{i}_input.png,face_{i}_gfpgan_v1.4.jpg" for i in range(1, 5)]
    (tmp_path / "map.csv").write_text("\n".join(rows))
    inputs = [word for i in range(1, 5) for word in ("-i", outputs / f"face_{i}_input.png")]
    args = ("--backend", "precomputed", "--restored", outputs, "--mapping", tmp_path / "map.csv", "--aligned", "-q")
    assert gfpup("run", *inputs, "-o", "out", *args) == 0
    assert np.abs(read(tmp_path / "out/face_1_input.png").astype(int) - read(outputs / "face_1_gfpgan_v1.4.jpg")).max() == 0


NETWORKS = ("codeformer", "restoreformer", "restoreformerpp")


@pytest.mark.parametrize("name", [*NETWORKS, pytest.param("elir", marks=pytest.mark.slow)])
def test_each_network_restores_a_real_photo(gfpup: Run, shared: Path, tmp_path: Path, name: str) -> None:
    golden = Golden.load(shared, name)
    detector = shared / "weights/retinaface_mobilenet0.25.pth"
    args = ("-i", shared / "data/photos/one_face_small.jpg", "--detector-path", detector, "--mask", "feather", "-q")
    with written(golden, tmp_path) as path:
        consent = ("--accept-licence", "s-lab-1.0") if name == "codeformer" else ()
        assert gfpup("run", *args, "-o", "out", "--backend", name, "--model-path", path, *consent) == 0
        if consent:
            save(tmp_path / "faceless.png", np.full((60, 90, 3), 120, np.uint8))
            again = ("-i", "faceless.png", *args[2:], "-o", "again", "--backend", name, "--model-path", path)
            assert gfpup("run", *again) == 0, "consent is remembered"
        if name == "elir":
            assert gfpup("run", *args, "-o", "estimate", "--backend", name, "--model-path", path, "--steps", 0) == 0
            assert manifest(tmp_path / "estimate")["plan"]["pixels"]["parameters"] == {"steps": 0}
    record = manifest(tmp_path / "out")
    (face,) = record["photos"][0]["faces"]
    assert face["restored"]
    assert ("s-lab-1.0" in record["licences"]) == (name == "codeformer")


@pytest.mark.timeout(240)
def test_a_small_pmrf_runs_from_the_command_line(
    gfpup: Run, tmp_path: Path, portrait: np.ndarray, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = {"widths": (64, 128), "depths": (1, 1), "groups": 1}
    monkeypatch.setitem(ARCHITECTURES, "pmrf", replace(ARCHITECTURES["pmrf"], settings=small))
    torch.save(fill_randomly(ARCHITECTURES["pmrf"].build(), seed=6).state_dict(), tmp_path / "small.pth")
    save(tmp_path / "a.png", portrait)
    args = ("-i", "a.png", "--aligned", "--backend", "pmrf", "--model-path", "small.pth")
    assert gfpup("run", *args, "-o", "estimate", "--steps", 0) == 0
    assert "minutes a face" not in capsys.readouterr().err
    assert gfpup("run", *args, "-o", "out", "--steps", 1) == 0
    assert "minutes a face" in capsys.readouterr().err
    assert manifest(tmp_path / "out")["plan"]["pixels"]["parameters"] == {"steps": 1}
    assert (read(tmp_path / "out/a.png") != read(tmp_path / "estimate/a.png")).any()
    assert gfpup("run", *args, "-o", "no", "--engine", "compile") == 2
    assert "which runs in eager alone" in capsys.readouterr().err
    assert gfpup("run", *args, "-o", "no", "--steps", 1001) == 2
    assert gfpup("run", "-i", "a.png", "-o", "no", "--aligned", "--backend", "gfpgan", "--steps", 3) == 2
    assert "--steps does not apply to backend 'gfpgan'" in capsys.readouterr().err


def test_codeformer_needs_consent(gfpup: Run, tmp_path: Path, portrait: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "a.png", portrait)
    assert gfpup("run", "-i", "a.png", "-o", "out", "--backend", "codeformer", "--aligned", "--no-download") == 2
    assert "--accept-licence s-lab-1.0" in capsys.readouterr().err
    assert gfpup("run", "-i", "a.png", "-o", "out", "--backend", "codeformer", "--aligned", "--dry-run") == 0
    assert not (tmp_path / "out").exists()


def test_high_quality_and_memory_efficient_say_what_they_changed(gfpup: Run, tmp_path: Path, portrait: np.ndarray) -> None:
    save(tmp_path / "a.png", portrait)
    common = ("-i", "a.png", "--backend", "classical", "--aligned", "-q", "-o")
    for out, flag in (("hq", "--high-quality"), ("me", "--memory-efficient")):
        assert gfpup("run", *common, out, flag) == 0
    reasons = {r["setting"]: r["why"] for r in manifest(tmp_path / "hq")["plan"]["reasons"]}
    assert "mirrored" in reasons["dtype"]
    reasons = {r["setting"]: r["why"] for r in manifest(tmp_path / "me")["plan"]["reasons"]}
    assert "memory" in reasons["face_batch"]
    assert "memory" in reasons["workers"]


def test_a_user_s_files_stand_in_for_published_ones(
    gfpup: Run, tmp_path: Path, portrait: np.ndarray, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "a.png", portrait)
    args = ("-i", "a.png", "--backend", "identity", "--detector", "cascade", "--mask", "bisenet", "--no-download")
    with written(Golden.load(shared, "bisenet"), tmp_path) as path:
        assert gfpup("run", *args, "-o", "out", "--weights-file", f"bisenet={path}") == 0
    assert "unverified" in capsys.readouterr().err
    assert manifest(tmp_path / "out")["checkpoints"]["mask"]["file"] == "bisenet.pth"
    assert gfpup("run", *args, "-o", "no", "--weights-file", "bisnet=x.pth") == 2
    assert gfpup("run", *args, "-o", "no", "--weights-file", "bisenet") == 2
    assert "NAME=FILE" in capsys.readouterr().err


@pytest.mark.slow
def test_one_sweep_over_all_backends(gfpup: Run, shared: Path, tmp_path: Path) -> None:
    """Five methods and an ensemble of two over the five real photos, with deterministic weights."""
    from contextlib import ExitStack

    goldens = {"gfpgan-v1.4": "gfpgan", "codeformer": "codeformer", "restoreformer": "restoreformer"}
    goldens["restoreformerpp"] = "restoreformerpp"
    names = ("identity", "classical", "gfpgan", "codeformer", "restoreformer", "restoreformerpp", "ensemble")
    with ExitStack() as stack:
        files = [
            word
            for name, golden in goldens.items()
            for word in ("--weights-file", f"{name}={stack.enter_context(written(Golden.load(shared, golden), tmp_path))}")
        ]
        args = ("-i", shared / "data/photos", "--detector-path", shared / "weights/retinaface_mobilenet0.25.pth")
        more = ("--accept-licence", "s-lab-1.0", "--mask", "feather", "--ensemble-backends", "gfpgan,classical", "-q", "-m")
        assert gfpup("run", *args, "-o", "out", "--backend", ",".join(names), *files, *more) == 0
    for name in names:
        record = manifest(tmp_path / f"out/backend={name}")
        assert record["status"] == "done"
        assert sum(face["restored"] for photo in record["photos"] for face in photo["faces"]) == 12
