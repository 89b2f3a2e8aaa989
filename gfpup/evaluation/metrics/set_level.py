"""How far a set of restored faces is from a set of reference faces: FID and KID over Inception's features.

The sets need not be paired. Features are gathered face by face; the distances are pure functions of two (n, d) arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final
from unittest.mock import patch

import numpy as np

from gfpup.core.torchvision_shim import cure
from gfpup.core.types import Float64, Score, UInt8
from gfpup.evaluation.metrics import MetricError, facts
from gfpup.weights.checkpoint import read_state_dict

if TYPE_CHECKING:
    import torch

MINIMUM: Final = {"fid": 100, "kid": 50}
"""The smallest sets a distance is given for. FID shrinks as n grows: below 100 its bias drowns any difference between methods,
and the smallest published set has 180 faces. KID is unbiased, but its spread at 50 is what one still can use."""


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


Of = tuple[str, int]
"""A face: the name of its photo, and its number in it."""


class FaceSets:
    """Gathers the features of restored and of reference faces, one at a time, and compares them at the end."""

    def __init__(self, inception: Inception, names: tuple[str, ...] = ("fid", "kid")) -> None:
        self.inception, self.names = inception, names
        self._restored: list[tuple[Of, Float64]] = []
        self._reference: list[tuple[Of, Float64]] = []

    def add_restored(self, crop: UInt8, *, of: Of = ("", 0)) -> None:
        """Add a restored face, (h, w, 3) uint8 RGB, the one that `of` names."""
        self._restored.append((of, self.inception.features(crop)))

    def add_reference(self, crop: UInt8, *, of: Of = ("", 0)) -> None:
        """Add a face of the reference set."""
        self._reference.append((of, self.inception.features(crop)))

    def scores(self) -> tuple[Score, ...]:
        """The distances, or why there are none; the order in which faces were added does not change a digit."""
        gathered = (sorted(faces, key=lambda face: face[0]) for faces in (self._restored, self._reference))
        restored, reference = ([features for _, features in faces] for faces in gathered)
        return tuple(set_score(name, restored, reference) for name in self.names)


def set_score(name: str, restored: list[Float64], reference: list[Float64]) -> Score:
    """The score `fid` or `kid` of two lists of (d,) features, refused below the stated minimum."""
    better = facts(name).higher_is_better
    if not reference:
        return Score(name, None, better, "there are no reference faces to compare the set with")
    least = MINIMUM[name]
    if min(len(restored), len(reference)) < least:
        have = f"{len(restored)} restored and {len(reference)} reference faces"
        return Score(name, None, better, f"it is not given for fewer than {least} faces a set, and there are {have}")
    measure = frechet_distance if name == "fid" else kernel_distance
    return Score(name, measure(np.stack(restored), np.stack(reference)), better)


class Inception:
    """The features that FID and KID are defined by: the pooled layer of the 2015 Inception network, 2048 numbers.

    Faces are resized to 299 pixels bilinearly with antialiasing, torchmetrics' protocol; the original and torch-fidelity resize
    without it, which changes FIDs of 512-pixel faces.
    """

    def __init__(self, network: torch.nn.Module, device: str) -> None:
        self.network, self.device = network, device

    @classmethod
    def load(cls, files: Mapping[str, Path], *, device: str = "cpu") -> Inception:
        """Build and fill torch-fidelity's network; MetricError where it is missing or the file holds another network."""
        if find_spec("torch_fidelity") is None:
            raise MetricError("fid and kid need torch-fidelity: pip install torch-fidelity")
        cure()
        from torchmetrics.image.fid import NoTrainInceptionV3

        module = import_module("torch_fidelity.feature_extractor_inceptionv3")
        path = files["inception-fid"]
        state = read_state_dict(path)
        # Its constructor opens the file with pickle; it is given the weights that were read before.
        handing = SimpleNamespace(**{**vars(module.torch), "load": lambda *_, **__: state})
        try:
            with patch.object(module, "torch", handing):
                network = NoTrainInceptionV3("inception-v3-compat", ["2048"], str(path))
        except RuntimeError as error:
            raise MetricError(f"{path} does not hold the Inception network of FID: fetch it again") from error
        return cls(network.to(device), device)

    def features(self, crop: UInt8) -> Float64:
        """(h, w, 3) uint8 RGB to (2048,) float64."""
        import torch

        tensor = torch.from_numpy(np.ascontiguousarray(crop)).permute(2, 0, 1)[None].to(self.device)
        with torch.inference_mode():
            row: Float64 = self.network(tensor)[0].double().cpu().numpy()
        return row
