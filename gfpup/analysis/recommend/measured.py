"""Decide from finished runs: their scores with intervals, their seconds, their licences, and the memory of this machine.

A difference that the comparison cannot show is no difference: among runs that are as good, the faster one is taken.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from gfpup.analysis.compare import Comparison, Line, compare, verdict
from gfpup.analysis.recommend.candidates import SECONDS, Candidate, machine_of, timed
from gfpup.analysis.recommend.guide import (
    Advice,
    Alternative,
    Hardware,
    Question,
    arithmetic,
    check,
    command,
    commercial_use,
    fit,
    guide,
    guide_flags,
    is_commercial,
    licence_warnings,
    memory_warnings,
    priority_of,
    recommend,
    title,
)
from gfpup.analysis.statistics import FEWEST_FOR_CLAIM
from gfpup.core.errors import GfpupError
from gfpup.evaluation.metrics import TO_INPUT
from gfpup.machine.hardware import Machine
from gfpup.models import backends
from gfpup.records.run_record import RunRecord, read_record, read_scored

NOT_METHODS: Final = ("identity", "precomputed")
"""What a comparison holds the others against; it is never the advice."""


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

    Raises:
        GfpupError: fewer than two runs, no metric or photo that all share, or none of them may be or can be run.
    """
    check(question)
    runs = [timed(run if run.document else read_record(run.folder)) for run in read_scored(folders)]
    candidates = {run.name: Candidate(run) for run in runs}
    priority = priority_of(question)
    key = _quality(runs, priority, metric)
    compared = [
        replace(run, scores=tuple(score for score in run.scores if (score.metric, score.level) in (key, SECONDS)))
        for run in runs
    ]
    timed_run = next((run.name for run in compared if candidates[run.name].backend != "precomputed"), None)
    first = compare(compared, baseline=timed_run, confidence=confidence, seed=seed)
    refused = {name: why for name, each in candidates.items() if (why := _refusal(each, question, hardware)) is not None}
    beside_input = _beside_input(compared, candidates, key, confidence=confidence, seed=seed)
    harmful = [name for name, said in beside_input.items() if said == "worse" and name not in refused]
    refused |= dict.fromkeys(harmful, f"it is shown worse than the input by {key[0]}")
    eligible = [line for line in first.of(*key) if line.run not in refused]
    if not eligible:
        raise GfpupError("none of these runs can be advised: " + "; ".join(f"{name}: {why}" for name, why in refused.items()))
    pick, why, held = _pick(compared, first, key, [line.run for line in eligible], priority, confidence=confidence, seed=seed)
    chosen = candidates[pick]
    against = compare(compared, baseline=pick, confidence=confidence, seed=seed)
    photos, of = against.of(*key)[0].n, against.photos
    on = f"{photos} photos that all runs share" if photos == of else f"{photos} of {of} photos that have it in all runs"
    reasons = [f"decided by {_name(key)} and seconds a photo, on the {on}", why]
    reasons += held
    reasons += [f"{name} is left out: {reason}" for name, reason in refused.items()]
    by_guide = recommend(question, hardware)
    reasons += _beside_the_guide(by_guide.guide, pick, candidates, against, key, priority)
    reasons += [note for note in against.notes if "too few" in note or "left out" in note]
    known = chosen.guide_method
    _, where, said = fit(known, hardware) if known else ("", "whole", "")
    if chosen.peak_gb is not None and chosen.device == "cpu":
        said = f"its run took {chosen.peak_gb:.2g} GB of memory on a CPU"
    reasons += [said] if said else []
    warnings = [line for name in chosen.uses for line in licence_warnings(name, commercial=is_commercial(question))]
    warnings += memory_warnings(known, where, hardware) if known and chosen.peak_gb is None else []
    warnings += _against_input(pick, beside_input, candidates, first, key)
    warnings += _elsewhere(candidates, machine)
    others = sorted(eligible, key=lambda line: line.rank)
    return Advice(
        method=known or pick,
        backend=chosen.backend,
        command=command(question, chosen.flags, where),
        reasons=tuple(reasons),
        warnings=tuple(dict.fromkeys(warnings)),
        alternatives=tuple(
            Alternative(line.run, command(question, candidates[line.run].flags, where), _numbers(against, line.run, key))
            for line in others
            if line.run != pick and line.on_front
        ),
        tier=by_guide.tier,
        guide=by_guide.guide,
        table=tuple(_row(candidates[name], against, key, refused) for name in against.runs),
    )


