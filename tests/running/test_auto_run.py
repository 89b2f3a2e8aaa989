"""`--auto` on whole runs: a method and its reason for each photo, in the record, on the screen and in the report."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from builders import Run, manifest
from golden import fill_randomly
from official import layout
from pictures import read, save

import gfpup as library
from gfpup.cli import infer
from gfpup.models.nets.gfpgan import GFPGAN
from gfpup.ops import degrade
from gfpup.restoration.align import align_faces
from gfpup.restoration.detect import CascadeDetector

CASCADE = ("--detector", "cascade", "--tracking", "none")
DAMAGED = ("clean.png", "grey.png", "none.png", "small.png", "soft.png", "squeezed.jpg", "strong.png")


@pytest.fixture(scope="session")
def close(portrait: np.ndarray) -> np.ndarray:
    """A photo (512, 512, 3) whose face is large and little damaged."""
    return np.asarray(cv2.resize(portrait, (512, 512), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.fixture
def damaged(tmp_path: Path, portrait: np.ndarray, close: np.ndarray) -> Path:
    """A folder of photos whose damage is known."""
    folder = tmp_path / "in"
    save(folder / "clean.png", close)
    save(folder / "soft.png", degrade.apply(close, degrade.draw("mild", seed=2, name="a.png")))
    save(folder / "strong.png", degrade.apply(close, degrade.draw("codeformer-stage2", seed=4, name="a.png")))
    save(folder / "grey.png", np.repeat(cv2.cvtColor(close, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2))
    save(folder / "small.png", portrait)
    save(folder / "none.png", np.full((60, 90, 3), 120, np.uint8))
    _, data = cv2.imencode(".jpg", cv2.cvtColor(close, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 35])
    (folder / "squeezed.jpg").write_bytes(data.tobytes())
    return folder


def reasons(text: str) -> dict[str, dict]:
    return {reason["setting"]: reason for reason in json.loads(text)["reasons"]}


def test_each_photo_gets_its_method_and_the_reason(
    gfpup: Run, damaged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("run", "-i", "in", "--auto", *CASCADE, "--upscale", "1")
    assert gfpup(*words, "-o", "out", "--save-faces") == 0
    screen = capsys.readouterr()
    assert "methods" in screen.out and "classical 6  identity 1" in screen.out
    assert "soft.png: classical was chosen: the face is somewhat blurred" in screen.out
    assert "no learned method is here" in screen.err
    document = manifest(tmp_path / "out")
    lines = {line["name"]: line for line in document["photos"]}
    assert tuple(sorted(lines)) == DAMAGED
    assert {name: line["method"] for name, line in lines.items()} == {
        name: "identity" if name == "none.png" else "classical" for name in DAMAGED
    }
    for name, said in {
        "clean.png": "no rule for damage holds",
        "grey.png": "the photo is grey or toned in one colour (colours 0, under 3)",
        "none.png": "no face was found",
        "small.png": "the face is small (face_px ",
        "soft.png": "the face is somewhat blurred (sharpness 0.1",
        "squeezed.jpg": "the file is strongly compressed (jpeg_quality 35, under 40)",
        "strong.png": "the face is strongly blurred (sharpness 0.0",
    }.items():
        (note,) = lines[name]["notes"]
        assert note.startswith(f"{lines[name]['method']} was chosen: ") and said in note
    assert "codeformer-0.5 cannot run here, so classical is used" in lines["strong.png"]["notes"][0]
    assert not any("was chosen" in warning for line in lines.values() for warning in line["warnings"])
    assert set(lines["clean.png"]["seconds"]) >= {"read", "detect", "choose", "align", "restore", "paste", "write"}

    assert gfpup("run", "-i", "in", "--backend", "classical", *CASCADE, "--upscale", "1", "-o", "one", "-q") == 0
    for name in DAMAGED:
        np.testing.assert_array_equal(read(tmp_path / "out" / name), read(tmp_path / "one" / name))
    assert {(line["method"], *line["notes"]) for line in manifest(tmp_path / "one")["photos"]} == {(None,)}

    before = {name: (tmp_path / "out" / name).stat().st_ctime_ns for name in DAMAGED}
    (tmp_path / "out/soft.png").unlink()
    capsys.readouterr()
    assert gfpup(*words, "-o", "out", "--save-faces", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["skipped"] == len(DAMAGED) - 1 and facts["methods"] == {"classical": 6, "identity": 1}
    after = {name: (tmp_path / "out" / name).stat().st_ctime_ns for name in DAMAGED}
    assert {name for name in DAMAGED if before[name] != after[name]} == {"soft.png"}
    assert {line["name"]: line["notes"] for line in manifest(tmp_path / "out")["photos"]} == {
        name: line["notes"] for name, line in lines.items()
    }
    assert gfpup("report", "out", "--output", "page.html") == 0
    assert "the file is strongly compressed" in (tmp_path / "page.html").read_text()


def test_the_plan_says_what_is_in_and_what_is_out_and_why(
    gfpup: Run, tmp_path: Path, portrait: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "a.png", portrait)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/GFPGANv1.3.pth").write_bytes(b"not what was published")
    for name in ("mine.pth", "theirs.pth"):
        (tmp_path / name).write_bytes(name.encode())
    words = ("run", "-i", "a.png", "--auto", "-o", "out", "--dry-run", *CASCADE)
    files = ("--weights-file", "gfpgan-v1.4=mine.pth", "--weights-file", "codeformer=theirs.pth")
    assert gfpup(*words, *files, "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    found = {reason["setting"]: reason for reason in plan["reasons"]}
    states = {name: reason["value"] for name, reason in found.items() if name.startswith("auto.")}
    assert [name for name, state in states.items() if state == "in"] == ["auto.identity", "auto.classical", "auto.gfpgan-1.4"]
    assert found["auto.gfpgan-1.4"]["why"] == "the file mine.pth for gfpgan-v1.4, unverified"
    assert "s-lab-1.0" in found["auto.codeformer-0.5"]["why"], "a licence that was not consented to"
    assert "RestoreFormer++.ckpt" in found["auto.restoreformerpp"]["why"]
    assert "GFPGANv1.3.pth" in found["auto.gfpgan-1.3"]["why"]
    assert any("goes on without gfpgan-1.3" in warning for warning in plan["warnings"])
    assert not any("no learned method" in warning for warning in plan["warnings"])
    assert [member["method"] for member in plan["pixels"]["members"]] == ["identity", "classical", "gfpgan-1.4"]
    assert len(plan["pixels"]["rules"]) == 64
    assert [role for role in plan["pixels"]["checkpoints"] if role.startswith("backend")] == ["backend.gfpgan-1.4"]
    assert not (tmp_path / "out").exists()

    assert gfpup(*words, *files, "--accept-licence", "s-lab-1.0") == 0
    screen = capsys.readouterr().out
    assert "codeformer-0.5, codeformer-0.7, by the rules" in " ".join(screen.replace("│", " ").split())
    assert gfpup(*words, "--weights-file", "gfpgan-v1.4=absent.pth") == 2
    assert "absent.pth is not there" in capsys.readouterr().err


def test_memory_and_precision_are_planned_for_the_methods_that_are_in(
    gfpup: Run, tmp_path: Path, portrait: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "a.png", portrait)
    (tmp_path / "mine.pth").write_bytes(b"weights")
    words = ("run", "-i", "a.png", "--auto", "--dry-run", *CASCADE, "--mask", "feather", "--no-download")
    one, two = ("--weights-file", "gfpgan-v1.4=mine.pth"), ("--weights-file", "gfpgan-v1.3=mine.pth")
    needs = []
    for files in ((), one, (*one, *two)):
        assert gfpup(*words, *files, "--json") == 0
        found = reasons(capsys.readouterr().out)
        needs.append(float(found["memory"]["value"].removesuffix(" GB")))
        assert found["mask"]["value"] == "feather"
    assert needs[0] + 0.5 < needs[1] < needs[2] < needs[1] + 0.6, "both may be loaded, one at a time computes"
    assert gfpup(*words, "--precision", "fp16", "--json") == 0
    assert "auto has no network" in reasons(capsys.readouterr().out)["dtype"]["why"]
    assert gfpup(*words, *one, "--precision", "fp16") == 2
    assert "'gfpgan' does not compute in fp16" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("run -i a.png --auto --fidelity 0.5", "--fidelity does not apply to backend 'auto'"),
        ("run -i a.png --auto --version 1.3", "--version does not apply to backend 'auto'"),
        ("run -i a.png --auto --model-path a.png", "leave out --model-path"),
        ("run -i a.png --auto --backend gfpgan", "--auto and --backend exclude each other"),
        ("run -i a.png --auto --ensemble-backends gfpgan", "do not apply to backend 'auto'"),
        ("run -i a.png --backend ensemble --ensemble-backends auto,classical", "'auto' cannot be a member"),
        ("run -i a.png --auto --engine compile", "runs no network"),
        ("bench --backend auto", "backend 'auto' cannot be measured"),
        ("verify auto", "'auto' does not have a network of its own"),
        ("export --backend auto --format onnx", "'auto' has no network to export"),
    ],
)
def test_what_means_nothing_to_it_is_refused(
    gfpup: Run, tmp_path: Path, portrait: np.ndarray, capsys: pytest.CaptureFixture[str], words: str, said: str
) -> None:
    save(tmp_path / "a.png", portrait)
    assert gfpup(*words.split()) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_rules_of_which_no_method_can_run_are_refused(
    gfpup: Run, tmp_path: Path, portrait: np.ndarray, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "a.png", portrait)
    only = {"methods": {"better": {"backend": "restoreformerpp", "parameters": {}}}, "rules": []}
    monkeypatch.setattr("gfpup.restoration.auto.rules", lambda: only)
    assert gfpup("run", "-i", "a.png", "--auto") == 2
    assert "name one with --backend" in capsys.readouterr().err


def test_in_a_sweep_it_stands_beside_the_others_and_shares_their_stages(gfpup: Run, damaged: Path, tmp_path: Path) -> None:
    words = ("-m", "--backend", "classical,auto", "--fidelity", "0.5", *CASCADE, "--no-report", "-q")
    assert gfpup("run", "-i", "in/soft.png", "-i", "in/none.png", "-o", "out", *words, "--metrics", "seconds") == 0
    first, auto = (manifest(tmp_path / f"out/backend={name}") for name in ("classical", "auto"))
    dropped = next(reason for reason in auto["plan"]["reasons"] if reason["setting"] == "restore.fidelity")
    assert dropped["why"] == "does not apply to auto"
    assert {stage: entry["photos"] for stage, entry in auto["reused"].items()} == {"detect": 2, "align": 1, "background": 2}
    for line, other in zip(auto["photos"], first["photos"], strict=True):
        assert 0 < line["reused"]["detect"] <= other["seconds"]["detect"] + 1e-3
        assert line["faces"] == other["faces"]
    soft = ("out/backend=auto/soft.png", "out/backend=classical/soft.png")
    np.testing.assert_array_equal(*(read(tmp_path / path) for path in soft))


def test_aligned_faces_have_their_method_too(gfpup: Run, tmp_path: Path, portrait: np.ndarray) -> None:
    save(tmp_path / "in/clean.png", face_of(portrait))
    save(tmp_path / "in/strong.png", degrade.apply(face_of(portrait), degrade.draw("codeformer-stage2", seed=2, name="a.png")))
    assert gfpup("run", "-i", "in", "-o", "out", "--auto", "--aligned", "-q") == 0
    clean, strong = manifest(tmp_path / "out")["photos"]
    assert (clean["method"], strong["method"]) == ("classical", "classical")
    assert "no rule for damage holds" in clean["notes"][0] and "strongly blurred" in strong["notes"][0]
    assert "detect" not in clean["seconds"] and clean["seconds"]["choose"] > 0


def test_the_old_command_has_it_too(
    damaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GFPUP_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("GFPUP_WEIGHTS_DIR", str(tmp_path / "weights"))
    assert infer.main(["-i", "in/strong.png", "-o", "out", "--auto", "--detector", "cascade", "--device", "cpu"]) == 0
    assert "--auto" in capfd.readouterr().err
    (line,) = manifest(tmp_path / "out")["photos"]
    assert line["method"] == "classical" and "strongly blurred" in line["notes"][0]
    assert (tmp_path / "out/restored_imgs/strong.png").is_file()


def test_from_python_a_result_says_its_method(gfpup: Run, portrait: np.ndarray) -> None:
    with pytest.warns(UserWarning, match="no learned method is here"):
        restorer = library.load("auto", detector="cascade", upscale=1)
    result = restorer(portrait)
    assert result.method == "classical" and "the face is small" in result.notes[0]
    assert restorer(np.full((60, 90, 3), 120, np.uint8)).method == "identity"
    with pytest.raises(library.GfpupError, match=r'gfpup.load\("auto"\)'):
        library.load(auto=True)  # type: ignore[call-arg]


@pytest.mark.slow
def test_a_learned_method_restores_what_its_rule_gives_it(
    gfpup: Run, tmp_path: Path, portrait: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "in/clean.png", face_of(portrait))
    save(tmp_path / "in/strong.png", degrade.apply(face_of(portrait), degrade.draw("codeformer-stage2", seed=2, name="a.png")))
    words = ("run", "-i", "in", "--aligned", "-q", "--no-download")
    assert gfpup(*words, "--auto", "-o", "out") == 0
    torch.save(layout(fill_randomly(GFPGAN()).state_dict(), "params_ema"), tmp_path / "mine.pth")
    own = ("--weights-file", "gfpgan-v1.4=mine.pth")
    assert gfpup(*words, "--auto", *own, "-o", "out") == 2
    assert "members was" in capsys.readouterr().err, "with another method at hand the rules choose otherwise"
    assert gfpup(*words, "--auto", *own, "-o", "learned") == 0
    assert gfpup("run", "-i", "in/strong.png", "--backend", "gfpgan", "--aligned", "-q", *own, "-o", "one") == 0
    (tmp_path / "mine.pth").unlink()
    document = manifest(tmp_path / "learned")
    assert [line["method"] for line in document["photos"]] == ["classical", "gfpgan-1.4"]
    assert len(document["checkpoints"]["backend.gfpgan-1.4"]["sha256"]) == 64
    np.testing.assert_array_equal(read(tmp_path / "learned/strong.png"), read(tmp_path / "one/strong.png"))
    np.testing.assert_array_equal(read(tmp_path / "learned/clean.png"), read(tmp_path / "out/clean.png"))
    assert np.abs(read(tmp_path / "learned/strong.png").astype(int) - read(tmp_path / "out/strong.png")).mean() > 5


def face_of(portrait: np.ndarray) -> np.ndarray:
    """The portrait's face, cut as an aligned one, (512, 512, 3)."""
    (face,) = CascadeDetector().detect(portrait)
    (crop,) = align_faces(portrait, [face])
    assert not isinstance(crop, str)
    return crop.pixels
