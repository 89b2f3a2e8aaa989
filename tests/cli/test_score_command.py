"""`gfpup score`: runs and folders measured afterwards give the run's own numbers, and nothing drops out in silence."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from builders import Run
from pictures import read, save
from skimage.metrics import peak_signal_noise_ratio

from gfpup.core.types import Score
from gfpup.records.scores import read as read_scores

FACE = np.ascontiguousarray(skimage.data.astronaut())


def noisy(seed: int, sigma: float, side: int = 512) -> np.ndarray:
    picture = FACE[:side, :side].astype(float) + np.random.default_rng(seed).normal(0, sigma, (side, side, 3))
    return np.clip(picture, 0, 255).astype(np.uint8)


def rows_of(folder: Path) -> dict[tuple[str, int | None, str], Score]:
    rows = read_scores(folder / "scores.csv")
    found = {(row.photo, row.face, row.metric): row for row in rows}
    assert len(found) == len(rows), "a line is there twice"
    return found


def record(folder: Path, **photos: dict[str, object]) -> None:
    """A run's record by hand, with the fields that scoring needs."""
    lines = []
    for name, facts in photos.items():
        line = {"name": f"{name}.png", "error": None, "faces": [], "seconds": {"restore": 0.5, "write": 9.0}, **facts}
        if "input_sha256" not in line:
            line["input_sha256"] = hashlib.sha256(Path(str(line["input"])).read_bytes()).hexdigest()
        lines.append(line)
    (folder / "manifest.json").write_text(json.dumps({"status": "done", "photos": lines}))


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """refs/, lq/ and out/ with the photos a and b; out/ is a run."""
    for name in ("refs", "lq", "out"):
        (tmp_path / name).mkdir()
    for seed, name in enumerate("ab"):
        save(tmp_path / "refs" / f"{name}.png", FACE[:200, :200])
        save(tmp_path / "lq" / f"{name}.png", noisy(seed, 30, 200))
        save(tmp_path / "out" / f"{name}.png", noisy(seed, 10, 200))
    whole = {"restored": True, "affine": [[2.56, 0, 0.78], [0, 2.56, 0.78]]}
    record(
        tmp_path / "out",
        a={"input": str(tmp_path / "lq" / "a.png"), "faces": [{"restored": False, "affine": None}, whole]},
        b={"input": str(tmp_path / "lq" / "b.png")},
    )
    return tmp_path


def test_a_run_is_scored_from_its_record(folders: Path, gfpup: Run) -> None:
    assert gfpup("score", "out", "--metrics", "psnr,seconds,identity", "--quiet", "--no-download") == 0
    rows = rows_of(folders / "out")
    expected = peak_signal_noise_ratio(read(folders / "lq" / "a.png"), read(folders / "out" / "a.png"))
    assert rows["a.png", None, "psnr_to_input"].value == pytest.approx(expected)
    assert rows["a.png", 1, "psnr_to_input"].value is not None and ("a.png", 0, "psnr_to_input") not in rows
    assert rows["b.png", None, "seconds"].value == 0.5
    assert "arcface-ir-se50" in str(rows["a.png", None, "identity_to_input"].missing_reason)
    summary = json.loads((folders / "out" / "scores.json").read_text())
    assert "skimage" in summary["computed"]["psnr_to_input"]["implementation"]


