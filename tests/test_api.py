"""The Python API: its bytes are a run's, its options are the flags', and it leaves Hydra and torch as they were."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import cv2
import hydra
import numpy as np
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from pictures import portrait, save
from PIL import Image

import gfpup
from gfpup import api

PORTRAIT = portrait()


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONFIG", "WEIGHTS", "CACHE"):
        monkeypatch.setenv(f"GFPUP_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.setenv("GFPUP_TRACKING", "none")


def make_photos(folder: Path) -> list[Path]:
    """A JPEG that carries EXIF and a resolution, a 16-bit PNG and one with alpha."""
    folder.mkdir()
    exif = Image.Exif()
    exif[0x013B] = "who took it"
    Image.fromarray(PORTRAIT).save(folder / "old.jpg", quality=90, exif=exif, dpi=(300, 300))
    cv2.imwrite(str(folder / "deep.png"), cv2.cvtColor(PORTRAIT.astype(np.uint16) * 257, cv2.COLOR_RGB2BGR))
    alpha = np.full((256, 256, 1), 200, np.uint8)
    Image.fromarray(np.concatenate([PORTRAIT[:, ::-1], alpha], axis=2)).save(folder / "clear.png")
    return sorted(folder.iterdir())


def test_five_lines_restore_a_photo(tmp_path: Path) -> None:
    save(tmp_path / "old.png", PORTRAIT)
    restorer = gfpup.load("classical", detector="cascade", upscale=1)
    photo = gfpup.read_photo(tmp_path / "old.png")
    result = restorer(photo)
    assert gfpup.write_photo(tmp_path / "new.png", result) == ()
    assert result.pixels.shape == (256, 256, 3) and result.pixels.dtype == np.uint8
    (face,) = result.faces
    assert face.restored and face.crop is not None and face.output is not None
    assert face.crop.pixels.shape == face.output.shape == (512, 512, 3)
    assert (face.crop.pixels != face.output).any()
    assert {"detect", "restore", "paste"} <= set(result.seconds)
    np.testing.assert_array_equal(gfpup.read_photo(tmp_path / "new.png").pixels, result.pixels)


@pytest.mark.usefixtures("forked_runs")
@pytest.mark.parametrize(
    ("backend", "options"),
    [
        ("classical", {"upscale": 1.5, "strength": 0.7}),
        ("identity", {"match_color": True, "faces": 1, "high_quality": True}),
        ("classical", {"aligned": True}),
    ],
    ids=["strength", "switches", "aligned"],
)
def test_the_bytes_are_those_of_a_run(tmp_path: Path, backend: str, options: dict) -> None:
    photos = make_photos(tmp_path / "photos")
    record = gfpup.run(photos, output=tmp_path / "run", backend=backend, detector="cascade", **options, ext="auto", quiet=True)
    assert record.status == "done" and len(record.photos) == 3
    restorer = gfpup.load(backend, detector="cascade", **options)
    for path in reversed(photos):  # the order is none of a photo's business
        gfpup.write_photo(tmp_path / "api" / path.name, restorer(path))
        assert (tmp_path / "api" / path.name).read_bytes() == (tmp_path / "run" / path.name).read_bytes()


def test_pixels_are_as_good_as_files(tmp_path: Path) -> None:
    save(tmp_path / "old.png", PORTRAIT)
    restorer = gfpup.load("classical", detector="cascade", upscale=1)
    of_file = restorer(tmp_path / "old.png").pixels
    np.testing.assert_array_equal(restorer.restore(PORTRAIT).pixels, of_file)
    np.testing.assert_array_equal(restorer(PORTRAIT[:, ::-1][:, ::-1]).pixels, of_file)
    np.testing.assert_array_equal(restorer(Image.fromarray(PORTRAIT)).pixels, of_file)  # type: ignore[arg-type]
    again = restorer(restorer(PORTRAIT))
    assert again.pixels.shape == of_file.shape


@pytest.mark.parametrize(
    "array",
    [PORTRAIT[..., 0], PORTRAIT / 255, np.zeros((8, 8, 4), np.uint8), np.zeros((0, 8, 3), np.uint8)],
    ids=["grey", "float", "four", "empty"],
)
def test_what_is_no_photo_is_refused(array: np.ndarray) -> None:
    with pytest.raises(gfpup.PhotoError, match="is not a photo: expected"):
        api.as_photo(array)


def test_what_is_written_is_what_was_asked_for(tmp_path: Path) -> None:
    (photo, *_) = [path for path in make_photos(tmp_path / "photos") if path.suffix == ".jpg"]
    gfpup.write_photo(tmp_path / "kept.jpg", gfpup.read_photo(photo))
    gfpup.write_photo(tmp_path / "bare.jpg", gfpup.read_photo(photo), keep_metadata=False, jpeg_quality=50)
    assert Image.open(tmp_path / "kept.jpg").getexif()[0x013B] == "who took it"
    assert not Image.open(tmp_path / "bare.jpg").getexif()
    assert (tmp_path / "bare.jpg").stat().st_size < (tmp_path / "kept.jpg").stat().st_size
    assert gfpup.write_photo(tmp_path / "deep.jpg", PORTRAIT.astype(np.uint16) * 257) != ()  # 8 of the 16 bits are lost
    with pytest.raises(gfpup.GfpupError, match="invalid value 0 for jpeg_quality: expected a whole number from 1 to 100"):
        gfpup.write_photo(tmp_path / "none.jpg", PORTRAIT, jpeg_quality=0)
    with pytest.raises(gfpup.GfpupError, match="its extension must be one of"):
        gfpup.write_photo(tmp_path / "none.gif", PORTRAIT)
    assert not list(tmp_path.glob("none*"))


def test_a_restorer_keeps_nothing_and_says_why(tmp_path: Path) -> None:
    restorer = gfpup.load("classical", detector="cascade", upscale=1)
    first = restorer(PORTRAIT).pixels
    blank = restorer(np.full((60, 90, 3), 120, np.uint8))
    assert blank.faces == () and blank.warnings
    np.testing.assert_array_equal(restorer(PORTRAIT).pixels, first)
    with pytest.raises(gfpup.PhotoError, match=r"none\.png"):
        restorer(tmp_path / "none.png")
    reasons = {reason.setting: (reason.value, reason.why) for reason in restorer.plan.reasons}
    assert reasons["detector"] == ("cascade", "asked for; it finds upright frontal faces")
    assert repr(restorer) == f"<Restorer classical at 1x on {restorer.plan.device}>"


def test_a_photo_that_is_too_large_is_named_and_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    restorer = gfpup.load("identity", detector="cascade")
    with monkeypatch.context() as patched:
        patched.setattr("gfpup.restoration.restorer.output_size", lambda *_: (_ for _ in ()).throw(MemoryError))
        with pytest.raises(gfpup.PhotoError, match="the array needs more memory than is free; load with a smaller upscale"):
            restorer(PORTRAIT)
    assert restorer(PORTRAIT).faces


def test_what_a_plan_has_to_say_is_a_warning() -> None:
    with pytest.warns(UserWarning, match="no RetinaFace checkpoint, so (MTCNN|the cascade) finds the faces"):
        restorer = gfpup.load("identity", no_download=True)
    assert restorer.plan.recipe.detector in ("mtcnn", "cascade")


def test_a_plan_needs_no_weights_and_no_consent() -> None:
    planned = gfpup.plan("codeformer", fidelity=0.7, no_download=True)
    assert planned.recipe.parameters["fidelity"] == 0.7
    assert any("s-lab-1.0" in lack for lack in planned.missing)
    with pytest.raises(gfpup.GfpupError, match="consent"):
        gfpup.load("codeformer", no_download=True)


@pytest.mark.parametrize(
    ("backend", "options", "message"),
    [
        ("codefromer", {}, "did you mean 'codeformer'"),
        ("codeformer", {"fidelty": 0.7}, "there is no option 'fidelty': did you mean 'fidelity'"),
        ("classical", {"output": "out"}, "belongs to a whole run: give it to gfpup.run"),
        ("classical", {"metrics": "fast"}, "belongs to a whole run: give it to gfpup.run"),
        ("classical", {"fidelity": 0.7}, "does not apply to backend 'classical'"),
        ("classical", {"upscale": "large"}, "invalid value 'large' for upscale: expected a number from 0.0625 to 16"),
        ("classical", {"upscale": [1, 2]}, "gfpup.sweep tries several"),
        ("classical", {"high_quality": "yes"}, "expected True or False"),
        ("classical", {"high_quality": True, "memory_efficient": True}, "exclude each other"),
        ("classical", {"background": "a=b"}, "invalid value 'a=b' for background: expected a name"),
        ("classical", {"background": "realsergan"}, "did you mean 'realesrgan'"),
        ("classical", {"device": "tpu"}, "there is no device 'tpu'"),
    ],
)
def test_wrong_options_are_refused_in_words(backend: str, options: dict, message: str) -> None:
    with pytest.raises(gfpup.GfpupError, match=re.escape(message)):
        gfpup.load(backend, **options)


def test_what_is_not_given_changes_nothing() -> None:
    spelled = gfpup.plan("identity", detector="cascade", seed=None, high_quality=False, leave_alone=None)
    assert spelled.recipe == gfpup.plan("identity", detector="cascade").recipe


def test_hydra_and_torch_are_left_as_they_were() -> None:
    threads = torch.get_num_threads(), cv2.getNumThreads()
    with hydra.initialize_config_module("gfpup.conf", version_base="1.2"):
        before = GlobalHydra.instance().hydra
        assert before is not None
        assert gfpup.load("identity", detector="cascade")(PORTRAIT).faces
        assert GlobalHydra.instance().hydra is before
        assert hydra.compose("run", overrides=["restore.upscale=3"]).restore.upscale == 3
    assert not GlobalHydra.instance().is_initialized()
    assert (torch.get_num_threads(), cv2.getNumThreads()) == threads


@pytest.mark.usefixtures("forked_runs")
def test_scores_are_a_run_s(tmp_path: Path) -> None:
    save(tmp_path / "old.png", PORTRAIT)
    truth = np.clip(PORTRAIT.astype(int) + 3, 0, 255).astype(np.uint8)
    (tmp_path / "truth").mkdir()
    save(tmp_path / "truth" / "old.png", truth)
    common = {"backend": "classical", "detector": "cascade", "upscale": 1}
    record = gfpup.run(
        tmp_path / "old.png",
        output=tmp_path / "run",
        metrics=["psnr", "ssim", "fid"],
        reference=tmp_path / "truth",
        no_download=True,
        quiet=True,
        **common,
    )
    result = gfpup.load(**common)(tmp_path / "old.png")
    scores = gfpup.score(result, truth, metrics="psnr,ssim,fid", no_download=True)
    ours = [(score.metric, score.face, score.value) for score in scores if score.value is not None]
    assert ours == [(row.metric, row.face, row.value) for row in record.scores if row.value is not None]
    assert [metric for metric, *_ in ours] == ["psnr", "psnr", "ssim", "ssim"]
    (fid,) = [score for score in scores if score.metric == "fid"]
    assert "a whole run" in str(fid.missing_reason)
    assert record.mean("psnr") == next(value for metric, face, value in ours if metric == "psnr" and face is None)
    with pytest.raises(gfpup.GfpupError, match=r"it has psnr \(photo\), psnr \(faces\)"):
        record.mean("lpips")


def test_pictures_of_others_are_scored_too(tmp_path: Path) -> None:
    scorer = gfpup.load_scorer("psnr")
    (of_photo,) = scorer(PORTRAIT, PORTRAIT // 2)
    assert (of_photo.metric, of_photo.face) == ("psnr", None)
    (to_input,) = scorer(PORTRAIT, degraded=PORTRAIT // 2)
    assert (to_input.metric, to_input.value) == ("psnr_to_input", of_photo.value)
    (nothing,) = scorer(PORTRAIT)
    assert nothing.value is None and nothing.missing_reason
    aligned = cv2.resize(PORTRAIT, (512, 512))
    assert [score.face for score in scorer(aligned, aligned // 2)] == [None, 0]
    for metrics, options, message in (("psrn", {}, "did you mean 'psnr'"), ("off", {}, "names no metric")):
        with pytest.raises(gfpup.GfpupError, match=message):
            gfpup.load_scorer(metrics, **options)
    with pytest.raises(gfpup.GfpupError, match=r"belongs to restoring: give it to gfpup\.load"):
        gfpup.load_scorer("psnr", fidelity=0.5)  # type: ignore[call-arg]


def test_the_names_are_there_and_loaded_when_asked_for() -> None:
    assert sorted(gfpup.__all__) == sorted(["__version__", *api.__all__])
    assert set(gfpup.__all__) <= set(dir(gfpup))
    assert all(getattr(gfpup, name).__doc__ for name in gfpup.__all__ if name != "Picture")
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        gfpup.lod  # type: ignore[attr-defined] # noqa: B018
    heavy = "{'torch', 'numpy', 'hydra', 'cv2', 'lightning'}"
    for wish, loaded in (("gfpup.__version__", []), ("gfpup.load", ["cv2", "numpy"])):
        code = f"import sys, gfpup; {wish}; print(sorted({heavy} & set(sys.modules)))"
        assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == str(loaded)
