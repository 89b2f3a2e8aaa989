"""Decide from finished runs: their scores with intervals, their seconds, their licences, and the memory of this machine.

A difference that the comparison cannot show is no difference: among runs that are as good, the faster one is taken.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from gfpup.analysis.compare import Comparison, compare, verdict
from gfpup.analysis.recommend import guide
from gfpup.analysis.recommend.candidates import SECONDS, Candidate, machine_of, timed
from gfpup.analysis.recommend.guide import Advice, Alternative, Hardware, Question, title
from gfpup.analysis.shared import Key, named
from gfpup.analysis.statistics import FEWEST_FOR_CLAIM
from gfpup.core.errors import GfpupError
from gfpup.evaluation.metrics import TO_INPUT
from gfpup.machine.hardware import Machine
from gfpup.models import backends
from gfpup.records.run_record import RunRecord, read_record, read_scored

NOT_METHODS: Final = ("identity", "precomputed")
"""What a comparison holds the others against; it is never the advice."""


@dataclass(frozen=True, eq=False)
class _Measured:
    """The runs with the scores that decide: `key` is the metric for quality, the other one is seconds."""

    candidates: Mapping[str, Candidate]
    runs: Sequence[RunRecord]
    key: Key
    confidence: float
    seed: int

    def against(self, baseline: str | None) -> Comparison:
        return compare(self.runs, baseline=baseline, confidence=self.confidence, seed=self.seed)

    def named(self, **facts: str | None) -> list[str]:
        """The runs whose candidates have these facts."""
        return [name for name, each in self.candidates.items() if all(getattr(each, k) == v for k, v in facts.items())]

    def numbers(self, against: Comparison, name: str) -> str:
        """The seconds and the quality of a run, in words."""
        times = against.by_run(SECONDS).get(name)
        took = "time not known" if times is None else f"{times.mean:.3g} s a photo"
        return f"{took}, {self.key[0]} {against.by_run(self.key)[name].mean:.4g}"


def from_runs(
    folders: Sequence[Path],
    question: Question,
    hardware: Hardware,
    *,
    machine: Machine | None = None,
    metric: str | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Advice:
    """Decide by finished runs in `folders`, each with its manifest and its scores; `metric` is the quality that decides.

    `machine` is this one where it was probed: runs of another are then named. The same runs and seed give the same advice.

    Raises: GfpupError: fewer than two runs, no metric or photo that all share, or none of them may be or can be run.
    """
    priority, commercial = question.deciding, bool(question.facts["commercial"])
    measured = _read(folders, priority, metric, confidence=confidence, seed=seed)
    candidates, key = measured.candidates, measured.key
    first = measured.against(next((name for name, each in candidates.items() if each.backend != "precomputed"), None))
    beside_input = _beside_input(measured)
    worse = {name: f"it is shown worse than the input by {key[0]}" for name, said in beside_input.items() if said == "worse"}
    own = {name: why for name, each in candidates.items() if (why := _refusal(each, hardware, commercial=commercial))}
    refused = own | worse | own  # its own reason goes before that of its scores
    eligible = [name for name in first.by_run(key) if name not in refused]
    if not eligible:
        raise GfpupError("none of these runs can be advised: " + "; ".join(f"{name}: {why}" for name, why in refused.items()))
    pick, reasons_of_pick = _pick(measured, first, eligible, priority)
    chosen, against, by_guide = candidates[pick], measured.against(pick), guide.recommend(question, hardware)
    known = chosen.guide_method
    _, where, fits = guide.fit(known, hardware) if known else ("", "whole", "")
    if chosen.peak_gb is not None and chosen.device == "cpu":
        fits = f"its run took {chosen.peak_gb:.2g} GB of memory on a CPU"
    reasons = [_decided_by(key, against, pick), *reasons_of_pick]
    reasons += [f"{name} is left out: {reason}" for name, reason in refused.items()]
    reasons += _beside_the_guide(measured, by_guide.guide, pick, against, priority)
    reasons += [note for note in against.notes if "too few" in note or "left out" in note]
    warnings = [line for name in chosen.uses for line in guide.licence_warnings(name, commercial=commercial)]
    warnings += guide.memory_warnings(known, where, hardware) if known and chosen.peak_gb is None else []
    warnings += _against_input(measured, pick, beside_input.get(pick, "better"), first)
    warnings += _elsewhere(list(candidates.values()), machine)
    ahead = [name for name, line in first.by_run(key).items() if name in eligible and name != pick and line.on_front]
    return Advice(
        method=known or pick,
        backend=chosen.backend,
        command=guide.command(question, chosen.flags, where),
        reasons=tuple([*reasons, fits] if fits else reasons),
        warnings=tuple(dict.fromkeys(warnings)),
        alternatives=tuple(
            Alternative(name, guide.command(question, candidates[name].flags, where), measured.numbers(against, name))
            for name in ahead
        ),
        tier=by_guide.tier,
        guide=by_guide.guide,
        table=tuple(_row(candidates[name], against, key, refused.get(name)) for name in against.runs),
    )


def _read(folders: Sequence[Path], priority: str, metric: str | None, *, confidence: float, seed: int) -> _Measured:
    """The runs in `folders` with their seconds, and the first metric of the guide's list, or `metric`, if all have it."""
    runs = [timed(run if run.document else read_record(run.folder)) for run in read_scored(folders)]
    shared = set.intersection(*({score.key for score in run.scores if score.is_finite} for run in runs)) - {SECONDS}
    wanted = guide.guide()["priorities"][priority]["measured_by"] if metric is None else [metric]
    key = next(((name, level) for name in wanted for level in ("faces", "photo") if (name, level) in shared), None)
    if key is None:
        there = ", ".join(sorted({name for name, level in shared if level != "run"})) or "none"
        what, remedy = f"the runs share no metric that can decide the priority {priority!r}", "give --metric"
        if metric is not None:
            what, remedy = f"not all runs have {metric!r}", "give one of these as --metric"
        command = shlex.join(["gfpup", "score", *(str(run.folder) for run in runs)])
        raise GfpupError(f"{what} (they share {there}); score them alike with {command}, or {remedy}.")
    deciding = [replace(run, scores=tuple(score for score in run.scores if score.key in (key, SECONDS))) for run in runs]
    return _Measured({run.name: Candidate.of(run) for run in runs}, deciding, key, confidence, seed)


