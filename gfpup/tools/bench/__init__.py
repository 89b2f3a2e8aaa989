"""`gfpup bench`: how fast a method is here, beside what it is measured against and beside what the machine can do at most."""

from __future__ import annotations

from gfpup.tools.bench.measure import bench
from gfpup.tools.bench.request import Request, Side, Workload

__all__ = ["Request", "Side", "Workload", "bench"]
