"""Time a GFPGAN forward with and without `keep_freed_memory`, in turn, each in a process of its own.

python experiments/005-freed-memory/run.py [ROUNDS]
"""

from __future__ import annotations

import statistics
import subprocess
import sys

CHILD = """
import sys, time, torch
from gfpup.machine.allocator import keep_freed_memory
from gfpup.models.nets.gfpgan import GFPGAN
from gfpup.models.nets.rewrites import rewrite
if sys.argv[1] == "kept":
    assert keep_freed_memory()
torch.manual_seed(0)
network = GFPGAN().eval().requires_grad_(False)
for tensor in network.state_dict().values():
    tensor.copy_(torch.randn(tensor.shape) / max(tensor[0].numel() if tensor.ndim > 1 else 1, 1) ** 0.5)
rewrite(network)
x = torch.rand(1, 3, 512, 512)
seconds = []
with torch.inference_mode():
    for _ in range(4):
        began = time.process_time()
        y = network(x)
        seconds.append(time.process_time() - began)
print(min(seconds[1:]), y.double().sum().item())
"""


def main(rounds: int) -> None:
    """Print the CPU seconds of both sides, the ratio of their medians, and whether the outputs agree."""
    seconds: dict[str, list[float]] = {"plain": [], "kept": []}
    sums = set()
    for _ in range(rounds):
        for side, values in seconds.items():
            text = subprocess.check_output([sys.executable, "-c", CHILD, side], text=True)
            value, total = text.split()
            values.append(float(value))
            sums.add(total)
    for side, values in seconds.items():
        print(f"{side:<6} median {statistics.median(values):.2f} CPU s, {min(values):.2f} to {max(values):.2f}")
    ratio = statistics.median(seconds["plain"]) / statistics.median(seconds["kept"])
    print(f"ratio  {ratio:.2f}; outputs {'equal' if len(sums) == 1 else 'differ'}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
