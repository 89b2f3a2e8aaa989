"""`gfpup compare`: finished runs side by side, with what may be said of their differences."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gfpup.cli.parser import Parser
from gfpup.core.errors import GfpupError

if TYPE_CHECKING:
    from gfpup.analysis.compare import Comparison
    from gfpup.analysis.slices import Facts
    from gfpup.records.run_record import RunRecord

PARSER = Parser(
    "gfpup compare",
    text="""\
usage: gfpup compare RUN RUN [RUN ...] [flags]

Compare scored runs photo by photo: by each metric the mean and its bootstrap interval (photos are resampled, not faces), the
difference to the baseline with its interval and a sign-flip p-value corrected for the number of comparisons, the share of
photos won, the ranking, and the Pareto front of quality against seconds. Only photos that all runs share are compared.

RUN is a folder with scores.csv (from gfpup run --metrics or gfpup score), or a sweep's with several of them in it.

{flags}
  --json, --csv, --markdown, --latex   print in this form (default: text)

  gfpup compare out/gfpgan out/codeformer
  gfpup compare out/ --baseline backend=identity
  gfpup compare out/ --markdown --output comparison.md
  gfpup compare out/ --by face_px,pose
""",
)
PARSER.add_argument("runs", nargs="+", type=Path)
PARSER.add("--baseline NAME", "compare the others with this run, by the name in the table or its folder (default: the first)")
PARSER.resampling()
PARSER.add("--by FACTS", "also compare within slices of the photos by these: face_px,pose,blur, or columns of --columns")
PARSER.add("--columns FILE", "CSV file with more facts; its first column names the photos", type=Path)
PARSER.add(
    "--published NAME",
    "add the numbers published under this protocol, or for this test set (celeba-test); your photos must be that set",
)
PARSER.add("--output FILE", "also write it to FILE, in the form asked for or that of .json, .csv, .md, .tex", type=Path)
_FORMS = PARSER.add_mutually_exclusive_group()
for _form in ("json", "csv", "markdown", "latex"):
    _FORMS.add_argument(f"--{_form}", action="store_const", dest="form", const=_form)
HELP = PARSER.help_text
_BY_EXTENSION = {".json": "json", ".csv": "csv", ".md": "markdown", ".tex": "latex"}


def run(words: Sequence[str]) -> int:
    """`gfpup compare`: returns 0."""
    request = PARSER.read(words)
    from gfpup.analysis.compare import compare
    from gfpup.analysis.render import FORMATS
    from gfpup.records.run_record import chosen, read_scored

    runs = read_scored(request.runs)
    baseline = chosen(runs, request.baseline)
    facts, notes = _facts(runs, request)
    comparison = compare(runs, baseline=baseline, confidence=request.confidence, seed=request.seed, by=facts)
    comparison = replace(comparison, notes=(*comparison.notes, *notes))
    protocol = None if request.published is None else _check_published(request.published, comparison)
    print(FORMATS[request.form or "text"](comparison, protocol=protocol), end="")
    if request.output is not None:
        from gfpup.core.files import printable, write_atomic

        form = request.form or _BY_EXTENSION.get(request.output.suffix.lower(), "text")
        write_atomic(request.output, printable(FORMATS[form](comparison, protocol=protocol)).encode())
        print(f"gfpup: written to {request.output}", file=sys.stderr)
    return 0


def _facts(runs: Sequence[RunRecord], request: argparse.Namespace) -> tuple[Facts, list[str]]:
    """The facts that photos are to be sliced by, and what has to be said about them."""
    if request.by is None:
        if request.columns is not None:
            raise GfpupError("--columns has no effect without --by: name the columns to slice by, such as --by age.")
        return {}, []
    from gfpup.analysis.photo_facts import read_facts

    names = [name.strip() for name in request.by.split(",") if name.strip()]
    return read_facts(runs, names, request.columns)


def _check_published(given: str, comparison: Comparison) -> str:
    """The protocol that was meant; a GfpupError where the photos cannot be its test set."""
    from gfpup.analysis import published
    from gfpup.photos.pairs import TEST_SETS

    protocol = published.protocol_of(given)
    if protocol not in published.MEASURED_AS:
        known = ", ".join(published.MEASURED_AS)
        raise GfpupError(f"invalid value {given!r} for --published: expected a protocol that can be measured here: {known}.")
    dataset = next(row.dataset.lower() for row in published.rows() if row.protocol == protocol)
    count = TEST_SETS[dataset].photos
    if comparison.photos != count:
        raise GfpupError(
            f"the numbers of {protocol} are of {count} photos and the runs share {comparison.photos}: leave out --published."
        )
    return protocol
