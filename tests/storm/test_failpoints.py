"""A worker is killed at each step around its first checkout call, while events flow. Another one is started."""

from collections.abc import Iterator

import pytest

from tests.e2e.crovver import Checkout
from tests.e2e.deployment import eventually
from tests.storm.crovver import StormCrovver
from tests.storm.harness import Storm
from tests.storm.row import Row
from worker.embedded import EmbeddedServer

HURRY = 6.0
"""Leases of 3.3 s, calls of 5 s, and a claim runs out after 15 s."""


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storm]:
    """One deployment for all rows of this file, each of which has tenants of its own, and starts the only worker."""
    crovver = StormCrovver()
    folder = tmp_path_factory.mktemp("failpoints")
    with EmbeddedServer(appendfsync="always") as valkey, Storm(folder, valkey.url, crovver, hurry=HURRY) as storm:
        yield storm.start("web", "scheduler")
    crovver.close()


@pytest.fixture(autouse=True)
def worker(storm: Storm) -> Iterator[None]:
    """Each row's worker ends with it."""
    yield
    storm.stop("worker")


def fall(storm: Storm, row: Row, failpoint: str) -> str:
    """Have the only worker be killed at a point by its first purchase; the tenant. Then events flow."""
    tenant, before = row.tenants[0], storm.times_ended("worker")
    storm.start("worker", failpoint=failpoint)
    row.join(tenant, "ada", "bob")
    eventually(lambda: storm.times_ended("worker") > before, 60, f"the worker to be killed {failpoint}")
    return tenant


@pytest.mark.parametrize("failpoint", ["before_claim", "after_outcome"])
def test_killed_where_nothing_is_in_doubt_the_next_worker_goes_on(storm: Storm, row: Row, failpoint: str) -> None:
    tenant = fall(storm, row, failpoint)
    assert len(storm.crovver.checkouts_of(tenant)) == (failpoint == "after_outcome")
    row.payer.resting.set()
    row.begin()
    view = storm.deployment.wait_for_state(tenant, "awaiting_payment", 60)
    assert view["upgrade"]["checkoutUrl"], "the link is not lost"
    row.payer.resting.clear()
    row.weathered()


def test_killed_with_the_answer_read_and_not_saved(storm: Storm, row: Row) -> None:
    tenant = fall(storm, row, "after_call")
    row.payer.resting.set()
    row.begin()
    # Nobody knows how the call ended, and whatever comes meanwhile, nobody calls again.
    storm.deployment.wait_for_state(tenant, "unknown", 60)
    row.accept(20)
    assert len(storm.crovver.checkouts_of(tenant)) == 1
    assert storm.deployment.state(tenant) == "unknown"
    row.payer.resting.clear()
    row.weathered()


def test_killed_while_crovver_works_on_the_call(storm: Storm, row: Row) -> None:
    tenant = row.tenants[0]

    def kill(checkout: Checkout) -> None:
        storm.crovver.before_answer = None
        storm.crash("worker")

    before = storm.times_ended("worker")
    storm.crovver.before_answer = kill
    storm.start("worker")
    row.join(tenant, "ada", "bob")
    eventually(lambda: storm.times_ended("worker") > before, 60, "the worker to be killed")
    row.payer.after = 1.0
    # Paid before anybody took the call for lost: the webhook and the capacity are news of a claim that is not theirs.
    row.begin()
    row.weathered()
    assert [one.capacity for one in storm.crovver.checkouts_of(tenant)].count(6) == 1