def _decided_by(key: Key, against: Comparison, pick: str) -> str:
    n = against.by_run(key)[pick].n
    photos = f"{n} photos that all runs share"
    if n != against.photos:
        photos = f"{n} of {against.photos} photos that have it in all runs"
    return f"decided by {named(*key)} and seconds a photo, on the {photos}"


def _pick(measured: _Measured, first: Comparison, eligible: Sequence[str], priority: str) -> tuple[str, list[str]]:
    """The run to take among `eligible`, and why, with what is no difference to it."""
    key = measured.key
    quality, times = first.by_run(key), {name: line.mean for name, line in first.by_run(SECONDS).items()}
    best_first = sorted(eligible, key=lambda name: (quality[name].rank, times[name]))
    fastest_first = sorted(eligible, key=lambda name: (times[name], quality[name].rank))
    if priority == "general":
        name = _knee(best_first, fastest_first, {name: line.mean for name, line in quality.items()}, times)
        return name, [f"{name} is nearest to the best {key[0]} and the fewest seconds at once, of those that may be taken"]
    by = SECONDS if priority == "speed" else key
    # Among equals by what was asked for, the other one decides.
    start, then = (fastest_first[0], best_first) if priority == "speed" else (best_first[0], fastest_first)
    against = measured.against(start)
    equal = [name for name, line in against.by_run(by).items() if name in eligible and verdict(line) == "no difference shown"]
    name = next(name for name in then if name in (start, *equal))
    if priority == "speed":
        why = f"{start} takes the fewest seconds a photo of those that may be taken, {times[start]:.3g}"
        other = f"better, {quality[name].mean:.4g} by {key[0]}"
    else:
        why = f"{start} has the best {named(*key)} of those that may be taken, {quality[start].mean:.4g}"
        other = f"faster, {times[name]:.3g} s a photo"
    why += f", and {name}, which is not shown to be worse, is {other}" if name != start else ""
    return name, [why, *(f"{name} is no different by {named(*by)}: {_interval(against, name, by)}" for name in equal)]


def _knee(
    best_first: Sequence[str], fastest_first: Sequence[str], quality: Mapping[str, float], times: Mapping[str, float]
) -> str:
    """The run nearest to the corner of the best quality and the fewest seconds, both counted from 0 to 1 among the runs."""
    lost = {name: abs(quality[best_first[0]] - quality[name]) for name in best_first}
    slower = {name: math.log(max(times[name], 1e-6) / max(times[fastest_first[0]], 1e-6)) for name in best_first}
    most_lost, slowest = lost[best_first[-1]] or 1.0, max(slower.values()) or 1.0
    return min(best_first, key=lambda name: math.hypot(lost[name] / most_lost, slower[name] / slowest))


