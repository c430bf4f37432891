"""Rows of width: a deployment spread over many servers and processes. One quick row always runs, the others where
WIDTH_ROUNDS is set, and so many times. What they come to is entered in the storm's tally."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storm.conftest import TIMEOUT, make_row, pytest_runtest_call, storm_crovver
from tests.width.cluster import Cluster

__all__ = ["make_row", "pytest_runtest_call", "storm_crovver"]

ROUNDS = int(os.environ.get("WIDTH_ROUNDS", "0"))
QUICK = "test_quick.py"
"""What is always run."""


@pytest.fixture(params=range(1, ROUNDS + 1) if ROUNDS > 1 else None)
def storm_round(request: pytest.FixtureRequest) -> int:
    """Which round of a row this is."""
    return int(getattr(request, "param", 1))


@pytest.fixture
def state() -> Iterator[Cluster]:
    """A cluster of three primaries with a replica each."""
    with Cluster() as running:
        yield running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(TIMEOUT))
            if item.path.name != QUICK and not ROUNDS:
                item.add_marker(pytest.mark.skip("a row of width: runs where WIDTH_ROUNDS is set"))
