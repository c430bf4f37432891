"""The index on a cluster of three primaries: shards that move, and one primary that is away."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis
from redis.crc import key_slot

from tests.store.test_shards import OF_SHARD
from worker.core.facts import HintFact
from worker.core.tenant import Status
from worker.core.times import SECOND
from worker.embedded import EmbeddedServer
from worker.store.errors import StoreUnavailable
from worker.store.interface import Order
from worker.store.keys import CLUSTER_SHARDS
from worker.store.redis_store import RedisStore

SLOTS = 16384
OPTIONS = ("cluster-enabled yes", "cluster-require-full-coverage no", "cluster-node-timeout 1000", "save ''")

_namespaces = (f"primaries{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def primaries() -> Iterator[list[EmbeddedServer]]:
    """Three primaries with a third of the slots each."""
    with ExitStack() as stack:
        servers = [stack.enter_context(EmbeddedServer(extra=OPTIONS)) for _ in range(3)]
        clients = [stack.enter_context(redis.Redis.from_url(server.url)) for server in servers]
        for number, client in enumerate(clients):
            first, beyond = (SLOTS * at // len(servers) for at in (number, number + 1))
            client.execute_command("CLUSTER ADDSLOTSRANGE", first, beyond - 1)
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
            if number:
                client.execute_command("CLUSTER MEET", "127.0.0.1", servers[0].port)
        deadline = time.monotonic() + 20
        while not all(_whole(client) for client in clients):
            assert time.monotonic() < deadline, "the cluster did not form"
            time.sleep(0.05)
        yield servers


def _whole(client: Any) -> bool:
    found = client.execute_command("CLUSTER INFO")
    return (found["cluster_state"], found["cluster_slots_ok"]) == ("ok", str(SLOTS))


def play(servers: list[EmbeddedServer], scenario: Callable[[RedisStore], Awaitable[None]]) -> None:
    url = servers[0].url.replace("redis://", "redis+cluster://").removesuffix("/0")

    async def main() -> None:
        store = RedisStore.from_url(url, next(_namespaces), min_replicas=0)
        try:
            async with asyncio.timeout(30):
                await scenario(store)
        finally:
            await store.aclose()

    asyncio.run(main())


def test_a_fresh_store_asks_the_right_primary_at_once(primaries: list[EmbeddedServer]) -> None:
    async def scenario(store: RedisStore) -> None:
        names = [f"t{number}" for number in range(200)]
        await asyncio.gather(*(store.append({name: [HintFact("operator", 1, "hint")]}) for name in names))
        claimed = await store.claim_due(200, 60 * SECOND)
        assert sorted(wake.tenant for wake in claimed.wakes) == sorted(names)
        await asyncio.gather(*(store.finish(wake, 1, Status.OK, []) for wake in claimed.wakes))
        page = await store.find_tenants(status=None, prefix="", order=Order.ID, offset=150, limit=2)
        assert (page.total, [row.tenant for row in page.rows]) == (200, sorted(names)[150:152])

    play(primaries, scenario)
    for server in primaries:
        with redis.Redis.from_url(server.url) as client:
            assert "errorstat_MOVED" not in client.info("errorstats")
            assert client.execute_command("DBSIZE") > 200 // 3 / 2


def test_a_shard_that_moves_to_another_primary_loses_nothing(primaries: list[EmbeddedServer]) -> None:
    async def scenario(store: RedisStore) -> None:
        await store.mark_due(OF_SHARD.values())
        await asyncio.to_thread(move, primaries, store.keys.index("due", 5))
        wakes = (await store.claim_due(100, 60 * SECOND)).wakes
        assert {wake.tenant for wake in wakes} == set(OF_SHARD.values())
        sleeping = asyncio.create_task(store.wait_bell(20))
        await asyncio.sleep(0.05)
        await asyncio.to_thread(move, primaries, store.keys.index("due", 5))
        for wake in wakes:
            await store.finish(wake, await store.now() - 1, Status.OK, [])
        await sleeping
        assert len((await store.claim_due(100, 60 * SECOND)).wakes) == CLUSTER_SHARDS

    play(primaries, scenario)


def move(servers: list[EmbeddedServer], key: str) -> None:
    """Move the slot of a key, with all its keys, from the primary that has it to the next one."""
    with ExitStack() as stack:
        clients = [stack.enter_context(redis.Redis.from_url(server.url)) for server in servers]
        names = [client.execute_command("CLUSTER MYID").decode() for client in clients]
        (there,) = [number for number, client in enumerate(clients) if has(client, key)]
        slot = key_slot(key.encode())
        to = (there + 1) % len(servers)
        clients[to].execute_command("CLUSTER SETSLOT", slot, "IMPORTING", names[there])
        clients[there].execute_command("CLUSTER SETSLOT", slot, "MIGRATING", names[to])
        while keys := clients[there].execute_command("CLUSTER GETKEYSINSLOT", slot, 100):
            clients[there].execute_command("MIGRATE", "127.0.0.1", servers[to].port, "", 0, 5000, "KEYS", *keys)
        for client in (clients[to], clients[there], *clients):
            client.execute_command("CLUSTER SETSLOT", slot, "NODE", names[to])


def has(client: Any, key: str) -> bool:
    """Whether a primary has a key."""
    return bool(client.execute_command("CLUSTER COUNTKEYSINSLOT", key_slot(key.encode())))


def test_a_primary_that_is_away_keeps_no_tenant_of_the_others_waiting(primaries: list[EmbeddedServer]) -> None:
    """Last, as it is killed."""

    async def scenario(store: RedisStore) -> None:
        await store.mark_due(OF_SHARD.values())
        with redis.Redis.from_url(primaries[2].url) as client:
            away = {shard for shard, key in enumerate(store.keys.indexes("due")) if has(client, key)}
        assert 0 < len(away) < CLUSTER_SHARDS
        await asyncio.to_thread(primaries[2].kill)
        wakes = (await store.claim_due(100, 60 * SECOND)).wakes
        assert {wake.tenant for wake in wakes} == {name for shard, name in OF_SHARD.items() if shard not in away}
        with pytest.raises(StoreUnavailable):
            await store.claim_due(100, 60 * SECOND)

    play(primaries, scenario)
