"""Appends of many callers at once: one round trip for all of them, and to each the outcome of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest
import redis

from worker.core.facts import Membership, UserFact
from worker.embedded import EmbeddedServer
from worker.store import scripts
from worker.store.errors import InboxFull, StoreUnavailable, TenantBroken, TooFewReplicas
from worker.store.inbox import SMALL
from worker.store.keys import Keys
from worker.store.redis_store import RedisStore
from worker.store.scripts import packed

KEYS = Keys("seats")


def joined(user: str, name: str | None = None) -> UserFact:
    return UserFact(user, Membership.ADDED, 1, f"evt_{user}", None, name)


def play(url: str, scene: Callable[[RedisStore], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        store = RedisStore.from_url(url, **options)
        try:
            await scene(store)
        finally:
            await store.aclose()

    asyncio.run(main())


async def users(store: RedisStore, tenant: str) -> list[str]:
    return [fact.user for fact in (await store.load(tenant)).facts if isinstance(fact, UserFact)]


def calls_of(url: str, command: str) -> int:
    with redis.Redis.from_url(url) as client:
        return int(client.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0))


def reset(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        client.config_resetstat()


def test_fifty_at_once_take_two_round_trips_and_all_their_facts_are_there_in_order(redis_url: str) -> None:
    async def scene(store: RedisStore) -> None:
        await store.append({"first": [joined("x")]})
        reset(redis_url)
        await asyncio.gather(*(store.append({f"t{at % 5}": [joined(f"u{at:02}")]}) for at in range(50)))
        assert calls_of(redis_url, "evalsha") == 2 * 2, "each round trip appends, and makes due"
        for number in range(5):
            loaded = await store.load(f"t{number}")
            assert [fact.id for fact in loaded.facts] == [f"evt_u{at:02}" for at in range(number, 50, 5)]
            assert min(loaded.accepted) > 0
        assert len((await store.claim_due(9, 1_000_000)).wakes) == 6

    play(redis_url, scene)


def test_an_inbox_that_is_full_or_broken_concerns_only_those_who_had_facts_for_it(redis_url: str) -> None:
    async def scene(store: RedisStore) -> None:
        store.inbox_limit = 2
        await store.append({"full": [joined("a"), joined("b")]})
        await store.scripts.run(scripts.command("SET", KEYS.inbox("broken"), "a string"))
        await store.scripts.run(scripts.command("SET", KEYS.stamps("beside"), "a string"))
        wanted: Sequence[Mapping[str, Sequence[UserFact]]] = [
            {"first": [joined("a")]},
            {"good": [joined("a")]},
            {"full": [joined("c")], "other": [joined("a")]},
            {"broken": [joined("a")]},
            {"beside": [joined("a")]},
            {"good": [joined("b")]},
        ]
        found = await asyncio.gather(*map(store.append, wanted), return_exceptions=True)
        assert [type(one) for one in found] == [
            type(None),
            type(None),
            InboxFull,
            TenantBroken,
            TenantBroken,
            type(None),
        ]
        assert "inbox is a string, not a list" in str(found[3])
        assert "stamps is a string, not a list" in str(found[4])
        assert (await users(store, "good"), await users(store, "full")) == (["a", "b"], ["a", "b"])
        with redis.Redis.from_url(redis_url) as client:
            assert client.llen(KEYS.inbox("beside")) == 0

    play(redis_url, scene)


def test_facts_of_several_traces_and_limits_go_in_one_round_trip(redis_url: str) -> None:
    async def scene(store: RedisStore) -> None:
        store.inbox_limit = 3
        await asyncio.gather(
            store.append({"t": [joined("a")]}),
            store.append({"t": [joined("b")], "later": [joined("b")]}, trace="00-aaaa-00f0-01", settle=3_600_000_000),
            store.append({"t": [joined("c")]}, trace="00-bbbb-00f0-01"),
            store.append({"t": [joined("d"), joined("e")]}, bounded=False, trace="00-bbbb-00f0-01"),
        )
        loaded = await store.load("t")
        assert await users(store, "t") == ["a", "b", "c", "d", "e"]
        assert loaded.traces == ("00-aaaa-00f0-01", "00-bbbb-00f0-01")
        assert [wake.tenant for wake in (await store.claim_due(9, 1_000_000)).wakes] == ["t"]
        with pytest.raises(InboxFull):
            await store.append({"t": [joined("f")]})

    play(redis_url, scene)


def test_a_tenant_with_more_facts_than_one_command_takes_has_them_all_with_their_times(redis_url: str) -> None:
    async def scene(store: RedisStore) -> None:
        await store.append({"t": [joined(f"u{at}") for at in range(2_500)], "other": [joined("a")]})
        with redis.Redis.from_url(redis_url) as client:
            assert (client.llen(KEYS.inbox("t")), client.llen(KEYS.stamps("t"))) == (2_500, 2_500)
            assert client.lindex(KEYS.inbox("t"), 1_000) == b'u[true,"u1000",1,"evt_u1000",null,null]'
        assert await users(store, "other") == ["a"]

    play(redis_url, scene)


def test_what_is_large_goes_by_itself_and_keeps_nobody_waiting(redis_url: str) -> None:
    async def scene(store: RedisStore) -> None:
        large = [joined(f"u{at}", "n" * 200) for at in range(SMALL // 200 + 1)]
        await store.append({"t": [joined("a")]})
        reset(redis_url)
        await asyncio.gather(*(store.append({f"large{at}": large}) for at in range(3)))
        assert calls_of(redis_url, "evalsha") == 3 * 2

    play(redis_url, scene)


def test_a_server_that_goes_away_fails_all_who_wait_and_one_that_is_back_serves_them(valkey: EmbeddedServer) -> None:
    async def scene(store: RedisStore) -> None:
        await store.append({"t": [joined("a")]})
        valkey.kill()
        found = await asyncio.gather(*(store.append({"t": [joined("b")]}) for _ in range(5)), return_exceptions=True)
        assert [type(one) for one in found] == [StoreUnavailable] * 5
        valkey.restart()
        await asyncio.gather(*(store.append({"t": [joined(user)]}) for user in "cde"))
        assert await users(store, "t") == ["a", "c", "d", "e"]

    play(valkey.url, scene)


def test_replicas_are_waited_for_once_a_group(redis_url: str) -> None:
    async def scene(store: RedisStore) -> None:
        await store.append({"t": [joined("a")]})
        reset(redis_url)
        store.min_replicas = 1
        found = await asyncio.gather(
            *(store.append({"t": [joined(str(at))]}) for at in range(9)), return_exceptions=True
        )
        assert [type(one) for one in found] == [TooFewReplicas] * 9
        # The first is alone; the others have waited long enough for it by the time it is refused.
        assert calls_of(redis_url, "wait") == 2

    play(redis_url, scene)


@pytest.mark.parametrize("gone", [1, 4])
def test_a_caller_that_is_cancelled_hurts_nobody(redis_url: str, gone: int) -> None:
    async def scene(store: RedisStore) -> None:
        await store.append({"t": [joined("a")]})
        callers = [asyncio.create_task(store.append({"t": [joined(f"u{at}")]})) for at in range(6)]
        await asyncio.sleep(0)
        callers[gone].cancel()
        found = await asyncio.gather(*callers, return_exceptions=True)
        assert [isinstance(one, asyncio.CancelledError) for one in found] == [at == gone for at in range(6)]
        present = set(await users(store, "t"))
        assert present >= {f"u{at}" for at in range(6) if at != gone}
        await store.append({"t": [joined("z")]})
        assert "z" in await users(store, "t")

    play(redis_url, scene)


def test_commands_go_over_the_wire_as_words_with_their_lengths() -> None:
    assert packed([("SET", "kéy", b"\x00\r\n", 12), ("PING",)]) == (
        b"*4\r\n$3\r\nSET\r\n$4\r\nk\xc3\xa9y\r\n$3\r\n\x00\r\n\r\n$2\r\n12\r\n*1\r\n$4\r\nPING\r\n"
    )
