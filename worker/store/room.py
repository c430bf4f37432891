"""What every part of the Redis store shares: a client, its scripts and the key names."""

import asyncio
from collections.abc import Sequence
from typing import Any

import redis.asyncio

from worker.store.connect import AsyncClient
from worker.store.errors import StoreBroken, StoreError, TenantBroken, TooFewReplicas
from worker.store.keys import CLUSTER_SHARDS, Keys
from worker.store.kinds import misfits, tenant_kinds
from worker.store.replicas import check_replicated, wait_for
from worker.store.scripts import Arg, Call, Scripts, translated


class RedisRoom:
    """The base of the parts that ``RedisStore`` is put together from."""

    def __init__(
        self, client: AsyncClient, namespace: str, *, journal_length: int = 1000, min_replicas: int = 0
    ) -> None:
        self.client = client
        self.scripts = Scripts(client)
        self.keys = Keys(namespace, CLUSTER_SHARDS if self.scripts.clustered else 1)
        self.journal_length = journal_length
        self.min_replicas = min_replicas

    async def write(self, calls: Sequence[Call]) -> list[Any]:
        """The replies to calls that count once enough replicas have what they wrote, in the same round trip.

        On a cluster each call is about a slot of its own, and its replicas are those of the slot's primary.

        Raises:
            TooFewReplicas: they were made, and yet a failover may undo them. To repeat them does no harm.
            StoreError: as ``Scripts.batch``.
        """
        replies, trouble = await self.try_write(calls)
        if trouble is not None:
            await self.leave_server()
            raise trouble
        return replies

    async def try_write(self, calls: Sequence[Call]) -> tuple[list[Any], TooFewReplicas | None]:
        """Like ``write``, but the error that too few replicas have what was written stands beside the replies.

        Raises:
            StoreError: as ``Scripts.batch``.
        """
        if not self.min_replicas:
            return await self.scripts.batch(calls), None
        wait = wait_for(self.min_replicas)
        if self.scripts.clustered:
            answers = await asyncio.gather(*(self.scripts.try_together([call, wait]) for call in calls))
            replies, reached = [answer[0] for answer in answers], [answer[1] for answer in answers]
        else:
            *replies, last = await self.scripts.try_batch([*calls, wait])
            reached = [last]
        for reply in replies:
            if isinstance(reply, Exception):
                raise translated(reply) from reply
        try:
            for number in reached:
                check_replicated(number, self.min_replicas)
        except TooFewReplicas as trouble:
            return replies, trouble
        return replies, None

    async def _ask_shards(self, calls: Sequence[Call]) -> list[Any]:
        """The replies to calls about shards of the index, in order: one call where there is one shard.

        Raises:
            StoreError: as ``Scripts.batch``.
        """
        return [await self.scripts.run(calls[0])] if len(calls) == 1 else await self.scripts.batch(calls)

    async def _in_shards(self, script: str, names: Sequence[str], args: Sequence[Arg] = ()) -> list[Any]:
        """The replies of every shard of the index, in their order, to a script that is given these keys of it.

        Raises:
            StoreError: as ``Scripts.batch``.
        """
        shards = range(self.keys.shards)
        return await self._ask_shards(
            [Call(script, [self.keys.index(name, shard) for name in names], args) for shard in shards]
        )

    async def broken(self, tenant: str, error: StoreBroken) -> StoreError:
        """The error as one of the tenant's, where its keys are not of their kinds."""
        found = await misfits(self.scripts, tenant_kinds(self.keys, tenant))
        return TenantBroken(tenant, "; ".join(found)) if found else error

    async def leave_server(self) -> None:
        """Close the idle connections: one that its replicas have left may have been replaced, and Sentinel knows."""
        if isinstance(self.client, redis.asyncio.Redis):
            await self.scripts.let_go()
            await self.client.connection_pool.disconnect(inuse_connections=False)

    async def aclose(self) -> None:
        """Close all connections."""
        await self.client.aclose()


def text(reply: bytes | str) -> str:
    """A reply that is text."""
    return reply.decode("utf-8") if isinstance(reply, bytes) else reply
