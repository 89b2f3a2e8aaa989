"""AdaFace IR-50 against the official embedding, and its crop against facexlib's copy of the official alignment."""

from __future__ import annotations

import json
import sys
from importlib import util
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from golden import Golden

from gfpup.models.nets.adaface import AdaFaceIR50, adaface_crop, bgr_112
from gfpup.models.nets.loading import load_network, recognise

FOUND = util.find_spec("facexlib")


@torch.inference_mode()
def test_meets_the_official_embedding(shared: Path) -> None:
    golden = Golden.load(shared, "adaface_ir50")
    with torch.device("meta"):
        network = AdaFaceIR50()
    assert sum(parameter.numel() for parameter in network.parameters()) == golden.facts["parameters"]
    golden.load_into(network)
    embedding, norm = network.with_norm(bgr_112(golden.rgb8))
    golden.check_output(embedding, 1e-4, key="embedding")
    assert float(norm) == pytest.approx(float(golden.facts["outputs"]["norm"]["mean"]), rel=1e-5)
    assert recognise(golden.state()) == "adaface-ir50"


@torch.inference_mode()
def test_as_loaded_from_its_file_it_computes_the_same(shared: Path, tmp_path: Path) -> None:
    golden = Golden.load(shared, "adaface_ir50")
    path = tmp_path / "adaface_ir50_ms1mv2.ckpt"
    state = {f"model.{name}": tensor for name, tensor in golden.state().items()}
    torch.save({"state_dict": state | {"head.kernel": torch.zeros(512, 10)}}, path)
    network = load_network(AdaFaceIR50, path, name="adaface-ir50")
    golden.check_output(network(bgr_112(golden.rgb8)), 5e-4, key="embedding")


@pytest.mark.skipif(FOUND is None, reason="facexlib is not installed")
def test_the_crop_is_the_official_one(shared: Path) -> None:
    module = official_alignment()
    checked = 0
    photos = json.loads((shared / "parity" / "detections.json").read_text(encoding="utf-8"))["photos"]
    template = module.get_reference_facial_points(default_square=True)
    for photo, facts in photos.items():
        picture = cv2.imread(str(shared / "data" / "photos" / photo))[:, :, ::-1]
        for face in facts["faces"]:
            landmarks = np.array(face["landmarks_xy"], np.float64)
            theirs = module.warp_and_crop_face(picture, landmarks.tolist(), template, crop_size=(112, 112))
            mine = adaface_crop(picture, landmarks)
            assert mine is not None and np.abs(mine.astype(int) - theirs.astype(int)).max() <= 1
            checked += 1
    assert checked >= 5


def official_alignment() -> Any:
    """facexlib's module, without its package, whose import loads a detector."""
    assert FOUND is not None and FOUND.origin is not None
    folder = Path(FOUND.origin).parent / "detection"
    package = "official_alignment"
    spec = util.spec_from_file_location(package, folder / "align_trans.py", submodule_search_locations=[str(folder)])
    assert spec is not None and spec.loader is not None
    module = util.module_from_spec(spec)
    sys.modules[package] = module
    spec.loader.exec_module(module)
    return module


def test_landmarks_that_fit_no_face_give_no_crop() -> None:
    photo = np.zeros((64, 64, 3), np.uint8)
    assert adaface_crop(photo, np.zeros((5, 2))) is None
    assert adaface_crop(photo, np.full((5, 2), np.nan)) is None
