"""A worker stands still between its claim and its call, for longer than the claim is good for; then it goes on."""

import time
from collections.abc import Iterator

import pytest

from tests.e2e.deployment import eventually
from tests.storm.crovver import StormCrovver
from tests.storm.harness import Storm
from tests.storm.row import Row
from worker.embedded import EmbeddedServer

USE_WITHIN = 7.5
"""Seconds, from its claim, within which a call may be made; after 15 the claim is nobody's."""


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storm]:
    """One deployment for all rows of this file, each of which has tenants of its own."""
    crovver = StormCrovver()
    folder = tmp_path_factory.mktemp("claims")
    with EmbeddedServer(appendfsync="always") as valkey, Storm(folder, valkey.url, crovver, hurry=6.0) as storm:
        yield storm.start("web", "scheduler")
    crovver.close()


@pytest.fixture(autouse=True)
def workers(storm: Storm) -> Iterator[None]:
    """Each row's workers end with it."""
    yield
    for name in ("worker", "worker2"):
        if name in storm.deployment.processes:
            storm.thaw(name)
            storm.stop(name)


def stand_still(storm: Storm, row: Row, failpoint: str) -> str:
    """Have a worker stop itself at a point by its first purchase, and others take over; the tenant."""
    tenant = row.tenants[0]
    storm.start("worker", failpoint=failpoint, then="stop")
    row.join(tenant, "ada", "bob")
    eventually(lambda: storm.is_frozen("worker"), 60, f"the worker to stand still {failpoint}")
    storm.start("worker2").ready("worker2")
    row.begin()
    return tenant


def test_a_claim_that_grew_old_while_its_worker_was_stopped_is_not_used(storm: Storm, row: Row) -> None:
    tenant = stand_still(storm, row, "after_claim")
    time.sleep(USE_WITHIN + 1)
    assert storm.deployment.state(tenant) in ("requesting", "unknown")
    assert storm.crovver.checkouts_of(tenant) == []
    row.join(tenant, "cyd")
    storm.thaw("worker")
    # It says that it has not called, so that it is asked anew, for those who came meanwhile as well.
    row.weathered()
    asked = [one.capacity for one in storm.crovver.checkouts_of(tenant)]
    assert asked
    assert min(asked) > 6, "the old claim was used"


def test_stopped_right_before_the_call_and_sent_after_the_claim_ran_out(storm: Storm, row: Row) -> None:
    tenant = stand_still(storm, row, "before_send")
    storm.deployment.wait_for_state(tenant, "unknown", 60)
    assert storm.crovver.checkouts_of(tenant) == []
    storm.thaw("worker")
    # The call goes out after all: what was unknown held the place for it.
    eventually(lambda: storm.crovver.checkouts_of(tenant), 30, "the call")
    row.weathered()
    assert [one.capacity for one in storm.crovver.checkouts_of(tenant)].count(6) == 1
