"""Engines: each computes what eager computes, a graph is made once, and what cannot be had is refused in a sentence."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from golden import Golden, difference, fill_randomly
from official import written
from torch import nn

from gfpup.core.errors import GfpupError, OutputError
from gfpup.core.types import BackendSpec
from gfpup.models import backends, engines
from gfpup.models.backends.codeformer import CodeFormer
from gfpup.models.backends.gfpgan import GFPGAN
from gfpup.models.backends.gpen import GPEN
from gfpup.models.backends.restoreformer import RestoreFormer
from gfpup.models.engines import cache, graphs
from gfpup.models.nets import codeformer, gfpgan, gpen, restoreformer
from gfpup.models.nets.rewrites import rewrite

GRAPHS = ("openvino", "onnxruntime")
"""The engines whose graphs take seconds; the compiler's take a minute."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GFPUP_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "engines"


def entries(folder: Path) -> list[Path]:
    return sorted(record.parent for record in folder.glob(f"*/{cache.RECORD}"))


def need(engine: str) -> None:
    reason = engines.available(engine)
    if reason is not None:
        pytest.skip(reason)


def crops(count: int, *, side: int, seed: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, side, side), generator=generator).float() / 255


def small_gfpgan(**options: object) -> GFPGAN:
    network = gfpgan.GFPGAN(out_size=32, narrow=1 / 16, style_features=24, mlp_layers=2)
    return GFPGAN(rewrite(fill_randomly(network, seed=3)), side_px=32, **options)  # type: ignore[arg-type]


def small_gpen(**options: object) -> GPEN:
    network = gpen.GPEN(32, narrow=1 / 16, style_features=24, mlp_layers=2)
    kernels = {name: each.clone() for name, each in network.state_dict().items() if name.endswith(".kernel")}
    fill_randomly(network, seed=3).load_state_dict(kernels, strict=False)
    for name, each in network.requires_grad_(False).named_parameters():
        if name.endswith("weight") and each.ndim > 1:
            each.mul_(each[0].numel() ** 0.5)
    return GPEN(rewrite(network), **options)  # type: ignore[arg-type]


def small_codeformer() -> codeformer.CodeFormer:
    with torch.device("meta"):
        network = codeformer.CodeFormer()
    fill_randomly(network, seed=41)
    network.position_emb = nn.Parameter(torch.randn(4, 512, generator=torch.Generator().manual_seed(32)))
    return rewrite(network.requires_grad_(False))


def small_restoreformer() -> restoreformer.RestoreFormer:
    with torch.device("meta"):
        network = restoreformer.RestoreFormer()
    return rewrite(fill_randomly(network, seed=41).requires_grad_(False))  # type: ignore[return-value]


class Scale(nn.Module):
    """About the smallest network: it costs the tests of the cache nothing."""

    def __init__(self, by: float, *, twice: bool = False) -> None:
        super().__init__()
        self.by = nn.Parameter(torch.tensor(by), requires_grad=False)
        self.twice = twice

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.by * (2.0 if self.twice else 1.0)


@pytest.mark.parametrize("engine", [*GRAPHS, pytest.param("compile", marks=pytest.mark.slow)])
def test_gfpgan_is_the_same_but_for_rounding_with_stored_and_with_seeded_noise(engine: str) -> None:
    need(engine)
    x = crops(2, side=32)
    for seed in (None, 4):
        eager, other = small_gfpgan(seed=seed), small_gfpgan(seed=seed, engine=engine)
        restored = other.restore(x)
        assert restored.dtype == torch.float32 and restored.shape == x.shape
        assert difference(restored, eager.restore(x)) < 1e-4, seed
        assert torch.equal(other.restore(x), restored)
        assert torch.equal(other.restore(x[1:]), restored[1:])  # a face's bytes do not depend on its neighbours


@pytest.mark.parametrize("engine", [*GRAPHS, pytest.param("compile", marks=pytest.mark.slow)])
def test_gpen_is_the_same_but_for_rounding(engine: str) -> None:
    need(engine)
    x, expected = crops(2, side=32), small_gpen().restore(crops(2, side=32))
    found = small_gpen(engine=engine).restore(x)
    assert expected.std() > 0.01 and difference(found, expected) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("engine", GRAPHS)
