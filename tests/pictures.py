"""The picture that most tests use, and how to read and write pictures as RGB without the code under test."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import skimage.data


def save(path: Path, rgb: np.ndarray) -> None:
    _, data = cv2.imencode(path.suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.tobytes())


def read(path: Path) -> np.ndarray:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def portrait() -> np.ndarray:
    """A photo (256, 256, 3) uint8 RGB with one face that the cascade finds."""
    return np.ascontiguousarray(skimage.data.astronaut()[:256, 96:352])
