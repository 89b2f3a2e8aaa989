"""What this machine computes at most: large convolutions and matrix products, in GFLOP a second."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

CHANNELS, SIDE_PX = 256, 128
"""A 3x3 convolution of these channels on these pixels: 19 GFLOP, as those in the middle of the restoring networks."""

MATRIX = 2048
SECONDS = 0.7
"""How long each is repeated: the best of several calls is what the machine can, the mean is what others left of it."""


def measure(device: str, *, bfloat16: bool, seconds: float = SECONDS) -> dict[str, dict[str, float]]:
    """The best call of each: "wall" in GFLOP a second, "cpu" in GFLOP a CPU second (empty on a GPU).

    Each is by "convolution_float32", "matmul_float32" and, where asked for, the same in bfloat16. What others leave of the
    cores lowers the first and hardly the second.
    """
    found: dict[str, dict[str, float]] = {"wall": {}, "cpu": {}}
    for dtype in (torch.float32, torch.bfloat16) if bfloat16 else (torch.float32,):
        x = torch.rand(1, CHANNELS, SIDE_PX, SIDE_PX, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
        weight = torch.rand(CHANNELS, CHANNELS, 3, 3, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
        a = torch.rand(MATRIX, MATRIX, device=device, dtype=dtype)
        works = {
            "convolution": (_convolve(x, weight), 2.0 * CHANNELS * CHANNELS * 9 * SIDE_PX * SIDE_PX),
            "matmul": (_multiply(a), 2.0 * MATRIX**3),
        }
        for kind, (call, operations) in works.items():
            name = f"{kind}_{str(dtype).removeprefix('torch.')}"
            wall, cpu = _best(call, seconds, device)
            found["wall"][name] = operations / wall / 1e9
            if device == "cpu":
                found["cpu"][name] = operations / cpu / 1e9
    return found


def _convolve(x: torch.Tensor, weight: torch.Tensor) -> Callable[[], torch.Tensor]:
    return lambda: F.conv2d(x, weight, padding=1)


def _multiply(a: torch.Tensor) -> Callable[[], torch.Tensor]:
    return lambda: a @ a


@torch.inference_mode()
def _best(call: Callable[[], torch.Tensor], seconds: float, device: str) -> tuple[float, float]:
    """The least wall and the least CPU seconds of a call."""
    call()
    walls: list[float] = []
    cpus: list[float] = []
    started = time.perf_counter()
    while not walls or time.perf_counter() - started < seconds:
        cpu, began = time.process_time(), time.perf_counter()
        call()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        walls.append(time.perf_counter() - began)
        cpus.append(time.process_time() - cpu)
    return min(walls), min(cpus)
