"""Lua scripts and batches of calls, on one server or on a cluster.

Each ``.lua`` file under ``lua/`` is one atomic step; its head names every key and what it holds.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import (
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from worker.store.connect import AsyncClient
from worker.store.errors import StoreBroken, StoreError, StoreUnavailable

Arg = str | bytes | int | float

_PASSING_CODES = (
    "LOADING",
    "READONLY",
    "MISCONF",
    "OOM",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "MASTERDOWN",
    "NOREPLICAS",
    "BUSY",
    "UNBLOCKED",
)
# redis-py has classes for some of the codes, and then leaves the code out of the text.
_PASSING_ERRORS = (
    OutOfMemoryError, ReadOnlyError, ClusterDownError, MasterDownError, TryAgainError, NoPermissionError,
)  # fmt: skip


def is_passing(error: ResponseError) -> bool:
    """Whether a server may take a refused command later: it is loading, read-only, out of memory or the like."""
    return isinstance(error, _PASSING_ERRORS) or str(error).partition(" ")[0].lstrip("-") in _PASSING_CODES


@dataclass(frozen=True, slots=True)
class Call:
    """A script with its keys and arguments, or, where ``script`` is '', a plain command."""

    script: str
    keys: Sequence[str] = ()
    args: Sequence[Arg] = ()


def command(*words: Arg) -> Call:
    """A plain Redis command; its second word is the key it is about."""
    return Call("", (), words)


@cache
def source(name: str) -> str:
    """The text of a script."""
    return files("worker.store").joinpath("lua", f"{name}.lua").read_text("utf-8")


@cache
def digest(name: str) -> str:
    """The SHA-1 that EVALSHA knows a script by."""
    return hashlib.sha1(source(name).encode(), usedforsecurity=False).hexdigest()


def translated(error: Exception) -> StoreError:
    """A redis-py error as the store's own."""
    text = str(error)
    if isinstance(error, ResponseError) and not is_passing(error):
        return StoreBroken(text[:200])
    return StoreUnavailable((text or type(error).__name__)[:200])


class Scripts:
    """Runs calls against a client, in one round trip where they go to one server."""

    def __init__(self, client: AsyncClient) -> None:
        self.client = client
        self.clustered = isinstance(client, RedisCluster)

    async def run(self, call: Call) -> Any:  # noqa: ANN401 (a Redis reply may be anything)
        """The reply to one call.

        Raises:
            StoreError: it was refused, or the server can't be used.
        """
        try:
            return await self._one(call)
        except (TimeoutError, RedisError, OSError) as error:
            raise translated(error) from error

    async def batch(self, calls: Sequence[Call]) -> list[Any]:
        """The replies to several calls, in order. The calls are no transaction.

        Raises:
            StoreError: one of them was refused, or the server can't be used; some may have run.
        """
        replies = await self.try_batch(calls)
        for reply in replies:
            if isinstance(reply, Exception):
                raise translated(reply) from reply
        return replies

    async def try_batch(self, calls: Sequence[Call]) -> list[Any]:
        """Like ``batch``, but a call that was refused is answered by its error."""
        if not calls:
            return []
        try:
            if self.clustered:
                return list(await asyncio.gather(*(self._one(call) for call in calls), return_exceptions=True))
            replies = await self._pipeline(calls)
            if any(isinstance(reply, NoScriptError) for reply in replies):
                # A server that was restarted has forgotten the scripts. Every call may be repeated.
                for name in {call.script for call in calls if call.script}:
                    await self.client.execute_command("SCRIPT", "LOAD", source(name))
                replies = await self._pipeline(calls)
        except (TimeoutError, RedisError, OSError) as error:
            raise translated(error) from error
        return replies

    async def _one(self, call: Call) -> Any:  # noqa: ANN401
        if not call.script:
            return await self.client.execute_command(*call.args)
        rest = (len(call.keys), *call.keys, *call.args)
        try:
            return await self.client.execute_command("EVALSHA", digest(call.script), *rest)
        except NoScriptError:
            return await self.client.execute_command("EVAL", source(call.script), *rest)

    async def _pipeline(self, calls: Sequence[Call]) -> list[Any]:
        assert isinstance(self.client, redis.asyncio.Redis)
        async with self.client.pipeline(transaction=False) as pipe:
            for call in calls:
                if call.script:
                    pipe.execute_command("EVALSHA", digest(call.script), len(call.keys), *call.keys, *call.args)
                else:
                    pipe.execute_command(*call.args)
            return await pipe.execute(raise_on_error=False)
