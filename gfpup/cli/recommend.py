"""`gfpup recommend`: which method to take, by the guide or by one's own runs, as a command that runs."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gfpup.cli.parser import Parser
from gfpup.core.errors import GfpupError

if TYPE_CHECKING:
    from gfpup.analysis.recommend.guide import Advice, Hardware, Question
    from gfpup.machine.hardware import Machine

HELP = """\
usage: gfpup recommend [--use-case WHICH] [--priority WHICH] [flags]

Recommend a method: the command on stdout, ready to run, and the reasons on stderr.

  --use-case WHICH     personal|professional|batch|archive: decides where no priority is given, and adds what it needs
  --priority WHICH     quality|speed|natural|general: what matters most
  --vram X             advise for a GPU of X GB, 0 for none (default: this machine, probed)
  --input PATH         put this into the command (default: photos/)
  --output DIR         and this (default: out/)
  --json               print command, reasons, warnings, alternatives and measurements as JSON

By default the guide decides: its flow, the licence, and what the machine can hold. Your own runs decide with:

  --measured RUN       finished, scored runs, or a sweep's folder; repeat for more
  --experiment NAME    the last sweep of this MLflow experiment, or all its runs
  --tracking-uri URI   the experiment's store: a folder, sqlite:///FILE, or a server (default: mlruns/)
  --metric NAME        take this metric for quality (default: the first of the guide's list that all runs have)
  --confidence X       level of the intervals, between 0 and 1 (default: 0.95)
  --seed N             draw the resamples from this number (default: 0)

What lies inside the intervals is no difference: of runs that are as good the faster one is taken.
Where the measurements and the guide disagree, the reasons say so.

  gfpup recommend --use-case professional --priority quality
  gfpup recommend --priority speed --vram 6 --json
  gfpup recommend --priority quality --measured out/
"""


def run(words: Sequence[str]) -> int:
    """`gfpup recommend`: returns 0."""
    if {"-h", "--help"} & set(words):
        print(HELP, end="")
        return 0
    request = _parse(words)
    from gfpup.analysis.recommend.guide import Question, check

    question = Question(request.use_case, request.priority, input=request.input, output=request.output)
    check(question)
    hardware, machine = _hardware(request.vram)
    advice = _advice(request, question, hardware, machine)
    command = shlex.join(advice.command)
    if request.json:
        others = [{**asdict(other), "command": shlex.join(other.command)} for other in advice.alternatives]
        facts = {**asdict(advice), "command": command, "alternatives": others, "hardware": asdict(hardware)}
        print(json.dumps(facts, indent=1))
        return 0
    for line in _lines(advice):
        print(line, file=sys.stderr)
    print(command, flush=True)
    return 0


def _advice(request: argparse.Namespace, question: Question, hardware: Hardware, machine: Machine | None) -> Advice:
    from gfpup.analysis.recommend.guide import recommend

    if request.measured is None and request.experiment is None:
        return recommend(question, hardware)
    from gfpup.analysis.recommend.candidates import fetch
    from gfpup.analysis.recommend.measured import from_runs

    with ExitStack() as stack:
        if request.experiment is not None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            folders = fetch(request.experiment, request.tracking_uri, folder)
        else:
            folders = request.measured
        options: dict[str, Any] = {"metric": request.metric, "confidence": request.confidence, "seed": request.seed}
        return from_runs(folders, question, hardware, machine=machine, **options)


def _hardware(vram: float | None) -> tuple[Hardware, Machine | None]:
    """What is advised on: a GPU of `vram` GB, or this machine."""
    from gfpup.analysis.recommend.guide import Hardware, hardware_of

    if vram is not None:
        return Hardware(vram, vram), None
    from gfpup.machine.hardware import probe

    machine = probe()
    return hardware_of(machine), machine


def _lines(advice: Advice) -> list[str]:
    """Reasons, warnings, measurements and alternatives, a line each."""
    lines = [f"because {reason}" if i == 0 else f"    and {reason}" for i, reason in enumerate(advice.reasons)]
    lines += _table(advice)
    lines += [f"warning: {warning}" for warning in advice.warnings]
    lines += [f"or {other.method} ({other.why}): {shlex.join(other.command)}" for other in advice.alternatives]
    return lines


def _table(advice: Advice) -> list[str]:
    if not advice.table:
        return []
    head = ["run", advice.table[0]["metric"], "interval", "s a photo", "front", "commercial", "verdict"]
    rows = [head]
    for row in advice.table:
        low_high = "" if row["interval"] is None else "{:.4g} to {:.4g}".format(*row["interval"])
        front = "yes" if row["on_front"] else "no"
        said = "left out" if row["refused"] else row["verdict"]
        took = "" if row["seconds"] is None else f"{row['seconds']:.3g}"
        rows.append([row["run"], f"{row['mean']:.4g}", low_high, took, front, row["commercial_use"], said])
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser("gfpup recommend")
    parser.add_argument("--use-case")
    parser.add_argument("--priority")
    parser.add_argument("--vram", type=float)
    parser.add_argument("--input", default="photos/")
    parser.add_argument("--output", default="out/")
    parser.add_argument("--measured", type=Path, nargs="+", action="extend")
    parser.add_argument("--experiment")
    parser.add_argument("--tracking-uri")
    parser.add_argument("--metric")
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    request = parser.parse_args(list(words))
    if request.vram is not None and not 0 <= request.vram < 10_000:
        raise GfpupError(f"--vram {request.vram:g} is no size of a GPU's memory: give GB, 0 for no GPU.")
    if not 0 < request.confidence < 1:
        raise GfpupError(f"--confidence {request.confidence:g} is no level: give a number between 0 and 1, such as 0.95.")
    if request.seed < 0:
        raise GfpupError(f"--seed {request.seed} is below 0: give 0 or more.")
    if request.measured is not None and request.experiment is not None:
        raise GfpupError("--measured and --experiment exclude each other; give one of them.")
    if request.tracking_uri is not None and request.experiment is None:
        raise GfpupError("--tracking-uri names the store of an --experiment; give its name too.")
    if request.metric is not None and request.measured is None and request.experiment is None:
        raise GfpupError("--metric chooses among measurements; give --measured or --experiment too.")
    return request
