"""A device that is not there, but computes: what waits for it, by the line that waits, and whether it gives the same photo.

python experiments/014-gpu/pretended.py     (half a minute; prints one line of JSON for each place)

Its tensors hold those of the CPU. As on a GPU, tensors of both kinds do not mix, numbers come back only by a copy, and each
copy is counted under the function of gfpup that asked for it. A copy to the device by way of `core/transfer.py` does not wait
on a GPU; any other does, and so do `.item()`, `bool()`, `nonzero` and masks as indices. As 013 it needs private functions of
torch.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

ROOT = Path(__file__).resolve().parents[2]
DEVICE = "pretended"
Place = tuple[str, str]
"""A line of gfpup, and what it did."""
aten = torch.ops.aten
SCALARS = {aten._local_scalar_dense, aten.item, aten.is_nonzero, aten.nonzero, aten.masked_select, aten.equal}
COPIES = {aten.to, aten._to_copy}


def _laid_in() -> Callable[[], None]:
    """What the device lacks, as experiment 013 lays it in."""
    spec = importlib.util.spec_from_file_location("pretended_013", ROOT / "experiments" / "013-pretended-gpu" / "run.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.lay_in  # type: ignore[no-any-return]


class OnDevice(torch.Tensor):
    """A tensor of the device: `held` is where its numbers are."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> OnDevice:
        facts = {"strides": held.stride(), "storage_offset": held.storage_offset(), "dtype": held.dtype}
        made = torch.Tensor._make_wrapper_subclass(cls, held.shape, **facts, device=torch.device(DEVICE, 0))
        made.held = held
        return made  # type: ignore[no-any-return]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} met a tensor of the pretended device outside of `Pretence`")


