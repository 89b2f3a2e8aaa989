"""The files that raters send back: read, checked and made unique."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gfpup.analysis.vote.trial import Trial
from gfpup.core.errors import GfpupError
from gfpup.photos.sources import some

COLUMNS: Final = ("rater", "trial", "item", "question", "choice", "side", "seconds")
CHOICES: Final = ("a", "b", "tie")
SIDES: Final = ("left", "right")


@dataclass(frozen=True)
class Vote:
    """What a rater chose of one item: picture "a" or "b", or "tie". `side` is where picture a was, `seconds` the time taken."""

    rater: str
    item: str
    question: str
    choice: str
    side: str
    seconds: float

    @property
    def key(self) -> tuple[str, str, str]:
        """What a rater answers once."""
        return self.rater, self.item, self.question


def read_votes(files: Sequence[Path], trial: Trial) -> tuple[list[Vote], list[str]]:
    """Read the votes of all files, each once, and notes for the user.

    Of two answers of one rater to the same question the first counts, in the order of the files.

    Raises: GfpupError: a file cannot be read, is of another trial, or a line of it is damaged.
    """
    votes: dict[tuple[str, str, str], Vote] = {}
    notes: list[str] = []
    for file in dict.fromkeys(files):
        found = read_file(file, trial)
        raters = list(dict.fromkeys(vote.rater for vote in found))
        if len(raters) > 1:
            notes.append(f"{file} holds the votes of {len(raters)} raters: {some(raters)}")
        again = [vote for vote in found if vote.key in votes]
        votes = {vote.key: vote for vote in found} | votes
        if again:
            names = some(list(dict.fromkeys(vote.rater for vote in again)))
            differing = sum(votes[vote.key].choice != vote.choice for vote in again)
            changed = f", and {differing} of them differ; the first answer counts" if differing else ", which count once"
            notes.append(f"{file} repeats {len(again)} votes of {names} that were read before{changed}")
    if not votes:
        raise GfpupError(f"{some([str(file) for file in files]) or 'nothing'} holds no votes: give files that the page wrote")
    return list(votes.values()), notes


def read_file(path: Path, trial: Trial) -> list[Vote]:
    """The votes in one file, in its order; a GfpupError names the file and the line that is wrong."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise GfpupError(f"the votes {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise GfpupError(f"{path} is not a file of votes: it is not text in UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""))
    votes = []
    try:
        if tuple(next(reader, ())) != COLUMNS:
            raise GfpupError(f"line 1 of {path} is not that of a file of votes: expected {','.join(COLUMNS)}")
        for fields in reader:
            if fields:
                votes.append(_vote(fields, f"line {reader.line_num} of {path}", trial))
    except csv.Error as error:
        raise GfpupError(f"line {reader.line_num} of {path} is damaged ({error}): ask for the file again") from None
    if not text.endswith("\n"):
        raise GfpupError(f"line {reader.line_num} of {path} is cut short: ask for the file again")
    return votes


def _vote(fields: Sequence[str], where: str, trial: Trial) -> Vote:
    if len(fields) != len(COLUMNS):
        raise GfpupError(f"{where} has {len(fields)} fields of {len(COLUMNS)}: ask for the file again")
    rater, of_trial, item, question, choice, side, seconds = fields
    if of_trial != trial.id:
        raise GfpupError(f"{where} is of the trial {of_trial!r}, and --trial is {trial.id!r}: give the trial it was voted in")
    known = (
        (rater.strip(), "rater", rater.strip() != "", "a name"),
        (item, "item", item in trial.items, "an item of the trial"),
        (question, "question", question in trial.questions, f"one of {', '.join(trial.questions)}"),
        (choice, "choice", choice in CHOICES, f"one of {', '.join(CHOICES)}"),
        (side, "side", side in SIDES, f"one of {', '.join(SIDES)}"),
        (seconds, "seconds", _is_time(seconds), "a number of 0 or more"),
    )
    for value, name, right, expected in known:
        if not right:
            raise GfpupError(f"{where} is damaged: invalid {name} {value!r}, expected {expected}")
    return Vote(rater.strip(), item, question, choice, side, float(seconds))


def _is_time(text: str) -> bool:
    try:
        return 0 <= float(text) < math.inf
    except ValueError:
        return False
