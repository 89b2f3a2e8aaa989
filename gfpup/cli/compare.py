"""`gfpup compare`: finished runs side by side, with what may be said of their differences."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gfpup.cli.parser import Parser
from gfpup.core.errors import GfpupError

if TYPE_CHECKING:
    from gfpup.analysis.compare import Comparison

HELP = """\
usage: gfpup compare RUN RUN [RUN ...] [flags]

Compare scored runs photo by photo: by each metric the mean and its bootstrap interval (photos are resampled, not faces), the
difference to the baseline with its interval and a sign-flip p-value corrected for the number of comparisons, the share of
photos won, the ranking, and the Pareto front of quality against seconds. Only photos that all runs share are compared.

RUN is a folder with scores.csv (from gfpup run --metrics or gfpup score), or a sweep's with several of them in it.

  --baseline NAME     hold the others against this run, by the name in the table or its folder (default: the first)
  --confidence X      level of the intervals, between 0 and 1 (default: 0.95)
  --seed N            draw the resamples from this number (default: 0)
  --published NAME    put the published numbers of this protocol beside; your photos must be its test set
  --json, --csv, --markdown, --latex   print in this form (default: text)
  --output FILE       also write it to FILE, in the form asked for or that of .json, .csv, .md, .tex

  gfpup compare out/gfpgan out/codeformer
  gfpup compare out/ --baseline backend=identity
  gfpup compare out/ --markdown --output comparison.md
"""
_BY_EXTENSION = {".json": "json", ".csv": "csv", ".md": "markdown", ".tex": "latex"}


def run(words: Sequence[str]) -> int:
    """`gfpup compare`: returns 0."""
    if not words or {"-h", "--help"} & set(words):
        print(HELP, end="")
        return 0
    request = _parse(words)
    from gfpup.analysis.compare import compare
    from gfpup.records.run_record import chosen, read_scored

    runs = read_scored(request.runs)
    baseline = chosen(runs, request.baseline)
    comparison = compare(runs, baseline=baseline, confidence=request.confidence, seed=request.seed)
    if request.published is not None:
        _check_published(request.published, comparison)
    asked = request.form
    print(_rendered(comparison, asked or "text", request.published), end="")
    if request.output is not None:
        from gfpup.core.files import printable, write_atomic

        form = asked or _BY_EXTENSION.get(request.output.suffix.lower(), "text")
        write_atomic(request.output, printable(_rendered(comparison, form, request.published)).encode())
        print(f"gfpup: written to {request.output}", file=sys.stderr)
    return 0


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser("gfpup compare")
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--baseline")
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--published")
    parser.add_argument("--output", type=Path)
    forms = parser.add_mutually_exclusive_group()
    for form in ("json", "csv", "markdown", "latex"):
        forms.add_argument(f"--{form}", action="store_const", dest="form", const=form)
    request = parser.parse_intermixed_args(list(words))
    if not 0 < request.confidence < 1:
        raise GfpupError(f"--confidence {request.confidence:g} is no level: give a number between 0 and 1, such as 0.95.")
    if request.seed < 0:
        raise GfpupError(f"--seed {request.seed} is below 0: give 0 or more.")
    return request


def _check_published(protocol: str, comparison: Comparison) -> None:
    """Refuse to put published numbers beside photos that cannot be their test set."""
    from gfpup.analysis import published
    from gfpup.photos.pairs import TEST_SETS

    if protocol not in published.MEASURED_AS:
        known = ", ".join(published.MEASURED_AS)
        raise GfpupError(
            f"no published numbers of protocol {protocol!r} can stand beside measured ones: choose one of {known}."
        )
    dataset = next(row.dataset.lower() for row in published.rows() if row.protocol == protocol)
    count = TEST_SETS[dataset].photos
    if comparison.photos != count:
        raise GfpupError(
            f"the numbers of {protocol} are of {count} photos and the runs share {comparison.photos}: leave out --published."
        )


def _rendered(comparison: Comparison, form: str, protocol: str | None) -> str:
    from gfpup.analysis import render

    if form == "json":
        return render.as_json(comparison, protocol=protocol)
    if form == "markdown":
        return render.as_markdown(comparison, protocol=protocol)
    if form == "text":
        return render.as_text(comparison, protocol=protocol)
    return render.FORMATS[form](comparison)
