"""Hold every network to its golden; print each one's largest difference as a Markdown table.

    python experiments/002-parity/run.py PARITY [NETWORK ...] [--threads 2]

PARITY is a folder of goldens (NET.json, NET.npz). NETWORK is an architecture's name; without one all are run. Exits 1 where a
network misses its golden.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch

from gfpup.models.networks import NETWORKS
from gfpup.tools.check import Check
from gfpup.tools.verify.checks import golden_checks
from gfpup.tools.verify.goldens import load_golden

HEADINGS = ("network", "output that differs most", "plain", "allowed", "as run", "allowed", "codes equal", "margin", "seconds")


def main() -> int:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parity", type=Path, metavar="PARITY")
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"of {', '.join(NETWORKS)}")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    strangers = set(arguments.networks) - set(NETWORKS)
    if strangers:
        parser.error(f"no network is called {', '.join(sorted(strangers))}")
    torch.set_num_threads(arguments.threads)
    print("| " + " | ".join(HEADINGS) + " |\n" + "|---" * len(HEADINGS) + "|")
    failures: list[str] = []
    for architecture in arguments.networks or NETWORKS:
        row = NETWORKS[architecture]
        golden = None if row.golden is None else load_golden(arguments.parity, row.golden)
        if golden is None:
            continue
        began = time.perf_counter()
        checks = list(golden_checks(architecture, golden))
        seconds = time.perf_counter() - began
        failures += [check.found for check in checks if check.status == "failed"]
        print("| " + " | ".join(cells(architecture, checks, seconds=seconds)) + " |", flush=True)
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if failures else 0


def cells(architecture: str, checks: list[Check], *, seconds: float) -> list[str]:
    """One row of the table."""
    found = []
    key = "-"
    for form in ("plain", "as run"):
        measured = [check for check in checks if check.name.startswith(f"golden, {form}") and check.difference is not None]
        if not measured:
            found += ["-", "-"]
            continue
        worst = max(measured, key=lambda check: check.difference or 0.0)
        key = worst.name.rpartition(": ")[2]
        found += [f"{worst.difference:.1e}", f"{worst.tolerance:.0e}"]
    codes = [check.found for check in checks if check.name.endswith(": codes")]
    equal = ", ".join(dict.fromkeys(detail.partition(" equal")[0] for detail in codes)) or "-"
    margin = codes[0].partition("smallest margin ")[2].partition(",")[0] if codes else "-"
    return [architecture, key, *found, equal, margin, f"{seconds:.0f}"]


if __name__ == "__main__":
    sys.exit(main())
