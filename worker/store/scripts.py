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

import redis.asyncio
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

from worker.store.connect import POOL_SIZE, AsyncClient
from worker.store.errors import StoreBroken, StoreError, StoreUnavailable
from worker.store.nodes import Nodes
from worker.store.wire import Arg as Arg
from worker.store.wire import packed as packed

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


MADE_OF = {"settle": ("commit", "finish")}
"""Scripts that have others in them, as functions of their names, since a script can't call another."""


@cache
def source(name: str) -> str:
    """The text of a script."""
    parts = [f"local function {part}(KEYS, ARGV)\n{source(part)}end\n" for part in MADE_OF.get(name, ())]
    return "".join([*parts, files("worker.store").joinpath("lua", f"{name}.lua").read_text("utf-8")])


@cache
def digest(name: str) -> str:
    """The SHA-1 that EVALSHA knows a script by."""
    return hashlib.sha1(source(name).encode(), usedforsecurity=False).hexdigest()


def _key(call: Call) -> str:
    """A key that a call is about, which tells its slot; '' where it is about none."""
    return str(call.keys[0] if call.keys else call.args[1] if len(call.args) > 1 else "")


def words_of(call: Call) -> Sequence[Arg]:
    """The command that makes a call."""
    return ("EVALSHA", digest(call.script), len(call.keys), *call.keys, *call.args) if call.script else call.args


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
        self._nodes = Nodes(client) if isinstance(client, RedisCluster) else None
        self._kept: Any = None
        # A pool has callers wait for a connection; a cluster's client, which has none, refuses them.
        self._places = asyncio.Semaphore(POOL_SIZE)

    async def run(self, call: Call) -> Any:  # noqa: ANN401 (a Redis reply may be anything)
        """The reply to one call.

        Raises:
            StoreError: it was refused, or the server can't be used.
        """
        if call.script and not self.clustered:
            return (await self.batch([call]))[0]
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
                found = await asyncio.gather(*(self._one(call) for call in calls), return_exceptions=True)
                for reply in found:
                    if isinstance(reply, BaseException) and not isinstance(reply, Exception):
                        raise reply  # such as a cancellation, which is nobody's answer
                return list(found)
            replies = await self._pipeline(calls)
            if any(isinstance(reply, NoScriptError) for reply in replies):
                # A server that was restarted has forgotten the scripts. Every call may be repeated.
                for name in {call.script for call in calls if call.script}:
                    await self.client.execute_command("SCRIPT", "LOAD", source(name))
                replies = await self._pipeline(calls)
        except (TimeoutError, RedisError, OSError) as error:
            raise translated(error) from error
        return replies

    async def try_together(self, calls: Sequence[Call]) -> list[Any]:
        """Like ``try_batch``, over one connection: for calls about keys of one slot, and those about what they wrote.

        Raises:
            StoreError: the server can't be used; some may have run.
        """
        if self._nodes is None:
            return await self.try_batch(calls)
        try:
            return await self._in_slot(self._nodes, calls)
        except (TimeoutError, RedisError, OSError) as error:
            raise translated(error) from error

    async def _one(self, call: Call) -> Any:  # noqa: ANN401
        if self._nodes is None or not _key(call):
            return await self.client.execute_command(*words_of(call))
        (reply,) = await self._in_slot(self._nodes, [call])
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def _in_slot(self, nodes: Nodes, calls: Sequence[Call]) -> list[Any]:
        """The replies of the primary that has the slot of the first call's key."""
        async with self._places:
            commands = list(map(words_of, calls))
            replies = await nodes.exchange(_key(calls[0]), commands)
            if isinstance(replies[0], NoScriptError):
                commands[0] = ("EVAL", source(calls[0].script), *commands[0][2:])
                replies = await nodes.exchange(_key(calls[0]), commands)
            return replies

    async def _pipeline(self, calls: Sequence[Call]) -> list[Any]:
        """Each call's reply or error.

        The connection of the last time is kept at hand. To take one from the pool, which checks it, and to have
        redis-py's own pipeline use it took 158 µs of this process for two scripts; this takes 95.
        """
        assert isinstance(self.client, redis.asyncio.Redis)
        pool: Any = self.client.connection_pool
        connection, self._kept = self._kept, None
        if connection is None:
            connection = await pool.get_connection()
        commands = list(map(words_of, calls))
        try:
            sent, names = packed(commands), [str(words[0]) for words in commands]
            replies: list[Any] = await connection.retry.call_with_retry(
                lambda: _exchange(self.client, connection, sent, names), lambda _: connection.disconnect()
            )
        except BaseException:
            await pool.release(connection)
            raise
        if self._kept is None:
            self._kept = connection
        else:
            await pool.release(connection)
        return replies

    async def let_go(self) -> None:
        """Give the connection that is kept at hand back to the pool."""
        connection, self._kept = self._kept, None
        if connection is not None:
            assert isinstance(self.client, redis.asyncio.Redis)
            await self.client.connection_pool.release(connection)


async def _exchange(client: Any, connection: Any, sent: bytes, names: Sequence[str]) -> list[Any]:  # noqa: ANN401
    """One attempt. A connection that fails in it, or is cancelled, closes itself: no reply is left in it."""
    await connection.send_packed_command(sent)
    replies: list[Any] = []
    for name in names:
        try:
            replies.append(await client.parse_response(connection, name))
        except ResponseError as error:
            replies.append(error)
    return replies
