"""Writes that count only once replicas have them, on a real server and a replica that stands still."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest
import redis
from redis.exceptions import ResponseError

from tests.processes import eventually
from worker.core.facts import Membership, PaymentEvent, PaymentFact, UserFact
from worker.core.tenant import Tenant
from worker.embedded import EmbeddedServer
from worker.publisher import SeatEvents
from worker.store.errors import StoreUnavailable, TooFewReplicas
from worker.store.interface import Commit
from worker.store.redis_store import RedisStore
from worker.store.replicas import replicas_wanted
from worker.store.scripts import is_passing

JOINED = UserFact("user_1", Membership.ADDED, 1, "evt_1", None, None)
PAID = PaymentFact(PaymentEvent.COMPLETED, "cs_1", 1, "evt_2", "paid")
CLAIM = Commit(Tenant("acme"), 0, "pas_1", 0, durable=True)
Write = Callable[[RedisStore], Awaitable[object]]
WRITES: dict[str, Write] = {
    "append": lambda store: store.append({"acme": [JOINED]}),
    "commit": lambda store: store.commit(CLAIM),
    "park": lambda store: store.park(PAID),
    "link": lambda store: store.link_checkout(["cs_1"], "acme"),
    "ping": lambda store: store.ping(),
}


@pytest.fixture(scope="module")
def primary() -> Iterator[EmbeddedServer]:
    with EmbeddedServer() as server:
        yield server


@pytest.fixture(scope="module")
def following(primary: EmbeddedServer) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(extra=(f"replicaof 127.0.0.1 {primary.port}",)) as server:
        yield server


@pytest.fixture
def replica(primary: EmbeddedServer, following: EmbeddedServer) -> EmbeddedServer:
    """A replica that follows, of a server with nothing on it."""
    with redis.Redis.from_url(primary.url) as client:
        client.flushall()
        assert eventually(lambda: client.wait(1, 1000) == 1)
        client.config_resetstat()
    return following


@contextmanager
def standing_still(server: EmbeddedServer) -> Iterator[None]:
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def on_store(url: str, write: Write, min_replicas: int = 1) -> object:
    async def main() -> object:
        store = RedisStore.from_url(url, min_replicas=min_replicas)
        try:
            return await write(store)
        finally:
            await store.aclose()

    return asyncio.run(main())


def keys(url: str) -> set[bytes]:
    with redis.Redis.from_url(url) as client:
        return set(client.keys())


@pytest.mark.parametrize("name", WRITES)
def test_what_is_written_is_on_the_replica_when_the_call_returns(
    name: str, primary: EmbeddedServer, replica: EmbeddedServer
) -> None:
    assert on_store(primary.url, WRITES[name]) in (None, True)
    # Nothing else is asked of the primary, which would give the replica time.
    written = keys(replica.url)
    assert written == keys(primary.url) != set()


@pytest.mark.parametrize("name", WRITES)
def test_a_replica_that_stands_still_makes_it_fail_and_repeating_it_later_is_harmless(
    name: str, primary: EmbeddedServer, replica: EmbeddedServer
) -> None:
    with standing_still(replica):
        with pytest.raises(TooFewReplicas) as refused:
            on_store(primary.url, WRITES[name])
        assert "SEATS_MIN_REPLICAS" in str(refused.value)
        assert keys(primary.url), "the write itself stays"
    assert on_store(primary.url, WRITES[name]) in (None, True, False)
    assert keys(replica.url) == keys(primary.url)


def test_a_claim_that_was_saved_and_not_acknowledged_is_the_same_passes_when_it_asks_again(
    primary: EmbeddedServer, replica: EmbeddedServer
) -> None:
    with standing_still(replica), pytest.raises(TooFewReplicas):
        on_store(primary.url, WRITES["commit"])
    other = Commit(Tenant("acme"), 0, "pas_2", 0, durable=True)
    assert on_store(primary.url, lambda store: store.commit(other)) is False
    assert on_store(primary.url, WRITES["commit"]) is True


@pytest.mark.parametrize("name", WRITES)
def test_where_no_replica_is_asked_for_nothing_waits_and_nothing_more_is_sent(
    name: str, primary: EmbeddedServer, replica: EmbeddedServer
) -> None:
    with standing_still(replica):
        on_store(primary.url, WRITES[name], min_replicas=0)
    with redis.Redis.from_url(primary.url) as client:
        assert "cmdstat_wait" not in client.info("commandstats")


def test_seat_events_waits_for_the_replica_too(primary: EmbeddedServer, replica: EmbeddedServer) -> None:
    with SeatEvents.from_url(primary.url, min_replicas=1) as seats:
        seats.user_added("acme", "user_1", id="evt_1", time="2026-01-01T00:00:00Z")
        with standing_still(replica):
            with pytest.raises(StoreUnavailable, match="1 replicas"):
                seats.user_added("acme", "user_2", id="evt_2", time="2026-01-01T00:00:00Z")
            with SeatEvents.from_url(primary.url) as hasty:
                hasty.user_added("acme", "user_3", id="evt_3", time="2026-01-01T00:00:00Z")
        seats.user_added("acme", "user_2", id="evt_2", time="2026-01-01T00:00:00Z")
    assert on_store(primary.url, WRITES["append"]) is None


def test_a_server_with_no_replica_at_all_takes_nothing_that_should_be_on_one(valkey: EmbeddedServer) -> None:
    with pytest.raises(TooFewReplicas, match="0 had it"):
        on_store(valkey.url, WRITES["append"])


def test_behind_sentinel_and_on_a_cluster_one_replica_is_asked_for_and_elsewhere_none() -> None:
    assert replicas_wanted("redis+sentinel://h:26379/main", None) == 1
    assert replicas_wanted("redis+sentinel://h:26379/main", 0) == 0
    assert replicas_wanted("redis+sentinel://h:26379/main", 2) == 2
    assert replicas_wanted("redis://h:6379/0", None) == 0
    assert replicas_wanted("redis+cluster://h:6379", None) == 1
    assert replicas_wanted("redis+cluster://h:6379", 0) == 0


def test_a_call_that_waited_on_a_server_while_it_was_put_in_second_place_may_be_repeated() -> None:
    assert is_passing(ResponseError("UNBLOCKED force unblock from blocking operation, instance state changed"))
