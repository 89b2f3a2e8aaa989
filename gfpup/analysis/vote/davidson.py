"""Strengths of methods from pairwise votes with ties: Davidson's model, and its two-way bootstrap. Pure, and vectorised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from gfpup.core.types import Float64

Int64 = npt.NDArray[np.int64]

PENALTY: Final = 0.05
"""What a unit of squared strength costs in log-likelihood: a normal prior of strengths with a deviation of 3.2. It keeps the
strength of a method that never loses finite, and hardly moves others."""
_STEPS: Final = 60
_LONGEST_STEP: Final = 1.5


@dataclass(frozen=True, eq=False)
class Fit:
    """Strengths (..., methods) float64, natural logarithms that sum to 0, and `tie` (...), the logarithm of Davidson's nu.

    `tie` is -inf where no vote was a tie; the model is Bradley and Terry's then.
    """

    strengths: Float64
    tie: Float64

    def probabilities(self) -> tuple[Float64, Float64]:
        """How likely method i is preferred to j, and how likely a tie is: (..., methods, methods) each."""
        return _probabilities(self.strengths, self.tie)


def fit(wins: Float64, ties: Float64, *, penalty: float = PENALTY) -> Fit:
    """Fit strengths to `wins`, (..., methods, methods) float64, how often the row was preferred to the column, and `ties`,
    alike and symmetric; counts may be fractions.

    With `penalty` 0 this is the maximum likelihood, which must exist: every method wins and loses, directly or through others.

    Source: Davidson, "On extending the Bradley-Terry model to accommodate ties in paired comparison experiments" (1970); fitted
    by Newton's method on the logarithms, in which the likelihood is concave.
    """
    methods = wins.shape[-1]
    strengths, tied = np.zeros(wins.shape[:-1]), ties.sum(axis=(-2, -1)) > 0
    tie = np.where(tied, 0.0, -np.inf)
    for _ in range(_STEPS):
        gradient, information = _derivatives(wins, ties, strengths, tie, penalty)
        step = np.linalg.solve(information, gradient[..., None])[..., 0]
        longest = np.abs(step).max(axis=-1, keepdims=True)
        step *= np.minimum(1.0, _LONGEST_STEP / np.maximum(longest, 1e-300))
        strengths = strengths + step[..., :methods]
        tie = tie + np.where(tied, step[..., methods], 0.0)
        if longest.max() < 1e-9:
            break
    return Fit(strengths - strengths.mean(axis=-1, keepdims=True), tie)


def variance(found: Fit, wins: Float64, ties: Float64, *, penalty: float = PENALTY) -> Float64:
    """The variance of the strengths of `found` by the model, (methods, methods): what independent votes would give."""
    _, information = _derivatives(wins, ties, found.strengths, found.tie, penalty)
    return np.asarray(np.linalg.inv(information)[:-1, :-1])


def influence(found: Fit, wins: Float64, ties: Float64, *, penalty: float = PENALTY) -> Float64:
    """What each group of votes contributes to the strengths of `found`, fitted to all groups: (groups, methods) float64.

    `wins` and `ties` are (groups, methods, methods). The mean of a method's column is its strength, so that means, differences
    and intervals over groups (photos) may be taken as of any score.

    Source: the infinitesimal jackknife (Jaeckel 1972; Efron, "The jackknife, the bootstrap and other resampling plans", 1982).
    """
    groups, methods = len(wins), wins.shape[-1]
    _, information = _derivatives(wins.sum(axis=0), ties.sum(axis=0), found.strengths, found.tie, penalty)
    gradient, _ = _derivatives(wins, ties, np.broadcast_to(found.strengths, (groups, methods)), found.tie, 0.0)
    shares = np.linalg.solve(information, gradient.T).T[:, :methods]
    return np.asarray(found.strengths + groups * (shares - shares.mean(axis=0)))


def _probabilities(strengths: Float64, tie: Float64) -> tuple[Float64, Float64]:
    half = (strengths[..., :, None] - strengths[..., None, :]) / 2
    nu = np.exp(np.asarray(tie))[..., None, None]
    norm = np.exp(half) + np.exp(-half) + nu
    return np.exp(half) / norm, nu / norm


def _derivatives(wins: Float64, ties: Float64, strengths: Float64, tie: Float64, penalty: float) -> tuple[Float64, Float64]:
    """The gradient (..., methods + 1) of the log-likelihood and minus its second derivative; the last place is of `tie`."""
    methods = wins.shape[-1]
    won, tied = _probabilities(strengths, tie)
    count = wins + np.swapaxes(wins, -1, -2) + ties
    expected = won + tied / 2
    gradient = np.empty((*wins.shape[:-2], methods + 1))
    gradient[..., :methods] = (wins + ties / 2 - count * expected).sum(axis=-1) - 2 * penalty * strengths
    finite = np.isfinite(tie)
    held = np.where(finite, tie, 0.0)
    gradient[..., methods] = np.where(finite, (ties - count * tied).sum(axis=(-2, -1)) / 2 - 2 * penalty * held, 0.0)
    variance = count * (won + tied / 4 - expected**2)
    both = (count * tied * (0.5 - expected)).sum(axis=-1)
    information = np.zeros((*wins.shape[:-2], methods + 1, methods + 1))
    information[..., :methods, :methods] = -variance
    diagonal = np.arange(methods)
    information[..., diagonal, diagonal] = variance.sum(axis=-1) - variance[..., diagonal, diagonal] + 2 * penalty
    # Strengths have no origin: their mean is held at 0, which adds nothing in any other direction.
    information[..., :methods, :methods] += 1.0 / methods
    information[..., :methods, methods] = information[..., methods, :methods] = both
    curvature = (count * tied * (1 - tied)).sum(axis=(-2, -1)) / 2 + 2 * penalty
    information[..., methods, methods] = np.where(finite, curvature, 1.0)
    return gradient, information


@dataclass(frozen=True, eq=False)
class Replicates:
    """How often each vote counts in each resample, (resamples, votes) float64: of raters, of photos, of cells, and of both.

    A cell is what one rater said of one photo. `raters` and `photos` are None where there are too few to resample.
    `degrees` are those of freedom that an interval has.
    """

    raters: Float64 | None
    photos: Float64 | None
    cells: Float64
    both: Float64
    degrees: int

    def variance(self, of_raters: Float64 | None, of_photos: Float64 | None, of_cells: Float64) -> Float64:
        """The variance of a statistic from its values in the resamples, (resamples, ...) each.

        Source: Cameron, Gelbach and Miller, "Robust inference with multiway clustering" (2011): raters + photos - cells. It is
        never taken smaller than any of the three alone.
        """
        alone = [np.nanvar(each, axis=0, ddof=1) for each in (of_raters, of_photos) if each is not None]
        cells = np.nanvar(of_cells, axis=0, ddof=1)
        whole = alone[0] + alone[1] - cells if len(alone) == 2 else alone[0]
        return np.asarray(np.max([whole, *alone, cells], axis=0))


def resample(raters: Int64, photos: Int64, *, fewest: int, resamples: int, rng: np.random.Generator) -> Replicates | None:
    """Resample votes by the numbers of their raters and photos, (votes,) int64 each; None for too few of both.

    Raters, or photos, are held as they are where there are fewer than `fewest`.
    """
    n_raters, n_photos = len(np.unique(raters)), len(np.unique(photos))
    if max(n_raters, n_photos) < fewest:
        return None

    def drawn(groups: Int64) -> Float64:
        _, place = np.unique(groups, return_inverse=True)
        n = int(place.max()) + 1
        return rng.multinomial(n, np.full(n, 1 / n), size=resamples)[:, place].astype(np.float64)

    by_rater = drawn(raters) if n_raters >= fewest else None
    by_photo = drawn(photos) if n_photos >= fewest else None
    both = (1.0 if by_rater is None else by_rater) * (1.0 if by_photo is None else by_photo)
    cells = drawn(raters * (int(photos.max()) + 1) + photos)
    degrees = min(n for n in (n_raters, n_photos) if n >= fewest) - 1
    return Replicates(by_rater, by_photo, cells, np.asarray(both), degrees)
