"""`gfpup doctor`: what is installed, what is missing, and what to do about it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gfpup.cli.parser import Parser

if TYPE_CHECKING:
    from gfpup.tools.check import Check

WIDE = 100
"""Columns from which a check takes one row; below, its result goes below its name."""

PARSER = Parser(
    "gfpup doctor",
    text="""\
usage: gfpup doctor [flags]

Check this installation: Python, packages and their known conflicts, devices and their tier, engines, weights, licences,
folders, network. Each problem comes with what to do. Nothing is downloaded, hashed or left behind.

{flags}

Exit status: 0 nothing stops a default run, 1 something does, 2 invalid flags.

  gfpup doctor
  gfpup doctor --offline --problems
  gfpup doctor --json
""",
)
PARSER.add("--output DIR", "check that a run could write to this folder (default: out)", type=Path, default=Path("out"))
PARSER.weights_dir()
PARSER.add("--offline", "do not try the network")
PARSER.add("--problems", "print only what is not ok")
PARSER.add("--json", "print the checks as JSON")
HELP = PARSER.help_text


def run(words: Sequence[str]) -> int:
    """`gfpup doctor`: returns 0 if nothing stops a default run, 1 if something does."""
    request = PARSER.read(words)
    from gfpup.tools.doctor import examine
    from gfpup.weights.store import Store, default_folder, mirrors_from_environment

    store = Store(request.weights_dir or default_folder(), mirrors=mirrors_from_environment())
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() or "COLUMNS" in os.environ else None
    checks = []
    for check in examine(store, output=request.output, tracking=Path("mlruns"), offline=request.offline):
        checks.append(check)
        if not request.json and not (request.problems and check.status == "ok"):
            # At once: torch alone takes a second to load.
            print(as_text(check, width=width), flush=True)
    counts = {status: sum(check.status == status for check in checks) for status in ("ok", "warning", "problem")}
    status = int(counts["problem"] > 0)
    if request.json:
        print(json.dumps({"status": status, **counts, "checks": [_facts(check) for check in checks]}, indent=1))
    else:
        named = [f"{counts[name]} {name}{'' if counts[name] == 1 else 's'}" for name in ("warning", "problem")]
        print(f"{counts['ok']} ok, {', '.join(named)}", file=sys.stderr)
    return status


def as_text(check: Check, *, width: int | None) -> str:
    """A row for one check, and a line for its remedy, broken between words at `width` columns; None for a pipe: no breaks."""
    texts = [check.found, *([f"-> {check.remedy}"] if check.remedy else [])]
    lead = f"{check.status:<8} {check.group:<11} {check.name:<28} "
    if width is None:
        return "\n".join(f"{start}{text}" for start, text in zip((lead, " " * len(lead)), texts, strict=False))
    indent = " " * (len(lead) if width >= WIDE else 9)
    wrapper = textwrap.TextWrapper(width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    lines = [] if width >= WIDE else [f"{check.status:<8} {check.group}: {check.name}"]
    for text in texts:
        wrapper.initial_indent = indent if lines else lead
        lines += wrapper.wrap(text)
    return "\n".join(lines)


def _facts(check: Check) -> dict[str, str]:
    return {name: getattr(check, name) for name in ("group", "name", "status", "found", "remedy")}
