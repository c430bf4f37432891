"""What every part of the Redis store shares: a client, its scripts and the key names."""

from collections.abc import Sequence
from typing import Any

import redis.asyncio

from worker.store.connect import AsyncClient
from worker.store.errors import StoreBroken, StoreError, TenantBroken, TooFewReplicas
from worker.store.keys import Keys
from worker.store.kinds import misfits, tenant_kinds
from worker.store.replicas import check_replicated, wait_for
from worker.store.scripts import Call, Scripts, translated


class RedisRoom:
    """The base of the parts that ``RedisStore`` is put together from."""

    def __init__(
        self, client: AsyncClient, namespace: str, *, journal_length: int = 1000, min_replicas: int = 0
    ) -> None:
        self.client = client
        self.keys = Keys(namespace)
        self.scripts = Scripts(client)
        self.journal_length = journal_length
        self.min_replicas = min_replicas

    async def write(self, calls: Sequence[Call]) -> list[Any]:
        """The replies to calls that count once enough replicas have what they wrote, in the same round trip.

        Raises:
            TooFewReplicas: they were made, and yet a failover may undo them. To repeat them does no harm.
            StoreError: as ``Scripts.batch``.
        """
        if not self.min_replicas:
            return await self.scripts.batch(calls)
        *replies, reached = await self.scripts.try_batch([*calls, wait_for(self.min_replicas)])
        for reply in replies:
            if isinstance(reply, Exception):
                raise translated(reply) from reply
        try:
            check_replicated(reached, self.min_replicas)
        except TooFewReplicas:
            await self.leave_server()
            raise
        return replies

    async def broken(self, tenant: str, error: StoreBroken) -> StoreError:
        """The error as one of the tenant's, where its keys are not of their kinds."""
        found = await misfits(self.scripts, tenant_kinds(self.keys, tenant))
        return TenantBroken(tenant, "; ".join(found)) if found else error

    async def leave_server(self) -> None:
        """Close the idle connections: one that its replicas have left may have been replaced, and Sentinel knows."""
        if isinstance(self.client, redis.asyncio.Redis):
            await self.client.connection_pool.disconnect(inuse_connections=False)

    async def aclose(self) -> None:
        """Close all connections."""
        await self.client.aclose()


def text(reply: bytes | str) -> str:
    """A reply that is text."""
    return reply.decode("utf-8") if isinstance(reply, bytes) else reply