def _pick(
    runs: Sequence[RunRecord],
    first: Comparison,
    key: tuple[str, str],
    eligible: Sequence[str],
    priority: str,
    *,
    confidence: float,
    seed: int,
) -> tuple[str, str, list[str]]:
    """The run to take among `eligible`, why, and what is no difference to it."""
    times = {line.run: line.mean for line in first.of(*SECONDS)}
    quality = {line.run: line for line in first.of(*key)}
    best = min(eligible, key=lambda name: (quality[name].rank, times[name]))
    fastest = min(eligible, key=lambda name: (times[name], quality[name].rank))
    if priority == "general":
        name = _knee(eligible, times, quality, best, fastest)
        return name, f"{name} is nearest to the best {key[0]} and the fewest seconds at once, of those that may be taken", []
    start, by = (fastest, SECONDS) if priority == "speed" else (best, key)
    against = compare(runs, baseline=start, confidence=confidence, seed=seed)
    equal = [line.run for line in against.of(*by) if line.run in eligible and verdict(line) == "no difference shown"]
    said = [f"{name} is no different by {_name(by)}: {_interval(against, name, by)}" for name in equal]
    group = [start, *equal]
    if priority == "speed":
        name = min(group, key=lambda each: (quality[each].rank, times[each]))
        why = f"{start} takes the fewest seconds a photo of those that may be taken, {times[start]:.3g}"
    else:
        name = min(group, key=lambda each: (times[each], quality[each].rank))
        why = f"{start} has the best {_name(key)} of those that may be taken, {quality[start].mean:.4g}"
    if name != start:
        other = f"{quality[name].mean:.4g} by {key[0]}" if priority == "speed" else f"faster, {times[name]:.3g} s a photo"
        why += f", and {name}, which is not shown to be worse, is {'better, ' if priority == 'speed' else ''}{other}"
    return name, why, said


def _knee(eligible: Sequence[str], times: Mapping[str, float], quality: Mapping[str, Line], best: str, fastest: str) -> str:
    """The run nearest to the corner of the best quality and the fewest seconds, both counted from 0 to 1 among the runs."""
    worst = max(eligible, key=lambda name: quality[name].rank)
    span = abs(quality[best].mean - quality[worst].mean) or 1.0
    longest = max(math.log(max(times[name], 1e-6) / max(times[fastest], 1e-6)) for name in eligible) or 1.0

    def away(name: str) -> float:
        lost = abs(quality[best].mean - quality[name].mean) / span
        slower = math.log(max(times[name], 1e-6) / max(times[fastest], 1e-6)) / longest
        return math.hypot(lost, slower)

    return min(eligible, key=lambda name: (away(name), quality[name].rank))


def _quality(runs: Sequence[RunRecord], priority: str, metric: str | None) -> tuple[str, str]:
    """The metric and level that decide: `metric`, or the first of the guide's list that all runs have."""
    have = [{(score.metric, score.level) for score in run.scores if score.is_finite} for run in runs]
    shared = set.intersection(*have) - {SECONDS}
    wanted = guide()["priorities"][priority]["measured_by"] if metric is None else [metric]
    for name in wanted:
        for level in ("faces", "photo"):
            if (name, level) in shared:
                return name, level
    there = ", ".join(sorted({name for name, level in shared if level != "run"})) or "none"
    what, remedy = f"the runs share no metric that can decide the priority {priority!r}", "give --metric"
    if metric is not None:
        what, remedy = f"not all runs have {metric!r}", "give one of these as --metric"
    raise GfpupError(f"{what} (they share {there}); score them alike with gfpup score, or {remedy}.")


def _refusal(candidate: Candidate, question: Question, hardware: Hardware) -> str | None:
    """Why a run cannot be the advice: it is no method, its licence forbids the use, or this machine cannot hold it."""
    if candidate.backend in NOT_METHODS:
        return "it is what others are held against"
    closed = [name for name in candidate.uses if name in backends.TABLE and commercial_use(name) == "no"]
    if closed and is_commercial(question):
        return f"{closed[0]} is non-commercial, and the use is not"
    room = hardware.ram_gb if candidate.device == "cpu" else hardware.free_gb
    if candidate.peak_gb is not None and room and candidate.peak_gb > room:
        return f"its run took {candidate.peak_gb:.2g} GB and {room:.2g} GB are here"
    return None


def _beside_input(
    runs: Sequence[RunRecord], candidates: Mapping[str, Candidate], key: tuple[str, str], *, confidence: float, seed: int
) -> dict[str, str]:
    """What may be said of each run against `identity`, which changes nothing, where that is among them."""
    zero = _unchanged(candidates)
    if zero is None or key[0].endswith(TO_INPUT):
        return {}
    against = compare(runs, baseline=zero, confidence=confidence, seed=seed)
    return {line.run: verdict(line) for line in against.of(*key) if line.run != zero}


