"""`gfpup export`: a graph is kept where it computes what the network computes, with a record of what it is, and else not."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from golden import difference, fill_randomly

from gfpup.cli import export
from gfpup.cli.main import main
from gfpup.core.files import sha256_of
from gfpup.models import engines, networks
from gfpup.models.engines import graphs
from gfpup.models.nets import gfpgan, gpen
from gfpup.models.nets.rewrites import rewrite
from gfpup.tools import export as tool
from gfpup.tools.export import ENGINE_OF, SUFFIX_OF

FORMATS = ("onnx", "openvino")


def make() -> gfpgan.GFPGAN:
    return gfpgan.GFPGAN(out_size=32, narrow=1 / 16, style_features=24, mlp_layers=2)


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A GFPGAN of 32 pixels in place of the real one; the folder of the user's consents is the test's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("GFPUP_WEIGHTS_DIR", str(tmp_path / "weights"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(networks.NETWORKS, "gfpgan", replace(networks.NETWORKS["gfpgan"], make=make))
    monkeypatch.setattr(tool, "SIDE_PX", 32)
    path = tmp_path / "small.pth"
    torch.save({"params_ema": fill_randomly(make(), seed=7).state_dict()}, path)
    return path


def need(form: str) -> None:
    reason = engines.available(ENGINE_OF[form])
    if reason is not None:
        pytest.skip(reason)


def words(checkpoint: Path, form: str, *more: str) -> list[str]:
    return ["--backend", "gfpgan", "--format", form, "--model-path", str(checkpoint), *more]


@pytest.mark.parametrize("form", FORMATS)
def test_the_graph_that_is_kept_computes_the_network(form: str, checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    need(form)
    assert export.run(words(checkpoint, form, "--json")) == 0
    record = json.loads(capsys.readouterr().out)
    output = Path(f"gfpgan-1.4{SUFFIX_OF[form]}")
    beside = {".json"} | ({".bin"} if form == "openvino" else set())
    assert {path.suffix for path in Path().glob("gfpgan-1.4.*")} == {output.suffix, *beside}
    assert json.loads(output.with_suffix(".json").read_text()) == record
    assert record["kept"] and record["difference"]["largest"] <= record["difference"]["tolerance"] == 1e-4
    assert record["checkpoint"] == {"file": "small.pth", "sha256": sha256_of(checkpoint), "published_as": None}
    assert record["licence"]["id"] == "gfpgan" and record["inputs"] == {"face": [1, 3, 32, 32]}

    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(9)) * 2 - 1
    network = rewrite(fill_randomly(make(), seed=7))
    with torch.no_grad():
        expected = network(x)
    assert difference(by_its_runtime(output, x.numpy()), expected) < 1e-4


def test_gpen_is_exported_at_its_own_size(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    need("onnx")
    small = partial(gpen.GPEN, 64, narrow=1 / 16, style_features=24, mlp_layers=2)
    monkeypatch.setitem(networks.NETWORKS, "gpen-1024", replace(networks.NETWORKS["gpen-1024"], make=small))
    kernels = {name: each for name, each in small().state_dict().items() if name.endswith(".kernel")}
    state = fill_randomly(small(), seed=7).state_dict()
    unit = {name: each * each[0].numel() ** 0.5 for name, each in state.items() if name.endswith("weight") and each.ndim > 1}
    torch.save(state | unit | kernels, tmp_path / "gpen.pth")
    words = ("--backend", "gpen", "--version", "1024", "--format", "onnx", "--model-path", str(tmp_path / "gpen.pth"), "--json")
    assert export.run([*words, "--accept-licence", "gpen-unstated"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["kept"] and record["inputs"] == {"face": [1, 3, 64, 64]} and record["licence"]["id"] == "gpen-unstated"
    assert Path("gpen-1024.onnx").is_file()


def by_its_runtime(path: Path, x: np.ndarray) -> Any:
    """What a program without gfpup computes."""
    if path.suffix == ".onnx":
        import onnxruntime

        return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(["restored"], {"face": x})[0]
    import openvino

    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled({"face": x})["restored"]


@pytest.mark.parametrize("form", FORMATS)
def test_a_graph_that_differs_is_not_kept(
    form: str, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    need(form)
    name = {"onnx": "load_onnx", "openvino": "load_openvino"}[form]
    right = getattr(graphs, name)

    def wrong(path: Path) -> Any:
        compute = right(path)
        return lambda *given: tuple(each + 0.01 for each in compute(*given))

    monkeypatch.setattr(graphs, name, wrong)
    before = sorted(Path().iterdir())
    assert export.run(words(checkpoint, form)) == 1
    said = capsys.readouterr()
    assert "not kept" in said.out and "was not written" in said.err
    assert sorted(path for path in Path().iterdir() if path.name not in ("config", "weights")) == sorted(
        path for path in before if path.name not in ("config", "weights")
    )


def test_a_file_that_is_there_is_not_replaced_unasked(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    need("onnx")
    Path("mine.onnx").write_text("mine")
    assert main(["export", *words(checkpoint, "onnx", "--output", "mine.onnx")]) == 2
    assert "--overwrite" in capsys.readouterr().err and Path("mine.onnx").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--backend", "classical", "--format", "onnx"], "has no network to export"),
        (["--backend", "gfpgan", "--format", "onnx", "--version", "9"], "no version '9'"),
        (["--backend", "codeformer", "--format", "onnx", "--version", "2"], "leave out --version"),
        (["--backend", "gfpgan", "--format", "onnx", "--fidelity", "0.5"], "has no fidelity"),
        (["--backend", "gfpgan", "--format", "onnx", "--precision", "bf16"], "holds float32"),
        (["--backend", "gfpgan", "--format", "torch"], "invalid choice"),
        (["--backend", "gfpgn", "--format", "onnx"], "gfpgan"),
    ],
)
def test_what_cannot_be_exported_is_refused_in_a_sentence(
    arguments: list[str], said: str, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_runtime_that_is_not_installed_is_refused(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engines.importlib.util, "find_spec", lambda name: None)
    assert main(["export", *words(checkpoint, "openvino")]) == 2
    assert "gfpup[openvino]" in capsys.readouterr().err


def test_a_licence_that_needs_consent_is_a_gate(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engines, "available", lambda *_, **__: None)
    monkeypatch.delenv("GFPUP_ACCEPT_LICENCES", raising=False)
    arguments = ["--backend", "codeformer", "--format", "onnx", "--model-path", str(checkpoint)]
    assert main(["export", *arguments]) == 2
    assert "--accept-licence s-lab-1.0" in capsys.readouterr().err
