"""The worker's core by itself: ``Reconciler`` on a real Valkey, with a Crovver that answers at once in this process."""

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self, TypeVar

import structlog

from worker.core.allocation import Allocation, Summary
from worker.core.checkout import Checkout
from worker.core.credits import CreditPool
from worker.core.facts import Fact, RosterUser
from worker.core.policy import Policy, Powers
from worker.core.roster import Entry
from worker.core.times import SECOND
from worker.crovver.results import AllocationsPage, BulkAllocation
from worker.engine.ports import Pace, Ports
from worker.engine.reconcile import Reconciler
from worker.store.interface import Store, Wake
from worker.store.redis_store import RedisStore

Result = TypeVar("Result")

ROOM = 10_000_000
"""Seats of a subscription that nothing is ever bought for."""

AT_ONCE = 16
"""Tenants that are reconciled side by side, as in one worker process."""

LEASE = 60 * SECOND


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Have the engine log nothing below a warning in this block."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        yield
    finally:
        structlog.configure(**before)


class Crovver:
    """Answers at once. ``seats`` tells whom it lists of a tenant; ``reads`` counts pages, ``checkouts`` purchases."""

    def __init__(self, seats: Callable[[str], Sequence[str]] = lambda tenant: (), room: int = ROOM) -> None:
        self.seats = seats
        self.room = room
        self.reads = 0
        self.checkouts = 0

    async def allocations_page(self, tenant: str, *, page: int, limit: int, status: str) -> AllocationsPage:
        self.reads += 1
        users = self.seats(tenant)
        pages = -(-len(users) // limit)
        rows = tuple(Allocation(user, True, SECOND) for user in users[(page - 1) * limit : page * limit])
        return AllocationsPage(rows, Summary(len(users), self.room, False, len(users)), page, pages, page < pages)

    async def proration_checkout(self, tenant: str, new_capacity: int, **options: object) -> Checkout:
        self.checkouts += 1
        return Checkout(f"proration-{self.checkouts}", f"https://pay.example/{self.checkouts}", requires_payment=True)

    async def credits_balance(self, tenant: str) -> Mapping[str, CreditPool]:
        return {}

    async def bulk_allocate(
        self, tenant: str, users: Sequence[RosterUser], metadata: Mapping[str, object] | None = None
    ) -> BulkAllocation:
        raise AssertionError("nothing is to be repaired")


def ports(store: Store, crovver: Crovver, pace: Pace) -> Ports:
    serial = itertools.count()
    return Ports(
        store=store,
        crovver=crovver,
        policy=Policy(),
        powers=Powers(stripe_webhooks=True),
        sleep=asyncio.sleep,
        monotonic=time.monotonic,
        new_id=lambda prefix: f"{prefix}_{next(serial):028x}",
        pace=pace,
    )


class Core:
    """The engine and its store, on an event loop of their own. While one is open, only warnings are logged."""

    def __init__(self, url: str, crovver: Crovver | None = None, pace: Pace | None = None) -> None:
        self.crovver = crovver or Crovver()
        self._silence = contextlib.ExitStack()
        self._silence.enter_context(_quiet())
        self._loop = asyncio.new_event_loop()
        self._store = RedisStore.from_url(url)
        self._reconciler = Reconciler(ports(self._store, self.crovver, pace or Pace()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._run(self._store.aclose())
        self._loop.close()
        self._silence.close()

    def _run(self, work: Awaitable[Result]) -> Result:
        return self._loop.run_until_complete(work)

    def accept(self, facts: Mapping[str, Sequence[Fact]]) -> None:
        """Put facts in their inboxes, in batches such as the door takes, which makes their tenants due."""

        async def append() -> None:
            for tenant, waiting in facts.items():
                for start in range(0, len(waiting), 1000):
                    await self._store.append({tenant: waiting[start : start + 1000]}, bounded=False)

        self._run(append())

    def backlog(self) -> int:
        """How many tenants wait to be reconciled, or are being."""
        waiting = self._run(self._store.backlog())
        return waiting.due + waiting.leased

    def mark_due(self, tenants: Sequence[str]) -> None:
        self._run(self._store.mark_due(tenants))

    def work_off(self) -> int:
        """Reconcile whatever is due, ``AT_ONCE`` tenants at a time, until nothing is; how many were."""

        async def reconcile() -> int:
            done = 0
            while wakes := (await self._store.claim_due(AT_ONCE, LEASE)).wakes:
                await asyncio.gather(*(self._reconciler.reconcile(wake) for wake in wakes))
                done += len(wakes)
            return done

        return self._run(reconcile())

    def hold(self, tenant: str) -> Wake:
        """Lease a tenant, as a scheduler does before it wakes it."""
        wake = self._run(self._store.hold(tenant, LEASE))
        assert wake is not None, f"{tenant} is held by somebody else"
        return wake

    def reconcile(self, wake: Wake) -> None:
        """Reconcile one tenant."""
        self._run(self._reconciler.reconcile(wake))

    def roster(self, tenant: str) -> dict[str, Entry]:
        return self._run(self._store.whole_roster(tenant))
