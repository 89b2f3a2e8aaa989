"""How far apart two sets of features are: Fréchet and kernel distance, and the share that lies on the other set's manifold.

Pure functions of (n, d) arrays: n faces, d features each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gfpup.core.types import Float64


@dataclass(frozen=True, eq=False)
class Moments:
    """A set of features as a normal distribution: its mean (d,), its covariance (d, d) with n - 1, its size n (0: unknown)."""

    mean: Float64
    covariance: Float64
    count: int = 0


def moments(features: Float64) -> Moments:
    """The mean and covariance of features, (n, d); ValueError for fewer than two rows."""
    if len(features) < 2:
        raise ValueError(f"a covariance needs two rows, not {len(features)}")
    return Moments(features.mean(axis=0), np.atleast_2d(np.cov(features, rowvar=False)), len(features))


def frechet_distance(a: Float64, b: Float64) -> float:
    """The squared Fréchet distance of two sets of features, (n, d) and (m, d) float64, taken as normal distributions.

    Raises: ValueError for fewer than two rows.
    Source: Heusel et al., "GANs trained by a two time-scale update rule" (2017): |ma - mb|² + tr(A + B - 2 (A B)^½). The trace
    of the root is the sum of the singular values of Ca Cbᵀ, where A = Caᵀ Ca: no root of a singular matrix is taken.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError(f"a covariance needs two rows, not {len(a)} and {len(b)}")
    root_a, root_b = _root(a), _root(b)
    overlap = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    means = a.mean(axis=0) - b.mean(axis=0)
    return float(max(means @ means + np.square(root_a).sum() + np.square(root_b).sum() - 2 * overlap, 0.0))


def frechet_to_moments(features: Float64, other: Moments) -> float:
    """The squared Fréchet distance of features, (n, d) float64, from a normal distribution of which only the moments are known.

    With A = Cᵀ C, the roots of A B's eigenvalues are those of C B Cᵀ, which is symmetric and at most n by n.

    Raises: ValueError for fewer than two rows, or another number of features.
    """
    if len(features) < 2:
        raise ValueError(f"a covariance needs two rows, not {len(features)}")
    if features.shape[1:] != other.mean.shape or other.covariance.shape != other.mean.shape * 2:
        raise ValueError(f"{features.shape[1]} features cannot be compared with {other.mean.shape} of {other.covariance.shape}")
    root = _root(features)
    overlap = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ other.covariance @ root.T), 0)).sum()
    means = features.mean(axis=0) - other.mean
    return float(max(means @ means + np.square(root).sum() + np.trace(other.covariance) - 2 * overlap, 0.0))


def _root(features: Float64) -> Float64:
    """C with Cᵀ C the covariance (n - 1), at most square: the features themselves, or their triangle where there are more."""
    centred = (features - features.mean(axis=0)) / np.sqrt(len(features) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r")) if len(centred) > centred.shape[1] else centred


def kernel_distance(a: Float64, b: Float64) -> float:
    """The squared maximum mean discrepancy of two sets of features, (n, d) and (m, d) float64, unbiased; may be below 0.

    Over the whole sets: the mean that the usual random subsets estimate, without their chance.

    Raises: ValueError for fewer than two rows.
    Source: Bińkowski et al., "Demystifying MMD GANs" (2018), with their kernel (x·y / d + 1)³.
    """
    n, m, d = len(a), len(b), a.shape[1]
    if min(n, m) < 2:
        raise ValueError(f"an unbiased estimate needs two rows, not {n} and {m}")

    def within(x: Float64) -> float:
        kernel = (x @ x.T / d + 1) ** 3
        return float((kernel.sum() - np.trace(kernel)) / (len(x) * (len(x) - 1)))

    between = float(((a @ b.T / d + 1) ** 3).mean())
    return within(a) + within(b) - 2 * between


def precision(features: Float64, reference: Float64, *, neighbours: int = 3) -> float:
    """The share of `features`, (n, d), that lie on the manifold of `reference`, (m, d) float64: 0 to 1.

    The manifold is the union of balls around the reference features, each as wide as the distance to its third nearest
    neighbour.

    Raises: ValueError for no more reference features than neighbours.
    Source: Kynkäänniemi et al., "Improved precision and recall metric for assessing generative models" (2019).
    """
    if len(reference) <= neighbours:
        raise ValueError(f"{neighbours} neighbours need {neighbours + 1} reference rows, not {len(reference)}")
    radii = np.concatenate([np.partition(row, neighbours, axis=1)[:, neighbours] for row in _squares(reference, reference)])
    inside = [np.any(row <= radii, axis=1) for row in _squares(features, reference)]
    return float(np.concatenate(inside).mean())


def _squares(a: Float64, b: Float64, *, rows: int = 1024) -> list[Float64]:
    """The squared distances of a's rows from b's, in blocks of rows: they take n * m numbers altogether, not n * m * d."""
    lengths = np.square(b).sum(axis=1)
    blocks = (a[start : start + rows] for start in range(0, len(a), rows))
    return [np.maximum(np.square(x).sum(axis=1)[:, None] + lengths - 2 * x @ b.T, 0) for x in blocks]
