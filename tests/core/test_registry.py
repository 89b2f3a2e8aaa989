"""What is suggested for a name that nothing answers to: the nearest one, and none where none is near."""

from __future__ import annotations

import pytest

from gfpup.core.registry import unknown

ENGINES = ("eager", "compile", "openvino", "onnxruntime")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("eagr", "eager"), ("onnx", "onnxruntime"), ("comp", "compile"), ("openvin", "openvino"), ("cmopile", "compile")],
)
def test_a_near_name_is_suggested(name: str, nearest: str) -> None:
    assert unknown("engine", name, ENGINES) == f"there is no engine {name!r}: did you mean {nearest!r}?"


@pytest.mark.parametrize("name", ["nope", "xyz", "o", "tensorrt", ""])
def test_where_none_is_near_all_are_listed(name: str) -> None:
    assert unknown("engine", name, ENGINES).endswith("choose one of compile, eager, onnxruntime, openvino.")
