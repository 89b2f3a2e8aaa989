"""How small a paired difference so many photos can show, and how many photos would show the one that was observed."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final

import numpy as np

from gfpup.analysis.statistics import FEWEST_FOR_CLAIM
from gfpup.core.types import Float64

POWER: Final = 0.8
LEVEL: Final = 0.05
FEWEST: Final = 6
"""Below, no assignment of signs is rare enough: n photos allow no p-value under 2 / 2^n."""


def smallest_difference(differences: Float64, *, power: float = POWER, level: float = LEVEL) -> float | None:
    """The mean difference that as many photos, of the spread of these paired `differences` (n,), show with this power.

    Two-sided at `level`, one comparison by itself. None for fewer photos than any claim is made of.

    Source: the sample size of the paired t-test, which the sign-flip test approaches, with the correction of Guenther, "Sample
    size formulas for normal theory t tests" (The American Statistician 35, 1981): n = (z_a + z_b)^2 / d^2 + z_a^2 / 2.
    """
    n = len(differences)
    if n < FEWEST_FOR_CLAIM:
        return None
    certain, powerful = _quantiles(power, level)
    return float(differences.std(ddof=1)) * (certain + powerful) / math.sqrt(n - certain**2 / 2)


def photos_to_show(differences: Float64, *, power: float = POWER, level: float = LEVEL) -> int | None:
    """How many photos would show the mean of these `differences` (n,), if it is the true one, with this power.

    None for fewer photos than any claim is made of, and where the mean is 0, which no number of photos shows.

    Source: as `smallest_difference`.
    """
    mean, spread = float(np.mean(differences)) if len(differences) else 0.0, 0.0
    if len(differences) < FEWEST_FOR_CLAIM or abs(mean) <= 1e-9 * float(np.abs(differences).max()):
        return None
    spread = float(differences.std(ddof=1))
    certain, powerful = _quantiles(power, level)
    return max(FEWEST, math.ceil(((certain + powerful) * spread / mean) ** 2 + certain**2 / 2))


def _quantiles(power: float, level: float) -> tuple[float, float]:
    normal = NormalDist()
    return normal.inv_cdf(1 - level / 2), normal.inv_cdf(power)