def test_metrics_scored_now_replace_their_lines_and_the_others_stay(
    folders: Path, gfpup: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    (folders / "out" / "scores.csv").write_text(
        "photo,face,metric,value,higher_is_better,missing_reason\n"
        "a.png,,psnr_to_input,1.0,true,\ngone.png,,psnr_to_input,2.0,true,\na.png,,lpips_to_input,0.25,false,\n"
        ",,peak_memory,1e9,false,\n"
    )
    assert gfpup("score", "out", "--metrics", "psnr,peak_memory", "--quiet") == 0
    rows = rows_of(folders / "out")
    assert rows["a.png", None, "lpips_to_input"].value == 0.25 and rows["", None, "peak_memory"].value == 1e9
    assert rows["a.png", None, "psnr_to_input"].value != 1.0 and ("gone.png", None, "psnr_to_input") not in rows
    assert gfpup("score", "out", "--metrics", "psnr,ssim", "--reference", "refs", "--json") == 0
    (facts,) = json.loads(capsys.readouterr().out)["runs"]
    assert {row["metric"] for row in facts["scores"]} == {"psnr", "ssim"} and facts["scored"] == 2
    rows = rows_of(folders / "out")
    assert rows["a.png", None, "psnr_to_input"].value is not None, "against the input is another metric"
    expected = peak_signal_noise_ratio(FACE[:200, :200], read(folders / "out" / "a.png"))
    assert rows["a.png", None, "psnr"].value == pytest.approx(expected)


def test_what_is_not_there_is_named_and_lowers_no_mean(folders: Path, gfpup: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert gfpup("score", "out", "--metrics", "psnr", "--reference", "refs", "--quiet") == 0
    alone = rows_of(folders / "out")["a.png", None, "psnr"].value
    (folders / "out" / "b.png").unlink()
    capsys.readouterr()
    assert gfpup("score", "out", "--metrics", "psnr,seconds", "--reference", "refs", "--json") == 1
    (facts,) = json.loads(capsys.readouterr().out)["runs"]
    assert [row["photo"] for row in facts["unscored"]] == ["b.png"]
    by_metric = {(row["metric"], row["level"]): row for row in facts["scores"]}
    assert by_metric["psnr", "photo"]["mean"] == alone and by_metric["psnr", "photo"]["n"] == 1
    rows = rows_of(folders / "out")
    assert "is not there" in str(rows["b.png", None, "psnr"].missing_reason)
    assert "is not there" in str(rows["b.png", None, "seconds"].missing_reason)


def test_a_photo_that_failed_in_the_run_keeps_its_reason(folders: Path, gfpup: Run) -> None:
    record(folders / "out", a={"input": str(folders / "lq" / "a.png"), "error": "it is no photo", "input_sha256": None})
    assert gfpup("score", "out", "--metrics", "ssim", "--quiet") == 1
    assert rows_of(folders / "out")["a.png", None, "ssim_to_input"].missing_reason == "it is no photo"


def test_an_input_that_changed_or_left_is_not_taken_for_the_one_restored(folders: Path, gfpup: Run) -> None:
    shutil.move(folders / "lq", folders / "moved")
    save(folders / "moved" / "c.png", FACE[:50, :50])
    (folders / "lq").mkdir()
    save(folders / "lq" / "a.png", FACE[:200, :200])
    assert gfpup("score", "out", "--metrics", "psnr,identity", "--quiet") == 1
    rows = rows_of(folders / "out")
    assert "changed since the run" in str(rows["a.png", None, "psnr_to_input"].missing_reason)
    assert "is not there: give --input" in str(rows["b.png", None, "psnr_to_input"].missing_reason)
    assert gfpup("score", "out", "--metrics", "psnr", "--input", "moved", "--quiet") == 0
    assert all(row.value for row in rows_of(folders / "out").values() if row.metric == "psnr_to_input")


def test_a_folder_is_scored_by_names(folders: Path, gfpup: Run) -> None:
    (folders / "out" / "manifest.json").unlink()
    (folders / "out" / "a.png").rename(folders / "out" / "a.tmp")
    save(folders / "out" / "a.jpg", noisy(5, 10, 200))
    save(folders / "out" / "stranger.png", noisy(5, 10, 200))
    save(folders / "refs" / "c.png", FACE[:200, :200])
    words = ("score", "--restored", "out", "--reference", "refs", "--metrics", "psnr,ssim", "--output", "scores")
    assert gfpup(*words, "--quiet") == 1
    rows = rows_of(folders / "scores")
    assert rows["a.jpg", None, "psnr"].value is not None and rows["b.png", None, "ssim"].value is not None
    assert "no result of it" in str(rows["c.png", None, "psnr"].missing_reason)
    assert "no reference in refs" in str(rows["stranger.png", None, "psnr"].missing_reason)
    assert not (folders / "out" / "scores.csv").exists()
    assert gfpup("score", "--restored", "lq", "--metrics", "psnr", "--output", "scores") == 2, "scores of another folder"


def test_pictures_are_matched_by_path_and_by_a_documented_suffix_only(tmp_path: Path, gfpup: Run) -> None:
    for name in ("album1/1.png", "album2/1.png", "anna.png", "ben.png"):
        save(tmp_path / "lq" / name, noisy(1, 10, 64))
    for name in ("album1/1.jpg", "anna_smith.png", "ben_restored.png"):
        save(tmp_path / "their" / name, noisy(2, 10, 64))
    words = ("score", "--restored", "their", "--input", "lq", "--metrics", "psnr", "--output", "scores", "--quiet")
    assert gfpup(*words) == 1
    rows = rows_of(tmp_path / "scores")
    scored = {photo for (photo, _, metric), row in rows.items() if row.value is not None}
    assert scored == {"album1/1.jpg", "ben_restored.png"}
    assert "another folder" in str(rows["album2/1.png", None, "psnr_to_input"].missing_reason)
    assert "no input in lq" in str(rows["anna_smith.png", None, "psnr_to_input"].missing_reason)


def test_without_partners_a_pair_metric_is_missing_with_the_remedy(folders: Path, gfpup: Run) -> None:
    assert gfpup("score", "--restored", "lq", "--metrics", "psnr,seconds", "--output", "scores", "--quiet") == 1
    rows = rows_of(folders / "scores")
    assert "give --input or --reference" in str(rows["a.png", None, "psnr_to_input"].missing_reason)
    assert rows["a.png", None, "seconds"].missing_reason


def test_faces_of_a_folder_are_the_aligned_ones(tmp_path: Path, gfpup: Run) -> None:
    for name in ("refs", "lq"):
        (tmp_path / name).mkdir()
    for name, side in (("aligned", 512), ("whole", 300)):
        save(tmp_path / "refs" / f"{name}.png", FACE[:side, :side])
        save(tmp_path / "lq" / f"{name}.png", noisy(3, 20, side))
    words = ("--restored", "lq", "--reference", "refs", "--metrics", "psnr,deg", "--output", "scores", "--no-download")
    assert gfpup("score", *words, "--quiet") == 0
    rows = rows_of(tmp_path / "scores")
    assert rows["aligned.png", 0, "psnr"].value == rows["aligned.png", None, "psnr"].value
    assert ("whole.png", 0, "psnr") not in rows


def test_a_finished_run_gives_its_own_numbers_again(tmp_path: Path, gfpup: Run) -> None:
    (tmp_path / "refs").mkdir()
    save(tmp_path / "refs" / "a.png", FACE)
    save(tmp_path / "refs" / "b.png", np.ascontiguousarray(FACE[:, ::-1]))
    run = ("run", "--source", "synthetic", "--input", "refs", "--aligned", "--device", "cpu", "--quiet", "source.seed=3")
    for backend in ("identity", "classical"):
        words = ("--backend", backend, "--metrics", "psnr,ssim", "--output", f"out/{backend}")
        assert gfpup(*run, *words) == 0
    before = rows_of(tmp_path / "out" / "classical")
    assert gfpup("score", "out", "--metrics", "psnr,ssim", "--quiet") == 0, "the folder of two runs"
    assert rows_of(tmp_path / "out" / "classical") == before
    assert before["a.png", None, "psnr"].value > rows_of(tmp_path / "out" / "identity")["a.png", None, "psnr"].value
    assert gfpup("score", "out", "--metrics", "psnr", "--output", "apart", "--quiet") == 0
    assert rows_of(tmp_path / "apart" / "identity") == {
        key: row for key, row in rows_of(tmp_path / "out" / "identity").items() if key[2] == "psnr"
    }


def test_a_paired_run_keeps_its_references(folders: Path, gfpup: Run, capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "--input",
        "lq",
        "--reference",
        "refs",
        "--aligned",
        "--backend",
        "identity",
        "--device",
        "cpu",
        "--output",
        "x/run",
    )
    assert gfpup("run", "--source", "paired", *words, "--quiet", "--metrics", "psnr") == 0
    before = rows_of(folders / "x" / "run")
    assert gfpup("score", "x/run", "--metrics", "psnr", "--quiet") == 0
    assert rows_of(folders / "x" / "run") == before and ("a.png", None, "psnr") in before
    shutil.copytree("x", "y")
    assert gfpup("score", "x/run", "y/run", "--metrics", "ssim", "--quiet") == 0, "two runs of one name, each in its place"
    assert gfpup("score", "x/run", "y/run", "--metrics", "ssim", "--output", "z") == 2
    shutil.move("refs", "elsewhere")
    capsys.readouterr()
    assert gfpup("score", "x/run", "--metrics", "psnr") == 0
    assert "give them with --reference" in capsys.readouterr().err
    assert ("a.png", None, "psnr_to_input") in rows_of(folders / "x" / "run")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("absent",), "there is no folder absent"),
        (("lq",), "holds no manifest.json"),
        (("out", "--restored", "lq"), "either runs or --restored"),
        (("--metrics", "psnr"), "either runs or --restored"),
        (("--restored", "lq"), "give it with --output"),
        (("out", "--metrics", "psnrr"), "psnr"),
        (("out", "--metrics", "off"), "names no metric"),
        (
            ("out", "--metrics", "psnr,identity_gallery"),
            "identity_gallery is measured by gfpup run with the photos of --people",
        ),
        (("out", "--metrics", "fid", "--require-metrics", "--no-download"), "cannot be computed: fid"),
        (("out", "--reference", "absent"), "--reference takes a folder"),
        (("out", "--device", "gpu"), "no device 'gpu'"),
        (("--restored", "lq", "--output", "out", "--metrics", "psnr"), "is a run itself"),
        (("--restored", "lq", "--reference", "other", "--output", "x"), "names must be equal"),
        (("out", "--surprise"), "unrecognized"),
    ],
)
def test_mistakes_are_refused_in_one_sentence(
    folders: Path, gfpup: Run, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folders / "other").mkdir()
    save(folders / "other" / "z.png", FACE[:60, :60])
    assert gfpup("score", *words) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.count("\n") == 1 and captured.out == ""
    assert not (folders / "out" / "scores.csv").exists()


