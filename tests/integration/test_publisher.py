"""SeatEvents: the same events as at the door, from Python, over a real server."""

import asyncio
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import redis

from worker import publisher
from worker.core.facts import Fact, Membership, UserFact
from worker.embedded import EmbeddedServer
from worker.publisher import BadEvents, BadRedisURL, InboxFull, SeatEvents, StateElsewhere, StoreUnavailable
from worker.store.interface import Loaded
from worker.store.keys import Keys
from worker.store.redis_store import RedisStore

AT = 1_777_629_600_123_000


@pytest.fixture
def seats(redis_url: str) -> Iterator[SeatEvents]:
    with SeatEvents.from_url(redis_url, settle_seconds=0) as opened:
        yield opened


def load(url: str, tenant: str = "acme", namespace: str = "seats") -> Loaded:
    async def main() -> Loaded:
        store = RedisStore.from_url(url, namespace)
        try:
            return await store.load(tenant)
        finally:
            await store.aclose()

    return asyncio.run(main())


def inbox(url: str, tenant: str = "acme") -> list[Fact]:
    return list(load(url, tenant).facts)


def event(**changes: Any) -> dict[str, Any]:
    data = {"tenantId": changes.pop("tenant", "acme"), "userId": changes.pop("user", "user_1")}
    return {"specversion": "1.0", "id": "evt_1", "source": "myapp", "type": "user.added", "data": data, **changes}


def test_a_user_added_and_removed_are_in_the_inbox_and_the_tenant_is_due(seats: SeatEvents, redis_url: str) -> None:
    assert (
        seats.user_added("acme", "user_1", "ada@example.com", "Ada", id="evt_1", time="2026-05-01T10:00:00.123Z")
        == "evt_1"
    )
    assert seats.user_removed("acme", "user_1", id="evt_2", time=datetime(2026, 5, 1, 10, 1, tzinfo=UTC)) == "evt_2"
    assert inbox(redis_url) == [
        UserFact("user_1", Membership.ADDED, AT, "evt_1", "ada@example.com", "Ada"),
        UserFact("user_1", Membership.REMOVED, AT + 59_877_000, "evt_2"),
    ]
    with redis.Redis.from_url(redis_url) as client:
        assert client.zscore(Keys("seats").index("due"), "acme") is not None


