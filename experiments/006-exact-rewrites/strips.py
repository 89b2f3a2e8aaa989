"""What strips cost: a doubling convolution whole and in strips, in turn, in milliseconds of CPU.

python experiments/006-exact-rewrites/strips.py [THREADS]
"""

from __future__ import annotations

import statistics
import sys
import time

import torch

from gfpup.machine.allocator import keep_freed_memory
from gfpup.models.nets import convolution
from gfpup.models.nets.convolution import BilinearConv, NearestConv
from gfpup.models.nets.rewrites import rewrite

ROUNDS = 9
WHOLE = 2**40
STRIPS = (2**20, 4 * 2**20, convolution.SPREAD_BYTES)


@torch.inference_mode()
def main(threads: int) -> None:
    """Print a line a layer."""
    keep_freed_memory()
    torch.set_num_threads(threads)
    for make, inputs, outputs, side in (
        (NearestConv, 128, 128, 256),
        (BilinearConv, 128, 64, 256),
        (BilinearConv, 64, 32, 256),
    ):
        layer = rewrite(make(inputs, outputs).eval())
        x = torch.randn(1, inputs, side, side).contiguous(memory_format=torch.channels_last)
        taken: dict[int, list[float]] = {size: [] for size in (WHOLE, *STRIPS)}
        pictures = {}
        for _ in range(ROUNDS):
            for size, seconds in taken.items():
                convolution.SPREAD_BYTES = size
                began = time.process_time()
                pictures[size] = layer(x)
                seconds.append(time.process_time() - began)
        same = all(torch.equal(picture, pictures[WHOLE]) for picture in pictures.values())
        times = ", ".join(
            f"{'whole' if size == WHOLE else f'{size >> 20} MB'} {statistics.median(seconds) * 1e3:.0f}"
            for size, seconds in taken.items()
        )
        print(f"{make.__name__} {inputs} to {outputs} at {2 * side} px: {times}; {'the same bytes' if same else 'OTHER BYTES'}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