def _refusal(candidate: Candidate, hardware: Hardware, *, commercial: bool) -> str | None:
    """Why a run cannot be the advice: it is no method, its licence forbids the use, or this machine cannot hold it."""
    if candidate.backend in NOT_METHODS:
        return "it is what others are held against"
    closed = [name for name in candidate.uses if name in backends.TABLE and guide.commercial_use(name) == "no"]
    if closed and commercial:
        return f"{closed[0]} is non-commercial, and the use is not"
    room = hardware.ram_gb if candidate.device == "cpu" else hardware.free_gb
    if candidate.peak_gb is not None and room and candidate.peak_gb > room:
        return f"its run took {candidate.peak_gb:.2g} GB and {room:.2g} GB are here"
    return None


def _beside_input(measured: _Measured) -> dict[str, str]:
    """The verdict on each run against `identity`, which changes nothing, where that is among them."""
    unchanged = measured.named(backend="identity")
    if not unchanged or measured.key[0].endswith(TO_INPUT):
        return {}
    lines = measured.against(unchanged[0]).by_run(measured.key)
    return {name: verdict(line) for name, line in lines.items() if name != unchanged[0]}


def _against_input(measured: _Measured, pick: str, said: str, first: Comparison) -> list[str]:
    """What to warn of where the run that is taken is not shown to be better than the input."""
    if said == "better":
        return []
    by, lines = named(*measured.key), first.by_run(measured.key)
    unchanged = lines[measured.named(backend="identity")[0]]
    if lines[pick].rank > unchanged.rank:
        means = f"{lines[pick].mean:.4g} against {unchanged.mean:.4g}"
        return [f"{pick} scores below the unchanged input by {by}: {means} ({said})"]
    return [f"{pick} is not shown to be better than the input by {by} ({said})"]


def _beside_the_guide(measured: _Measured, guides: str, pick: str, against: Comparison, priority: str) -> list[str]:
    """Where measurement and the guide agree, and where they do not, with the numbers."""
    candidates = measured.candidates
    if candidates[pick].guide_method == guides:
        return [f"the guide takes {title(guides)} too"]
    same = measured.named(guide_method=guides)
    if not same:
        flags = " ".join(guide.guide_flags(guides))
        return [f"the guide takes {title(guides)}, which is not among these runs: {flags} adds it"]
    line = against.by_run(SECONDS if priority == "speed" else measured.key)[same[0]]
    shown = {"worse": "which is shown to be worse here", "better": "which is better by that alone"}
    if priority == "speed":
        shown = {"worse": "which is shown to be slower here", "better": "which is faster here, but not better"}
    said = [
        f"the guide takes {title(guides)}, {shown.get(verdict(line), 'and no difference to it is shown here')}: "
        f"{measured.numbers(against, same[0])}; {pick}: {measured.numbers(against, pick)}"
    ]
    sentence = guide.arithmetic(candidates[same[0]].backend, candidates[pick].backend) if priority == "speed" else None
    return [*said, sentence] if sentence else said


def _elsewhere(candidates: Sequence[Candidate], machine: Machine | None) -> list[str]:
    """That seconds were taken on other machines than this one, or on several."""
    said = []
    where = list(dict.fromkeys(machine_of(each.hardware) for each in candidates if each.hardware))
    if len(where) > 1 or len({each.device for each in candidates}) > 1:
        said.append("the runs come from different machines or devices, so their seconds are not comparable")
    if machine is not None and where:
        here = machine_of({"cores": machine.cores, "gpus": [{"name": gpu.name} for gpu in machine.gpus]})
        if here not in where:
            said.append(
                f"the runs were made elsewhere ({'; '.join(where)}), and this machine is {here}: seconds may rank otherwise"
            )
    return said


def _row(candidate: Candidate, against: Comparison, key: Key, refused: str | None) -> dict[str, Any]:
    """What is known of one run, ready for JSON and for a table."""
    line, times = against.by_run(key)[candidate.name], against.by_run(SECONDS).get(candidate.name)
    return {
        "run": candidate.name,
        "backend": candidate.backend,
        "metric": key[0],
        "level": key[1],
        "mean": line.mean,
        "interval": line.interval,
        "seconds": None if times is None else times.mean,
        "seconds_interval": None if times is None else times.interval,
        "photos": line.n,
        "on_front": line.on_front,
        "verdict": "taken" if verdict(line) == "baseline" else verdict(line),
        "peak_memory_gb": candidate.peak_gb,
        "commercial_use": candidate.commercial_use,
        "refused": refused,
    }


def _interval(against: Comparison, name: str, by: Key) -> str:
    line = against.by_run(by)[name]
    if line.difference is None or line.difference_interval is None:
        return f"fewer than {FEWEST_FOR_CLAIM} photos"
    low, high = line.difference_interval
    return f"the difference is {line.difference:+.3g}, its interval {low:+.3g} to {high:+.3g}"
