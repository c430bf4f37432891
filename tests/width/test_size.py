"""One tenant of 100,000 seats, and 100,000 tenants."""

import asyncio
from pathlib import Path

from tests.benchmarks.engine import Core
from tests.e2e.crovver import Crovver, Workspace
from tests.e2e.deployment import Deployment, event, eventually
from worker.embedded import EmbeddedServer
from worker.publisher import SeatEvents
from worker.store.redis_store import RedisStore

MANY = 100_000
PAGE = 100
"""Seats on one page of Crovver's list."""

BATCH = 1_000


class BigCrovver(Crovver):
    """Has one tenant, whose list does not change and is not sorted anew for each page."""

    def __init__(self, tenant: str, seats: int, capacity: int) -> None:
        super().__init__()
        self.listed = [(f"user_{number:06}", "2026-01-01T10:00:00.000Z") for number in range(seats)]
        self.workspaces[tenant] = Workspace(capacity, dict(self.listed))

    def rows(self, workspace: Workspace) -> list[tuple[str, str]]:
        return self.listed


def test_a_tenant_of_100_000_seats_is_read_once_and_then_looked_at(tmp_path: Path, valkey: EmbeddedServer) -> None:
    crovver = BigCrovver("huge", MANY, 2 * MANY)
    try:
        with Deployment(tmp_path, valkey.url, crovver, SEATS_CROVVER_RATE="1000/s") as deployment:
            deployment.start_all()
            deployment.join("huge", "first")
            eventually(lambda: deployment.tenant("huge").get("seatsNeeded") == MANY + 1, 120, "the first look")
            assert len(crovver.calls) <= MANY / PAGE + 2, "each page once, and what tells that nothing has moved"
            assert deployment.tenant("huge")["drift"]["missing"] == ["first"]
            before = len(crovver.calls)
            deployment.join("huge", "second")
            eventually(lambda: deployment.tenant("huge")["seatsNeeded"] == MANY + 2, 60, "one more seat")
            assert len(crovver.calls) - before <= 3
            assert deployment.publish(event("huge", "user_000000", "user.removed")).status_code == 202
            eventually(lambda: deployment.tenant("huge")["drift"]["orphaned"] == ["user_000000"], 60, "one less")
    finally:
        crovver.close()


def test_100_000_tenants_are_all_reconciled_and_listed(valkey: EmbeddedServer) -> None:
    names = [f"tenant_{number:06}" for number in range(MANY)]
    with SeatEvents.from_url(valkey.url, settle_seconds=0) as seats:
        assert seats.publish(event(name, "user_1") for name in names) == MANY

    async def found() -> tuple[int, int]:
        """How many tenants are listed, and how many of them are as their one event says."""
        store = RedisStore.from_url(valkey.url)
        listed, right = 0, 0
        for start in range(0, MANY, BATCH):
            part = names[start : start + BATCH]
            listed += len(await store.known_tenants(part))
            records = await store.records(part)
            right += sum(one.counts.needed == 1 and one.counts.missing == 1 for one in records.values())
        await store.aclose()
        return listed, right

    with Core(valkey.url) as core:
        # Each is reconciled once, none twice, and then nobody has anything left to do.
        assert core.work_off() == MANY
        assert core.crovver.reads == MANY
    assert asyncio.run(found()) == (MANY, MANY)
