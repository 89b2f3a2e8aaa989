"""What a result cost: seconds a photo, and the memory at its highest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gfpup.core.types import Score
from gfpup.evaluation.metrics import facts
from gfpup.machine.usage import device_peak_bytes, peak_bytes

OUTSIDE: Final = ("read", "write", "score")
"""Stages that are not the method's: they depend on the disk, and on what is measured."""

FROM_ELSEWHERE: Final = "read result"
"""The stage of a result that another tool computed (backend precomputed): reading a file says nothing of the tool's speed."""


def seconds(stages: Mapping[str, float]) -> Score:
    """The score `seconds` of one photo: the sum of its stages' seconds, without reading, writing and scoring."""
    better = facts("seconds").higher_is_better
    if FROM_ELSEWHERE in stages:
        return Score("seconds", None, better, "another tool made this result, and how long it took is not known")
    counted = [value for stage, value in stages.items() if stage not in OUTSIDE]
    if not counted:
        return Score("seconds", None, better, "no stage of this photo was timed")
    return Score("seconds", float(sum(counted)), better)


def unshared(stages: Mapping[str, float], reused: Mapping[str, float]) -> dict[str, float]:
    """The seconds of a photo's stages as if it had reused none: in place of a reading, what computing took.

    So the first job of a sweep, which computes for all, is not held to be the slower method.
    """
    return {**stages, **reused}


def peak_memory(device: str = "cpu") -> Score:
    """The score `peak_memory` of this process: bytes, on a GPU those of torch's allocator, else the resident set's highest."""
    better = facts("peak_memory").higher_is_better
    peak = device_peak_bytes(device) if device.startswith("cuda") else peak_bytes()
    if peak is None:
        return Score("peak_memory", None, better, "this operating system does not keep the peak use of memory")
    return Score("peak_memory", float(peak), better)
