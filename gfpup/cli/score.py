"""`gfpup score`: measure a finished run, or any folder of results, without restoring again."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gfpup.cli.parser import Parser
from gfpup.core.errors import GfpupError
from gfpup.core.files import one_line

if TYPE_CHECKING:
    from gfpup.evaluation.metrics.statistics import Statistics
    from gfpup.evaluation.scorer import Scorer
    from gfpup.records.items import Item
    from gfpup.records.rescore import Result
    from gfpup.weights.resolver import Resolver

PARSER = Parser(
    "gfpup score",
    text="""\
usage: gfpup score RUN [RUN ...] [--metrics WHICH] [flags]
       gfpup score --restored DIR [--reference DIR] [--input DIR] [--metrics WHICH] --output OUT
       gfpup score --protocol ntire-2026 --restored DIR --input DIR --landmarks CSV --output OUT

Measure finished runs, or any folder of results, without restoring again. Writes scores.csv (photo, face, metric, value,
higher_is_better, missing_reason, taken_from, protocol) and scores.json (means, and what computed them) into each run, or into
OUT.

RUN is the --output folder of gfpup run, or a sweep's with several runs in it. Inputs and faces come from its record.

{flags}

Names match without their extensions, sub-folders included. Without references, metrics that need one are taken against the
input and called psnr_to_input and so on: a good value then means that little was changed. Metrics scored now replace their
earlier lines, the others stay. A folder has no record of faces: a picture of 512x512 pixels is taken for one aligned face.
--protocol gives a challenge's score and says whether its gate of identity is passed. Without --qalign the score has five terms
and a name of its own, ntire_2026_five_terms.
Exit status: 0 all photos were scored, 1 some were not, for lack of a result or a partner (each is named), 2 refused.

  gfpup score out/ --metrics psnr,ssim
  gfpup score out/ --reference references/ --metrics full
  gfpup score --restored results/ --input photos/ --metrics psnr,ssim --output scores/
""",
)
PARSER.add_argument("runs", nargs="*", type=Path)
PARSER.add("--metrics WHICH", "fast|full or a list such as psnr,ssim,lpips (default: fast)", action="append")
PARSER.add("--restored DIR", "measure the pictures of this folder, whatever made them", type=Path)
PARSER.add("--reference DIR", "compare with the references of the same names (default: those the run had)", type=Path)
PARSER.add("--input DIR", "compare with the degraded photos of the same names (default: those the run had)", type=Path)
PARSER.add("--posterior-mean DIR", "the predictions that indrmse compares with, by the same names", type=Path)
PARSER.add("--stats FILE", "measure against these statistics in place of references; repeat for more", action="append")
PARSER.one_of("--protocol NAME", "judge by the rules of ntire-2025|ntire-2026", ("ntire-2025", "ntire-2026"))
PARSER.add("--landmarks CSV", "the organisers' landmarks of a challenge (test_face.csv, test_2026_face.csv)", type=Path)
PARSER.add("--qalign CSV", "Q-Align of each result, as the organisers' eval.py writes it: the sixth term", type=Path)
PARSER.add("--output OUT", "write here (default: into the run; of several runs one folder each)", type=Path)
PARSER.add("--require-metrics", "refuse to begin where a metric cannot be computed")
PARSER.add("--device NAME", "compute on auto|cpu|cuda|cuda:N|mps (default: auto)", default="auto")
PARSER.weights()
PARSER.add("--no-download", "use only checkpoints that are there")
PARSER.add("--json", "print the summary as JSON")
PARSER.add("--quiet", "print errors only")
HELP = PARSER.help_text
_NAMED = 20


def run(words: Sequence[str]) -> int:
    """`gfpup score`: returns 0, or 1 where a photo could not be scored."""
    request = _parse(words)
    if request.protocol is not None:
        from gfpup.cli import challenge

        return challenge.run(request, _load)
    metrics = _metrics(request.metrics)
    statistics = _statistics(request.stats or (), metrics)
    jobs = _jobs(request)
    scorer, resolver = _load(request, metrics, statistics)
    from rich.console import Console
    from rich.progress import Progress

    from gfpup.records.rescore import score_items, write_scores

    if not request.quiet:
        for warning in resolver.warnings:
            print(f"gfpup: {one_line(warning)}", file=sys.stderr)
    facts, hidden = [], request.quiet or request.json or not sys.stderr.isatty()
    for folder, target, items, said in jobs:
        with Progress(console=Console(stderr=True), disable=hidden, transient=True) as bar:
            result = score_items(bar.track(items, description="scoring"), scorer, memory="peak_memory" in metrics)
        elsewhere = target.resolve() != folder.resolve()
        origin = {"restored": folder if elsewhere else None, "reference": request.reference, "input": request.input}
        summary = write_scores(target, result, resolver=resolver, origin=origin, statistics=statistics)
        facts.append(_facts(folder, target, result, summary, said))
        if not request.json:
            _report(facts[-1], quiet=request.quiet)
    if request.json:
        print(json.dumps({"runs": facts}, indent=1))
    return 1 if any(fact["unscored"] for fact in facts) else 0


def _parse(words: Sequence[str]) -> argparse.Namespace:
    request = PARSER.read(words)
    if bool(request.runs) == (request.restored is not None):
        raise GfpupError("gfpup score takes either runs or --restored DIR: name one of the two.")
    if request.restored is not None and request.output is None:
        raise GfpupError("the scores of --restored need a folder to write to: give it with --output.")
    return request


def _metrics(given: Sequence[str] | None) -> tuple[str, ...]:
    from gfpup.evaluation.metrics import GALLERY, expand

    names = expand(name for part in given or ("fast",) for name in part.split(",") if name)
    if not names:
        raise GfpupError(f"--metrics {','.join(given or ())} names no metric: give fast, full or a list such as psnr,ssim.")
    if by_person := [name for name in names if name in GALLERY]:
        raise GfpupError(
            f"{by_person[0]} is measured by gfpup run with the photos of --people, not by gfpup score: leave it out."
        )
    return names


def _statistics(paths: Sequence[str], metrics: Sequence[str]) -> dict[str, Statistics]:
    """What --stats names, by the protocol of its features; each must be of a metric that is computed now."""
    if not paths:
        return {}
    from gfpup.evaluation.metrics.statistics import read_statistics
    from gfpup.evaluation.protocols import FEATURES_OF

    found: dict[str, Statistics] = {}
    for path in map(Path, paths):
        statistics = read_statistics(path)
        takes = [metric for metric, features in FEATURES_OF.items() if features == statistics.protocol]
        if not set(takes) & set(metrics):
            needed = " or ".join(takes) or "none"
            raise GfpupError(f"{path} holds features of {statistics.protocol}, for the metric {needed}: add it to --metrics.")
        if statistics.protocol in found:
            raise GfpupError(f"two files of --stats hold features of {statistics.protocol}: give one of them.")
        found[statistics.protocol] = statistics
    return found


def _jobs(request: argparse.Namespace) -> list[tuple[Path, Path, list[Item], list[str]]]:
    """What is to be scored, all of it found before a metric is loaded: folder, where to write, photos, what to say."""
    from gfpup.records.items import items_of_folder, items_of_run
    from gfpup.records.layout import DOCUMENT
    from gfpup.records.rescore import check_target
    from gfpup.records.run_record import read_runs

    given = {"reference": request.reference, "degraded": request.input, "posterior_mean": request.posterior_mean}
    if request.restored is not None and not (request.restored / DOCUMENT).is_file():
        check_target(request.output, request.restored)
        return [(request.restored, request.output, *items_of_folder(request.restored, **given))]
    records = read_runs(*(request.runs or [request.restored]))
    folders = [record.folder for record in records]
    targets = folders if request.output is None else _targets(request.output, folders)
    for folder, target in zip(folders, targets, strict=True):
        check_target(target, folder)
    return [(record.folder, target, *items_of_run(record, **given)) for record, target in zip(records, targets, strict=True)]


def _targets(output: Path, folders: Sequence[Path]) -> list[Path]:
    """Where the scores of each folder go below `output`: right there for one, else under the folder's name."""
    if len(folders) == 1:
        return [output]
    names = [folder.resolve().name for folder in folders]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise GfpupError(f"two of the runs are called {twice}: leave out --output, or score each into its own.")
    return [output / name for name in names]


