"""The memory model against the networks that it speaks of."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from gfpup.models import engines
from gfpup.models.nets import (
    codeformer,
    elir,
    gfpgan,
    gpen,
    parsing_bisenet,
    parsing_parsenet,
    pmrf,
    restoreformer,
    retinaface,
    rrdbnet,
)
from gfpup.models.nets.arcface import ArcFaceIRSE50
from gfpup.models.nets.rewrites import rewrite
from gfpup.planning import memory_model

NETWORKS = {
    "gfpgan": gfpgan.GFPGAN,
    "codeformer": codeformer.CodeFormer,
    "restoreformer": restoreformer.RestoreFormer,
    "restoreformerpp": restoreformer.RestoreFormerPlusPlus,
    "gpen": gpen.GPEN,
    "gpen-1024": lambda: gpen.GPEN(1024),
    "elir": elir.ELIR,
    "pmrf": pmrf.PMRF,
}
AIDS = {
    "retinaface-resnet50": lambda: retinaface.RetinaFace("resnet50"),
    "retinaface-mobilenet0.25": lambda: retinaface.RetinaFace("mobilenet0.25"),
    "bisenet": parsing_bisenet.BiSeNet,
    "parsenet": parsing_parsenet.ParseNet,
    "arcface-ir-se50": ArcFaceIRSE50,
}


def size(network: nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_weights_of_methods(name: str, dtype: str) -> None:
    with torch.device("meta"):
        network = NETWORKS[name]()
    lowered = getattr(torch, dtype)
    network = network.decoder_to(lowered) if hasattr(network, "decoder_to") else network.to(lowered)
    assert memory_model.METHODS[name].weights[dtype] == pytest.approx(size(network), rel=0.02)


@pytest.mark.parametrize("name", memory_model.AIDS)
def test_weights_of_aids(name: str) -> None:
    with torch.device("meta"):
        network = AIDS[name]()
    assert memory_model.AIDS[name].weights["float32"] == pytest.approx(size(network), rel=0.03, abs=memory_model.MB)


def held(network: nn.Module) -> int:
    """All tensors of its modules: those of the rewritten form are in no state dict."""
    tensors = [*network.parameters(), *network.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@pytest.mark.parametrize("name", [*NETWORKS, *AIDS])
def test_what_the_rewritten_form_holds_beside_the_weights(name: str) -> None:
    """On whichever device: a checkpoint is rewritten as it is loaded, in float32, and lowered after that."""
    predicted = (memory_model.METHODS | memory_model.AIDS)[name]
    with torch.device("meta"):
        network = (NETWORKS | AIDS)[name]().eval().requires_grad_(False)
        plain = held(network)
        rewrite(network)
    assert predicted.rewritten["float32"] == pytest.approx(held(network) - plain, abs=1.5 * memory_model.MB)
    assert predicted.held("float32") == pytest.approx(held(network), rel=0.03, abs=memory_model.MB)
    if name in NETWORKS:
        low = torch.bfloat16
        network = network.decoder_to(low) if hasattr(network, "decoder_to") else network.to(low)
        assert predicted.held("bfloat16") == pytest.approx(held(network), rel=0.02)
    assert predicted.plain().held("float32") == predicted.weights["float32"]


def test_each_engine_takes_its_own_on_a_processor_alone() -> None:
    """Measured whole runs were 1.38 GB with eager, 2.08 compiled, 3.22 with ONNX Runtime and 3.00 with OpenVINO."""
    method = [memory_model.METHODS["gfpgan"]]
    eager = memory_model.predict(method, dtype="float32", face_batch=1, on_cpu=True)
    assert (eager.engine, "engine" in str(eager)) == (0, False)
    for engine, more in (("compile", 0.70), ("onnxruntime", 1.84), ("openvino", 1.62)):
        need = memory_model.predict(method, dtype="float32", face_batch=1, on_cpu=True, engine=engine)
        assert need.total - eager.total == need.engine == pytest.approx(more * 1e9)
        assert f"engine {more:.2f}" in str(need)
    assert memory_model.predict(method, dtype="float32", face_batch=1, engine="compile").engine == 0
    nothing = memory_model.predict([memory_model.NOTHING], dtype="float32", face_batch=1, on_cpu=True, engine="compile")
    assert nothing.engine == 0, "there is no network that an engine would take"
    assert set(memory_model.ENGINES) == set(engines.ENGINES)


@pytest.mark.parametrize("scale", memory_model.UPSAMPLERS)
def test_weights_of_upsamplers(scale: int) -> None:
    with torch.device("meta"):
        network = rrdbnet.RRDBNet(scale=scale)
    assert memory_model.UPSAMPLERS[scale].weights["float32"] == pytest.approx(size(network), rel=0.02)


MEASURE = """
import gc, torch
from pathlib import Path
from gfpup.models.nets.rrdbnet import RRDBNet
torch.set_num_threads(1)
network = RRDBNet(scale=2).eval()
def held(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))
with torch.inference_mode():
    network(torch.rand(1, 3, 16, 16))
    before = held("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    network(torch.rand(1, 3, 128, 128).contiguous(memory_format=torch.channels_last))
    print(held("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the highest resident set can be reset on Linux alone")
def test_a_tile_takes_no_more_than_is_predicted_and_not_much_less() -> None:
    try:
        measured = int(subprocess.check_output([sys.executable, "-c", MEASURE], text=True, stderr=subprocess.PIPE))
    except subprocess.CalledProcessError as error:
        if "clear_refs" in error.stderr:
            pytest.skip("this kernel does not let a process reset its highest resident set")
        raise
    predicted = memory_model.UPSAMPLERS[2].each["float32"] * 128**2
    assert predicted / 3 < measured < predicted * 1.1


def test_the_parts_sum_up_and_grow_with_what_causes_them() -> None:
    method = [memory_model.METHODS["gfpgan"]]
    one = memory_model.predict(method, dtype="float32", face_batch=1)
    eight = memory_model.predict(method, dtype="float32", face_batch=8)
    assert eight.faces == 8 * one.faces
    assert eight.weights == one.weights
    assert one.total == one.weights + one.faces
    assert one.weights == method[0].weights["float32"] + method[0].rewritten["float32"]
    lower = memory_model.predict(method, dtype="bfloat16", face_batch=8, redo=True)
    assert lower.faces < eight.faces
    assert lower.weights == method[0].held("bfloat16") + method[0].held("float32"), "float32 stays at hand"
    tiled = memory_model.predict(method, dtype="float32", face_batch=1, background_scale=2, tile_px=256)
    whole = memory_model.predict(method, dtype="float32", face_batch=1, background_scale=2, tile_px=0)
    assert one.total < tiled.total < whole.total
    assert memory_model.predict(method, dtype="float32", face_batch=1, on_cpu=True).photos > memory_model.PROCESS_BYTES
    two = memory_model.predict([*method, memory_model.METHODS["codeformer"]], dtype="float32", face_batch=1)
    assert two.weights == one.weights + memory_model.METHODS["codeformer"].held("float32")
    assert two.faces == one.faces, "the members of an ensemble come one after another"
    assert "weights" in str(two)
