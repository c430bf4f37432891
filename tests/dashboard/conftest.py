"""The dashboard on one Valkey for all of its tests; each test has a namespace of its own."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.dashboard.browser import Visitor
from tests.dashboard.serving import fill
from tests.web.site import Site
from worker.embedded import EmbeddedServer

Open = Callable[..., Site]
_namespaces = (f"dashboard{number}" for number in itertools.count())


@pytest.fixture(scope="package")
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


@pytest.fixture
def visitor(site: Site) -> Visitor:
    """Somebody with a browser that runs no scripts; signed in."""
    visitor = Visitor(site)
    visitor.sign_in()
    return visitor


@pytest.fixture(scope="package")
def sample(state_url: str) -> tuple[str, str]:
    """Where the sample fleet is: the server's URL and the namespace. Only to be looked at."""
    namespace = next(_namespaces)
    fill(state_url, namespace)
    return state_url, namespace
