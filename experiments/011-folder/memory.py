"""What a whole photo holds in memory, stage by stage: the resident set after each, and the highest during it.

python experiments/011-folder/memory.py GFPGAN.pth RETINAFACE.pth BISENET.pth

A 2000x1500 photo at 2x with two planted faces, as in `gfpup bench --pipeline`. Linux only.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable
from pathlib import Path

STATUS = Path("/proc/self/status")


def resident() -> dict[str, int]:
    """Resident set and its highest value, in MB."""
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if line.startswith("Vm"))
    return {key: int(lines[key].split()[0]) // 1024 for key in ("VmRSS", "VmHWM")}


def say(stage: str) -> None:
    """Print both, and begin the highest value anew."""
    now = resident()
    print(f"{stage:<12} holds {now['VmRSS']:>5} MB, at its highest {now['VmHWM']:>5} MB  {time.process_time():6.1f} CPU s")
    Path("/proc/self/clear_refs").write_text("5")


def watched(stage: Callable[..., object], name: str) -> Callable[..., object]:
    """`stage`, which says when it has ended."""

    def run(*given: object) -> object:
        done = stage(*given)
        say(name)
        return done

    return run


def main(gfpgan: str, retinaface: str, bisenet: str) -> None:
    """Load and restore, and say after each step what is held."""
    say("python")
    import torch

    from gfpup.core.types import BackendSpec
    from gfpup.machine.allocator import lasting_memory
    from gfpup.running import components
    from gfpup.tools.bench.sides import NO_SCORE, Planted, planted

    say("imports")
    torch.set_num_threads(2)
    photo, faces = planted((2000, 1500), 2, 400)
    say("photo")
    with lasting_memory():
        detector = components.load_detector("retinaface-resnet50", path=Path(retinaface), device="cpu")
        detector.threshold = NO_SCORE
        say("detector")
        mask = components.load_mask("bisenet", Path(bisenet), device="cpu")
        say("mask")
        backend = components.backends.load(BackendSpec("gfpgan", checkpoints={"gfpgan": Path(gfpgan)}, device="cpu"))
        say("backend")

    restorer = components.Restorer(backend=backend, detector=Planted(detector, faces), upscale=2.0, mask=mask)

    for name in ("_find_faces", "_restore_batch", "_finish"):
        setattr(type(restorer), name, watched(getattr(type(restorer), name), name.strip("_")))
    for _ in range(2):
        (restored,) = restorer([photo])
        print(hashlib.sha256(restored.pixels.tobytes()).hexdigest()[:12])


if __name__ == "__main__":
    main(*sys.argv[1:])
