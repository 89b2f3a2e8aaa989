"""`gfpup verify`: is this network the published one, and does it compute what the official implementation computes?"""

from __future__ import annotations

from gfpup.verify.checks import Check, verify
from gfpup.verify.networks import resolve

__all__ = ["Check", "resolve", "verify"]