def test_a_run_that_goes_on_is_left_alone(folders: Path, gfpup: Run, capsys: pytest.CaptureFixture[str]) -> None:
    (folders / "out" / "manifest.json").write_text(json.dumps({"status": "running", "photos": []}))
    assert gfpup("score", "out") == 2 and "has not ended" in capsys.readouterr().err
    (folders / "out" / "manifest.json").write_text("[]")
    assert gfpup("score", "out") == 2 and "not the record of a run" in capsys.readouterr().err


def test_the_published_outputs_are_scored_by_folder(shared: Path, tmp_path: Path, gfpup: Run) -> None:
    source = shared / "data" / "published_outputs"
    for method in ("input", "gfpgan_v1.2", "gfpgan_v1.4"):
        (tmp_path / method).mkdir()
        for file in source.glob(f"face_*_{method}.*"):
            shutil.copy(file, tmp_path / method / f"{file.name[:6]}{file.suffix}")
    for method in ("gfpgan_v1.2", "gfpgan_v1.4"):
        words = ("--input", "input", "--metrics", "psnr,ssim", "--output", f"scores/{method}", "--quiet")
        assert gfpup("score", "--restored", method, *words) == 0
    assert gfpup("compare", "scores", "--json", "--output", "table.md") == 0
    rows = rows_of(tmp_path / "scores" / "gfpgan_v1.4")
    restored, degraded = (read(next(source.glob(f"face_1_{m}.*"))) for m in ("gfpgan_v1.4", "input"))
    assert rows["face_1.jpg", None, "psnr_to_input"].value == pytest.approx(peak_signal_noise_ratio(degraded, restored))


def test_the_table_and_the_help(folders: Path, gfpup: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert gfpup("score", "out", "--metrics", "psnr") == 0
    text = capsys.readouterr().out
    assert "psnr_to_input" in text and "less was changed" in text and "2 of 2 photos" in text
    assert gfpup("score", "--help") == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("  gfpup ") for line in lines[-3:]) and max(map(len, lines)) <= 132
