"""`gfpup run --people`: persons are recognised by other photos of them, chosen, guarded and scored, or the run is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from builders import Run, manifest
from golden import Golden
from official import written
from pictures import read, save

import gfpup as package
from gfpup.models.nets.arcface import ArcFaceIRSE50, arcface_crop, rgb_112
from gfpup.models.nets.loading import load_network
from gfpup.ops import geometry

PERSONS = {"anna": 1, "Uncle Ben": 2}
GALLERY = ("identity_gallery", "identity_gallery_mean", "identity_gallery_margin")
PEOPLE = ("--backend", "classical", "--people", "folk", "--identity-path", "arcface_ir_se50.pth", "--no-download")


@pytest.fixture
def folk(shared: Path, tmp_path: Path) -> Path:
    """Of two persons three photos each, and a photo of two people; photos of both and of a third to restore."""
    published = shared / "data" / "published_outputs"
    if not published.is_dir():
        pytest.skip(f"no published outputs at {published}")
    for name, number in PERSONS.items():
        for version in ("1.2", "1.3", "1.4"):
            small = cv2.resize(
                read(published / f"face_{number}_gfpgan_v{version}.jpg"), (256, 256), interpolation=cv2.INTER_AREA
            )
            save(tmp_path / "folk" / name / f"{version}.png", small)
    for number in (1, 2, 3):
        small = cv2.resize(read(published / f"face_{number}_input.png"), (256, 256), interpolation=cv2.INTER_AREA)
        save(tmp_path / "photos" / f"{number}.png", small)
    return tmp_path / "folk"


@pytest.fixture
def detector(shared: Path) -> tuple[str, ...]:
    path = shared / "weights" / "retinaface_mobilenet0.25.pth"
    if not path.is_file():
        pytest.skip(f"no detector at {path}")
    return ("--detector", "retinaface-mobilenet0.25", "--detector-path", str(path))


@pytest.fixture
def identity(shared: Path, tmp_path: Path) -> Iterator[Path]:
    """ArcFace's network with filled weights, which tell pictures of one face from those of another, though not persons."""
    with written(Golden.load(shared, "arcface_ir_se50"), tmp_path) as path:
        yield path


def faces(out: Path) -> dict[str, dict[str, Any]]:
    return {photo["name"]: face for photo in manifest(out)["photos"] for face in photo["faces"]}


def scores(out: Path) -> dict[tuple[str, str], dict[str, str]]:
    with (out / "scores.csv").open(encoding="utf-8") as file:
        return {(row["photo"], row["metric"]): row for row in csv.DictReader(file) if row["photo"]}


