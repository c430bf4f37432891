"""How the scheduler hands out turns: in batches, no more than workers can take, and fairly.

Fairness by the order of service: a tenant whose events never end waits for its next turn like everybody else.
"""

import asyncio
from collections.abc import Iterable, Iterator

import pytest
from dramatiq import Message

from worker.actors import scheduler
from worker.actors.broker import RECONCILE, Broker, make_broker
from worker.core.facts import Membership, UserFact
from worker.core.tenant import Status
from worker.core.times import MINUTE
from worker.store.interface import Wake
from worker.store.redis_store import RedisStore

OTHERS = [f"quiet_{number}" for number in range(12)]
TURNS = 40


@pytest.fixture
def broker(redis_url: str) -> Iterator[Broker]:
    made = make_broker(redis_url, "seats")
    yield made
    made.close()


async def served(store: RedisStore, broker: Broker, turns: int) -> list[str]:
    """Tenants in the order in which the scheduler has one worker with one thread serve them.

    The noisy one has new events whenever it is its turn, and twice more before its turn is over.
    """
    stop = asyncio.Event()
    order: list[str] = []
    waking = asyncio.create_task(scheduler._wake_due(store, broker, stop, asyncio.Event(), elsewhere=False))
    consumer = broker.consume(RECONCILE, prefetch=1)
    while len(order) < turns:
        message = await asyncio.to_thread(next, consumer)
        if message is None:
            continue
        wake = Wake(*message.args)
        order.append(wake.tenant)
        for number in range(3):
            await store.append({"noisy": [fact(f"{len(order)}_{number}")]})
        await store.finish(wake, await store.now() + MINUTE, Status.OK, [])
        await asyncio.to_thread(consumer.ack, message)
        if wake.tenant != "noisy" and len(order) < turns - len(OTHERS):
            await store.append({wake.tenant: [fact(str(len(order)))]})
    stop.set()
    await waking
    return order


def fact(ident: str) -> UserFact:
    return UserFact("ada", Membership.ADDED, 1, f"evt_{ident}")


def test_between_two_turns_of_a_noisy_tenant_everybody_who_waits_has_one(redis_url: str, broker: Broker) -> None:
    async def main() -> list[str]:
        store = RedisStore.from_url(redis_url)
        try:
            await store.append({tenant: [fact("first")] for tenant in ("noisy", *OTHERS)})
            return await served(store, broker, TURNS)
        finally:
            await store.aclose()

    order = asyncio.run(main())
    turns = [number for number, tenant in enumerate(order) if tenant == "noisy"]
    assert set(order) == {"noisy", *OTHERS}
    assert set(order[: turns[1]]) == {"noisy", *OTHERS}
    # Each of the others has had its turn when the noisy one has its second, and so on: nobody is passed over.
    for other in OTHERS:
        assert order.count(other) >= len(turns) - 2


def test_wakes_go_out_in_batches_and_no_more_than_may_wait(
    redis_url: str, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenants = [f"t{number}" for number in range(scheduler.MOST_QUEUED + 50)]
    lengths: list[int] = []
    enqueue_all = broker.enqueue_all

    def noted(queue: str, messages: Iterable["Message[None]"]) -> int:
        lengths.append(enqueue_all(queue, messages))
        return lengths[-1]

    async def main() -> int:
        store, stop = RedisStore.from_url(redis_url), asyncio.Event()
        await store.mark_due(tenants)
        waking = asyncio.create_task(scheduler._wake_due(store, broker, stop, asyncio.Event(), elsewhere=False))
        await asyncio.sleep(0.5)
        stop.set()
        await waking
        backlog = await store.backlog()
        await store.aclose()
        return backlog.due

    monkeypatch.setattr(broker, "enqueue_all", noted)
    still_due = asyncio.run(main())
    assert lengths == [100, 200, scheduler.MOST_QUEUED]
    assert still_due == 50
