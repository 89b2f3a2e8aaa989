"""From the files of raters to what they say, written beside the trial and into the runs it was made of."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from gfpup.analysis.statistics import FEWEST_FOR_CLAIM, FEWEST_FOR_INTERVAL
from gfpup.analysis.vote import agreement, davidson, ranking, tables
from gfpup.analysis.vote.methods import Unit, read_method
from gfpup.analysis.vote.ranking import Ballots, Ranking
from gfpup.analysis.vote.result import MetricLine, QuestionResult, Result
from gfpup.analysis.vote.trial import Contender, Trial, read_trial
from gfpup.analysis.vote.votes import Vote, read_votes
from gfpup.core.errors import GfpupError
from gfpup.core.files import file_text, write_atomic
from gfpup.core.types import Float64, Score
from gfpup.records.layout import DOCUMENT
from gfpup.records.run_record import RunRecord
from gfpup.records.scores import PEOPLE, PEOPLE_METRIC, TABLE, as_csv

VOTES: Final = "votes.csv"
RESULT: Final = "votes.json"


def collect(files: Sequence[Path], folder: Path, *, confidence: float = 0.95, seed: int = 0) -> Result:
    """Say what the votes in `files` mean for the trial in `folder`, and write it there as `votes.csv` and `votes.json`.

    Each run of the trial also gets `people.csv`, from which `gfpup compare`, the report and MLflow take people's strengths as
    they take a metric. The same files and seed give the same result.

    Raises: GfpupError: there is no trial, or a file is not one of its votes (see `votes.read_votes`).
    """
    trial = read_trial(folder)
    votes, notes = read_votes(files, trial)
    records, said = _records(trial)
    measured = [agreement.values_of(record) for record in records]
    questions, people = [], dict[str, tuple[list[str], Float64]]()
    for question in trial.questions:
        counted = [vote for vote in votes if vote.question == question and vote.item in trial.counted]
        if not counted:
            notes.append(f"nobody answered the question {question!r}")
            continue
        ballots, units = _ballots(counted, trial)
        found = ranking.rank(ballots, np.random.default_rng(seed))
        questions.append(_question(question, found, trial, agreement.metrics(found, units, measured, confidence), confidence))
        photos = dict(sorted((int(p), photo) for p, (photo, _) in zip(ballots.photos, units, strict=True)))
        name = f"{PEOPLE_METRIC}{question.replace('-', '_')}"
        people[name] = (list(photos.values()), davidson.influence(found.fit, *ballots.by_photo()))
    scored = [
        str(record.folder) for i, record in enumerate(records) if _write_people(record, trial.methods[i], people, i, said)
    ]
    result = Result(
        trial.id, confidence, tuple(questions), agreement.raters(votes, trial), (*notes, *dict.fromkeys(said)), tuple(scored)
    )
    write_atomic(folder / VOTES, file_text(_table(votes, trial)))
    write_atomic(folder / RESULT, file_text(tables.as_json(result)))
    return result


def _records(trial: Trial) -> tuple[list[RunRecord], list[str]]:
    """The methods' records as they are now, empty where they cannot be read, and what there is to say about them."""
    records, said = [], []
    for method in trial.methods:
        try:
            found = read_method(Path(method.folder))
        except GfpupError as error:
            said.append(f"{method.name} has no scores to compare with: {error}")
            found = RunRecord(Path(method.folder), {})
        if (method.started is not None and found.document.get("started") != method.started) and found.document:
            said.append(f"{method.name} was run again after the trial was made: its scores are left out")
            found = replace(found, document={}, scores=())
        records.append(found)
    return records, said


