"""`gfpgan-infer`: what the old command's lines mean, what is said about them, and what they leave on disk."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest
from pictures import portrait

from gfpup.cli import infer
from gfpup.cli.overrides import to_overrides
from gfpup.core.errors import GfpupError

LINES = {
    "--input photo.jpg --version 1.4": "backend=gfpgan restore.version=1.4",
    "--input photo.jpg --version v1.2": "backend=gfpgan restore.version=1.2",
    "-i photo.jpg": "backend=gfpgan restore.version=1.3 source.paths=['photo.jpg'] output='results' write.layout=gfpgan",
    "--input photo.jpg --backend codeformer --fidelity 0.8": "backend=codeformer restore.fidelity=0.8",
    "--input photo.jpg --backend codeformer --detection_threshold 0.5": "backend=codeformer detect.threshold=0.5",
    "--input photo.jpg --backend restoreformer": "backend=restoreformerpp",
    "--input photo.jpg -v RestoreFormer": "backend=restoreformer",
    "--input photo.jpg --backend restoreformer --high_quality": "backend=restoreformerpp mode=high-quality",
    "--input photo.jpg --backend restoreformer --memory_efficient": "backend=restoreformerpp mode=memory-efficient",
    "--input photo.jpg --version 1.4 --upscale 1": "restore.upscale=1",
    "--input photo.jpg --version 1.4 --bg_tile 400": "background.tile_px=400",
    "--input photos/ --backend codeformer --bg_upsampler none": "background=none",
    "--input photo.jpg --device cpu --backend codeformer": "hardware.device=cpu",
    "-i in --suffix restored": "write.suffix='_restored'",
    "-i in --only_center_face --aligned": "faces.which=center restore.aligned=true",
    "-i in --only-center-face": "faces.which=center",
    "-i in --ext auto --strength 0.5": "write.ext=auto restore.strength=0.5",
    "-i in --up 3 --only_center": "restore.upscale=3 faces.which=center",
    "--in in --out results --bg_up None": "source.paths=['in'] output='results' background=none",
    "-i in --bg_upsampler esrgan": "background=none",
    "-i in --bg_upsampler realesrgan": "",
    "--input_path in --output_path out --backend codeformer -w 0.7 --has_aligned": (
        "source.paths=['in'] output='out' restore.fidelity=0.7 restore.aligned=true"
    ),
    "-i in --backend codeformer --fidelity_weight 0.7 --detection_model retinaface_resnet50": (
        "restore.fidelity=0.7 detect.name=retinaface-resnet50"
    ),
    "-i in --backend codeformer -w 0.7": "restore.fidelity=0.7",
    "-i in --model-path x.pth --no-download --seed 7": "weights.model='x.pth' weights.download=false seed=7",
    "-i in --no-cmp --jpg-quality 90 --png_compress 5 --webp-quality 80": (
        "write.compare=false write.jpeg_quality=90 write.png_compression=5 write.webp_quality=80"
    ),
    "-i in --max-images 3 --workers 2 --eye-dist-threshold 9": (
        "source.limit=3 hardware.workers=2 faces.min_eye_distance_px=9"
    ),
    "-i in --detector retinaface_mobile0.25 --no-parse": "detect.name=retinaface-mobilenet0.25 paste.mask=feather",
    "-i in --metrics both": "metrics.names=[identity,lpips]",
    "-i in --metrics detailed": "metrics=full",
    "-i in --compile --verbose --dry-run": "hardware.compile=true screen.verbose=true dry_run=true",
    "-i in --skip-existing": "",
    "-i in": "existing=overwrite",
    "-i in --auto": "backend=auto",
    "-i in --backend RestoreFormer++": "backend=restoreformerpp",
    "-i a -i b/": "source.paths=['a','b']",
    "-i in --backend codeformer --accept-licence s-lab-1.0 --trust-first-download": (
        "weights.accept_licences=['s-lab-1.0'] weights.trust_first_download=true"
    ),
    "-i in --weights-file gfpgan-v1.3=mine.pth": "weights.files=['gfpgan-v1.3=mine.pth']",
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_the_old_command_is_one_of_the_new(line: str) -> None:
    overrides = to_overrides(infer.translate(shlex.split(line)).words)
    for expected in LINES[line].split():
        assert expected in overrides
    assert ("existing=overwrite" in overrides) == ("--skip-existing" not in line)


def test_what_was_not_given_is_not_said() -> None:
    overrides = to_overrides(infer.translate(["-i", "a"]).words)
    keys = {override.partition("=")[0] for override in overrides}
    assert keys == {"source.paths", "output", "backend", "restore.version", "existing", "write.layout", "detect.size"}
    assert "detect.size=0" in overrides, "the whole photo is looked at, as the older scripts do"


def test_the_weight_has_no_effect_but_on_codeformer() -> None:
    """The old script's default was 0.5, and GFPGAN never read it."""
    for method in (["-v", "1.3"], ["--backend", "restoreformer"], ["--auto"]):
        plain, weighted = infer.translate(["-i", "a", *method]), infer.translate(["-i", "a", *method, "-w", "0.5"])
        assert plain.words == weighted.words
        assert "no effect" in weighted.notes[-1] and "--strength" in weighted.notes[-1]