def test_an_id_and_a_time_are_made_up_where_none_is_given(seats: SeatEvents, redis_url: str) -> None:
    before = time.time_ns() // 1_000
    idents = [seats.user_added("acme", "user_1") for _ in range(3)]
    facts = inbox(redis_url)
    assert [fact.id for fact in facts] == idents
    assert len(set(idents)) == 3
    assert all(before <= fact.at <= time.time_ns() // 1_000 for fact in facts)


def test_a_datetime_of_any_zone_is_the_same_instant(seats: SeatEvents, redis_url: str) -> None:
    moment = datetime(2026, 5, 1, 10, 0, 0, 123_456, tzinfo=UTC)
    seats.user_added("acme", "user_1", time=moment)
    seats.user_added("acme", "user_1", time=moment.astimezone(timezone(timedelta(hours=-5, minutes=-30))))
    assert [fact.at for fact in inbox(redis_url)] == [AT + 456] * 2


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"tenant": ""}, "data.tenantId"),
        ({"user": "a\nb"}, "data.userId"),
        ({"user": "half \ud83d"}, "data.userId"),
        ({"user": 7}, "data.userId"),
        ({"email": "x" * 321}, "data.email"),
        ({"id": ""}, "id"),
        ({"time": datetime(2026, 5, 1)}, "time"),
        ({"time": "soon"}, "time"),
        ({"time": datetime.now(UTC) + timedelta(hours=2)}, "time"),
    ],
)
def test_a_bad_argument_is_named_and_nothing_is_written(
    seats: SeatEvents, redis_url: str, arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises(BadEvents) as caught:
        seats.user_added(**{"tenant": "acme", "user": "user_1", **arguments})
    assert [(problem.index, problem.field) for problem in caught.value.problems] == [(0, field)]
    assert field in str(caught.value)
    assert inbox(redis_url) == []


def test_events_are_published_for_all_their_tenants_in_their_order(seats: SeatEvents, redis_url: str) -> None:
    accepted = seats.publish(event(id=f"e{at}", tenant=f"t{at % 2}", user=f"u{at}") for at in range(6))
    assert accepted == 6
    assert [fact.id for fact in inbox(redis_url, "t1")] == ["e1", "e3", "e5"]


def test_no_events_are_no_work(seats: SeatEvents) -> None:
    assert seats.publish([]) == 0


def test_many_events_are_sent_in_batches(seats: SeatEvents, redis_url: str) -> None:
    assert seats.publish(event(id=f"e{at}") for at in range(2_500)) == 2_500
    assert load(redis_url).pending == 2_500


def test_bad_events_are_named_by_their_place_and_earlier_batches_are_counted(seats: SeatEvents, redis_url: str) -> None:
    events = [event(id=f"e{at}") for at in range(1_500)]
    events[1_200]["type"] = "user.renamed"
    del events[1_300]["data"]["userId"]
    with pytest.raises(BadEvents) as caught:
        seats.publish(events)
    found = [(problem.index, problem.field) for problem in caught.value.problems]
    assert (found, caught.value.accepted) == ([(1_200, "type"), (1_300, "data.userId")], 1_000)
    assert load(redis_url).pending == 1_000


@pytest.mark.parametrize("given", [["no event"], [None], [{}], [[]]])
def test_what_is_no_event_is_refused(seats: SeatEvents, given: Any) -> None:
    with pytest.raises(BadEvents):
        seats.publish(given)


def test_each_deployment_has_its_namespace(redis_url: str) -> None:
    with SeatEvents.from_url(redis_url, namespace="live") as live:
        live.user_added("acme", "user_1")
    assert (load(redis_url).pending, load(redis_url, namespace="live").pending) == (0, 1)


def test_a_tenant_settles_for_as_long_as_was_asked(redis_url: str) -> None:
    with SeatEvents.from_url(redis_url, settle_seconds=300) as patient, redis.Redis.from_url(redis_url) as client:
        patient.user_added("acme", "user_1")
        due = client.zscore(Keys("seats").index("due"), "acme")
        assert isinstance(due, float)
        assert 290 < due / 1_000_000 - time.time() < 310


def test_a_server_that_forgot_its_scripts_is_told_them_again(seats: SeatEvents, redis_url: str) -> None:
    seats.user_added("acme", "user_1")
    with redis.Redis.from_url(redis_url) as client:
        client.script_flush()
    seats.user_added("acme", "user_2")
    assert [fact.user for fact in inbox(redis_url) if isinstance(fact, UserFact)] == ["user_1", "user_2"]


def test_a_server_that_is_a_mere_broker_is_refused_before_anything_is_written(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set(Keys("seats").elsewhere, "1")
    with SeatEvents.from_url(redis_url) as seats:
        for _ in range(2):
            with pytest.raises(StateElsewhere, match="SEATS_STATE_URL"):
                seats.user_added("acme", "user_1")
        assert inbox(redis_url) == []
        with redis.Redis.from_url(redis_url) as client:
            client.delete(Keys("seats").elsewhere)
        seats.user_added("acme", "user_1")


def test_where_the_state_is_is_asked_once_a_minute(
    seats: SeatEvents, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seats.user_added("acme", "user_1")
    with redis.Redis.from_url(redis_url) as client:
        client.set(Keys("seats").elsewhere, "1")
    seats.user_added("acme", "user_1")
    later = time.monotonic() + 61
    monkeypatch.setattr(time, "monotonic", lambda: later)
    with pytest.raises(StateElsewhere):
        seats.user_added("acme", "user_1")


def test_a_full_inbox_is_told_of(seats: SeatEvents, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "INBOX_LIMIT", 2)
    seats.publish([event(), event()])
    with pytest.raises(InboxFull):
        seats.user_added("acme", "user_1")
    assert load(redis_url).pending == 2


def test_a_server_that_is_away_is_told_of_and_used_again_once_it_is_back(valkey: EmbeddedServer) -> None:
    with SeatEvents.from_url(valkey.url) as seats:
        seats.user_added("acme", "user_1")
        valkey.kill()
        with pytest.raises(StoreUnavailable):
            seats.user_added("acme", "user_2")
        valkey.restart()
        seats.user_added("acme", "user_3")
        assert [fact.user for fact in inbox(valkey.url) if isinstance(fact, UserFact)] == ["user_1", "user_3"]


def test_threads_may_share_one(seats: SeatEvents, redis_url: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        idents = list(pool.map(lambda at: seats.user_added("acme", f"u{at}"), range(200)))
    assert {fact.id for fact in inbox(redis_url)} == set(idents)


def test_a_forked_child_may_go_on_with_it(seats: SeatEvents, redis_url: str) -> None:
    seats.user_added("acme", "user_0")
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=seats.user_added, args=("acme", f"user_{at}")) for at in (1, 2)]
    for child in children:
        child.start()
    seats.user_added("acme", "user_3")
    for child in children:
        child.join(20)
        assert child.exitcode == 0
    users = {fact.user for fact in inbox(redis_url) if isinstance(fact, UserFact)}
    assert users == {"user_0", "user_1", "user_2", "user_3"}


def test_it_can_be_used_after_it_was_closed(redis_url: str) -> None:
    seats = SeatEvents.from_url(redis_url)
    seats.user_added("acme", "user_1")
    seats.close()
    seats.user_added("acme", "user_2")
    seats.close()
    assert len(inbox(redis_url)) == 2


@pytest.mark.parametrize("url", ["http://localhost", "localhost:6379", "redis+cluster://h:1"])
def test_a_url_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(BadRedisURL):
        SeatEvents.from_url(url)


def test_an_absurd_settling_time_is_refused(redis_url: str) -> None:
    with pytest.raises(ValueError, match="settle_seconds"):
        SeatEvents.from_url(redis_url, settle_seconds=-1)


def test_a_host_app_gets_no_web_server_and_no_queue_with_it() -> None:
    asked = "import sys, worker.publisher; print([name for name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout
    assert not any(f"'{name}'" in loaded for name in ("dramatiq", "starlette", "uvicorn", "stripe", "worker.web"))
