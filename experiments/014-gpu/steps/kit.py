"""What every step needs: what it was asked, its lines, the methods, their deterministic weights, and a world without MLflow."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

import record


class Absent(MetaPathFinder):
    """Makes packages look as if they were not installed: gfpup has to measure and restore without them."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r} (the kit does without it)", name=name)


sys.meta_path.insert(0, Absent("mlflow", "mlflow_skinny"))

_asked: dict[str, Any] = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
STEP: str = _asked.get("step", "")
DEVICE: str = _asked.get("device", "cpu")
SMALL: bool = _asked.get("small", True)
SHARED = Path(_asked.get("shared", "shared"))
OUT = Path(_asked.get("out", "."))
UNTIL: float = _asked.get("until", float("inf"))

ON_GPU = DEVICE.startswith("cuda")
METHODS: Sequence[str] = ("gfpgan",) if SMALL else ("gfpgan", "codeformer", "restoreformerpp", "restoreformer", "gpen", "elir")
"""PMRF is left out where many forwards are made: it takes 33 times the operations of GFPGAN."""
DTYPES: Sequence[str] = ("float32",) if SMALL else ("float32", "bfloat16")


def tell(**facts: Any) -> None:
    """Append a line to the results."""
    row = {"step": STEP, **facts}
    record.append(OUT / "results.jsonl", row)
    print(row, flush=True)


def left() -> float:
    """The seconds that this step still has."""
    return UNTIL - time.monotonic()


def prepare() -> None:
    """Set torch up as a run does: float32 means float32."""
    import torch

    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def weights(request: Any) -> Any:
    """The checkpoints of a bench's request: deterministic ones, each written once for all steps."""
    from gfpup.tools.bench.weights import Weights

    folder = OUT / "weights"
    folder.mkdir(exist_ok=True)
    return Weights(request, folder, say=lambda line: print(line, flush=True))


def request(**facts: Any) -> Any:
    """A bench's request on this device."""
    from gfpup.machine import hardware
    from gfpup.tools.bench.request import Request

    machine = hardware.probe()
    device = hardware.choose_device(DEVICE, machine).value
    facts = {"against": "none", "repeat": 1 if SMALL else 5, "threads": machine.cores, **facts}
    return Request(device=device, weights_dir=OUT / "no-weights", **facts)


def side(backend: str, *, name: str = "gfpup", **facts: Any) -> Any:
    """One side of a bench, with its weights."""
    asked = request(backends=(backend,), **facts)
    return asked.side(name, backend, weights(asked).of(backend, name)[0])
