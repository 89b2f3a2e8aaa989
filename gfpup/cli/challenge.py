"""`gfpup score --protocol ntire-2026`: judge results by the rules of a challenge."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gfpup.core.errors import GfpupError
from gfpup.core.files import one_line

if TYPE_CHECKING:
    from gfpup.evaluation.scorer import Scorer
    from gfpup.weights.resolver import Resolver

Load = Callable[[argparse.Namespace, Sequence[str]], tuple["Scorer", "Resolver"]]


def run(request: argparse.Namespace, load: Load) -> int:
    """Judge `--restored`: returns 0, or 1 where the score cannot be given or the gate is not passed."""
    _check(request)
    from rich.console import Console
    from rich.progress import Progress

    from gfpup.evaluation.ntire import CHALLENGES
    from gfpup.records import challenge

    entries = challenge.find_entries(request.restored, request.input, request.landmarks)
    qalign = None if request.qalign is None else challenge.read_qalign(request.qalign)
    scorer, resolver = load(request, challenge.METRICS)
    hidden = request.quiet or request.json or not sys.stderr.isatty()
    with Progress(console=Console(stderr=True), disable=hidden, transient=True) as bar:
        faces, scores = challenge.measure(bar.track(entries, description="judging"), scorer, qalign=qalign)
    rules = CHALLENGES[request.protocol]
    verdict, of_set = challenge.judge_scores(rules, faces, scorer, qalign=qalign is not None)
    origin = {"restored": request.restored, "input": request.input, "landmarks": request.landmarks}
    told = challenge.write_judgement(request.output, verdict, scores + of_set, resolver=resolver, origin=origin)
    if request.json:
        print(json.dumps(told | {"table": str(request.output / "scores.csv")}, indent=1))
    else:
        _print(told, request)
        for metric, reason in scorer.missing.items():
            print(one_line(f"gfpup: {metric}: {reason}"), file=sys.stderr)
    return 0 if verdict.total is not None and verdict.passed else 1


def _check(request: argparse.Namespace) -> None:
    needed = {"--restored DIR": request.restored, "--input DIR": request.input, "--landmarks CSV": request.landmarks}
    absent = [flag for flag, value in needed.items() if value is None]
    if absent:
        raise GfpupError(f"--protocol {request.protocol} needs {', '.join(absent)}: the challenge compares results with inputs")
    if request.metrics or request.reference or request.stats or request.posterior_mean:
        raise GfpupError(f"--protocol {request.protocol} fixes the metrics: leave out --metrics, --reference and --stats")


def _print(told: Mapping[str, Any], request: argparse.Namespace) -> None:
    from gfpup.cli.table import print_table

    terms = told["terms"]
    cells = [(name, f"{mean:.4f}", f"{terms[name]:.4f}") for name, mean in told["means"].items()]
    print_table(("metric", "weighted mean#", "term#"), cells, title=f"{request.protocol}: {request.restored}")
    total = "not given" if told["total"] is None else f"{told['total']:.4f}"
    print(f"{told['metric']}: {total}")
    for lack in told["lacks"]:
        print(one_line(f"  {lack}"))
    gate = {True: "passed", False: "failed", None: "open, because faces are missing"}[told["passed"]]
    print(f"identity: {gate}; {len(told['fallen'])} faces lie below their set's threshold, {told['allowed']} may")
    for face in told["fallen"]:
        print(one_line(f"  {face['photo']} ({face['set']}): {face['identity']:.3f}, below {face['threshold']:g}"))
