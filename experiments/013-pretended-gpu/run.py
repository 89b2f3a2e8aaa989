"""Follow every network and method over a device that is not there: shapes, dtypes and devices, without any number.

python experiments/013-pretended-gpu/run.py

A tensor left on the CPU meets one of the device and is refused, as on a GPU. It is no test because torch registers the device
by a private function, which its next version may change, and because the device lacks two things that are laid in here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from gfpup.models.backends.codeformer import CodeFormer
from gfpup.models.backends.gfpgan import GFPGAN
from gfpup.models.backends.restoreformer import RestoreFormer, RestoreFormerPP
from gfpup.models.nets import codeformer, gfpgan, restoreformer, retinaface
from gfpup.models.nets.rewrites import rewrite
from gfpup.models.networks import NETWORKS

DEVICE, FACES = "pretended", 3
SIZES = {"retinaface": (480, 641), "arcface-resnet18": (128, 128), "arcface-ir": (112, 112), "rrdbnet": (128, 96)}
METHODS: dict[str, tuple[Any, Callable[[], nn.Module]]] = {
    "gfpgan": (GFPGAN, gfpgan.GFPGAN),
    "codeformer": (CodeFormer, codeformer.CodeFormer),
    "restoreformer": (RestoreFormer, restoreformer.RestoreFormer),
    "restoreformerpp": (RestoreFormerPP, restoreformer.RestoreFormerPlusPlus),
}


def lay_in() -> None:
    """What the pretended device lacks: tensors from lists, and modules whose parameters are replaced."""
    from_list = torch.tensor

    def tensor(values: Any, *, dtype: torch.dtype | None = None, device: Any = None) -> torch.Tensor:
        made = from_list(values, dtype=dtype)
        return made if device is None else made.to(device)

    def apply(module: nn.Module, change: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> nn.Module:
        for child in module.children():
            apply(child, change)
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = nn.Parameter(change(parameter.detach()), requires_grad=False)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = change(buffer)
        return module

    torch.tensor = tensor  # type: ignore[assignment]
    nn.Module._apply = apply  # type: ignore[assignment, method-assign]


def placed(make: Callable[[], nn.Module]) -> nn.Module:
    """As `load_network` places a network."""
    with torch.device(DEVICE):
        network = make()
    return rewrite(network.eval().requires_grad_(False))


def side_of(name: str) -> tuple[int, int]:
    """The size (h, w) that a network is shown."""
    return next((size for start, size in SIZES.items() if name.startswith(start)), (512, 512))


@torch.inference_mode()
def main() -> int:
    """Print what came out; 1 where something lies elsewhere."""
    _setup_privateuseone_for_python_backend(DEVICE)
    lay_in()
    astray = 0
    with FakeTensorMode():
        try:
            torch.ones(2).to(DEVICE) + torch.ones(2)
        except RuntimeError as refusal:
            print(f"a tensor left behind: {refusal}")
        else:
            raise SystemExit("a tensor left behind is not noticed: this measurement means nothing")
        for name, facts in NETWORKS.items():
            x = torch.rand(FACES, 1 if name == "arcface-resnet18" else 3, *side_of(name), device=DEVICE)
            options = {"fidelity": 0.5} if name == "codeformer" else {}
            found = placed(facts.make)(retinaface.prepare(x) if "retinaface" in name else x, **options)
            outputs = found if isinstance(found, tuple) else (found,)
            astray += sum(out.device.type != DEVICE for out in outputs)
            print(name, *(f"{tuple(out.shape)} on {out.device.type}" for out in outputs))
        for name, (backend, make) in METHODS.items():
            for dtype in (torch.float32, torch.bfloat16):
                out = backend(placed(make), dtype=dtype).restore(torch.rand(FACES, 3, 512, 512, device=DEVICE))
                astray += out.device.type != DEVICE or out.dtype != torch.float32
                print(f"method {name} in {dtype}: {tuple(out.shape)} {out.dtype} on {out.device.type}")
    return int(astray > 0)


if __name__ == "__main__":
    sys.exit(main())
