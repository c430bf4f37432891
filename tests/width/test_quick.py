"""What is always run of the cluster: what a write has reached when it counts, and a small deployment under load."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Connection
from redis.asyncio.cluster import RedisCluster
from redis.crc import key_slot

from tests.storm.crovver import StormCrovver
from tests.storm.harness import Storm
from tests.storm.row import Row
from tests.width.cluster import Cluster
from tests.width.wide import KEYS, busiest, load, slots_in_use, weathered
from worker.core.facts import Membership, PaymentEvent, PaymentFact, UserFact
from worker.core.tenant import Status, Tenant
from worker.core.times import HOUR, MINUTE
from worker.embedded import EmbeddedServer
from worker.store.errors import TooFewReplicas
from worker.store.interface import Commit, Ending, Wake
from worker.store.redis_store import RedisStore
from worker.store.scripts import command

JOINED = UserFact("user_1", Membership.ADDED, 1, "evt_1", None, None)
PAID = PaymentFact(PaymentEvent.COMPLETED, "cs_1", 1, "evt_2", "paid")
Write = Callable[[RedisStore], Awaitable[object]]
WRITES: dict[str, Write] = {
    "append": lambda store: store.append({f"t{number}": [JOINED] for number in range(50)}),
    "claim": lambda store: store.commit(Commit(Tenant("acme"), 0, "pas_1", 0, durable=True)),
    "commit": lambda store: store.commit(Commit(Tenant("acme"), 0, "pas_1", 0)),
    "park": lambda store: store.park(PAID),
    "link": lambda store: store.link_checkout(["cs_1", "cs_2", "cs_3"], "acme"),
    "ping": lambda store: store.ping(),
}


@pytest.fixture(scope="module")
def state() -> Iterator[Cluster]:
    """One cluster for all of them."""
    with Cluster() as running:
        yield running


@pytest.fixture
def empty(state: Cluster) -> Cluster:
    """With nothing in it."""
    for primary in state.primaries():
        state.ask(primary, "FLUSHALL")
        assert state.ask(primary, "WAIT", 1, 5_000) == 1
    return state


def on_store(state: Cluster, write: Write) -> object:
    async def main() -> object:
        store = RedisStore.from_url(state.url)
        try:
            async with asyncio.timeout(30):
                return await write(store)
        finally:
            await store.aclose()

    return asyncio.run(main())


@pytest.mark.parametrize("name", WRITES)
def test_what_is_written_is_on_the_replicas_when_the_call_returns(name: str, empty: Cluster) -> None:
    assert on_store(empty, WRITES[name]) in (None, True)
    written = {primary.port: set(empty.ask(primary, "KEYS", "*")) for primary in empty.primaries()}
    for primary in empty.primaries():
        assert set(empty.ask(empty.replica_of(primary), "KEYS", "*")) >= written[primary.port]
    assert any(written.values())


def test_without_its_replica_a_primary_takes_nothing_for_safe_and_the_others_go_on(empty: Cluster) -> None:
    alone = empty.owner_of_key(KEYS.record("acme"))
    other = next(
        name
        for name in map("t{}".format, range(100))
        if alone not in (empty.owner_of_key(KEYS.record(name)), empty.owner_of_key(KEYS.index_of(name, "due")))
    )
    index = KEYS.index_of("acme", "due")
    with empty.alone(alone):
        for write in (WRITES["claim"], lambda store: store.append({"acme": [JOINED]})):
            with pytest.raises(TooFewReplicas, match="SEATS_MIN_REPLICAS"):
                on_store(empty, write)
        on_store(empty, lambda store: store.append({other: [JOINED]}))
        assert empty.ask(empty.owner_of_key(index), "ZSCORE", index, "acme") is not None, "what is in is looked at"
    assert on_store(empty, WRITES["claim"]) is True, "the same pass asks again"


def test_a_save_that_may_be_undone_has_the_tenant_looked_at_again_within_a_minute(empty: Cluster) -> None:
    tenant = next(
        name
        for name in map("t{}".format, range(100))
        if empty.owner_of_key(KEYS.record(name)) is not empty.owner_of_key(KEYS.index_of(name, "due"))
    )

    async def save(store: RedisStore) -> int:
        now = await store.now()
        loaded = await store.load(tenant)
        commit = Commit(Tenant(tenant), loaded.version, f"pas_{loaded.version}", 0, at=now)
        assert await store.commit(commit, Ending(Wake(tenant, ""), now + HOUR, Status.OK))
        return int(await store.scripts.run(command("ZSCORE", KEYS.index_of(tenant, "due"), tenant))) - now

    assert on_store(empty, save) == HOUR
    on_store(empty, lambda store: store.scripts.run(command("DEL", KEYS.index_of(tenant, "due"))))
    with empty.alone(empty.owner_of_key(KEYS.record(tenant))):
        assert on_store(empty, save) == MINUTE


def test_a_key_is_followed_to_where_it_is_moved(empty: Cluster) -> None:
    """Also while several connections lie idle, one of which would be told, and another asked."""
    key, at_once = KEYS.checkout("cs_1"), 5
    slot, source = key_slot(key.encode()), empty.owner_of_key(key)
    target = next(one for one in empty.primaries() if one is not source)

    async def follow(store: RedisStore) -> None:
        async def linked() -> list[list[str]]:
            return await asyncio.gather(*(store.linked_tenants(["cs_1"]) for _ in range(at_once)))

        await store.link_checkout(["cs_1"], "acme")
        assert await linked() == [["acme"]] * at_once
        empty.open_slot(slot, source, target)
        assert await linked() == [["acme"]] * at_once
        assert empty.carry(slot, source, target) == 1
        for _ in range(at_once):
            assert await linked() == [["acme"]] * at_once
            assert await store.linked_tenants(["cs_1"]) == ["acme"]
        await store.link_checkout(["cs_1"], "other")
        empty.close_slot(slot, source, target)
        assert await linked() == [["other"]] * at_once

    on_store(empty, follow)


def test_a_slot_that_the_map_does_not_have_is_looked_for(empty: Cluster) -> None:
    """As when the map was read of a node that had just lost the slot, and did not know yet to whom."""

    async def scenario(store: RedisStore) -> None:
        await store.link_checkout(["cs_1"], "acme")
        assert isinstance(store.client, RedisCluster)
        store.client.nodes_manager.slots_cache.clear()
        assert await store.linked_tenants(["cs_1"]) == ["acme"]

    on_store(empty, scenario)


@pytest.mark.parametrize("error", [RuntimeError("the handler is closed"), AttributeError("no writer")])
def test_a_connection_that_another_task_has_closed_is_a_lost_one(
    error: Exception, empty: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended a reconcile between its claim and its call, and the upgrade was held."""
    send, failed = Connection.send_packed_command, list[Exception]()

    async def closed_once(connection: Connection, *args: Any, **options: Any) -> None:
        if not failed and b"cs_1" in args[0]:
            failed.append(error)
            raise error
        await send(connection, *args, **options)

    monkeypatch.setattr(Connection, "send_packed_command", closed_once)
    on_store(empty, lambda store: store.link_checkout(["cs_1"], "acme"))
    assert on_store(empty, lambda store: store.linked_tenants(["cs_1"])) == ["acme"]
    assert failed == [error]


def test_slots_move_and_a_primary_dies_under_load(
    tmp_path: Path, valkey: EmbeddedServer, empty: Cluster, storm_crovver: StormCrovver, make_row: Callable[..., Row]
) -> None:
    with Storm(tmp_path, valkey.url, storm_crovver, hurry=5.0, SEATS_STATE_URL=empty.url) as storm:
        storm.start().ready()
        row = load(storm, make_row, tenants=10, publishers=3)
        row.begin()
        row.accept(15)
        target, *_, source = busiest(empty, row.tenants)
        used = slots_in_use(row.tenants) & empty.slots_had_by(source)
        assert empty.move(used, target, "key by key") > 0
        row.accept(15)
        target.kill()
        empty.failed_over(target)
        empty.rejoin(target)
        row.accept(15)
        weathered(row)
        assert storm.ended == [], "nobody had to be started anew"
