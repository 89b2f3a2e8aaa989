"""Make an installed torchvision importable beside a torch build that it has no compiled operators for.

torchvision's wheels from the ordinary index are compiled against the CUDA build of torch. Beside a CPU build its library does
not load, and then `import torchvision` fails while it describes an operator that does not exist; lightning and torchmetrics
import it wherever it is installed, so they fail too. Nothing here runs where torchvision works or is not there.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

OPERATORS = ("nms", "qnms")
"""What torchvision registers shapes for while it is imported. Source: torchvision/_meta_registrations.py, up to 0.28."""

_kept: list[Any] = []
"""The operator library: torch forgets the operators when this object is collected."""


def cure() -> bool:
    """Put a substitute for torchvision's compiled operators in place where they do not load; True when it did.

    Call it before anything imports torchvision, in every process; calling it again costs nothing. Without torchvision it
    returns before torch is imported. `torchvision.ops.nms` then works on the CPU; its other operators still miss, as do
    `torchvision.io.read_image` and its like.
    """
    if _kept:
        return True
    if "torchvision" in sys.modules:
        return False  # it is imported already, so it works
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None or operators_load(Path(spec.origin).parent):
        return False

    import torch

    library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for name in OPERATORS:
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.impl("nms", suppress, "CPU")
    _kept.append(library)
    # Only now: while it is imported, "no operators" keeps torchvision from describing the ones that still miss.
    import_module("torchvision")
    extension: Any = import_module("torchvision.extension")
    extension._has_ops = lambda: True
    return True


def operators_load(folder: Path) -> bool:
    """Whether torchvision's compiled library in `folder` loads here; torchvision itself is not imported."""
    import torch

    if sys.platform == "win32":
        os.add_dll_directory(str(folder))
    for suffix in EXTENSION_SUFFIXES:
        path = folder / f"_C{suffix}"
        if path.is_file():
            try:
                torch.ops.load_library(path)  # type: ignore[no-untyped-call]
            except OSError:
                return False
            return True
    return False


def suppress(boxes: torch.Tensor, scores: torch.Tensor, threshold: float) -> torch.Tensor:
    """Keep the boxes that no better kept box overlaps by more than `threshold` (intersection over union).

    `boxes` is (n, 4) `xyxy`, `scores` (n,); returns int64 indices, best first, equal scores in their order.

    Source: torchvision/csrc/ops/cpu/nms_kernel.cpp.
    """
    import torch

    order = scores.argsort(descending=True, stable=True)
    sorted_boxes = boxes[order]
    areas = (sorted_boxes[:, 2:] - sorted_boxes[:, :2]).prod(dim=1)
    alive = torch.ones(len(order), dtype=torch.bool)
    for i in range(len(order)):
        if not alive[i]:
            continue
        low = torch.maximum(sorted_boxes[i, :2], sorted_boxes[i + 1 :, :2])
        high = torch.minimum(sorted_boxes[i, 2:], sorted_boxes[i + 1 :, 2:])
        shared = (high - low).clamp(min=0).prod(dim=1)
        overlap = shared / (areas[i] + areas[i + 1 :] - shared)
        # In double, as the compiled kernel compares; torch alone would round the threshold to the boxes' type.
        alive[i + 1 :] &= ~(overlap.double() > threshold)
    return order[alive]
