"""A worker stands still for longer than its lease, with a call under way; another one takes over; then it goes on."""

import time
from typing import Any

from tests.e2e.crovver import Checkout
from tests.e2e.deployment import eventually
from tests.storm.harness import Storm
from tests.storm.row import Row

LEASE = 20.0


def test_stopped_beyond_the_lease_in_the_middle_of_the_call(storm: Storm, row: Row) -> None:
    tenant = row.tenants[0]

    def stop(checkout: Checkout) -> None:
        storm.crovver.before_answer = None
        storm.freeze("worker")

    storm.crovver.before_answer = stop
    storm.start()
    row.join(tenant, "ada", "bob")
    eventually(lambda: storm.crovver.checkouts, 60, "the call")
    eventually(lambda: storm.is_frozen("worker"), 60, "the worker to be stopped")
    row.payer.resting.set()
    row.begin()
    storm.start("worker2", "scheduler2").ready("worker2", "scheduler2")
    time.sleep(LEASE + 3)
    seen = eventually(lambda: _needed_beyond(storm, tenant, 6), 60, "another worker to look after the tenant")
    assert seen["upgrade"]["state"] in ("requesting", "unknown"), "the claim is not its own"
    assert len(storm.crovver.checkouts_of(tenant)) == 1
    storm.thaw("worker")
    # The answer has been waiting for it; if it stood still for longer than a call may take, the answer counts as lost.
    eventually(lambda: storm.deployment.state(tenant) in ("awaiting_payment", "unknown"), 60, "the call to end")
    assert [one.capacity for one in storm.crovver.checkouts_of(tenant)] == [6]
    row.payer.resting.clear()
    row.weathered()


def _needed_beyond(storm: Storm, tenant: str, seats: int) -> dict[str, Any]:
    view = storm.deployment.tenant(tenant)
    return view if view.get("seatsNeeded", 0) > seats else {}
