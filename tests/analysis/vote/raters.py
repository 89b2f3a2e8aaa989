"""Simulated raters: votes by the model, and the files that the page would write."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gfpup.analysis.vote import Trial
from gfpup.analysis.vote.ranking import Ballots
from gfpup.analysis.vote.votes import COLUMNS

METHODS = {"sharpestmethod": 0.0, "middlingmethod": 1.5, "blurriestmethod": 4.0}
"""Three methods by how much they blur, best first; their names stand nowhere else."""


def ballots(
    rng: np.random.Generator,
    truth: np.ndarray,
    *,
    raters: int,
    photos: int,
    votes: int,
    tie: float = -0.3,
    of_raters: float = 0.0,
    of_photos: float = 0.0,
) -> Ballots:
    """Votes of raters whose strengths are `truth`, give or take what is theirs and the photos'; `votes` of each rater."""
    methods = len(truth)
    rater = np.repeat(np.arange(raters), votes)
    photo = np.concatenate([rng.permutation(np.arange(votes) % photos) for _ in range(raters)])
    pairs = np.array([(i, j) for i in range(methods) for j in range(i + 1, methods)])
    a, b = pairs[rng.integers(0, len(pairs), len(rater))].T
    own = of_raters * rng.normal(size=(raters, 1, methods)) + of_photos * rng.normal(size=(1, photos, methods))
    half = (truth[a] - truth[b] + own[rater, photo, a] - own[rater, photo, b]) / 2
    won, tied = np.exp(half), np.exp(tie) * np.ones_like(half)
    luck = rng.random(len(half)) * (won + tied + np.exp(-half))
    return Ballots(rater, photo, a, b, np.where(luck < won, 1, np.where(luck < won + tied, 0, -1)), methods)


def write_votes(
    path: Path, trial: Trial, rater: str, liking: Mapping[str, float], *, noise: float = 0.0, seed: int = 0
) -> Path:
    """The file of a rater who prefers the method with the greater `liking`, and says tie where they are equal."""
    rng = np.random.default_rng(seed)
    lines, sides = [",".join(COLUMNS)], dict[str, str]()
    for question in trial.questions:
        for name, item in trial.items.items():
            first = sides.get(item.repeats or "")
            sides[name] = {"left": "right", "right": "left"}[first] if first else ("left", "right")[rng.integers(2)]
            a, b = (liking[trial.methods[number].name] for number in (item.a, item.b))
            difference = a - b + noise * rng.normal()
            choice = "tie" if difference == 0 else "a" if difference > 0 else "b"
            lines.append(f"{rater},{trial.id},{name},{question},{choice},{sides[name]},{1 + rng.random():.2f}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path
