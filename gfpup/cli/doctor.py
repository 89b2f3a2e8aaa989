"""`gfpup doctor`: what is here, what is not, and what to do about it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from gfpup.cli.parser import Parser

if TYPE_CHECKING:
    from gfpup.tools.doctor.check import Check

HELP = """\
usage: gfpup doctor [flags]

Check this installation: Python, packages and their known traps, devices and the tier they make, engines, weights, licences,
folders, network. Whatever is not well comes with its remedy. Nothing is downloaded, hashed or left behind.

  --output DIR         folder that a run would write to (default: out)
  --weights-dir DIR    look for checkpoints here (default: GFPUP_WEIGHTS_DIR, or the user's cache)
  --offline            try no connection
  --problems           print only what is not ok
  --json               print the checks as JSON

Exit status: 0 nothing stops a default run, 1 something does, 2 refused.

  gfpup doctor
  gfpup doctor --offline --problems
  gfpup doctor --json
"""


def run(words: Sequence[str]) -> int:
    """`gfpup doctor`: returns 0 where nothing stops a default run, 1 where something does."""
    if {"-h", "--help"} & set(words):
        print(HELP, end="")
        return 0
    request = _parse(words)
    from gfpup.tools.doctor import examine
    from gfpup.weights.store import Store, default_folder, mirrors_from_environment

    store = Store(request.weights_dir or default_folder(), mirrors=mirrors_from_environment())
    checks = []
    for check in examine(store, output=request.output, tracking=Path("mlruns"), offline=request.offline):
        checks.append(check)
        if not request.json and not (request.problems and check.status == "ok"):
            _say(check)
    counts = {status: sum(check.status == status for check in checks) for status in ("ok", "warning", "problem")}
    status = int(counts["problem"] > 0)
    if request.json:
        print(json.dumps({"status": status, **counts, "checks": [asdict(check) for check in checks]}, indent=1))
    else:
        print(f"{counts['ok']} ok, {counts['warning']} warnings, {counts['problem']} problems", file=sys.stderr)
    return status


def _say(check: Check) -> None:
    """Print one row as soon as it is known: torch alone takes a second to load."""
    print(f"{check.status:<8} {check.group:<11} {check.name:<28} {check.found}", flush=True)
    if check.remedy:
        print(f"{'':<8} {'':<11} {'':<28} -> {check.remedy}", flush=True)


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser("gfpup doctor")
    parser.add_argument("--output", type=Path, default=Path("out"))
    parser.add_argument("--weights-dir", type=Path)
    parser.add_argument("--offline", action="store_true")
    parser.add_argument("--problems", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(list(words))
