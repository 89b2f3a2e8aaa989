"""`gfpup report`: finished runs as a page to look at."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from gfpup.cli.parser import Parser
from gfpup.core.errors import GfpupError

HELP = """\
usage: gfpup report RUN [RUN ...] [flags]

Write one HTML file that needs no network: each photo with a before/after slider and all runs side by side, scores with their
intervals, quality against seconds, failures, the plan and the command to repeat it. Photos beyond 200 go into pages beside it.
A contact sheet, contact_sheet.jpg, is written beside it too.

RUN is the --output folder of a run, or of a sweep with several of them in it.

  --output FILE       write the report here, an .html file or a folder (default: report.html in the first RUN)
  --baseline NAME     hold the others against this run, by its name or its folder (default: the first)

  gfpup report out/
  gfpup report out/ --baseline backend=identity
  gfpup report out/gfpgan out/codeformer --output report.html
"""


def run(words: Sequence[str]) -> int:
    """`gfpup report`: prints where the report is; returns 0."""
    if not words or {"-h", "--help"} & set(words):
        print(HELP, end="")
        return 0
    request = _parse(words)
    from gfpup.analysis.report import REPORT, write_report

    print(write_report(request.runs, _target(request, REPORT), baseline=request.baseline))
    return 0


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser("gfpup report")
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--baseline")
    return parser.parse_intermixed_args(list(words))


def _target(request: argparse.Namespace, name: str) -> Path:
    given: Path | None = request.output
    if given is None:
        return Path(request.runs[0]) / name
    if given.suffix.lower() in (".html", ".htm"):
        return given
    if given.suffix and not given.is_dir():
        raise GfpupError(f"--output {given} is no page: give a file that ends in .html, or a folder.")
    return given / name