def _against_input(
    pick: str, said: Mapping[str, str], candidates: Mapping[str, Candidate], first: Comparison, key: tuple[str, str]
) -> list[str]:
    """What is to be said where the run that is taken is not shown to be better than the input."""
    zero = _unchanged(candidates)
    if zero is None or said.get(pick, "better") == "better":
        return []
    lines = {line.run: line for line in first.of(*key)}
    if lines[pick].rank > lines[zero].rank:
        means = f"{lines[pick].mean:.4g} against {lines[zero].mean:.4g}"
        return [f"{pick} scores below the unchanged input by {_name(key)}: {means} ({said[pick]})"]
    return [f"{pick} is not shown to be better than the input by {_name(key)} ({said[pick]})"]


def _unchanged(candidates: Mapping[str, Candidate]) -> str | None:
    return next((name for name, each in candidates.items() if each.backend == "identity"), None)


def _beside_the_guide(
    guides: str,
    pick: str,
    candidates: Mapping[str, Candidate],
    against: Comparison,
    key: tuple[str, str],
    priority: str,
) -> list[str]:
    """Where measurement and the guide agree, and where they do not, with the numbers."""
    if candidates[pick].guide_method == guides:
        return [f"the guide takes {title(guides)} too"]
    same = [name for name, each in candidates.items() if each.guide_method == guides]
    if not same:
        return [f"the guide takes {title(guides)}, which is not among these runs: {' '.join(guide_flags(guides))} adds it"]
    by = SECONDS if priority == "speed" else key
    line = next(line for line in against.of(*by) if line.run == same[0])
    if priority == "speed":
        shown = {"worse": "which is shown to be slower here", "better": "which is faster here, but not better"}
    else:
        shown = {"worse": "which is shown to be worse here", "better": "which is better by that alone"}
    said = [
        f"the guide takes {title(guides)}, {shown.get(verdict(line), 'and no difference to it is shown here')}: "
        f"{_numbers(against, same[0], key)}; {pick}: {_numbers(against, pick, key)}"
    ]
    if priority == "speed":
        sentence = arithmetic(candidates[same[0]].backend, candidates[pick].backend)
        said += [sentence] if sentence else []
    return said


def _elsewhere(candidates: Mapping[str, Candidate], machine: Machine | None) -> list[str]:
    """That seconds were taken on other machines than this one, or on several."""
    said = []
    where = {machine_of(each.hardware): each.name for each in candidates.values() if each.hardware}
    if len(where) > 1 or len({each.device for each in candidates.values()}) > 1:
        said.append("the runs come from different machines or devices, so their seconds are not comparable")
    if machine is not None and where:
        here = machine_of({"cores": machine.cores, "gpus": [{"name": gpu.name} for gpu in machine.gpus]})
        if here not in where:
            said.append(
                f"the runs were made elsewhere ({'; '.join(where)}), and this machine is {here}: seconds may rank otherwise"
            )
    return said


def _row(candidate: Candidate, against: Comparison, key: tuple[str, str], refused: Mapping[str, str]) -> dict[str, Any]:
    """What is known of one run, ready for JSON and for a table."""
    line, times = _both(against, candidate.name, key)
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
        "refused": refused.get(candidate.name),
    }


def _numbers(against: Comparison, name: str, key: tuple[str, str]) -> str:
    line, times = _both(against, name, key)
    took = "time not known" if times is None else f"{times.mean:.3g} s a photo"
    return f"{took}, {key[0]} {line.mean:.4g}"


def _both(against: Comparison, name: str, key: tuple[str, str]) -> tuple[Line, Line | None]:
    """The lines of a run by the quality metric and by seconds, None where its time is not known."""
    times = next((line for line in against.of(*SECONDS) if line.run == name), None)
    return next(line for line in against.of(*key) if line.run == name), times


def _interval(against: Comparison, name: str, by: tuple[str, str]) -> str:
    line = next(line for line in against.of(*by) if line.run == name)
    if line.difference is None or line.difference_interval is None:
        return f"fewer than {FEWEST_FOR_CLAIM} photos"
    low, high = line.difference_interval
    return f"the difference is {line.difference:+.3g}, its interval {low:+.3g} to {high:+.3g}"


def _name(key: tuple[str, str]) -> str:
    return key[0] if key[1] == "photo" else f"{key[0]} of {key[1]}"