def test_a_whole_run_recognises_scores_and_records(
    gfpup: Run, folk: Path, detector: tuple[str, ...], identity: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(folk / "anna" / "both.png", np.concatenate([read(folk / "anna/1.2.png"), read(folk / "Uncle Ben/1.2.png")], axis=1))
    command = ("run", "-i", "photos", "-o", "out", *PEOPLE, *detector, "--metrics", "identity_gallery")
    assert gfpup(*command) == 0
    said = capsys.readouterr()
    assert "a face counts as one of 2 persons (6 photos)" in said.err and "pairs of photos of two persons match" in said.err
    assert "2 people are too few" in said.err and "1 photo of --people left out (folk/anna/both.png: 2 faces)" in said.err
    out, record = tmp_path / "out", manifest(tmp_path / "out")
    assert record["people"]["photos"] == {"Uncle Ben": 3, "anna": 3} and record["people"]["false_match"] == 0.0
    assert record["people"]["left_out"] == {"folk/anna/both.png": "2 faces"}
    found, threshold = faces(out), record["people"]["threshold"]
    for face in found.values():
        assert face["restored"] and (face["person"] is not None) == (face["similarity"] >= threshold)
        assert face["person"] in (None, face["nearest_person"])
    assert (found["1.png"]["person"], found["2.png"]["person"]) == ("anna", "Uncle Ben")
    for name, face in found.items():
        rows = [scores(out)[name, metric] for metric in GALLERY]
        assert all((row["value"] == "") == (face["person"] is None) for row in rows)
    # The same command has nothing left to do, and another gallery is another run.
    assert gfpup(*command) == 0
    (folk / "anna/both.png").unlink()
    assert gfpup(*command) == 2
    assert "the photos of --people changed" in capsys.readouterr().err
    assert gfpup("run", "-i", "folk", "--recursive", "-o", "cut", "--backend", "identity", "-q", *detector) == 0
    expected = independent(out / "1.png", found["1.png"]["affine"], manifest(tmp_path / "cut"), identity=identity)
    values = [float(scores(out)["1.png", metric]["value"]) for metric in GALLERY]
    assert values == pytest.approx(expected, abs=2e-3)


def independent(result: Path, affine: list[list[float]], cut: dict[str, Any], *, identity: Path) -> list[float]:
    """Best, mean and margin of a restored face as anna, by plain cosines; `cut` is the record of a run over the persons."""
    network = load_network(ArcFaceIRSE50, identity, name="arcface-ir-se50")

    def embed(picture: np.ndarray, affine: np.ndarray) -> np.ndarray:
        crop = geometry.warp(picture, affine, (512, 512))
        with torch.inference_mode():
            return network(rgb_112(arcface_crop(np.asarray(crop, np.uint8))))[0].double().numpy()

    restored = read(result)
    shown = embed(restored, geometry.compose(np.array(affine), geometry.resize_affine(restored.shape[:2], (256, 256))))
    like: dict[str, list[float]] = {}
    for photo in cut["photos"]:
        (face,) = photo["faces"]
        other = embed(read(Path(photo["input"])), np.array(face["affine"]))
        cosine = float(shown @ other / np.linalg.norm(shown) / np.linalg.norm(other))
        like.setdefault(Path(photo["name"]).parent.name, []).append(cosine)
    return [max(like["anna"]), float(np.mean(like["anna"])), max(like["anna"]) - max(like["Uncle Ben"])]


def test_faces_are_chosen_by_person_and_guarded_by_their_photos(
    gfpup: Run, folk: Path, detector: tuple[str, ...], identity: Path, tmp_path: Path
) -> None:
    common = ("run", "-i", "photos", *PEOPLE, *detector, "-q")
    assert gfpup(*common, "-o", "ben", "--person", "Uncle Ben") == 0
    found = faces(tmp_path / "ben")
    assert {name for name, face in found.items() if face["restored"]} == {"2.png"}
    assert found["1.png"]["reason"].startswith("it is anna (0.")
    assert gfpup(*common, "-o", "guarded", "--identity-min", "0.999", "--only-center-face") == 0
    guarded = faces(tmp_path / "guarded")
    assert guarded["1.png"]["guarded"] and "to the photos of anna was under the minimum 1.00" in guarded["1.png"]["reason"]
    strangers = [face for face in guarded.values() if face["person"] is None]
    assert all("to its input" in face["reason"] for face in strangers if face["guarded"])


def test_python_recognises_too(folk: Path, detector: tuple[str, ...], identity: Path, tmp_path: Path) -> None:
    options: Any = {"identity_path": identity, "no_download": True, "detector": detector[1], "detector_path": detector[3]}
    with pytest.warns(UserWarning, match="a face counts as one of 2 persons"):
        restorer = package.load("classical", people=folk, person="anna", device="cpu", **options)
    found = {path.stem: restorer(path).faces[0] for path in sorted((tmp_path / "photos").iterdir())}
    assert found["1"].restored and found["1"].face.recognition is not None and found["1"].face.recognition.person == "anna"
    assert not found["2"].restored


@pytest.fixture
def small(tmp_path: Path, portrait: np.ndarray) -> Path:
    """A photo to restore, and persons of whom one is called like it; nothing here is ever looked at."""
    save(tmp_path / "a.png", portrait)
    save(tmp_path / "folk/anna/a.png", portrait)
    save(tmp_path / "folk/ben/b.png", np.ascontiguousarray(portrait[:, ::-1]))
    return tmp_path


# fmt: off
REFUSALS = {
    "no folder": (("--people", "absent"), "invalid value 'absent' for --people: expected a folder with a folder"),
    "no persons": (("--people", "folk/anna"), "holds no folders"),
    "no such person": (("--people", "folk", "--person", "ana"), "there is no person 'ana': did you mean 'anna'?"),
    "a person of nobody": (("--person", "anna"), "--person chooses among the persons of --people"),
    "aligned": (("--people", "folk", "--aligned"), "--people finds faces in photos, and --aligned"),
    "not measurable": (("--metrics", "identity_gallery"), "identity_gallery compares with photos of the persons"),
    "a rate above 1": (("--people", "folk", "--false-match", "2"), "--false-match: expected a number from 0 to 1"),
    "no network": (("--people", "folk"), "gfpup weights fetch arcface-ir-se50"),
}
# fmt: on


@pytest.mark.parametrize("case", REFUSALS)
def test_what_makes_no_sense_is_refused_before_the_first_photo(
    gfpup: Run, small: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    words, said = REFUSALS[case]
    common = ("run", "-i", "a.png", "-o", "out", "--backend", "identity", "--detector", "cascade", "--no-download")
    assert gfpup(*common, *words) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not (small / "out").exists()


def test_a_person_whom_no_photo_shows_alone_is_refused(
    gfpup: Run, small: Path, identity: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(small / "folk/ben/b.png", np.full((90, 90, 3), 120, np.uint8))
    assert gfpup("run", "-i", "a.png", "-o", "out", *PEOPLE, "--detector", "cascade") == 2
    assert "no photo of ben in --people shows exactly one face (folk/ben/b.png: no face): add one" in capsys.readouterr().err
    assert not (small / "out").exists()


def test_a_dry_run_plans_and_says_what_is_odd(
    gfpup: Run, small: Path, identity: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(small / "folk/loose.png", np.full((9, 9, 3), 120, np.uint8))
    assert gfpup("run", "-i", "a.png", "-o", "out", *PEOPLE, "--detector", "cascade", "--dry-run", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    (people,) = [reason for reason in plan["reasons"] if reason["setting"] == "people"]
    assert people["why"] == "faces are recognised by 2 photos of anna, ben in folk"
    assert set(plan["pixels"]["people"]) == {"photos", "false_match"}
    loose, own = plan["warnings"][-2:]
    assert "loose.png" in loose and "take out folk/anna/a.png" in own
    assert (
        gfpup("run", "-i", "a.png", "-o", "out", "--backend", "identity", "--detector", "cascade", "--dry-run", "--json") == 0
    )
    assert "people" not in json.loads(capsys.readouterr().out)["pixels"]


def test_a_method_that_finds_its_own_faces_takes_no_persons(
    gfpup: Run, small: Path, identity: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gfpup("run", "-i", "a.png", "-o", "out", "--backend", "upstream", *PEOPLE[2:]) == 2
    assert "--people does not apply to backend 'upstream', which delivers whole photos; leave it out" in capsys.readouterr().err
