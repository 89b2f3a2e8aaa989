"""Statistics are read as they were written, from BasicSR's files too, and refused with one sentence where they do not fit."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from gfpup.core.errors import GfpupError
from gfpup.evaluation.metrics import MetricError
from gfpup.evaluation.metrics.statistics import Statistics, read_statistics, statistics_of, write_statistics

ROWS = np.random.default_rng(1).normal(size=(20, 6))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "ref.npz"
    write_statistics(path, statistics_of(ROWS, protocol="inception-basicsr"))
    found = read_statistics(path)
    assert found.protocol == "inception-basicsr" and found.moments.count == 20 and found.features is None
    assert np.array_equal(found.moments.mean, ROWS.mean(axis=0))
    assert np.array_equal(found.moments.covariance, np.cov(ROWS, rowvar=False))
    assert found.facts["pictures"] == 20 and len(str(found.facts["sha256"])) == 64
    write_statistics(path, statistics_of(ROWS, protocol="vgg16-fidelity", keep=True))
    kept = read_statistics(path).features
    assert kept is not None and np.allclose(kept, ROWS, atol=1e-6)


def test_basicsrs_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "inception_FFHQ_512.pth"
    expected = statistics_of(ROWS, protocol="x").moments
    for old in (False, True):
        content = {"name": "FFHQ", "size": 512, "mean": expected.mean, "cov": expected.covariance}
        torch.save(content, path, _use_new_zipfile_serialization=not old)
        found = read_statistics(path, protocol="inception-basicsr")
        assert np.array_equal(found.moments.covariance, expected.covariance) and found.moments.count == 0
    with pytest.raises(MetricError, match="does not say how its features were computed"):
        read_statistics(path)


class Program:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("echo it ran",)


def test_nothing_in_a_file_is_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "evil.pth"
    objects = np.empty(1, object)
    objects[0] = Program()
    for content in ({"mean": Program()}, {"mean": objects}):
        torch.save(content, path)
        with pytest.raises(GfpupError, match=r"carries code|damaged"):
            read_statistics(path, protocol="x")
    assert "it ran" not in capfd.readouterr().out


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "ref.npz"
    with pytest.raises(MetricError, match="gfpup stats --input"):
        read_statistics(path)
    path.write_bytes(b"no archive")
    with pytest.raises(MetricError, match="is damaged or not a file of statistics"):
        read_statistics(path)
    write_statistics(path, statistics_of(ROWS, protocol="a"))
    with pytest.raises(MetricError, match="holds features of a where those of b are needed"):
        read_statistics(path, protocol="b")
    np.savez(path, protocol=np.array("a"), mean=ROWS[0])
    with pytest.raises(MetricError, match="has no array 'cov'"):
        read_statistics(path)
    np.savez(path, protocol=np.array("a"), mean=ROWS[0], cov=np.eye(5))
    with pytest.raises(MetricError, match="do not belong together"):
        read_statistics(path)


def test_what_is_not_there_is_not_told() -> None:
    statistics: Statistics = statistics_of(ROWS, protocol="a")
    assert statistics.facts == {"file": "", "sha256": "", "features": "a", "pictures": 20}
