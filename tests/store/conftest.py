"""Every store test runs on the in-memory store, Valkey, Debian's Redis, and a Valkey in cluster mode."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator

import pytest

from tests.conftest import server_binary
from worker.embedded import EmbeddedServer
from worker.store.interface import Store
from worker.store.memory import MemoryStore
from worker.store.redis_store import RedisStore

Scenario = Callable[[Store], Awaitable[None]]
Play = Callable[[Scenario], None]


@pytest.fixture(scope="session")
def single_servers() -> Iterator[dict[str, str]]:
    """The URL of a running server of each implementation."""
    with (
        EmbeddedServer(binary=server_binary("valkey")) as valkey,
        EmbeddedServer(binary=server_binary("redis")) as debian,
    ):
        yield {"valkey": valkey.url, "redis": debian.url}


_namespaces = (f"test{number}" for number in itertools.count())


@pytest.fixture(params=["memory", "valkey", "redis", "cluster"])
def play(request: pytest.FixtureRequest) -> Play:
    """Plays a scenario on a store with nothing in it."""
    kind = request.param
    if kind == "memory":
        clock = itertools.count(1_700_000_000_000_000)
        store: Store = MemoryStore(lambda: next(clock), journal_length=300, inbox_limit=1000)
        return lambda scenario: asyncio.run(_bounded(scenario, store))
    url = request.getfixturevalue("cluster" if kind == "cluster" else "single_servers")
    url = url if kind == "cluster" else url[kind]

    def on_redis(scenario: Scenario) -> None:
        async def main() -> None:
            # The cluster is one node, with no replica to wait for.
            store = RedisStore.from_url(url, next(_namespaces), journal_length=300, min_replicas=0)
            store.inbox_limit = 1000
            try:
                await _bounded(scenario, store)
            finally:
                await store.aclose()

        asyncio.run(main())

    return on_redis


async def _bounded(scenario: Scenario, store: Store) -> None:
    async with asyncio.timeout(30):
        await scenario(store)
