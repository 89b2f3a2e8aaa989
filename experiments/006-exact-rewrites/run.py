"""Time a network's forward with its rewrites turned on one after the other, in turn, in one process.

python experiments/006-exact-rewrites/run.py NETWORK [ROUNDS [THREADS]]

NETWORK is a name of `gfpup.models.networks`, such as gfpgan, codeformer, restoreformerpp or parsenet. Weights are random: speed
does not depend on them.
"""

from __future__ import annotations

import copy
import ctypes
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from unittest import mock

import torch
from torch import nn

from gfpup.machine.allocator import keep_freed_memory
from gfpup.models.nets import convolution, stylegan2
from gfpup.models.nets.rewrites import rewrite
from gfpup.models.networks import NETWORKS


@dataclass
class Form:
    """One way to compute the network: `off` names the savings that are turned off in it."""

    name: str
    network: nn.Module
    keeps_memory: bool = True
    last: bool = True
    off: tuple[str, ...] = ()
    dtype: torch.dtype = torch.float32


def main(name: str, rounds: int, threads: int) -> None:
    """Print, for each form, CPU and wall seconds, and quartiles of the ratio of the plain form's CPU seconds to its own."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    plain = filled(NETWORKS[name].make())
    rewritten = rewrite(copy.deepcopy(plain))
    forms = [
        Form("plain", plain, keeps_memory=False, last=False),
        Form("+ freed memory kept", plain, last=False),
        Form("+ layout, shared weight, folds", rewritten, off=("winograd", "spread")),
        Form("+ upsampling after convolving", rewritten, off=("winograd",)),
        Form("+ Winograd (as run)", rewritten),
    ]
    if hasattr(plain, "decoder_to") or name == "gfpgan":
        lowered = copy.deepcopy(rewritten)
        lowered = lowered.decoder_to(torch.bfloat16) if hasattr(plain, "decoder_to") else lowered.to(torch.bfloat16)
        dtype = torch.float32 if hasattr(plain, "decoder_to") else torch.bfloat16
        forms.append(Form("as run, bfloat16", lowered, dtype=dtype))
        forms.append(Form("bfloat16, no upsampling after", lowered, dtype=dtype, off=("spread",)))
    side = 128 if name.startswith("rrdbnet") else 512
    x = torch.rand(1, 3, side, side) * 2 - 1
    cpu: dict[str, list[float]] = {form.name: [] for form in forms}
    wall: dict[str, list[float]] = {form.name: [] for form in forms}
    outputs = {}
    for turn in range(rounds + 1):
        for form in forms:
            outputs[form.name], seconds, elapsed = timed(form, x, **({"fidelity": 0.5} if name == "codeformer" else {}))
            print(f"{form.name}: {seconds:.2f} CPU s", file=sys.stderr)
            if turn > 0:
                cpu[form.name].append(seconds)
                wall[form.name].append(elapsed)
    print(f"{name}, {threads} threads, {rounds} rounds, torch {torch.__version__}")
    for form in forms:
        ratios = sorted(a / b for a, b in zip(cpu["plain"], cpu[form.name], strict=True))
        low, middle, high = (torch.tensor(ratios).quantile(torch.tensor([0.25, 0.5, 0.75]))).tolist()
        error = (outputs[form.name] - outputs["plain"]).double()
        decibel = 20 * torch.log10(outputs["plain"].double().abs().max() / error.square().mean().sqrt())
        print(
            f"| {form.name:<30} | {statistics.median(cpu[form.name]):5.2f} | {statistics.median(wall[form.name]):5.2f} "
            f"| {middle:.2f} ({low:.2f} to {high:.2f}) | {decibel:.0f} dB |",
            flush=True,
        )


def timed(form: Form, x: torch.Tensor, **arguments: float) -> tuple[torch.Tensor, float, float]:
    """One forward: its first output in float32, CPU seconds, wall seconds."""
    if form.keeps_memory:
        assert keep_freed_memory()
    else:
        free_as_usual()
    x = x.to(form.dtype, memory_format=torch.channels_last if form.last else torch.contiguous_format)
    never: Callable[[torch.Tensor], bool] = lambda x: False  # noqa: E731
    winograd = never if "winograd" in form.off else convolution.winograd_suits
    spread = never if "spread" in form.off else convolution.suits
    with (
        torch.inference_mode(),
        mock.patch.multiple(convolution, winograd_suits=winograd, suits=spread),
        mock.patch.multiple(stylegan2, winograd_suits=winograd, suits=spread),
    ):
        began, elapsed = time.process_time(), time.perf_counter()
        y = form.network(x, **arguments)
        seconds, elapsed = time.process_time() - began, time.perf_counter() - elapsed
    return (y[0] if isinstance(y, tuple) else y).float(), seconds, elapsed


def free_as_usual() -> None:
    """Let glibc map and trim as it does in a process that asked for nothing, once it has seen large blocks.

    Source: mallopt(3): M_TRIM_THRESHOLD -1, M_TOP_PAD -2, M_MMAP_THRESHOLD -3, M_MMAP_MAX -4; its own upper bounds.
    """
    mallopt = ctypes.CDLL(None).mallopt
    for option, value in ((-1, 64 * 2**20), (-2, 128 * 2**10), (-3, 32 * 2**20), (-4, 65536)):
        assert mallopt(option, value)


def filled(network: nn.Module) -> nn.Module:
    """Random weights that keep activations near unit variance."""
    state = network.state_dict()
    for name, tensor in state.items():
        if not tensor.is_floating_point():
            continue
        values = torch.randn(tensor.shape)
        if name.endswith("running_var") or (name.endswith("weight") and tensor.ndim == 1):
            values = 1 + 0.1 * values.tanh()
        elif name.endswith("weight") and tensor.ndim > 1:
            values = values / tensor[0].numel() ** 0.5
        else:
            values = 0.1 * values
        tensor.copy_(values)
    return network.eval().requires_grad_(False)


if __name__ == "__main__":
    main(sys.argv[1], *(int(number) for number in sys.argv[2:4] or ("3",)), *((2,) if len(sys.argv) < 4 else ()))
