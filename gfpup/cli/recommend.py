"""`gfpup recommend`: which method to take, by the guide or by one's own runs, as a command that runs."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gfpup.cli.parser import Parser
from gfpup.core.errors import GfpupError

if TYPE_CHECKING:
    from gfpup.analysis.recommend.guide import Advice, Hardware, Question
    from gfpup.machine.hardware import Machine

PARSER = Parser(
    "gfpup recommend",
    text="""\
usage: gfpup recommend [--use-case WHICH] [--priority WHICH] [flags]

Recommend a method: the command on stdout, ready to run, and the reasons on stderr.

By default the guide decides: its flow, the licence, and what the machine can hold. With --measured or --experiment your own
runs do: what lies inside the intervals is no difference, and of runs that are as good the faster one is taken. Where the
measurements and the guide disagree, the reasons say so.

{flags}

  gfpup recommend --use-case professional --priority quality
  gfpup recommend --priority speed --vram 6 --json
  gfpup recommend --priority quality --measured out/
""",
)
_WHICH = "personal|professional|batch|archive: decides where no priority is given, and adds what it needs"
_METRIC = "take this metric for quality (default: the first of the guide's list that all runs have)"
PARSER.add("--use-case WHICH", _WHICH)
PARSER.add("--priority WHICH", "quality|speed|natural|general: what matters most")
PARSER.number("--vram X", "advise for a GPU of X GB, 0 for none (default: this machine, probed)", 0, 9999, whole=False)
PARSER.add("--input PATH", "put this into the command (default: photos/)", default="photos/")
PARSER.add("--output DIR", "and this (default: out/)", default="out/")
PARSER.add("--json", "print command, reasons, warnings, alternatives and measurements as JSON")
PARSER.add(
    "--measured RUN", "finished, scored runs, or a sweep's folder; repeat for more", type=Path, nargs="+", action="extend"
)
PARSER.add("--experiment NAME", "the last sweep of this MLflow experiment, or all its runs")
PARSER.add("--tracking-uri URI", "the experiment's store: a folder, sqlite:///FILE, or a server (default: mlruns/)")
PARSER.add("--metric NAME", _METRIC)
PARSER.resampling()
HELP = PARSER.help_text


def run(words: Sequence[str]) -> int:
    """`gfpup recommend`: returns 0."""
    request = _parse(words)
    from gfpup.analysis.recommend.guide import Hardware, Question, hardware_of
    from gfpup.machine.hardware import probe

    question = Question(request.use_case, request.priority, input=request.input, output=request.output)
    machine = probe() if request.vram is None else None
    hardware = hardware_of(machine) if machine is not None else Hardware(request.vram, request.vram)
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
        options = {name: getattr(request, name) for name in ("metric", "confidence", "seed")}
        return from_runs(folders, question, hardware, machine=machine, **options)


def _lines(advice: Advice) -> list[str]:
    """Reasons, measurements, warnings and alternatives, a line each."""
    lines = [f"because {reason}" if i == 0 else f"    and {reason}" for i, reason in enumerate(advice.reasons)]
    lines += _table(advice.table) if advice.table else []
    lines += [f"warning: {warning}" for warning in advice.warnings]
    return [*lines, *(f"or {other.method} ({other.why}): {shlex.join(other.command)}" for other in advice.alternatives)]


def _table(measured: Sequence[Mapping[str, Any]]) -> list[str]:
    from gfpup.analysis.render import aligned

    rows = [["run", measured[0]["metric"], "interval", "s a photo", "front", "commercial", "verdict"]]
    for row in measured:
        low_high = "" if row["interval"] is None else "{:.4g} to {:.4g}".format(*row["interval"])
        took = "" if row["seconds"] is None else f"{row['seconds']:.3g}"
        said = "left out" if row["refused"] else row["verdict"]
        front = "yes" if row["on_front"] else "no"
        rows.append([row["run"], f"{row['mean']:.4g}", low_high, took, front, row["commercial_use"], said])
    return aligned(rows).splitlines()


def _parse(words: Sequence[str]) -> argparse.Namespace:
    request = PARSER.read(words)
    measured = request.measured is not None or request.experiment is not None
    if request.measured is not None and request.experiment is not None:
        raise GfpupError("--measured and --experiment exclude each other; give one of them.")
    if request.tracking_uri is not None and request.experiment is None:
        raise GfpupError("--tracking-uri names the store of an --experiment; give its name too.")
    if request.metric is not None and not measured:
        raise GfpupError("--metric chooses among measurements; give --measured or --experiment too.")
    return request
