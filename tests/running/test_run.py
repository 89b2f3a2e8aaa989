"""`gfpup run` from the command line to the files it leaves."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from builders import Run, manifest
from pictures import read, save

from gfpup.ops.resize import resize


def test_a_folder_goes_in_and_comes_out(gfpup: Run, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert gfpup("run", "-i", photos, "--recursive", "-o", out, "--backend", "identity", "--detector", "cascade", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["photos"], facts["faces"], facts["faces_restored"], facts["without_faces"]) == (4, 3, 3, 1)
    names = {"a.png", "b with space,=.jpg", "sub/c.png", "empty.png"}
    document = manifest(out)
    assert document["status"] == "done"
    assert {photo["name"] for photo in document["photos"]} == names
    for photo in document["photos"]:
        assert Path(photo["output"]).is_file()
        assert set(photo["seconds"]) >= {"read", "detect", "background", "paste", "write"}
    assert document["plan"]["pixels"]["backend"] == "identity"
    assert document["argv"][:2] == ["gfpup", "run"]
    # Nothing else lies there: no folder of Hydra's, no part of a file.
    left = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    assert left == names | {"manifest.json", "manifest.jsonl", ".manifest.lock"}


def test_identity_is_the_upscaled_photo(gfpup: Run, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert gfpup("run", "-i", photos / "a.png", "-o", out, "--backend", "identity", "--detector", "cascade", "-q") == 0
    expected = resize(read(photos / "a.png"), (512, 512)).astype(float)
    result = read(out / "a.png")
    assert 10 * np.log10(255**2 / ((result - expected) ** 2).mean()) > 40
    (face,) = manifest(out)["photos"][0]["faces"]
    corners = np.linalg.inv(np.vstack([face["affine"], [0, 0, 1]]))[:2] @ np.array(
        [[0, 511, 511, 0], [0, 0, 511, 511], [1] * 4]
    )
    x0, y0 = np.floor(corners.min(axis=1) * 2).astype(int)
    outside = np.ones(result.shape[:2], bool)
    outside[max(y0, 0) :, max(x0, 0) :] = False
    assert outside.any()
    np.testing.assert_array_equal(result[outside], expected[outside])


def test_classical_changes_the_face_and_only_the_face(gfpup: Run, photos: Path, tmp_path: Path) -> None:
    for backend in ("identity", "classical"):
        args = ("-i", photos / "a.png", "-o", tmp_path / backend, "--backend", backend, "--detector", "cascade", "-q")
        assert gfpup("run", *args) == 0
    changed = (read(tmp_path / "identity/a.png") != read(tmp_path / "classical/a.png")).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert 0.02 < changed.mean() < 0.6
    assert columns.min() > 0
    assert rows.max() < 511


def test_the_same_photo_gives_the_same_bytes(gfpup: Run, photos: Path, tmp_path: Path) -> None:
    """Alone, in a folder, with readers beside or without: the file is the same."""
    common = ("--backend", "classical", "--detector", "cascade", "-q")
    assert gfpup("run", "-i", photos, "-o", tmp_path / "many", *common, "hardware.workers=2") == 0
    assert (
        gfpup("run", "-i", photos / "a.png", "-o", tmp_path / "one", *common, "hardware.workers=0", "hardware.threads=1") == 0
    )
    assert (tmp_path / "many/a.png").read_bytes() == (tmp_path / "one/a.png").read_bytes()


def test_a_damaged_file_is_refused_by_name_and_the_run_goes_on(gfpup: Run, photos: Path, tmp_path: Path) -> None:
    (photos / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a photo")
    out = tmp_path / "out"
    assert gfpup("run", "-i", photos, "-o", out, "--backend", "identity", "--detector", "cascade", "-q") == 1
    document = manifest(out)
    assert document["status"] == "failed"
    errors = {photo["name"]: photo["error"] for photo in document["photos"]}
    assert "bad.jpg" in errors.pop("bad.jpg")
    assert set(errors.values()) == {None}
    assert not (out / "bad.jpg").exists()
    # Mended, the same command does only what is missing.
    (photos / "bad.jpg").unlink()
    save(photos / "bad.jpg", np.full((40, 40, 3), 9, np.uint8))
    before = (out / "a.png").stat().st_ctime_ns
    assert gfpup("run", "-i", photos, "-o", out, "--backend", "identity", "--detector", "cascade", "-q") == 0
    assert (out / "a.png").stat().st_ctime_ns == before
    assert manifest(out)["status"] == "done"


def test_another_plan_is_not_mixed_in(gfpup: Run, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ("run", "-i", photos / "a.png", "-o", tmp_path / "out", "--detector", "cascade", "-q")
    assert gfpup(*common, "--backend", "identity") == 0
    before = {p: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    assert gfpup(*common, "--backend", "classical") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before
    assert gfpup(*common, "--backend", "classical", "--overwrite") == 0
    assert manifest(tmp_path / "out")["plan"]["pixels"]["backend"] == "classical"


def test_nothing_of_the_user_s_is_replaced(
    gfpup: Run, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    original = (photos / "a.png").read_bytes()
    assert gfpup("run", "-i", photos, "-o", photos, "--backend", "identity", "--detector", "cascade") == 2
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/a.png").write_bytes(b"precious")
    assert gfpup("run", "-i", photos / "a.png", "-o", tmp_path / "mine", "--backend", "identity", "--detector", "cascade") == 2
    assert (photos / "a.png").read_bytes() == original
    assert (tmp_path / "mine/a.png").read_bytes() == b"precious"
    for line in capsys.readouterr().err.splitlines():
        assert line.startswith("gfpup: ")


def test_aligned_faces(gfpup: Run, tmp_path: Path, portrait: np.ndarray) -> None:
    save(tmp_path / "face.png", portrait)
    assert gfpup("run", "-i", "face.png", "-o", "out", "--aligned", "--backend", "identity", "-q") == 0
    assert read(tmp_path / "out/face.png").shape == (512, 512, 3)
    (photo,) = manifest(tmp_path / "out")["photos"]
    assert photo["faces"][0]["restored"]


def test_dry_run_leaves_nothing(gfpup: Run, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert gfpup("run", "-i", photos, "-o", "out", "--dry-run", "--backend", "identity", "--no-download", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["pixels"]["detector"] in ("mtcnn", "cascade"), "what needs no checkpoint, mtcnn where its package is here"
    assert any(
        "frontal faces only" in reason["why"] or "finds fewer small faces" in reason["why"] for reason in plan["reasons"]
    ), "the fallback is in the plan"
    assert (
        gfpup("run", "-i", photos, "-o", "out", "--dry-run", "--backend", "identity,classical", "--no-download", "-m", "-q")
        == 0
    )
    assert sorted(tmp_path.rglob("*")) == before


def test_a_multirun_makes_a_folder_a_job(gfpup: Run, photos: Path, tmp_path: Path) -> None:
    args = ("-i", photos / "a.png", "-o", "out", "--detector", "cascade", "-q", "--backend", "identity,classical", "-m")
    assert gfpup("run", *args) == 0
    for backend in ("identity", "classical"):
        assert manifest(tmp_path / f"out/backend={backend}")["plan"]["pixels"]["backend"] == backend
        assert (tmp_path / f"out/backend={backend}/a.png").is_file()


def test_one_refused_job_does_not_lose_the_others(gfpup: Run, photos: Path, tmp_path: Path) -> None:
    args = ("-i", photos / "a.png", "-o", "out", "--backend", "identity", "--no-download", "-q", "-m")
    assert gfpup("run", *args, "--detector", "retinaface-resnet50,cascade") == 1
    assert manifest(tmp_path / "out/detect.name=cascade")["status"] == "done"


def test_save_faces(gfpup: Run, photos: Path, tmp_path: Path) -> None:
    args = ("-i", photos / "a.png", "-o", "out", "--backend", "classical", "--detector", "cascade", "-q")
    assert gfpup("run", *args) == 0
    assert gfpup("run", *args, "--save-faces") == 0
    files = manifest(tmp_path / "out")["photos"][0]["face_files"]
    assert files == ["faces/a.png/00_aligned.png", "faces/a.png/00_restored.png"]
    assert all(read(tmp_path / "out" / file).shape == (512, 512, 3) for file in files)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-i", "nothing.jpg"], "nothing.jpg"),
        (["-i", "a.png", "--backend", "clasical"], "classical"),
        (["-i", "a.png", "--device", "cuda:7"], "cuda:7"),
        (["-i", "a.png", "--device", "tpu"], "tpu"),
        (["-i", "a.png", "--upscale", "-1"], "for --upscale: expected a number from 0.0625 to 16"),
        (["-i", "a.png", "--upscale", "big"], "for --upscale: expected a number from 0.0625 to 16"),
        (["-i", "a.png", "--detection-threshold", "1.5"], "for --detection-threshold: expected a number from 0 to 1"),
        (["-i", "a.png", "--detector", "retinaface-resnet50"], "retinaface-resnet50"),
        (["-i", "a.png", "--detector-path", "none.pth"], "none.pth"),
        (["-i", "a.png", "--backend", "identity", "restore.fidelity=0.5"], "fidelity"),
        (["-i", "a.png", "restore.fidelty=0.5"], "fidelty"),
        (["-i", "a.png", "--ext", "gif"], "for --ext: expected one of auto, png"),
        (["-i", "a.png", "--suffix", "/x"], "suffix"),
        ([], "--input"),
        (["-i", "a.png", "-o", "a.png"], "a.png"),
    ],
)
def test_mistakes_are_refused_in_one_sentence(
    gfpup: Run, tmp_path: Path, portrait: np.ndarray, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    save(tmp_path / "a.png", portrait)
    before = sorted(tmp_path.rglob("*"))
    method = () if "--backend" in words else ("--backend", "identity")
    assert gfpup("run", "--no-download", *method, *words) == 2
    err = capsys.readouterr().err.strip()
    assert says in err
    assert err.count("\n") == err.count("no RetinaFace checkpoint, so "), "one line, beside the warning of the plan"
    assert "Traceback" not in err
    assert sorted(tmp_path.rglob("*")) == before


def test_the_shared_photos(gfpup: Run, shared: Path, tmp_path: Path) -> None:
    detector = shared / "weights/retinaface_mobilenet0.25.pth"
    args = ("-i", shared / "data/photos", "-o", "out", "--backend", "classical", "--detector-path", detector, "-q")
    assert gfpup("run", *args) == 0
    document = manifest(tmp_path / "out")
    assert sum(face["restored"] for photo in document["photos"] for face in photo["faces"]) == 12
    for photo in document["photos"]:
        assert read(Path(photo["output"])).shape[0] == 2 * read(Path(photo["input"])).shape[0]


def test_a_result_that_cannot_be_written_stops_the_run(
    gfpup: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gfpup import photos as photos_in_and_out
    from gfpup.core.errors import OutputError

    written = []

    def full_disk(path: Path, *args: object, **kwargs: object) -> tuple[str, ...]:
        if written:
            raise OutputError(f"{path} cannot be written: No space left on device")
        written.append(path)
        return real(path, *args, **kwargs)

    real = photos_in_and_out.write_photo
    monkeypatch.setattr(photos_in_and_out, "write_photo", full_disk)
    args = ("-i", photos, "-o", "out", "--backend", "identity", "--detector", "cascade", "-q", "hardware.workers=0")
    assert gfpup("run", *args) == 1
    assert capsys.readouterr().err.startswith("gfpup: ")
    document = manifest(tmp_path / "out")
    assert document["status"] == "stopped"
    assert len(document["photos"]) == 1, "what was done before stays recorded"
    monkeypatch.setattr(photos_in_and_out, "write_photo", real)
    assert gfpup("run", *args) == 0


def test_a_result_too_large_for_its_format_is_known_before_the_run(
    gfpup: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "wide.png", np.full((8, 9000, 3), 100, np.uint8))
    args = ("-i", "wide.png", "-o", "out", "--backend", "identity", "--detector", "cascade", "--ext", "webp")
    assert gfpup("run", *args, "--dry-run") == 0
    assert "16383" in capsys.readouterr().out.replace(",", "")
    assert gfpup("run", *args, "-q") == 1
    assert "16383" in str(manifest(tmp_path / "out")["photos"][0]["error"]).replace(",", "")


def test_a_pipe_among_the_photos_is_refused_and_does_not_hang(gfpup: Run, photos: Path, tmp_path: Path) -> None:
    os.mkfifo(photos / "pipe.jpg")
    assert gfpup("run", "-i", photos, "-o", "out", "--backend", "identity", "--detector", "cascade", "-q") == 1
    errors = {photo["name"]: photo["error"] for photo in manifest(tmp_path / "out")["photos"]}
    assert "not an ordinary file" in errors.pop("pipe.jpg")
    assert set(errors.values()) == {None}


def test_links_to_anything_but_photos_fail_by_name_and_resume(gfpup: Run, tmp_path: Path, portrait: np.ndarray) -> None:
    folder = tmp_path / "odd"
    save(folder / "good.png", portrait)
    links = {"loop.jpg": "loop.jpg", "zero.jpg": "/dev/zero", "mem.jpg": "/proc/self/mem", "gone.jpg": "nowhere"}
    for name, target in links.items():
        (folder / name).symlink_to(target)
    args = ("run", "-i", folder, "-o", "out", "--backend", "identity", "--detector", "cascade", "-q")
    assert gfpup(*args) == 1
    errors = {photo["name"]: photo["error"] for photo in manifest(tmp_path / "out")["photos"]}
    assert errors.pop("good.png") is None
    assert set(errors) == set(links) and all(name in errors[name] for name in links)
    (folder / "good.png").unlink()
    (folder / "good.png").symlink_to("/proc/self/mem")  # what was a photo has become something else
    assert gfpup(*args) == 1
    assert all(photo["error"] for photo in manifest(tmp_path / "out")["photos"])


def test_the_summary_is_of_the_photos_asked_for(
    gfpup: Run, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "bad.jpg").write_bytes(b"nothing")
    args = ("-i", photos, "-o", "out", "--backend", "identity", "--detector", "cascade", "--json")
    assert gfpup("run", *args) == 1
    (photos / "bad.jpg").unlink()
    capsys.readouterr()
    assert gfpup("run", *args) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["photos"], facts["failed"]) == (3, 0)
    assert "bad.jpg" not in {photo["name"] for photo in manifest(tmp_path / "out")["photos"]}
    assert gfpup("run", *args, "--limit", "1") == 0
    assert json.loads(capsys.readouterr().out)["photos"] == 1


def test_an_output_that_was_changed_is_made_again(gfpup: Run, photos: Path, tmp_path: Path) -> None:
    args = ("-i", photos / "a.png", "-o", "out", "--backend", "identity", "--detector", "cascade", "-q")
    assert gfpup("run", *args) == 0
    before = (tmp_path / "out/a.png").read_bytes()
    (tmp_path / "out/a.png").write_bytes(b"junk")
    assert gfpup("run", *args) == 0
    assert (tmp_path / "out/a.png").read_bytes() == before


def test_a_damaged_record_is_said_and_can_be_overwritten(
    gfpup: Run, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ("-i", photos / "a.png", "-o", "out", "--backend", "identity", "--detector", "cascade", "-q")
    for damage in ("{bad\n", '{"name": "x"}\n', "[1]\n"):
        assert gfpup("run", *args, "--overwrite") == 0
        with (tmp_path / "out/manifest.jsonl").open("a") as file:
            file.write(damage)
        assert gfpup("run", *args) == 2
        assert "damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-i", ""], "empty value"),
        (["-i", "~nobody-here/x.jpg"], "~nobody-here"),
        (["-i", "a.png", "--leave-alone", "30,30,10,10"], "for --leave-alone: expected boxes"),
        (["-i", "a.png", "faces.leave_alone=[[a,b,c,d]]"], "for faces.leave_alone: expected boxes"),
        (["-i", "a.png", "restore=5"], "restore"),
        (["-i", "a.png", "-o", "/proc/none"], "/proc/none"),
    ],
)
def test_more_mistakes_are_refused_in_one_sentence(
    gfpup: Run, tmp_path: Path, portrait: np.ndarray, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    save(tmp_path / "a.png", portrait)
    assert gfpup("run", "--backend", "identity", "--detector", "cascade", *words) == 2
    err = capsys.readouterr().err.strip()
    assert says in err
    assert "\n" not in err


def test_names_once_given_stay(gfpup: Run, tmp_path: Path, portrait: np.ndarray) -> None:
    """A new photo that wants a name that is taken gets another; nothing that was done is renamed or done again."""
    folder = tmp_path / "in"
    folder.mkdir()
    save(folder / "x.jpg", portrait)
    save(folder / "x.png", portrait[::-1].copy())
    args = ("-i", folder, "-o", "out", "--backend", "identity", "--detector", "cascade", "--ext", "png", "-q")
    assert gfpup("run", *args) == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.png")}
    assert set(before) == {"x.png", "x_2.png"}
    save(folder / "x.bmp", np.full((50, 50, 3), 7, np.uint8))
    assert gfpup("run", *args) == 0
    after = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.png")}
    assert set(after) == {"x.png", "x_2.png", "x_3.png"}
    assert {name: after[name] for name in before} == before
