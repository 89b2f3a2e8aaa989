"""Each network is told from its tensors, by the goldens' own lists of names and shapes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from gfpup.models.nets.loading import recognise
from gfpup.models.table import ARCHITECTURES
from gfpup.weights.checkpoint import read_state_dict

GOLDENS = {
    "gfpgan": "gfpgan",
    "codeformer": "codeformer",
    "restoreformer": "restoreformer",
    "restoreformerpp": "restoreformerpp",
    "gpen512": "gpen",
    "gpen1024": "gpen-1024",
    "elir": "elir",
    "pmrf": "pmrf",
    "retinaface_r50": "retinaface-resnet50",
    "bisenet": "bisenet",
    "parsenet": "parsenet",
    "rrdbnet_x2": "rrdbnet-x2",
    "arcface_r18": "arcface-resnet18",
    "arcface_ir_se50": "arcface-ir-se50",
}


def on_meta(shared: Path, golden: str) -> dict[str, torch.Tensor]:
    tensors = json.loads((shared / "parity" / f"{golden}.json").read_text())["tensors"]
    return {name: torch.empty(shape, device="meta") for name, shape in tensors.items()}


@pytest.mark.parametrize(("golden", "name"), GOLDENS.items())
def test_each_golden_is_recognised_and_only_once(shared: Path, golden: str, name: str) -> None:
    state = on_meta(shared, golden)
    assert recognise(state) == name
    fits = [
        name
        for name, row in ARCHITECTURES.items()
        if all(k in state for k in row.keys)
        and all(k in state and tuple(state[k].shape) == shape for k, shape in row.shapes.items())
        and not any(k in state for k in row.without)
    ]
    assert fits == [name]


def test_mobilenet_from_its_real_file(shared: Path) -> None:
    assert recognise(read_state_dict(shared / "weights" / "retinaface_mobilenet0.25.pth")) == "retinaface-mobilenet0.25"


def test_x4_is_told_by_its_first_layer(shared: Path) -> None:
    state = on_meta(shared, "rrdbnet_x2")
    assert recognise({**state, "conv_first.weight": torch.empty(64, 3, 3, 3, device="meta")}) == "rrdbnet-x4"


def test_unknown_is_none() -> None:
    assert recognise({"weight": torch.ones(2)}) is None
    assert recognise({}) is None


@pytest.mark.parametrize("golden", ["bisenet", "restoreformerpp"])
def test_official_layout_round_trip(shared: Path, tmp_path: Path, golden: str) -> None:
    """Deterministic weights, written the way the publisher writes them, come back bit for bit."""
    spec = importlib.util.spec_from_file_location("deterministic_weights", shared / "parity" / "deterministic_weights.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # The larger tensors are left out: what is tested here is the layout.
    tensors = json.loads((shared / "parity" / f"{golden}.json").read_text())["tensors"]
    small = {n: s for n, s in tensors.items() if torch.Size(s).numel() < 600_000}
    state = {n: torch.from_numpy(module.fill(n, tuple(s), salt=23)) for n, s in small.items()}
    path = tmp_path / "official.ckpt"
    if golden == "restoreformerpp":
        counter = {"vqvae.quantize.utility_counter": torch.zeros(1024)}
        torch.save({"state_dict": {f"vqvae.{n}": t for n, t in state.items()} | counter, "epoch": 1}, path)
    else:
        torch.save(state, path)
    read = read_state_dict(path)
    assert recognise(read) == GOLDENS[golden]
    assert list(read) == list(state) and all(torch.equal(read[n], state[n]) for n in state)
