"""The base of the metrics of one picture or pair: what is checked before, and how a value becomes a score."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from gfpup.core.types import Score, UInt8
from gfpup.evaluation.metrics import MetricError, facts
from gfpup.weights.checkpoint import read_state_dict

if TYPE_CHECKING:
    from pathlib import Path

    import torch

NETWORK_PIXELS: Final = 2048 * 2048
"""The largest picture a network is given: VGG-16's first layer alone needs 256 bytes a pixel, and attention grows with the
square of the pixels."""


class PictureMetric(ABC):
    """A metric of (h, w, 3) uint8 RGB pictures. A subclass names it, bounds the sizes it takes and computes `value`."""

    name: ClassVar[str]
    smallest_px: ClassVar[int] = 1
    largest_pixels: ClassVar[int | None] = None
    against: ClassVar[str | None] = "picture"
    """What it compares with, None for a metric without reference."""
    may_be_infinite: ClassVar[bool] = False

    def score(self, restored: UInt8, reference: UInt8 | None = None) -> Score:
        """Score one picture or pair; what cannot be computed is a score with its reason. ValueError for different shapes."""
        reason, better = self._refusal(restored, reference), facts(self.name).higher_is_better
        if reason is None:
            if self.against is not None and reference is not None:
                same_shape(restored, reference)
            value = self.value(restored, reference)
            if not (math.isnan(value) or (math.isinf(value) and not self.may_be_infinite)):
                return Score(self.name, value, better)
            reason = "its value is not a finite number"
        return Score(self.name, None, better, reason)

    @classmethod
    def load(cls, files: Mapping[str, Path], *, device: str = "cpu") -> PictureMetric:
        """The metric; what needs no files is computed on the CPU."""
        return cls()

    @abstractmethod
    def value(self, restored: UInt8, reference: Any) -> float:
        """The value of one picture or pair that has passed the checks."""

    def _refusal(self, restored: UInt8, reference: UInt8 | None) -> str | None:
        height, width = restored.shape[:2]
        if min(height, width) < self.smallest_px:
            return f"it needs {self.smallest_px} pixels each way and the picture is {width}x{height}"
        if self.largest_pixels is not None and height * width > self.largest_pixels:
            limit = f"{self.largest_pixels / 1e6:.1f} million"
            return f"{width}x{height} pixels are more than the {limit} it is computed for: see its faces' scores"
        if self.against is not None and reference is None:
            return f"there is no {self.against} to compare with"
        return None


class NetworkMetric(PictureMetric):
    """A metric computed by `network`, which lies on `device`."""

    largest_pixels: ClassVar[int | None] = NETWORK_PIXELS

    def __init__(self, network: Callable[..., Any], device: str) -> None:
        self.network, self.device = network, device

    def value(self, restored: UInt8, reference: Any) -> float:
        """The network's value of the pictures as (1, 3, h, w) float32 in [0, 1]."""
        import torch

        pictures = [restored] if self.against is None else [restored, reference]
        with torch.inference_mode():
            return float(self.network(*(tensor_of(picture, self.device) for picture in pictures)))


def tensor_of(picture: UInt8, device: str) -> torch.Tensor:
    """(h, w, 3) uint8 to (1, 3, h, w) float32 in [0, 1]."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(picture)).to(device).permute(2, 0, 1)[None].float().div(255)


def same_shape(restored: UInt8, reference: UInt8) -> None:
    """Refuse a pair of different shapes by ValueError."""
    if restored.shape != reference.shape:
        raise ValueError(f"pictures of shapes {restored.shape} and {reference.shape} cannot be compared; give them one size")


def fill(network: Any, path: Path, *, metric: str, device: str) -> Any:
    """Fill another package's network strictly from `path` and put it on `device`; MetricError if it holds another network."""
    try:
        network.load_state_dict(read_state_dict(path), strict=True)
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()[:120]
        raise MetricError(f"{path} does not hold the network of {metric} ({first}): download it again") from error
    return network.eval().requires_grad_(False).to(device)
