"""A deployment of its own for each test, on a Valkey that syncs every write."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.crovver import Crovver
from tests.e2e.deployment import Deployment
from worker.embedded import EmbeddedServer


@pytest.fixture
def crovver() -> Iterator[Crovver]:
    server = Crovver()
    yield server
    server.close()


@pytest.fixture
def deployment(tmp_path: Path, valkey: EmbeddedServer, crovver: Crovver) -> Iterator[Deployment]:
    """Nothing runs yet: the test starts what it needs."""
    with Deployment(tmp_path, valkey.url, crovver) as running:
        yield running
