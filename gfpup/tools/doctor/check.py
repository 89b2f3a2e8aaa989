"""The result of one check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Check:
    """One check: `found` in words, and the `remedy` if it is not ok."""

    group: str
    name: str
    status: Status
    found: str
    remedy: str = ""