def _ballots(votes: Sequence[Vote], trial: Trial) -> tuple[Ballots, list[Unit]]:
    """The votes as arrays, and the photo and face that each is about."""
    items = [trial.items[vote.item] for vote in votes]
    raters = {name: i for i, name in enumerate(sorted({vote.rater for vote in votes}))}
    photos = {name: i for i, name in enumerate(sorted({item.photo for item in items}))}
    ballots = Ballots(
        raters=np.array([raters[vote.rater] for vote in votes], np.int64),
        photos=np.array([photos[item.photo] for item in items], np.int64),
        a=np.array([item.a for item in items], np.int64),
        b=np.array([item.b for item in items], np.int64),
        outcome=np.array([{"a": 1, "b": -1, "tie": 0}[vote.choice] for vote in votes], np.int64),
        methods=len(trial.methods),
    )
    return ballots, [(item.photo, item.face) for item in items]


def _question(
    question: str, found: Ranking, trial: Trial, metrics: tuple[MetricLine, ...], confidence: float
) -> QuestionResult:
    names, ballots = [method.name for method in trial.methods], found.ballots
    raters, photos = len(np.unique(ballots.raters)), len(np.unique(ballots.photos))
    nu = float(np.exp(found.fit.tie))
    return QuestionResult(
        question=question,
        votes=len(ballots.a),
        raters=raters,
        photos=photos,
        tie_share=nu / (2 + nu),
        strengths=ranking.strengths(found, names, confidence),
        pairs=ranking.pairs(found, names, confidence),
        metrics=metrics,
        notes=tuple(_notes(ballots, raters, photos, metrics)),
    )


def _notes(ballots: Ballots, raters: int, photos: int, metrics: Sequence[MetricLine]) -> list[str]:
    """What the votes are too few for, in words, with the rule."""
    notes = []
    least = min(int(((ballots.a == m) | (ballots.b == m)).sum()) for m in range(ballots.methods))
    if max(raters, photos) < FEWEST_FOR_INTERVAL:
        notes.append(f"{photos} photos and {raters} raters are too few for intervals")
    elif raters < FEWEST_FOR_INTERVAL:
        notes.append(f"with {raters} rater{'s' * (raters != 1)} the intervals say nothing of other people: only photos vary")
    elif photos < FEWEST_FOR_INTERVAL:
        notes.append(f"with {photos} photo{'s' * (photos != 1)} the intervals say nothing of other photos: only raters vary")
    if not ranking.is_connected(ballots):
        notes.append("these votes do not connect all methods, so their strengths cannot be compared")
    if photos < FEWEST_FOR_CLAIM or least < ranking.FEWEST_VOTES:
        notes.append(
            f"{photos} photos, and {least} votes for the method with the fewest, are too few for a verdict on all methods: "
            f"this is an illustration ({ranking.RULE})"
        )
    if not metrics:
        notes.append("no metric is compared with people: score two runs or more with the same --metrics")
    return notes


def _write_people(
    record: RunRecord, method: Contender, people: Mapping[str, tuple[list[str], Float64]], at: int, said: list[str]
) -> bool:
    """Put people's strengths beside a run's scores; True where that was done. Folders of mere pictures are left as they are."""
    folder = Path(method.folder)
    if not record.matches or not any((folder / file).is_file() for file in (DOCUMENT, TABLE)):
        return False
    photos = {match: photo for photo, match in record.matches.items()}
    rows = [
        Score(metric, float(values[p, at]), True, photo=photos[name])
        for metric, (names, values) in people.items()
        for p, name in enumerate(names)
        if name in photos
    ]
    try:
        write_atomic(folder / PEOPLE, file_text(as_csv(rows)))
    except GfpupError as error:
        said.append(f"people's votes are not beside the scores of {method.name}: {error}")
        return False
    return True


def _table(votes: Sequence[Vote], trial: Trial) -> str:
    """Every vote with the names of what was chosen, as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("rater", "question", "photo", "face", "method", "other", "choice", "side", "seconds", "item", "repeats"))
    for vote in votes:
        item = trial.items[vote.item]
        a, b = trial.methods[item.a].name, trial.methods[item.b].name
        choice = {"a": a, "b": b, "tie": "tie"}[vote.choice]
        facts = (vote.rater, vote.question, item.photo, item.face, a, b, choice, vote.side, vote.seconds, vote.item)
        writer.writerow((*facts, item.repeats))
    return text.getvalue()
