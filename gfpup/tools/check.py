"""The result of one check of `gfpup doctor` or `gfpup verify`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "problem", "failed", "skipped"]


@dataclass(frozen=True)
class Check:
    """One check: `found` in words, and the `remedy` if it is not ok.

    Where numbers were compared, `difference` and its `tolerance` are in the units of `verify.goldens.difference`.
    """

    group: str
    name: str
    status: Status
    found: str
    remedy: str = ""
    difference: float | None = None
    tolerance: float | None = None
