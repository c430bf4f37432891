"""Counts cases, and holds each fuzzer to its memory."""

from collections.abc import Iterator

import pytest

from tests.hostile.counting import GROWTH_MIB, Counter
from tests.hostile.summary import NAME
from tests.web.conftest import Open, open_site, site, state_url

__all__ = ["Open", "open_site", "site", "state_url"]


@pytest.fixture
def counter(request: pytest.FixtureRequest) -> Iterator[Counter]:
    """The cases of this test, which are told at the end of the run."""
    counter = Counter()
    yield counter
    counter.look()
    request.node.user_properties.append((NAME, (counter.cases, counter.growth)))
    assert counter.growth < GROWTH_MIB, f"the process grew by {counter.growth:.0f} MiB over {counter.cases:,} cases"