def test_what_misled_people_is_said() -> None:
    assert "--fidelity" in infer.translate(["-i", "a", "--backend", "codeformer", "-w", "0.5"]).notes[0]
    assert "restoreformerpp" in infer.translate(["-i", "a", "--backend", "restoreformer"]).notes[0]
    assert infer.translate(["-i", "a"]).notes == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-i a --colour", "there is no flag '--colour'"),
        ("-i a --version 9", "there is no --version '9'"),
        ("-i a --version 1", "there is no --version '1'"),
        ("-i a --backend codeformer --version 1.4", "leave one of them out"),
        ("-i a --backend codeformer -w 0.1 --fidelity 0.2", "give one of them"),
        ("-i a --backend codeforme", "did you mean"),
        ("-i a --detector scrfd", "there is no --detector 'scrfd'"),
        ("-i a --sweep-weight 0.1,0.2", "gfpup sweep"),
        ("-i a --bg_precision fp16", "--precision"),
        ("-i a --auto --backend gfpgan", "leave out"),
        ("-i a --metrics", "gfpgan-infer --help"),
        ("-i a --model-path=", "empty value"),
        ("-i a --backend ensemble", "use gfpup run"),
        ("-i a --compile fast", "expected none, default or max"),
        ("-i a --fidelity 0.5", "add --backend codeformer"),
        ("-i a --det 0.5", "--det is the beginning of --detection_threshold, --detector"),
        ("-i a --face_upsample", "no --face_upsample here"),
        ("-i a --draw_box", "boxes are not drawn"),
        ("-i a --detection_model dlib", "there is no --detector 'dlib'"),
    ],
)
def test_what_means_nothing_is_refused(line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(GfpupError) as error:
        infer.translate(shlex.split(line))
    assert said in str(error.value) and "\n" not in str(error.value)
    assert infer.main(shlex.split(line)) == 2
    assert capsys.readouterr().err.startswith("gfpup: ")


def test_files_that_cannot_be_written_are_refused_before_the_run(photo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["-i", "old.jpg", "--backend", "identity", "--detector", "cascade"]
    for flag, file in (("--manifest", "old.jpg/record.json"), ("--html-report", ".")):
        assert infer.main([*words, flag, file]) == 2
        assert f"{flag} {file} cannot be written" in capfd.readouterr().err
    assert not (photo.parent / "results").exists()


def test_the_help_names_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert infer.main(["--help"]) == 0
    text = capsys.readouterr().out
    shown = {word.strip(",[]").replace("-", "_") for word in text.split() if word.startswith("--")}
    for old in infer.FLAGS:
        assert {name.replace("-", "_") for name in old.names.split() if name.startswith("--")} <= shown, old.names
    assert all(line.startswith("  gfpgan-infer ") for line in text.splitlines()[-3:])


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GFPUP_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("GFPUP_WEIGHTS_DIR", str(tmp_path / "weights"))
    face = cv2.cvtColor(portrait(), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(tmp_path / "old.jpg"), face)
    return tmp_path / "old.jpg"


def test_results_lie_as_they_did(photo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The whole command, with a method that needs no weights in GFPGAN's place."""
    words = ["-i", "old.jpg", "--backend", "classical", "--detector", "cascade", "--suffix", "new", "--ext", "png", "-s", "1"]
    assert infer.main([*words, "--manifest", "copies/record.json", "--html-report", "page.html", "--device", "cpu"]) == 0
    results = photo.parent / "results"
    made = {path.relative_to(results).as_posix() for path in results.rglob("*.png")}
    assert made == {
        "restored_imgs/old_new.png",
        "cropped_faces/old_00.png",
        "restored_faces/old_00_new.png",
        "cmp/old_00.png",
    }
    crop, restored, both = (
        cv2.imread(str(results / name))
        for name in ("cropped_faces/old_00.png", "restored_faces/old_00_new.png", "cmp/old_00.png")
    )
    assert np.array_equal(both, np.hstack((crop, restored)))
    assert json.loads((photo.parent / "copies" / "record.json").read_text())["status"] == "done"
    assert "<html" in (photo.parent / "page.html").read_text()
    assert "the same as: gfpup run --input old.jpg" in capfd.readouterr().err
    first = (results / "restored_imgs" / "old_new.png").stat().st_ctime_ns
    assert infer.main([*words, "--device", "cpu", "--skip-existing", "--no-cmp"]) == 0
    assert (results / "restored_imgs" / "old_new.png").stat().st_ctime_ns == first
    assert infer.main(["-i", "old.jpg", "--backend", "identity", "--detector", "cascade", "--no-cmp"]) == 0, (
        "as before: replaced"
    )
    assert (results / "restored_imgs" / "old.jpg").is_file()


def test_a_dry_run_names_what_metrics_lack(photo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (photo.parent / "weights").mkdir()
    (photo.parent / "weights" / "detection_mobilenet0.25_Final.pth").write_bytes(b"cannot be verified")
    words = ["--input", "old.jpg", "--backend", "classical", "--metrics", "lpips,identity,maniqa", "--dry-run"]
    assert infer.main([*words, "--detector", "retinaface_mobile0.25"]) == 0
    said = capfd.readouterr().out
    for lack in ("metric lpips", "metric identity", "metric maniqa", "mobilenet0.25"):
        assert f"{lack}" in said
    assert said.count("missing ") >= 4


def test_a_dry_run_needs_nothing(photo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for method in (["--version", "1.4"], ["--backend", "codeformer"], ["--backend", "restoreformer"]):
        assert infer.main(["--input", "old.jpg", *method, "--dry-run"]) == 0
        said = capfd.readouterr()
        assert "missing" in said.out
    assert not (photo.parent / "results").exists() and not (photo.parent / "weights").exists()
