"""docs/metrics.md says of every metric what the table says, and quotes the statistics that the code uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from gfpup.analysis import statistics
from gfpup.evaluation.metrics import TABLE
from gfpup.evaluation.metrics.set_level import MINIMUM
from gfpup.ops.degrade import PROTOCOLS

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8")


def cells(name: str) -> list[list[str]]:
    rows = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in rows]


@pytest.mark.parametrize("name", TABLE)
def test_every_metric_is_described_as_it_is(name: str) -> None:
    row = TABLE[name]
    says, computes = cells(name)[:2]
    low, high = row.bounds
    bounds = "none" if low is None else f"{low:g} and up" if high is None else f"{low:g} to {high:g}"
    assert says[1:] == ["higher" if row.higher_is_better else "lower", bounds, row.level, row.meaning]
    weights = ", ".join(f"`{weight}`" for weight in row.weights) or "none"
    assert computes[1:] == [row.implementation, weights, row.licence_id]


def test_every_protocol_is_described() -> None:
    for name, protocol in PROTOCOLS.items():
        ((_, sigma, scale, noise, jpeg, _),) = cells(name)
        drawn_from = (protocol.sigma, protocol.scale, protocol.noise, protocol.jpeg)
        for text, values in zip((sigma, scale, noise, jpeg), drawn_from, strict=True):
            if isinstance(values, tuple):
                assert text == f"{values[0]:g} to {values[1]:g}", name


def test_the_numbers_of_the_statistics_are_the_codes() -> None:
    words = " ".join(PAGE.split())
    assert f"{statistics.RESAMPLES:,} resamples" in words
    assert f"None below {statistics.FEWEST_FOR_INTERVAL} photos" in words
    assert f"Below {statistics.FEWEST_FOR_CLAIM} photos" in words
    assert f"FID {MINIMUM['fid']} faces a set, KID {MINIMUM['kid']}" in words
