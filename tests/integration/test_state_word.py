"""The word that a scheduler leaves on the broker of a deployment whose state is on a server of its own."""

import asyncio
from dataclasses import dataclass
from typing import cast

import pytest
import redis

from worker.actors.broker import Broker
from worker.actors.scheduler import _compare
from worker.store.guard import StateGuard
from worker.store.keys import Keys
from worker.store.redis_store import RedisStore

WORD = Keys("seats").elsewhere


@dataclass
class OnlyItsServer:
    """As much of a broker as is asked here."""

    client: redis.Redis
    namespace: str = "seats"


def compare(url: str, *, elsewhere: bool) -> tuple[str | None, str, int | None]:
    """What a scheduler that has just been started leaves on the broker, the identity it found, and what it says of a
    loss."""

    async def main() -> tuple[str | None, str, int | None]:
        store = RedisStore.from_url(url)
        with redis.Redis.from_url(url, decode_responses=False) as client:
            guard = StateGuard(store)
            await _compare(guard, cast(Broker, OnlyItsServer(client)), elsewhere=elsewhere)
            word, lost_at = client.get(WORD), await store.lost_at()
        await store.aclose()
        return word.decode() if isinstance(word, bytes) else None, guard.remembered.identity, lost_at

    return asyncio.run(main())


@pytest.mark.parametrize("left", [None, "1"], ids=["nothing", "by an earlier release"])
def test_where_no_identity_was_left_the_state_is_taken_as_it_is(redis_url: str, left: str | None) -> None:
    if left is not None:
        with redis.Redis.from_url(redis_url) as client:
            client.set(WORD, left)
    word, identity, lost_at = compare(redis_url, elsewhere=True)
    assert (word, lost_at) == (identity, None)
    assert compare(redis_url, elsewhere=True) == (identity, identity, None)


def test_a_state_of_another_identity_than_the_one_left_is_a_loss(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set(WORD, "the one of before")
    word, identity, lost_at = compare(redis_url, elsewhere=True)
    assert word == identity != "the one of before"
    assert lost_at is not None


def test_a_state_that_moved_to_the_broker_leaves_no_word(redis_url: str) -> None:
    compare(redis_url, elsewhere=True)
    assert compare(redis_url, elsewhere=False)[0] is None
