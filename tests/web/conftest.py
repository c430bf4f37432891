"""The web app on one Valkey for all of its tests; each has a namespace of its own."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.web.site import Site
from worker.embedded import EmbeddedServer

Open = Callable[..., Site]


@pytest.fixture(scope="session")
def state_url() -> Iterator[str]:
    with EmbeddedServer() as server:
        yield server.url


@pytest.fixture
def open_site(state_url: str) -> Iterator[Open]:
    """Opens a deployment with other services than the usual."""
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())

        def open_site(url: str = state_url, **changes: Any) -> Site:
            site = Site(runner, url, **changes)
            stack.callback(site.close)
            return site

        yield open_site


@pytest.fixture
def site(open_site: Open) -> Site:
    return open_site()
