"""Measure what each network takes: its weights, and the highest resident set of a forward, each in a process of its own.

python experiments/009-memory/run.py [NAME ...]
"""

from __future__ import annotations

import subprocess
import sys

CASES: dict[str, list[tuple[str, int]]] = {
    **{
        name: [(dtype, faces) for dtype in ("float32", "bfloat16") for faces in (1, 2)]
        for name in ("gfpgan", "codeformer", "restoreformer", "restoreformerpp")
    },
    "gpen": [("float32", 1), ("float32", 2), ("bfloat16", 1)],
    "gpen-1024": [("float32", 1), ("bfloat16", 1)],
    "rrdbnet-2": [(dtype, side) for dtype in ("float32", "bfloat16") for side in (128, 256, 384)],
    "rrdbnet-4": [("float32", 128), ("bfloat16", 128)],
    "retinaface-resnet50": [("float32", 640)],
    "retinaface-mobilenet0.25": [("float32", 640)],
    "bisenet": [("float32", 1)],
    "parsenet": [("float32", 1)],
    "arcface-ir-se50": [("float32", 1)],
}

CHILD = """
import gc, json, sys
from pathlib import Path
import torch
from gfpup.models.backends.codeformer import CodeFormer
from gfpup.models.backends.gfpgan import GFPGAN
from gfpup.models.backends.gpen import GPEN
from gfpup.models.backends.restoreformer import RestoreFormer, RestoreFormerPP
from gfpup.models.nets import gpen
from gfpup.models.nets import arcface, codeformer, gfpgan, parsing_bisenet, parsing_parsenet, restoreformer, retinaface, rrdbnet

name, dtype, n = sys.argv[1], getattr(torch, sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(1)
torch.manual_seed(0)
METHODS = {
    "gfpgan": lambda: GFPGAN(ready(gfpgan.GFPGAN()), dtype=dtype),
    "codeformer": lambda: CodeFormer(ready(codeformer.CodeFormer()), dtype=dtype),
    "gpen": lambda: GPEN(ready(gpen.GPEN()), dtype=dtype),
    "gpen-1024": lambda: GPEN(ready(gpen.GPEN(1024)), dtype=dtype),
    "restoreformer": lambda: RestoreFormer(ready(restoreformer.RestoreFormer()), dtype=dtype),
    "restoreformerpp": lambda: RestoreFormerPP(ready(restoreformer.RestoreFormerPlusPlus()), dtype=dtype),
}
OTHERS = {
    "rrdbnet-2": (lambda: rrdbnet.RRDBNet(scale=2), (1, 3, n, n)),
    "rrdbnet-4": (lambda: rrdbnet.RRDBNet(scale=4), (1, 3, n, n)),
    "retinaface-resnet50": (lambda: retinaface.RetinaFace("resnet50"), (1, 3, n, 4 * n)),
    "retinaface-mobilenet0.25": (lambda: retinaface.RetinaFace("mobilenet0.25"), (1, 3, n, 4 * n)),
    "bisenet": (parsing_bisenet.BiSeNet, (1, 3, 512, 512)),
    "parsenet": (parsing_parsenet.ParseNet, (1, 3, 512, 512)),
    "arcface-ir-se50": (arcface.ArcFaceIRSE50, (1, 3, 112, 112)),
}


def ready(network):
    for tensor in network.eval().requires_grad_(False).state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape) / max(tensor[0].numel() if tensor.ndim > 1 else 1, 1) ** 0.5)
    for tensor in network.parameters():
        if tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
    return network


def held(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


if name in METHODS:
    backend = METHODS[name]()
    x = torch.rand(n, 3, *[getattr(backend, "crop_px", 512)] * 2)
    network, forward = backend._network, lambda: backend.restore(x)
else:
    make, shape = OTHERS[name]
    network = ready(make()).to(dtype)
    x = torch.rand(shape).to(dtype).contiguous(memory_format=torch.channels_last)
    forward = lambda: network(x)
weights = sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
gc.collect()
before = held("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # forget the highest so far
with torch.inference_mode():
    forward()
print(json.dumps({"name": name, "dtype": sys.argv[2], "n": n, "weights": weights, "forward": held("VmHWM") - before}))
"""


def main(names: list[str]) -> None:
    """Print one JSON object for each case: bytes of weights and of a forward of `n` faces, or of a picture of side `n`."""
    for name in names or CASES:
        for dtype, n in CASES[name]:
            print(subprocess.check_output([sys.executable, "-c", CHILD, name, dtype, str(n)], text=True), end="", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