def _load(
    request: argparse.Namespace, metrics: Sequence[str], statistics: Mapping[str, Statistics] | None = None
) -> tuple[Scorer, Resolver]:
    from gfpup.evaluation.scorer import require
    from gfpup.machine import hardware
    from gfpup.records.rescore import load_metrics
    from gfpup.running.console import Downloads
    from gfpup.weights.resolver import Resolver, open_store

    store = open_store(
        request.weights_dir,
        accept=request.accept_licence,
        offline=request.no_download,
        trust_first_download=request.trust_first_download,
    )
    device = str(hardware.choose_device(request.device, hardware.probe()).value)
    with Downloads(quiet=request.quiet or request.json) as downloads:
        resolver = Resolver(store, accepted=request.accept_licence, progress=downloads)
        scorer = load_metrics(metrics, resolver, device=device, statistics=statistics)
    if request.require_metrics:
        require(scorer)
    return scorer, resolver


def _facts(folder: Path, target: Path, result: Result, summary: Mapping[str, Any], said: Sequence[str]) -> dict[str, Any]:
    now = {row.metric for row in result.rows}
    return {
        "run": str(folder),
        "table": str(target / "scores.csv"),
        "photos": result.photos,
        "scored": result.photos - len(result.unscored),
        "unscored": [{"photo": photo, "reason": reason} for photo, reason in result.unscored.items()],
        "scores": [row for row in summary["scores"] if row["metric"] in now],
        "notes": [*said, *(f"{note} ({count} photos)" for note, count in result.said.items())],
    }


def _report(fact: Mapping[str, Any], *, quiet: bool) -> None:
    for unscored in fact["unscored"][:_NAMED]:
        print(one_line(f"gfpup: {unscored['photo']} was not scored: {unscored['reason']}."), file=sys.stderr)
    if len(fact["unscored"]) > _NAMED:
        print(f"gfpup: and {len(fact['unscored']) - _NAMED} more: see {fact['table']}.", file=sys.stderr)
    if quiet:
        return
    for note in fact["notes"]:
        print(f"gfpup: {note}.", file=sys.stderr)
    _print_table(fact)


def _print_table(fact: Mapping[str, Any]) -> None:
    from gfpup.analysis.render import missing
    from gfpup.running.console import score_table, screen

    print(one_line(f"{fact['run']}: {fact['scored']} of {fact['photos']} photos scored, in {fact['table']}"))
    screen().print(score_table([row for row in fact["scores"] if row["n"] or row["infinite"]]))
    for line in missing(fact["scores"]):
        print(one_line(line))
