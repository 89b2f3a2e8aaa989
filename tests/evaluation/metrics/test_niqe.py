"""NIQE is BasicSR's on real faces, which the field's tables report, and has no number where a picture is flat."""

from __future__ import annotations

import importlib
import sys
import types
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gfpup.evaluation import metrics
from gfpup.evaluation.metrics import MetricError
from gfpup.evaluation.metrics.niqe import halve

needs_basicsr = pytest.mark.skipif(find_spec("basicsr") is None, reason="basicsr is not installed")


def official_niqe() -> Any:
    """BasicSR's module of NIQE, without its package's __init__, whose import needs a torchvision of its own time."""
    spec = find_spec("basicsr")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent
    with pytest.MonkeyPatch.context() as patch:
        for name, inside in (("basicsr", ""), ("basicsr.metrics", "metrics"), ("basicsr.utils", "utils")):
            package = types.ModuleType(name)
            package.__path__ = [str(folder / inside)]
            patch.setitem(sys.modules, name, package)
        before = set(sys.modules)
        sys.modules["basicsr.utils"].bgr2ycbcr = importlib.import_module("basicsr.utils.color_util").bgr2ycbcr  # type: ignore[attr-defined]
        module = importlib.import_module("basicsr.metrics.niqe")
        for name in set(sys.modules) - before:
            if name.startswith("basicsr"):
                patch.delitem(sys.modules, name)
    return module


@needs_basicsr
@pytest.mark.parametrize(
    ("photo", "value"),
    [
        ("photos/one_face_small.jpg", 5.682),
        ("degraded_faces/0143.png", 12.055), ("published_outputs/face_3_input.png", 11.774),
        ("reference_faces/ffhq_00000000.png", 4.595), ("photos/old_couple.png", 6.214),
    ],
)  # fmt: skip
def test_niqe_is_basicsrs_on_real_faces(shared: Path, photo: str, value: float) -> None:
    bgr = cv2.imread(str(shared / "data" / photo))
    expected = float(official_niqe().calculate_niqe(bgr, 0))
    score = metrics.load("niqe", {}).score(np.ascontiguousarray(bgr[:, :, ::-1]), None)
    assert score.value == pytest.approx(expected, abs=1e-3) and expected == pytest.approx(value, abs=1e-3)
    assert not score.higher_is_better


@needs_basicsr
def test_what_has_no_value_says_so() -> None:
    metric = metrics.load("niqe", {})
    noise = np.random.default_rng(1).integers(0, 256, (192, 200, 3), np.uint8)
    assert metric.score(noise, noise[::-1]).value == metric.score(noise, None).value  # a reference changes nothing
    assert "192 pixels" in str(metric.score(noise[:191], None).missing_reason)
    assert "not a finite number" in str(metric.score(np.full((300, 300, 3), 7, np.uint8), None).missing_reason)


def test_without_basicsr_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gfpup.evaluation.metrics.niqe.find_spec", lambda name: None)
    with pytest.raises(MetricError, match="parameters that basicsr ships"):
        metrics.load("niqe", {})


def test_a_picture_at_half_its_size_keeps_what_is_even() -> None:
    assert halve(np.full((8, 12), 0.25, np.float32)) == pytest.approx(0.25, abs=1e-6)
    slope = np.tile(np.arange(16, dtype=np.float32), (16, 1))
    assert halve(slope)[:, 2:-2] == pytest.approx(np.tile(np.arange(16)[4:12:2] + 0.5, (8, 1)), abs=1e-5)
