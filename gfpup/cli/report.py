"""`gfpup report`: finished runs as a page to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gfpup.cli.parser import Parser
from gfpup.core.errors import GfpupError

PARSER = Parser(
    "gfpup report",
    text="""\
usage: gfpup report RUN [RUN ...] [flags]

Write one HTML file that needs no network. Photos come first, those that runs disagree on before the others: each with a
before/after slider, all runs side by side, its scores and what was decided. A summary, scores with their intervals, quality
against seconds, failures, the plan and the command follow. Photos beyond 200 go into pages beside the file, and a contact
sheet, contact_sheet.jpg, is written too.

RUN is the --output folder of gfpup run, of gfpup sweep (with several runs in it), or of gfpup score.

{flags}

  gfpup report out/
  gfpup report out/ --baseline backend=identity
  gfpup report out/gfpgan out/codeformer --output report.html
""",
)
PARSER.add_argument("runs", nargs="+", type=Path)
PARSER.add(
    "--output FILE", "write the report here, an .html file or a folder (default: report.html in the first RUN)", type=Path
)
PARSER.add("--baseline NAME", "compare the others with this run, by its name or its folder (default: the first)")
HELP = PARSER.help_text


def run(words: Sequence[str]) -> int:
    """`gfpup report`: print the path of the report; return 0."""
    request = PARSER.read(words)
    from gfpup.analysis.report import REPORT, write_report

    print(write_report(request.runs, _target(request.output or request.runs[0], REPORT), baseline=request.baseline))
    return 0


def _target(given: Path, name: str) -> Path:
    """The file to write: `given` itself or, where that is a folder, `name` in it."""
    if given.suffix.lower() in (".html", ".htm"):
        return given
    if given.suffix and not given.is_dir():
        raise GfpupError(f"invalid value {str(given)!r} for --output: expected a file that ends in .html, or a folder.")
    return given / name
