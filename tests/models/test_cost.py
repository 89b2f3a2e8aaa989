"""Parameters and operations in the table are those that are counted from the networks."""

from __future__ import annotations

import pytest

from gfpup.models.cost import counted
from gfpup.models.table import TABLE

STATED = {
    **{name: (row.millions, row.gflop) for name, row in TABLE.items() if row.network is not None},
    **{f"{name}-{version}": cost for name, row in TABLE.items() for version, cost in row.costs.items()},
}


SLOW = {"pmrf"}
"""Counted step by step, in Python: more than a minute on a busy machine."""


@pytest.mark.parametrize("architecture", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in STATED])
def test_the_table_states_what_is_counted(architecture: str) -> None:
    found = counted(architecture)
    assert (found.millions, round(found.gflop)) == STATED[architecture]


def test_a_known_network_is_counted_right() -> None:
    """ParseNet at 512 px: 469 GFLOP, by the parity folder's README, which counts a little more than products."""
    assert counted("parsenet").gflop == pytest.approx(469, rel=0.003)


def test_every_version_with_a_network_of_its_own_has_its_cost() -> None:
    for name, row in TABLE.items():
        assert set(row.networks) == set(row.costs), name
        assert row.network is None or (row.gflop and row.millions), name
