"""`gfpup report`: finished runs, or folders of pictures, as a page to look at."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from gfpup.cli.parser import Parser
from gfpup.core.errors import GfpupError

PARSER = Parser(
    "gfpup report",
    text="""\
usage: gfpup report RUN [RUN ...] [flags]
       gfpup report --folders DIR [DIR ...] --output DIR [--input DIR] [--reference DIR] [flags]

Write one HTML file that needs no network. Photos come first, those on which the results differ most before the others: each
with a before/after slider, its faces in all versions side by side, its scores and what was decided. A summary, scores with
their intervals, quality against seconds, failures, the plan and the command follow. Photos beyond 200 go into pages beside the
file, and a contact sheet, contact_sheet.jpg, is written too.

RUN is the --output folder of gfpup run, of gfpup sweep (with several runs in it), or of gfpup score.

{flags}

Pictures in folders are matched by their path in the folder, without the extension; what has no partner is named, and a name
that fits two pictures is refused. gfpup score computes their scores.

  gfpup report out/
  gfpup report out/gfpgan out/codeformer --baseline gfpgan --output report.html
  gfpup report --folders results-a/ results-b/ --input photos/ --output comparison/
""",
)
PARSER.add_argument("runs", nargs="*", type=Path)
PARSER.add("--folders DIR [DIR ...]", "show any folders of pictures of the same names, without a run", nargs="+", type=Path)
PARSER.add("--input DIR", "the degraded photos of --folders, shown as before", type=Path)
PARSER.add("--reference DIR", "the references of --folders", type=Path)
PARSER.add(
    "--output FILE", "write the report here, an .html file or a folder (default: report.html in the first RUN)", type=Path
)
PARSER.add("--baseline NAME", "compare the others with this run, by its name or its folder (default: the first)")
HELP = PARSER.help_text


def run(words: Sequence[str]) -> int:
    """`gfpup report`: print the path of the report; return 0."""
    request = PARSER.read(words)
    _check(request)
    from gfpup.analysis.report import REPORT, write_report
    from gfpup.analysis.report.data import Folders

    folders = Folders(request.folders or (), request.input, request.reference, ("gfpup", "report", *words))
    target = _target(request.output or request.runs[0], REPORT)
    print(write_report(request.runs, target, baseline=request.baseline, folders=folders))
    return 0


def _check(request: argparse.Namespace) -> None:
    """Refuse what does not fit together."""
    if not request.runs and not request.folders:
        raise GfpupError("gfpup report needs a run, or --folders DIR: give the --output folder of gfpup run.")
    if not request.folders and (request.input or request.reference):
        raise GfpupError("--input and --reference belong to --folders: a run has recorded its own.")
    if request.folders and request.output is None:
        raise GfpupError("a report of --folders needs a place outside them: give it with --output.")
    for folder in (request.input, request.reference, *request.folders) if request.folders else ():
        # The contact sheet would be one of the pictures the next time.
        if folder is not None and folder.resolve() in (request.output.resolve(), *request.output.resolve().parents):
            raise GfpupError(f"invalid value {str(request.output)!r} for --output: expected a place outside {folder}.")


def _target(given: Path, name: str) -> Path:
    """The file to write: `given` itself or, where that is a folder, `name` in it."""
    if given.suffix.lower() in (".html", ".htm"):
        return given
    if given.suffix and not given.is_dir():
        raise GfpupError(f"invalid value {str(given)!r} for --output: expected a file that ends in .html, or a folder.")
    return given / name
