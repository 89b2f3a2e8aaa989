"""`gfpup vote`: a page that asks people which method is better, and what their votes say."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from gfpup.cli.parser import Parser
from gfpup.core.errors import GfpupError
from gfpup.core.registry import unknown

FORMS = ("text", "markdown", "latex", "csv", "json")
ASKED = ("better", "same-person")
PARSER = Parser(
    "gfpup vote",
    text="""\
usage: gfpup vote RUN RUN [RUN ...] --output DIR [flags]
       gfpup vote --collect FILE [FILE ...] --trial DIR [flags]

Write one HTML file that asks people which of two pictures is better, without saying which method made them. It works from the
file, without a network, also on a phone; each rater sends back one CSV. Then count the votes: strengths of the methods with
intervals, wins, how consistent each rater is, and how often each metric agrees with people.

RUN is the --output folder of gfpup run, gfpup sweep or gfpup score, or any folder of pictures of the same names. Send vote.html
to the raters, and keep trial.json: it says which picture is of which method.

{flags}

Counted votes are written to votes.csv and votes.json in the trial's folder. For gfpup compare, gfpup report and gfpup track
they become scores of the runs: people_better and people_same_person.

  gfpup vote out/gfpgan out/codeformer --output trial/
  gfpup vote sweep/ other-tool/ --input photos/ --show photos --pairs 40 --output trial/
  gfpup vote --collect votes/*.csv --trial trial/
""",
)
PARSER.add_argument("runs", nargs="*", type=Path)
PARSER.section("make a trial")
PARSER.add("--output DIR", "write vote.html and trial.json into this folder", type=Path)
PARSER.add(
    "--questions LIST", f"ask these, comma-separated, one after the other (default: {','.join(ASKED)})", default=",".join(ASKED)
)
PARSER.one_of("--show WHAT", "faces, cut alike, or whole photos (default: faces where a record has them)", ("faces", "photos"))
PARSER.number("--pairs N", "compare at most N pairs of pictures a question (default: 30)", 1, default=30)
PARSER.number("--repeats N", "ask N of them again, sides swapped (default: one in eight, 3 at least)", 0)
PARSER.number("--crop-px N", "longer side of the pictures, in px (default: 448)", 64, 2048, default=448)
PARSER.number("--quality N", "quality of the pictures as WebP (default: 85)", 1, 100, default=85)
PARSER.add("--input DIR", "degraded photos of folders that have no record of them", type=Path)
PARSER.section("count votes")
PARSER.add("--collect FILE", "files that raters sent back; several may follow", type=Path, nargs="+", default=[])
PARSER.add("--trial DIR", "folder of their trial", type=Path)
PARSER.one_of("--format NAME", f"print as {', '.join(FORMS)} (default: text)", FORMS, default="text")
PARSER.resampling()
HELP = PARSER.help_text


def run(words: Sequence[str]) -> int:
    """`gfpup vote`: returns 0."""
    request = PARSER.read(words)
    if request.collect or request.trial is not None:
        return _collect(request)
    if request.output is None:
        raise GfpupError("a trial needs a folder: give --output DIR, or count votes with --collect FILE --trial DIR")
    return _make(request)


def _make(request: argparse.Namespace) -> int:
    from gfpup.analysis.vote import QUESTIONS, make_trial

    questions = list(dict.fromkeys(request.questions.split(",")))
    for question in questions:
        if question not in QUESTIONS:
            raise GfpupError(unknown("--questions", question, tuple(QUESTIONS)))
    trial = make_trial(
        request.runs,
        request.output,
        questions=questions,
        show=request.show,
        pairs=request.pairs,
        repeats=request.repeats,
        crop_px=request.crop_px,
        quality=request.quality,
        degraded=request.input,
        seed=request.seed,
    )
    pairs, again = len(trial.counted), len(trial.items) - len(trial.counted)
    asked = f"{len(questions)} question{'s' * (len(questions) != 1)}"
    size = f"{trial.bytes / 1e6:.2g} MB"
    said = f"{pairs} pairs of {trial.show} and {again} repeated, {asked}, {len(trial.methods)} methods: {size}"
    print(f"gfpup: {said}; send the page to raters, and keep trial.json", file=sys.stderr)
    print(request.output / "vote.html")
    return 0


def _collect(request: argparse.Namespace) -> int:
    if not request.collect or request.trial is None or request.runs:
        raise GfpupError("counting votes needs files and their trial, and nothing else: gfpup vote --collect FILE --trial DIR")
    from gfpup.analysis.vote import collect
    from gfpup.analysis.vote.tables import FORMATS

    result = collect(request.collect, request.trial, confidence=request.confidence, seed=request.seed)
    print(FORMATS[request.format](result), end="")
    print(f"gfpup: written to {request.trial / 'votes.csv'} and {request.trial / 'votes.json'}", file=sys.stderr)
    if result.scored:
        names = ", ".join(result.scored)
        print(f"gfpup: gfpup compare and report now show people's strengths, gfpup track logs them: {names}", file=sys.stderr)
    return 0
