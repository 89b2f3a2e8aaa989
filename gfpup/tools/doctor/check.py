"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: `found` in words, and the `remedy` where it is not ok."""

    group: str
    name: str
    status: Status
    found: str
    remedy: str = ""
