"""The engine on a real server and an instant Crovver, with every round trip counted."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from unittest import mock

from redis.asyncio.connection import AbstractConnection

from tests.engine.world import ModelCrovver, Subscription
from worker.core.facts import Membership, UserFact
from worker.core.policy import Policy, Powers
from worker.core.times import MINUTE, SECOND
from worker.crovver.results import AllocationsPage
from worker.engine.ports import Pace, Ports
from worker.engine.rate import FleetRate
from worker.engine.reconcile import Reconciler
from worker.store.interface import Wake
from worker.store.redis_store import RedisStore

Result = TypeVar("Result")


class Calls(ModelCrovver):
    """A Crovver that answers at once, each call taking its place in the fleet's rate, as the client's do."""

    def __init__(self, rate: FleetRate) -> None:
        super().__init__(lambda: 0)
        self.rate = rate

    async def allocations_page(self, tenant: str, *, page: int, limit: int, status: str) -> AllocationsPage:
        await self.rate.acquire()
        return await super().allocations_page(tenant, page=page, limit=limit, status=status)


class Bench:
    """One deployment's engine. ``trips`` counts what was sent to the server, each with all that went with it."""

    def __init__(self, store: RedisStore, pace: Pace) -> None:
        self.store = store
        self.trips = 0
        ids = itertools.count()
        self.events = itertools.count()
        self.crovver = Calls(FleetRate(store, 1_000_000, 1.0, asyncio.sleep))
        self.reconciler = Reconciler(
            Ports(
                store=store, crovver=self.crovver, policy=Policy(), powers=Powers(stripe_webhooks=True),
                sleep=asyncio.sleep, monotonic=time.monotonic, new_id=lambda prefix: f"{prefix}_{next(ids):06}",
                pace=pace,
            )
        )  # fmt: skip

    async def join(self, tenant: str, *users: str) -> None:
        now = await self.store.now()
        facts = [UserFact(user, Membership.ADDED, now, f"evt_{next(self.events):08}") for user in users]
        await self.store.append({tenant: facts})

    async def reconcile(self, tenant: str) -> tuple[int, int]:
        """Round trips to the server and calls to Crovver of one wake-up."""
        await self.store.mark_due([tenant])
        wakes = (await self.store.claim_due(10, MINUTE)).wakes
        assert [wake.tenant for wake in wakes] == [tenant]
        trips, reads = self.trips, self.crovver.reads
        done = await self.reconciler.reconcile(wakes[0])
        cost = self.trips - trips, self.crovver.reads - reads
        assert done.verdict is not None
        assert not await self.store.renew(Wake(tenant, wakes[0].token), SECOND), "the wake-up has ended"
        return cost

    async def begin(self, tenant: str, capacity: int, taken: int) -> None:
        """A tenant that is known, and a server that knows all scripts."""
        for name in ("other", tenant):
            seats = {f"user-{number:06}": (True, 1 + number) for number in range(taken)}
            self.crovver.subscriptions[name] = Subscription(capacity, seats)
            await self.reconcile(name)
        await self.reconcile("other")


def play(url: str, scenario: Callable[[Bench], Awaitable[Result]], pace: Pace | None = None) -> Result:
    """Run a scenario in a namespace of its own."""

    async def main() -> Result:
        store = RedisStore.from_url(url, f"costs{time.monotonic_ns()}")
        bench = Bench(store, pace or Pace(trust_look=0))
        send = AbstractConnection.send_packed_command

        async def counted(self: AbstractConnection, *args: Any, **options: Any) -> None:
            bench.trips += 1
            await send(self, *args, **options)

        with mock.patch.object(AbstractConnection, "send_packed_command", counted):
            try:
                await store.ping()
                return await scenario(bench)
            finally:
                await store.aclose()

    return asyncio.run(main())
