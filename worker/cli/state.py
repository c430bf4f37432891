"""The state that commands read and write: a store for the length of a command."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from worker.cli.errors import CommandError, UsageProblem
from worker.settings import Settings
from worker.store.connect import BadRedisURL
from worker.store.interface import Loaded
from worker.store.redis_store import RedisStore

R = TypeVar("R")


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[RedisStore]:
    """The store that the settings name.

    Raises:
        ConfigError: none is named.
    """
    url = settings.require_state()
    try:
        store = RedisStore.from_url(
            url, settings.namespace, journal_length=settings.journal_length, min_replicas=settings.min_replicas
        )
    except BadRedisURL as error:
        raise UsageProblem(f"SEATS_REDIS_URL can't be used: {error}") from error
    try:
        yield store
    finally:
        await store.aclose()


def with_store(settings: Settings, work: Callable[[RedisStore], Awaitable[R]]) -> R:
    """Run some work with a store, to its end."""

    async def run() -> R:
        async with opened(settings) as store:
            return await work(store)

    return asyncio.run(run())


def no_such_tenant(tenant: str) -> CommandError:
    return CommandError(f"no tenant {tenant!r} is known: `seats status` lists them")


async def known(store: RedisStore, tenant: str) -> Loaded:
    """A tenant's record.

    Raises:
        CommandError: it has never been reconciled.
    """
    loaded = await store.load(tenant)
    if loaded.known:
        return loaded
    if loaded.pending:
        raise CommandError(
            f"tenant {tenant!r} has events waiting and has not been looked at yet: ask again in a few seconds, and "
            "if it stays so, see whether `seats worker` and `seats scheduler` are running"
        )
    raise no_such_tenant(tenant)
