"""The dashboard on one Valkey for all of its tests; each test has a namespace of its own."""

import itertools

import pytest

from tests.dashboard.browser import Visitor
from tests.dashboard.serving import fill
from tests.web.conftest import Open, open_site, site, state_url
from tests.web.site import Site

__all__ = ["Open", "open_site", "site", "state_url"]
_namespaces = (f"dashboard{number}" for number in itertools.count())


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
