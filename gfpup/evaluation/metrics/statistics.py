"""Reference statistics: the features of a reference set, computed once and kept in a file, to measure many runs against.

The file is an .npz with the protocol, the mean and the covariance, the number of pictures, and for precision the features
themselves. BasicSR's own .pth files (`mean`, `cov`) are read too.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from gfpup.core.files import sha256_of, write_atomic
from gfpup.core.types import Float64
from gfpup.evaluation.metrics import MetricError
from gfpup.evaluation.metrics.distances import Moments, moments
from gfpup.weights.checkpoint import read_arrays

LARGEST_BYTES: Final = 4 << 30
"""70,000 pictures of 4096 features take 1.1 GB."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """A reference set: the `protocol` of its features, their moments, and the features themselves where they are kept.

    `path` and `sha256` say which file they came from.
    """

    protocol: str
    moments: Moments
    features: Float64 | None = field(default=None, repr=False)
    path: str = ""
    sha256: str = ""

    @property
    def facts(self) -> dict[str, object]:
        """What a record of scores keeps of it."""
        return {"file": self.path, "sha256": self.sha256, "features": self.protocol, "pictures": self.moments.count or None}


def statistics_of(features: Float64, *, protocol: str, keep: bool = False) -> Statistics:
    """The statistics of features, (n, d) float64; ValueError for fewer than two rows."""
    return Statistics(protocol, moments(features), features if keep else None)


def write_statistics(path: Path, statistics: Statistics) -> None:
    """Write an .npz file; OutputError where it cannot be written."""
    buffer, found = io.BytesIO(), statistics.moments
    arrays: dict[str, Any] = {"mean": found.mean, "cov": found.covariance, "count": np.array(found.count)}
    if statistics.features is not None:
        arrays["features"] = statistics.features.astype(np.float32)
    np.savez_compressed(buffer, protocol=np.array(statistics.protocol), **arrays)
    write_atomic(path, buffer.getvalue())


def read_statistics(path: Path, *, protocol: str | None = None) -> Statistics:
    """Read an .npz of `write_statistics`, or BasicSR's .pth, which does not say its `protocol`. Nothing in the file is run.

    Raises MetricError where there is no such file, it is damaged, it lacks an array, or its protocol is not `protocol`.
    """
    if not path.is_file():
        raise MetricError(f"there are no statistics at {path}: make them with gfpup stats --input references/ --output {path}")
    said: str | None = None
    if path.suffix == ".npz":
        said, arrays = _read_npz(path)
    else:
        arrays = read_arrays(path)
    if said is None and protocol is None:
        raise MetricError(f"{path} does not say how its features were computed: give an .npz file of gfpup stats")
    if None not in (said, protocol) and said != protocol:
        raise MetricError(f"{path} holds features of {said} where those of {protocol} are needed: make it with that protocol")
    try:
        mean, covariance = np.asarray(arrays["mean"], np.float64), np.asarray(arrays["cov"], np.float64)
    except KeyError as error:
        raise MetricError(f"{path} has no array {error}: statistics are a mean and a cov") from error
    if mean.ndim != 1 or covariance.shape != mean.shape * 2 or not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise MetricError(f"the mean {mean.shape} and covariance {covariance.shape} of {path} do not belong together")
    features = arrays.get("features")
    count = int(arrays.get("count", 0))
    kept = None if features is None else np.asarray(features, np.float64)
    return Statistics(said or str(protocol), Moments(mean, covariance, count), kept, str(path), sha256_of(path))


def _read_npz(path: Path) -> tuple[str | None, dict[str, np.ndarray]]:
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > LARGEST_BYTES:
                raise MetricError(f"{path} would unpack to more than {LARGEST_BYTES >> 30} GB, which no statistics do")
        with np.load(path, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise MetricError(f"{path} is damaged or not a file of statistics ({error}): make it again with gfpup stats") from error
    said = arrays.pop("protocol", None)
    return None if said is None else str(said), arrays