def test_one_graph_of_codeformer_serves_every_fidelity(engine: str, folder: Path) -> None:
    need(engine)
    x, network = crops(1, side=64), small_codeformer()
    pictures = []
    for fidelity in (0.0, 0.5, 1.0):
        expected = CodeFormer(network, fidelity=fidelity).restore(x)
        found = CodeFormer(network, fidelity=fidelity, engine=engine, side_px=64).restore(x)
        assert difference(found, expected) < 5e-3
        pictures.append(found)
    assert not torch.allclose(pictures[0], pictures[2])
    assert len(entries(folder)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("engine", GRAPHS)
def test_restoreformer_is_the_same_but_for_rounding(engine: str) -> None:
    need(engine)
    x, network = crops(1, side=64), small_restoreformer()
    found = RestoreFormer(network, engine=engine, side_px=64).restore(x)
    assert difference(found, RestoreFormer(network).restore(x)) < 5e-4


@pytest.mark.slow
def test_openvino_lowers_what_paints_and_keeps_every_code(folder: Path) -> None:
    need("openvino")
    import openvino

    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has no bfloat16")
    x = crops(1, side=64)
    for make, kind in ((small_codeformer, CodeFormer), (small_restoreformer, RestoreFormer)):
        shutil.rmtree(folder, ignore_errors=True)
        exact = kind(make()).restore(x)  # type: ignore[operator]
        low = kind(make(), dtype=torch.bfloat16, engine="openvino", side_px=64).restore(x)  # type: ignore[operator]
        assert len(entries(folder)) == 2
        assert not torch.equal(low, exact)
        assert (low - exact).std() < 0.05 * exact.std()  # one code of the four flipped changes a quarter of the picture


def test_openvino_is_told_its_precision() -> None:
    """Without a hint it takes bfloat16 where the processor has it: an error of 1e-2, which float32 must never show."""
    need("openvino")
    network = nn.Conv2d(64, 64, 3, padding=1)
    fill_randomly(network, seed=1)
    x = torch.randn(1, 64, 32, 32, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = network(x)
    (found,) = engines.prepare(network, (x,), engine="openvino")(x)
    assert difference(found, expected) < 1e-5


def test_the_compiler_computes_the_same_and_its_graph_needs_no_compiler_later(monkeypatch: pytest.MonkeyPatch) -> None:
    need("compile")
    x = crops(1, side=16)
    network = Scale(1.5)
    (first,) = engines.prepare(network, (x,), engine="compile")(x)
    assert torch.allclose(first, x * 1.5)
    monkeypatch.setattr(engines, "lacking_to_compile", lambda: ["a C++ compiler (g++)"])
    (second,) = engines.prepare(network, (x,), engine="compile")(x)
    assert torch.equal(first, second)
    with pytest.raises(GfpupError, match=r"a C\+\+ compiler") as error:
        engines.prepare(Scale(2.5), (x,), engine="compile")
    assert "for eager" in str(error.value) and "\n" not in str(error.value)


def fake_graphs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the engines by one that keeps the factor in a file, so that the cache is tested everywhere; returns its calls."""
    calls = []

    def fake(engine: str) -> graphs.Format:
        def write(network: nn.Module, inputs: object, path: Path) -> None:
            calls.append(engine)
            path.write_text(str(float(network(torch.ones(())))))

        def load(path: Path, dtype: str) -> Callable[..., tuple[torch.Tensor, ...]]:
            factor = float(path.read_text())
            return lambda x: (x * factor,)

        return graphs.Format("factor", write, load)

    monkeypatch.setattr(engines, "available", lambda *_, **__: None)
    monkeypatch.setattr(graphs, "FORMATS", {engine: fake(engine) for engine in graphs.FORMATS})
    return calls


def compute(network: nn.Module, *, side: int = 2, engine: str = "openvino", dtype: str = "float32") -> float:
    (found,) = engines.prepare(network, (torch.ones(side),), engine=engine, dtype=dtype)(torch.ones(side))
    return float(found[0])


def test_a_graph_is_made_once_for_its_weights_settings_shape_and_engine(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    calls = fake_graphs(monkeypatch)
    assert [compute(Scale(3.0)) for _ in range(3)] == [3.0] * 3 and len(calls) == 1
    assert compute(Scale(3.5)) == 3.5 and len(calls) == 2
    assert compute(Scale(3.0, twice=True)) == 6.0 and len(calls) == 3
    assert compute(Scale(3.0), side=4) == 3.0 and len(calls) == 4
    assert compute(Scale(3.0), engine="onnxruntime") == 3.0 and len(calls) == 5
    # OpenVINO lowers one graph by itself; that graph is shared.
    assert compute(Scale(3.0), dtype="bfloat16") == 3.0 and len(calls) == 5
    monkeypatch.setattr(cache, "_machine", lambda: "another processor")
    assert compute(Scale(3.0)) == 3.0 and len(calls) == 6
    monkeypatch.setattr(cache, "versions", lambda packages: dict.fromkeys(packages, "99"))
    assert compute(Scale(3.0)) == 3.0 and len(calls) == 7 == len(entries(folder))


@pytest.mark.parametrize("damage", ["changed", "cut", "gone", "no record", "no JSON"])
def test_a_damaged_entry_is_made_again(damage: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    calls = fake_graphs(monkeypatch)
    compute(Scale(3.0))
    (home,) = entries(folder)
    spoil: dict[str, Callable[[], object]] = {
        "changed": lambda: (home / "factor").write_text("4.0"),
        "cut": lambda: (home / "factor").write_text(""),
        "gone": (home / "factor").unlink,
        "no record": (home / cache.RECORD).unlink,
        "no JSON": lambda: (home / cache.RECORD).write_text("[]"),
    }
    spoil[damage]()
    assert compute(Scale(3.0)) == 3.0 and len(calls) == 2
    assert compute(Scale(3.0)) == 3.0 and len(calls) == 2


def test_a_making_that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    fake_graphs(monkeypatch)

    def write(network: object, inputs: object, path: Path) -> None:
        path.write_text("half")
        raise GfpupError("stopped")

    monkeypatch.setitem(graphs.FORMATS, "openvino", graphs.Format("factor", write, graphs.FORMATS["openvino"].load))
    with pytest.raises(GfpupError, match="stopped"):
        compute(Scale(3.0))
    assert [path for path in folder.iterdir() if path.suffix != ".lock"] == []


def test_the_entries_used_longest_ago_make_room(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    calls = fake_graphs(monkeypatch)
    compute(Scale(1.0))
    (first,) = entries(folder)
    compute(Scale(2.0))
    (second,) = set(entries(folder)) - {first}
    os.utime(second / cache.RECORD, (1, 1))
    monkeypatch.setattr(cache, "KEPT_BYTES", sum(path.stat().st_size for path in (*first.iterdir(), *second.iterdir())) + 9)
    compute(Scale(3.0))
    assert second not in entries(folder) and first in entries(folder) and len(entries(folder)) == 2
    compute(Scale(1.0))
    assert len(calls) == 3


def test_a_folder_that_cannot_be_made_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_graphs(monkeypatch)
    (tmp_path / "file").touch()
    monkeypatch.setenv("GFPUP_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="GFPUP_CACHE_DIR"):
        compute(Scale(3.0))


def test_a_fingerprint_follows_the_weights_to_the_bit() -> None:
    network = Scale(3.0)
    before = cache.fingerprint(network)
    assert cache.fingerprint(Scale(3.0)) == before
    network.by.data = torch.nextafter(network.by.data, torch.tensor(4.0))
    assert cache.fingerprint(network) != before


def test_no_compiler_and_no_headers_are_reasons(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CXX", raising=False)
    headers = sysconfig.get_path("include")
    (tmp_path / "Python.h").touch()
    monkeypatch.setattr(shutil, "which", lambda name: "/bin/g++" if name == "g++" else None)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    assert engines.available("compile") is None
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / "nowhere"))
    assert "Python.h" in (engines.available("compile") or "")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    reason = engines.available("compile") or ""
    assert "a C++ compiler (g++)" in reason and "install" in reason
    monkeypatch.setenv("CXX", "icpx")
    assert "icpx" in (engines.available("compile") or "")
    assert headers


@pytest.mark.parametrize("engine", GRAPHS)
def test_a_package_that_is_not_installed_is_a_reason(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    reason = engines.available(engine) or ""
    assert f"pip install 'gfpup[{engine}]'" in reason
    with pytest.raises(GfpupError, match=r"leave it out for eager\.$") as error:
        small_gfpgan(engine=engine)
    assert reason in str(error.value)


def test_devices_precisions_and_names_that_mean_nothing() -> None:
    assert engines.available("eager", device="mps", dtype="bfloat16") is None
    assert "cuda:1" in (engines.available("openvino", device="cuda:1") or "")
    assert "mps" in (engines.available("compile", device="mps") or "")
    assert "on cpu, but on cuda" in (engines.available("cudagraphs") or "")
    assert engines.available("cudagraphs", device="cuda:0", dtype="bfloat16") is None
    assert "bfloat16" in (engines.available("onnxruntime", dtype="bfloat16") or "")
    with pytest.raises(GfpupError, match="openvino"):
        engines.available("openvin")
    with pytest.raises(GfpupError, match="engine"):
        backends.load(BackendSpec("gfpgan", checkpoints={"backend": Path("nowhere.pth")}, engine="fast"))


def test_every_engine_states_its_difference() -> None:
    for engine in engines.ENGINES:
        assert "level" in engines.difference(engine) or engine == "eager"
        assert engines.difference(engine, dtype="bfloat16")


def test_asking_what_is_available_imports_nothing_heavy() -> None:
    code = (
        "import json, sys; from gfpup.models import engines; [engines.available(name) for name in engines.ENGINES];"
        "print(json.dumps([name for name in ('torch', 'openvino', 'onnxruntime', 'onnx') if name in sys.modules]))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(out) == []


@pytest.mark.slow
@pytest.mark.parametrize("engine", [*GRAPHS, "compile"])
@pytest.mark.parametrize("name", ["gfpgan", "codeformer", "restoreformer", "restoreformerpp"])
def test_the_official_picture_by_every_engine(name: str, engine: str, shared: Path, tmp_path: Path) -> None:
    """Within a level of the official output, and within the tolerance for reordered arithmetic."""
    need(engine)
    golden = Golden.load(shared, name)
    tolerance = {"gfpgan": 1e-4, "codeformer": 5e-3}.get(name, 5e-4)
    parameters = {"fidelity": 0.5} if name == "codeformer" else {}
    with written(golden, tmp_path) as path:
        spec = BackendSpec(name, checkpoints={"backend": path}, parameters=parameters, engine=engine)
        restored = backends.load(spec).restore(golden.rgb(low=0.0))
    golden.check_output(restored.double() * 2 - 1, tolerance, key="output_w0.5" if name == "codeformer" else "output")


def test_a_stated_difference_says_of_what_it_is_and_where_nothing_was_measured() -> None:
    for name in engines.ENGINES:
        if name != "eager":
            said = engines.difference(name)
            assert "of a face before it is written" in said and "JPEG may differ by 2" in said
    assert "65 dB" in engines.difference("compile", dtype="bfloat16")
    assert engines.difference("eager") == "the reference"


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_recorded_network_replays_what_eager_computes(dtype: torch.dtype) -> None:
    """For batches of several sizes in any order, each result staying what it was when another is computed."""
    networks = (rewrite(fill_randomly(gfpgan.GFPGAN(out_size=32, narrow=1 / 16, style_features=24), seed=3)) for _ in range(2))
    eager, recorded = (
        GFPGAN(network.cuda(), side_px=32, dtype=dtype, engine=engine)
        for network, engine in zip(networks, ("eager", "cudagraphs"), strict=True)
    )
    batches = [torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(count)).cuda() for count in (1, 3, 2, 3)]
    found = [recorded.restore(x) for x in batches]
    for x, each in zip(batches, found, strict=True):
        torch.testing.assert_close(each, eager.restore(x), atol=1e-5, rtol=0)