class Pretence(TorchDispatchMode):
    """While it is open the device is there; `seen` counts the copies and the waits."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[Place] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        flat, spec = tree_flatten((args, kwargs))
        mine = {id(each.held): each for each in flat if isinstance(each, OnDevice)}
        devices = [each for each in flat if isinstance(each, torch.device)]
        there = _is_there(devices[0]) if devices else bool(mine)
        self._count(func, args, flat, there=there, from_device=bool(mine))
        flat = [torch.device("cpu") if isinstance(each, torch.device) else each for each in flat]
        if func is aten._fused_sdp_choice.default:
            return 0  # written out, as for a device without kernels of its own
        inner_args, inner_kwargs = tree_unflatten([each.held if isinstance(each, OnDevice) else each for each in flat], spec)
        result = func(*inner_args, **inner_kwargs)
        if not there:
            return result

        def wrap(value: Any) -> Any:
            if not isinstance(value, torch.Tensor):
                return value
            return mine[id(value)] if id(value) in mine else OnDevice(value)

        return args[0] if func.overloadpacket is aten.copy_ else tree_map(wrap, result)

    def _count(self, func: Any, args: Any, flat: Sequence[Any], *, there: bool, from_device: bool) -> None:
        others = [each for each in flat if isinstance(each, torch.Tensor) and not isinstance(each, OnDevice) and each.ndim]
        if func.overloadpacket is aten.copy_ and from_device and others:
            self._note("to the device" if isinstance(args[0], OnDevice) else "back")
        elif func.overloadpacket in COPIES and there != from_device:
            self._note("to the device" if there else "back")
        elif func.overloadpacket in SCALARS and from_device:
            self._note("a number back")
        elif func is aten.index.Tensor and from_device and any(_is_mask(each) for each in args[1]):
            self._note("a mask as an index")
        elif from_device and others:
            raise RuntimeError(f"{func} got tensors of the device and of the CPU")

    def _note(self, what: str) -> None:
        frames = [frame for frame in traceback.extract_stack() if "/gfpup/" in frame.filename]
        pinned = any(frame.filename.endswith("core/transfer.py") for frame in frames)
        asked = [frame for frame in frames if not frame.filename.endswith("core/transfer.py")]
        where = f"{asked[-1].filename.rpartition('/gfpup/')[2]}:{asked[-1].name}" if asked else "the caller"
        if what == "to the device":
            what = f"{what}, {'pinned' if pinned else 'and waits'}"
        self.seen[where, what] += 1


def _is_there(value: Any) -> bool:
    return isinstance(value, torch.device) and value.type == DEVICE


def _is_mask(index: Any) -> bool:
    return isinstance(index, torch.Tensor) and index.dtype in (torch.bool, torch.uint8)


def begin() -> Pretence:
    """Register the device with torch; once in a process."""
    _setup_privateuseone_for_python_backend(DEVICE)
    getattr(torch, DEVICE).get_amp_supported_dtype = lambda: [torch.bfloat16]
    _laid_in()()
    return Pretence()


def placed(network: nn.Module) -> nn.Module:
    """A network, rewritten already, on the device."""
    return network.to(DEVICE)


def restored(device: str, paste_on: str, *, faces: int, batch: int, place: Callable[[nn.Module], nn.Module]) -> Any:
    """A photo with `faces` faces through every stage on `device`, by small networks with random weights."""
    from gfpup.models.backends.gpen import GPEN
    from gfpup.models.nets import gpen
    from gfpup.models.nets.parsing_bisenet import BiSeNet
    from gfpup.models.nets.retinaface import RetinaFace
    from gfpup.models.nets.rewrites import rewrite
    from gfpup.models.nets.rrdbnet import RRDBNet
    from gfpup.restoration.background import RealESRGAN
    from gfpup.restoration.parsing import ParsedMask
    from gfpup.restoration.restorer import Restorer
    from gfpup.restoration.retinaface import RetinaFaceDetector
    from gfpup.tools.bench.sides import NO_SCORE, Planted, planted

    torch.manual_seed(0)

    def filled(network: nn.Module) -> Any:
        for name, tensor in network.eval().requires_grad_(False).state_dict().items():
            if tensor.is_floating_point() and not name.endswith("running_var"):
                tensor.copy_(torch.randn(tensor.shape) * 0.3 / max(tensor[0].numel() if tensor.ndim > 1 else 1, 1) ** 0.5)
        return network

    def made(network: nn.Module) -> Any:
        return rewrite(filled(network))

    photo, there = planted((160, 128), faces, 64)
    detector = RetinaFaceDetector(place(made(RetinaFace("mobilenet0.25"))), device=device)
    detector.threshold = detector.proposal_threshold = NO_SCORE
    upsampler = RealESRGAN(filled(RRDBNet(scale=2, blocks=1)), tile_px=128)
    upsampler._device, upsampler._network = device, place(upsampler._network)
    network = made(gpen.GPEN(64, narrow=1 / 16, style_features=24, mlp_layers=2))
    restorer = Restorer(
        GPEN(place(network)),
        Planted(detector, there),
        upscale=2.0,
        face_batch=batch,
        device=device,
        paste_on=paste_on,
        upsample=upsampler,
        mask=ParsedMask(place(made(BiSeNet())), kind="bisenet", device=device),
    )
    (result,) = restorer([photo])
    return result.pixels


def main() -> int:
    """Print what travels and waits for a photo of three faces; 1 where the device gives another photo than the CPU."""
    torch.set_num_threads(1)
    expected = restored("cpu", "cpu", faces=3, batch=1, place=lambda network: network)
    differs = False
    with begin() as pretence, torch.inference_mode():
        for paste_on in ("cpu", DEVICE):
            pretence.seen.clear()
            found = restored(DEVICE, paste_on, faces=3, batch=3, place=placed)
            apart = int(np.abs(found.astype(int) - expected.astype(int)).max())
            differs |= apart > 2
            for (where, what), count in sorted(pretence.seen.items()):
                if where == "the caller" or where.endswith("__init__"):  # the networks, once
                    continue
                print(json.dumps({"paste": paste_on, "where": where, "what": what, "count": count}))
            print(json.dumps({"paste": paste_on, "levels from the CPU's photo": apart}))
    return int(differs)


if __name__ == "__main__":
    sys.exit(main())
