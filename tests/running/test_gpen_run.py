"""GPEN by the public path: consent, the plan of either version, and a face of a real photo."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from builders import Run, manifest
from golden import Golden
from official import written
from pictures import read, save

CONSENT = ("--accept-licence", "gpen-unstated")


def test_consent_to_what_is_not_stated_is_asked_for(
    gfpup: Run, tmp_path: Path, portrait: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "a.png", portrait)
    assert gfpup("run", "-i", "a.png", "-o", "out", "--backend", "gpen", "--aligned", "--no-download") == 2
    err = capsys.readouterr().err
    assert "--accept-licence gpen-unstated" in err and "cannot be taken to allow commercial use" in err
    assert not (tmp_path / "out").exists()


def test_a_plan_names_the_file_of_the_version_and_its_memory(
    gfpup: Run, tmp_path: Path, portrait: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "a.png", portrait)
    needs = {}
    for version in ("512", "1024"):
        args = ("-i", "a.png", "--backend", "gpen", "--version", version, "--dry-run", "--json", *CONSENT)
        assert gfpup("run", *args) == 0
        text = capsys.readouterr().out
        plan = json.loads(text)
        assert f"gpen-{version}" in text
        needs[version] = next(r["value"] for r in plan["reasons"] if r["setting"] == "memory")
    assert float(needs["1024"].split()[0]) > float(needs["512"].split()[0]) + 0.5
    assert gfpup("run", "-i", "a.png", "--backend", "gpen", "--version", "2048", "--dry-run") == 2
    assert "choose one of 512, 1024" in capsys.readouterr().err


def test_a_real_photo_with_the_official_template_and_the_usual_one(gfpup: Run, shared: Path, tmp_path: Path) -> None:
    golden = Golden.load(shared, "gpen512")
    detector = shared / "weights/retinaface_mobilenet0.25.pth"
    args = ("-i", shared / "data/photos/one_face_small.jpg", "--detector-path", detector, "--mask", "feather", "-q")
    with written(golden, tmp_path) as path:
        method = ("--backend", "gpen", "--model-path", path, "--save-faces", *CONSENT)
        assert gfpup("run", *args, "-o", "out", *method) == 0
        assert gfpup("run", *args, "-o", "usual", *method, "restore.template=ffhq", "restore.smooth_small=false") == 0
    record, usual = manifest(tmp_path / "out"), manifest(tmp_path / "usual")
    (face,), (other,) = (each["photos"][0]["faces"] for each in (record, usual))
    assert face["restored"] and other["restored"] and "gpen-unstated" in record["licences"]
    assert face["affine"] == other["affine"], "metrics look at both through one square"
    assert usual["plan"]["pixels"]["parameters"] == {"smooth_small": False, "template": "ffhq", "version": "512"}
    crops = [read(next((tmp_path / run).rglob("*aligned.png"))).astype(int) for run in ("out", "usual")]
    assert crops[0].shape == (512, 512, 3) and np.abs(crops[0] - crops[1]).mean() > 1
