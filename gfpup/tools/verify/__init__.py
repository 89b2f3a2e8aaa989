"""`gfpup verify`: whether a network is the published one and computes what the official implementation computes."""

from __future__ import annotations

from gfpup.models.networks import resolve
from gfpup.tools.verify.checks import Check, verify

__all__ = ["Check", "resolve", "verify"]
